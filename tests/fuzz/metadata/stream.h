/*
 * The format of fuzz_trusted_set's inputs, which the seeds share. The first byte is the mode, '0' to
 * '?', by the bits below; the rest are segments between bytes 0xff (which no UTF-8 holds), each one
 * a letter and bytes.
 */
#ifndef UPT_TESTS_FUZZ_METADATA_STREAM_H
#define UPT_TESTS_FUZZ_METADATA_STREAM_H

#define STREAM_SIGN 1 /* documents are payloads: the harness signs them */
#define STREAM_OTA 2
#define STREAM_DIRECTOR 4
#define STREAM_TUF 8 /* where plain TUF differs */
#define STREAM_SEPARATOR 0xff

#define STREAM_NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */

/* The secret of RFC 8032, section 7.1, test 1: everybody may sign with it. */
#define STREAM_SECRET_PEM                                                                          \
	"-----BEGIN PRIVATE KEY-----\n"                                                            \
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"                       \
	"-----END PRIVATE KEY-----\n"

#endif
