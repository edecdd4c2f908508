#include "cli/cli.h"

#include <stdlib.h>
#include "base/arena.h"
#include "cli/text.h"

/* Rows of a table, growing. */
struct verdicts {
	const char **cells;
	size_t n_cells;
	struct upt_arena arena;
	bool no_memory;
};

static void
add_verdict(void *ctx, const char *ecu, const char *target, const char *verdict)
{
	struct verdicts *v = ctx;
	const char *texts[] = {ecu, target, verdict};
	const char **cells = realloc(v->cells, (v->n_cells + 3) * sizeof(*cells));

	v->no_memory = v->no_memory || cells == NULL;
	if (cells == NULL)
		return;
	v->cells = cells;
	for (size_t i = 0; i < 3; i++) {
		const char *copy = upt_arena_string(&v->arena, upt_span_str(texts[i]));
		v->no_memory = v->no_memory || copy == NULL;
		v->cells[v->n_cells++] = copy != NULL ? copy : "";
	}
}

static void
verdicts_clear(struct verdicts *v)
{
	free(v->cells);
	upt_arena_clear(&v->arena);
}

/* Verifies everything an update would need, and installs nothing. */
enum upt_code
upt_cli_check(struct upt_cli *cli, struct upt_err *err)
{
	upt_cleanup(verdicts_clear) struct verdicts v = {0};
	upt_cleanup(upt_primary_free) struct upt_primary *primary = NULL;

	UPT_TRY(upt_cli_primary(cli, &primary, err));
	add_verdict(&v, "ECU", "ASSIGNED", "");
	UPT_TRY(upt_primary_check(primary, add_verdict, &v, err));
	if (v.no_memory)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the verdicts");
	if (v.n_cells > 3)
		upt_text_table(stdout, v.cells, v.n_cells / 3, 3, upt_text_columns());
	puts("metadata of both repositories is verified");
	return UPT_OK;
}

/* One cycle now, for a person who does not want to wait for the service's next poll. */
enum upt_code
upt_cli_update(struct upt_cli *cli, struct upt_err *err)
{
	upt_cleanup(upt_primary_free) struct upt_primary *primary = NULL;
	struct upt_cycle_summary summary = {0};
	const struct upt_wait *wait;
	char text[UPT_WAIT_TEXT_SIZE];

	UPT_TRY(upt_cli_primary(cli, &primary, err));
	UPT_TRY(upt_primary_cycle(primary, &summary, err));
	printf("%u installed, %u waiting for a reboot, %u out of reach\n", summary.n_installed,
		summary.n_pending, summary.n_unreachable);
	wait = upt_primary_waits(primary);
	if (wait != NULL) {
		upt_wait_format(wait, text);
		puts(text);
	}
	return UPT_OK;
}
