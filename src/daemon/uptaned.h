/* uptaned: the Primary's service. docs/man/uptaned.8. */
#ifndef UPT_DAEMON_UPTANED_H
#define UPT_DAEMON_UPTANED_H

/* Runs the program; returns its exit code. */
int upt_uptaned_main(int argc, char **argv);

#endif
