#include "secondary/state_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "json/json.h"

#define VALUE_MAX_BYTES ((size_t)4096)
#define COUNTER_BLOCK 64

/* ---- opening ---- */

enum upt_code
upt_state_open_dir(int dir_fd, const char *name, int *fd, struct upt_err *err)
{
	if (mkdirat(dir_fd, name, 0700) == 0)
		UPT_TRY(upt_dir_sync(dir_fd, ".", err));
	else if (errno != EEXIST)
		return upt_fail_errno(err, errno, "cannot make the state's folder %s", name);
	*fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return upt_fail_errno(err, errno, "cannot open the state's folder %s", name);
	return UPT_OK;
}

static enum upt_code
open_and_lock(struct upt_state *state, const char *dir, struct upt_err *err)
{
	struct stat st;

	UPT_TRY(upt_dir_make(dir, 0700, err));
	state->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->dir_fd < 0 || fstat(state->dir_fd, &st) != 0)
		return upt_fail_errno(err, errno, "cannot open state folder %s", dir);
	/* Whoever can write here can replace the pinned roots. */
	if ((st.st_mode & 022) != 0)
		return upt_fail(err, UPT_E_CONFIG,
			"state folder %s is writable for group or others (mode %o)", dir,
			(unsigned)(st.st_mode & 07777));
	state->lock_fd =
		openat(state->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (state->lock_fd < 0)
		return upt_fail_errno(err, errno, "cannot open %s/lock", dir);
	if (flock(state->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
			       ? upt_fail(err, UPT_E_BUSY, "another agent uses %s", dir)
			       : upt_fail_errno(err, errno, "cannot lock %s/lock", dir);
	return UPT_OK;
}

/* A small text file without its final newline; "" when there is none. */
static enum upt_code
read_value(struct upt_state *state, const char *name, struct upt_buf *out, struct upt_err *err)
{
	enum upt_code code = upt_file_read(state->dir_fd, name, VALUE_MAX_BYTES, out, err);

	if (code == UPT_E_NOT_FOUND)
		return upt_buf_append(out, "", 0, err);
	if (code == UPT_OK && out->len > 0 && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	return code;
}

static enum upt_code
read_number(
	struct upt_state *state, const char *name, uint64_t max, uint64_t *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	uint64_t value = 0;

	UPT_TRY(read_value(state, name, &text, err));
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return upt_fail(err, UPT_E_IO, "the state's file %s holds no number", name);
		value = value * 10 + (uint64_t)(text.data[i] - '0');
		if (value > max)
			return upt_fail(err, UPT_E_IO, "the state's file %s holds more than %ju",
				name, (uintmax_t)max);
	}
	*out = value;
	return UPT_OK;
}

static enum upt_code
write_number(struct upt_state *state, const char *name, uint64_t value, struct upt_err *err)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ju\n", (uintmax_t)value);

	return upt_file_replace(state->dir_fd, name, 0600, upt_span(text, (size_t)len), err);
}

static enum upt_code
read_values(struct upt_state *state, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf attacks = {0};
	uint64_t floor;

	/* What no report can carry would keep this ECU from ever reporting again. */
	UPT_TRY(read_number(state, "counter", UPT_JSON_MAX_INTEGER - COUNTER_BLOCK,
		&state->counter_next, err));
	state->counter_end = state->counter_next;
	UPT_TRY(read_number(state, "floor", UPT_JSON_MAX_INTEGER, &floor, err));
	state->floor = (int64_t)floor;
	UPT_TRY(read_value(state, "attacks", &attacks, err));
	if (attacks.len > 0 && attacks.len < sizeof(state->attacks))
		memcpy(state->attacks, attacks.data, attacks.len + 1);
	upt_sanitize(state->attacks);
	return UPT_OK;
}

static enum upt_code
open_images(struct upt_state *state, const char *dir, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};

	UPT_TRY(upt_buf_printf(&path, err, "%s/images", dir));
	return upt_images_open((const char *)path.data, &state->images, err);
}

enum upt_code
upt_state_open(const char *dir, struct upt_state **out, struct upt_err *err)
{
	upt_cleanup(upt_state_close) struct upt_state *state = calloc(1, sizeof(*state));

	*out = NULL;
	if (state == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the state");
	state->dir_fd = -1;
	state->lock_fd = -1;
	for (size_t i = 0; i < 2; i++)
		state->repos[i] = (struct upt_state_repo){.dir_fd = -1, .delegated_fd = -1};
	UPT_TRY(open_and_lock(state, dir, err));
	UPT_TRY(read_values(state, err));
	UPT_TRY(upt_state_open_repos(state, err));
	UPT_TRY(open_images(state, dir, err));
	*out = state;
	state = NULL;
	return UPT_OK;
}

void
upt_state_close(struct upt_state **state)
{
	struct upt_state *s = *state;

	*state = NULL;
	if (s == NULL)
		return;
	upt_images_close(&s->images);
	upt_state_close_repos(s);
	upt_close_fd(&s->lock_fd);
	upt_close_fd(&s->dir_fd);
	free(s);
}

struct upt_images *
upt_state_images(struct upt_state *state)
{
	return state->images;
}

/* ---- values ---- */

enum upt_code
upt_state_next_counter(struct upt_state *state, uint64_t *out, struct upt_err *err)
{
	*out = 0;
	if (state->counter_next == state->counter_end) {
		uint64_t end = state->counter_end + COUNTER_BLOCK;

		UPT_TRY(write_number(state, "counter", end, err));
		state->counter_end = end;
	}
	*out = ++state->counter_next;
	return UPT_OK;
}

const char *
upt_state_attacks(const struct upt_state *state)
{
	return state->attacks;
}

enum upt_code
upt_state_set_attacks(struct upt_state *state, const char *attacks, struct upt_err *err)
{
	size_t len = strlen(attacks);

	/* The same attack every minute must not wear out the flash. */
	if (strcmp(state->attacks, attacks) == 0)
		return UPT_OK;
	if (len >= sizeof(state->attacks))
		return upt_fail(err, UPT_E_INTERNAL, "attack text of %zu bytes", len);
	UPT_TRY(upt_file_replace(state->dir_fd, "attacks", 0600, upt_span(attacks, len), err));
	memcpy(state->attacks, attacks, len + 1);
	return UPT_OK;
}

int64_t
upt_state_floor(const struct upt_state *state)
{
	return state->floor;
}

enum upt_code
upt_state_raise_floor(struct upt_state *state, int64_t floor, struct upt_err *err)
{
	if (floor <= state->floor)
		return UPT_OK;
	UPT_TRY(write_number(state, "floor", (uint64_t)floor, err));
	state->floor = floor;
	return UPT_OK;
}
