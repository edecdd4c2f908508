/*
 * What a bench verifies: a repository's files in one folder, read as they are asked for. Nothing is
 * stored but the first root, as on a vehicle's first cycle. Thread-safety: no shared state.
 */
#ifndef TESTS_BENCH_FEED_H
#define TESTS_BENCH_FEED_H

#include "metadata/refresh.h"

/* fd: the folder's, borrowed; < 0 makes every fetch fail. */
struct upt_feed bench_feed(int *fd);

#endif
