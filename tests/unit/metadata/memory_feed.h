/*
 * A server and a store in memory: what the refresh driver asks for and saves is written down, so
 * that a test sees the requests themselves. Any request or save can be made to fail.
 */
#ifndef TESTS_METADATA_MEMORY_FEED_H
#define TESTS_METADATA_MEMORY_FEED_H

#include "metadata/refresh.h"
#include "world.h"

#define MAX_FILES 96
#define LOG_SIZE 4096

struct memory_file {
	char name[320];
	struct upt_buf bytes;
};

struct memory_feed {
	struct memory_file served[MAX_FILES], stored[MAX_FILES]; /* stored "root": the latest */
	size_t n_served, n_stored;
	char log[LOG_SIZE]; /* "get 2.root.json;save root 2 drop;..." */
	const char *failing; /* this entry of the log fails */
	enum upt_code failure;
	struct upt_feed feed;
};

void memory_feed_init(struct memory_feed *m);
void memory_feed_clear(struct memory_feed *m);
/* Puts a file in place of one of that name; bytes are copied. */
void serve(struct memory_feed *m, const char *name, struct upt_span bytes);
void store(struct memory_feed *m, const char *role, struct upt_span bytes);
void withdraw(struct memory_feed *m, const char *name);
/* NULL when nothing is stored of that role. */
const struct upt_buf *stored(const struct memory_feed *m, const char *role);
/* Asserts the log since the last call, and empties it. */
void assert_log(struct memory_feed *m, const char *want);

#endif
