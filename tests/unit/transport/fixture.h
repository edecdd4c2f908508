/* What the tests of this folder share: a server, a client, and files in a temporary folder. */
#ifndef TEST_TRANSPORT_FIXTURE_H
#define TEST_TRANSPORT_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "server.h"
#include "transport/http.h"

#define FILE_SIZE (8 * 1024 * 1024 + 123)
#define GZIP_BOMB_SIZE 1051

/* The file of the test server: no two places of it look alike to a wrong offset. */
static inline uint8_t
file_byte(uint64_t i)
{
	return (uint8_t)(i * 2654435761u >> 13 ^ i);
}

struct fixture {
	char dir[64]; /* with the certificates of pki.h */
	struct server *server;
	struct upt_http *http;
	struct upt_http_config config;
	struct upt_buf out; /* holds "before" when a test begins */
	struct upt_err err;
	volatile bool cancel;
};

/* A plain server, and a client with short timeouts: retries after 1 ms, 1000 bytes/s over 1 s. */
int fixture_setup(void **state);
/* Only the certificates; the test starts its server and client. */
int fixture_setup_tls(void **state);
int fixture_teardown(void **state);
/* Replaces the client by one with f->config. */
void fixture_new_client(struct fixture *f);
/* "DIR/name"; valid until the next 8 calls. */
const char *fixture_path(struct fixture *f, const char *name);
/* GET from the fixture's server. */
enum upt_code fixture_get(struct fixture *f, const char *path, size_t max_bytes);

void assert_code(enum upt_code got, enum upt_code want, const struct upt_err *err);
void assert_out(const struct fixture *f, const char *text);
void assert_says(const struct fixture *f, const char *text);

#endif
