/*
 * What bench-scale-make writes and bench-scale verifies: three scenes, each in a folder of its own
 * with one subfolder per repository. Target names hold no '/', so that the path "*" delegates them
 * all.
 */
#ifndef TESTS_BENCH_SCALE_H
#define TESTS_BENCH_SCALE_H

#define SCALE_NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */
#define SCALE_EXPIRES (SCALE_NOW + INT64_C(315360000))

/* rotations: an Image repository with this many new roots behind the pinned one. */
#define SCALE_N_ROTATIONS 1000

/* delegations: 5 roles, each with 3 below it, each with 2 below it; all are visited in their order.
 */
#define SCALE_N_ROLES 50
#define SCALE_N_ROLE_TARGETS 100
#define SCALE_TARGET_FORMAT "component-%02d-%03d.bin" /* role, target */

/* director: as many targets as ECUs, one for each, in both repositories. */
#define SCALE_N_ECUS 500
#define SCALE_ECU_FORMAT "ecu-%04d"
#define SCALE_HARDWARE "controller-x1"

#endif
