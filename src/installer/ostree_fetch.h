/*
 * What the program uptane-ostree-pull does: one pull by libostree, told to the installer that
 * started it in lines on standard output:
 *
 *   progress FETCHED REQUESTED BYTES OF-BYTES   objects, and bytes of those that are lacking (0:
 * not known), twice a second failed CODE-NAME MESSAGE       see upt_code_name() done
 */
#ifndef UPT_INSTALLER_OSTREE_FETCH_H
#define UPT_INSTALLER_OSTREE_FETCH_H

/* argv: PROGRAM SYSROOT REMOTE COMMIT MIN_BYTES_PER_SECOND WINDOW_SECONDS RESERVE_BYTES URL; URL ""
 * is the remote's own. Never returns to its caller with threads still running: the exit status of
 * the process. */
int upt_ostree_fetch(int argc, char **argv);

#endif
