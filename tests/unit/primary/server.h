/*
 * The server of a test world: a process that serves the files below a folder over HTTP and keeps
 * what is PUT or POSTed. PATH.status holds the status to answer with instead; "requests" has a line
 * for each request.
 */
#ifndef UPT_TESTS_PRIMARY_SERVER_H
#define UPT_TESTS_PRIMARY_SERVER_H

#include <sys/types.h>

/* Serves dir/srv; bodies go to dir/got.N in their order. Ends with its parent. */
pid_t server_start(const char *dir, unsigned *port);
void server_stop(pid_t pid);

#endif
