/*
 * bench-floor DIR ROUNDS: what bench-scale cannot do without: exactly the signature checks and
 * hashes that DIR/floor lists, with OpenSSL alone, over bytes and under keys that are in memory
 * already. Prints the least processor time of a round in microseconds and the number of signatures.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cost.h"

#define MAX_JOBS 8192
#define MAX_KEYS 64

struct job {
	EVP_PKEY *key; /* NULL: a hash */
	const unsigned char *bytes;
	size_t len;
	unsigned char sig[512];
	size_t sig_len;
};

struct keys {
	size_t n;
	char names[MAX_KEYS][64];
	EVP_PKEY *list[MAX_KEYS];
};

/* The process ends before anything is measured wrongly. */
static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench-floor: %s\n", what);
	exit(1);
}

static EVP_PKEY *
get_key(struct keys *keys, const char *path)
{
	FILE *f;

	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->names[i], path) == 0)
			return keys->list[i];
	}
	f = fopen(path, "re");
	need(f != NULL && keys->n < MAX_KEYS, path);
	snprintf(keys->names[keys->n], sizeof(keys->names[0]), "%s", path);
	keys->list[keys->n] = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	need(keys->list[keys->n] != NULL, path);
	return keys->list[keys->n++];
}

static const unsigned char *
map_file(const char *path, size_t offset, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	unsigned char *bytes;

	need(fd >= 0 && fstat(fd, &st) == 0 && offset + len <= (size_t)st.st_size, path);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	need(bytes != MAP_FAILED, path);
	close(fd);
	return bytes + offset;
}

static size_t
read_jobs(struct job *jobs)
{
	static char what[16], key[64], file[64], sig[1025];
	struct keys keys = {0};
	FILE *list = fopen("floor", "re");
	size_t n = 0, offset;

	need(list != NULL, "no list");
	for (; fscanf(list, "%15s %63s %63s %zu %zu %1024s", what, key, file, &offset, &jobs[n].len,
		       sig) == 6;
		n++) {
		struct job *job = &jobs[n];

		need(n + 1 < MAX_JOBS, "too many jobs");
		job->bytes = map_file(file, offset, job->len);
		if (strcmp(what, "verify") != 0)
			continue;
		job->key = get_key(&keys, key);
		need(OPENSSL_hexstr2buf_ex(job->sig, sizeof(job->sig), &job->sig_len, sig, '\0') ==
				1,
			"no signature");
	}
	need(feof(list) && n > 0, "a broken list");
	fclose(list);
	return n;
}

static void
verify(const struct job *job)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	const EVP_MD *md = EVP_PKEY_is_a(job->key, "ED25519") == 1 ? NULL : EVP_sha256();

	need(EVP_DigestVerifyInit(ctx, &pctx, md, NULL, job->key) == 1, "cannot begin");
	if (EVP_PKEY_is_a(job->key, "RSA") == 1)
		need(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
				EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_AUTO) == 1,
			"no padding");
	need(EVP_DigestVerify(ctx, job->sig, job->sig_len, job->bytes, job->len) == 1,
		"a wrong signature");
	EVP_MD_CTX_free(ctx);
}

static size_t
run(const struct job *jobs, size_t n)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t n_verified = 0;

	for (size_t i = 0; i < n; i++) {
		if (jobs[i].key == NULL) {
			need(EVP_Digest(jobs[i].bytes, jobs[i].len, digest, NULL, EVP_sha256(),
				     NULL) == 1,
				"cannot hash");
		} else {
			verify(&jobs[i]);
			n_verified++;
		}
	}
	return n_verified;
}

int
main(int argc, char **argv)
{
	static struct job jobs[MAX_JOBS];
	int64_t least = INT64_MAX;
	size_t n, n_verified = 0;

	need(argc == 3, "usage: bench-floor DIR ROUNDS");
	need(chdir(argv[1]) == 0, argv[1]);
	n = read_jobs(jobs);
	run(jobs, 1); /* OpenSSL is loaded and has seen such a key before anything is measured */
	for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
		int64_t begin = cost_micros(), micros;

		n_verified = run(jobs, n);
		micros = cost_micros() - begin;
		least = micros < least ? micros : least;
	}
	printf("%lld %zu\n", (long long)least, n_verified);
	return 0;
}
