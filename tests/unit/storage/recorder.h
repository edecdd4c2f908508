/*
 * A SQLite VFS that records what reaches the disk of one database (writes, truncations, syncs and
 * deletions of the database and its journal) and rebuilds the files as a power cut at any point of
 * that record may have left them. The state in memory is the test's own; one recording at a time.
 */
#ifndef UPT_TESTS_STORAGE_RECORDER_H
#define UPT_TESTS_STORAGE_RECORDER_H

#include "support.h"

/* What becomes of writes that no sync had covered when the power went. */
enum recorder_loss {
	RECORDER_LOSE_NONE, /* all reached the disk: also what SIGKILL leaves */
	RECORDER_LOSE_ALL,
	RECORDER_LOSE_ODD,  /* every second one did, out of order */
	RECORDER_LOSE_EVEN,
	RECORDER_TEAR_LAST, /* all did, but of the last one only the first half */
	RECORDER_N_LOSSES
};

/* Becomes the default VFS; the record starts empty. */
void recorder_start(void);
/* A number in the record: what the program had been told was durable. */
void recorder_acknowledge(unsigned step);
/* Restores the VFS of before; the record stays. */
void recorder_stop(void);
size_t recorder_length(void);
/* The files "state.db" and "state.db-wal" in dir as they were in before/, plus the first n records.
 * Returns the last acknowledged step among these. */
unsigned recorder_rebuild(const char *before, const char *dir, size_t n, enum recorder_loss loss);
void recorder_clear(void);

#endif
