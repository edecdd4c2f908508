/*
 * Makes one call fail: an allocation of ours, of OpenSSL's or of SQLite's, or a call that touches
 * the disk, ours or SQLite's. Programs that link upt_faults have these calls wrapped by the linker;
 * the two libraries are reached through hooks of their own. The state is the test's own.
 */
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

enum fault {
	FAULT_NONE,
	FAULT_MEMORY, /* malloc and its like in what is linked statically, and arenas */
	FAULT_OPENSSL_MEMORY, /* after faults_hook_openssl() */
	FAULT_SQLITE_MEMORY, /* where a test hooks it: faults_due() */
	FAULT_DISK_ERROR, /* EIO */
	FAULT_DISK_FULL, /* ENOSPC, of the calls that may need room */
};

const char *fault_name(enum fault fault);
/* Call number at (from 0) of that kind fails, once. */
void faults_begin(enum fault fault, size_t at);
/* True when one did. */
bool faults_end(void);
/* Calls that a test makes from within what it tests do not count. */
void faults_pause(void);
void faults_resume(void);
/* For hooks: true when this call is the one. */
bool faults_due(enum fault fault);
/* The same for a call that touches the disk; errno is set. */
bool faults_disk_due(bool needs_room);
/* Before OpenSSL's first allocation. */
bool faults_hook_openssl(void);

#endif
