/* One fault in every place where it can be: the corpus is a table times a table. */
#include <stdio.h>
#include "cases.h"
#include "generator.h"

static const struct place places[] = {
	{DIRECTOR, "root"},
	{DIRECTOR, "timestamp"},
	{DIRECTOR, "snapshot"},
	{DIRECTOR, "targets"},
	{IMAGE, "root"},
	{IMAGE, "timestamp"},
	{IMAGE, "snapshot"},
	{IMAGE, "targets"},
	{IMAGE, "team"},
};

void
add_team(struct scene *s)
{
	scene_delegate(s,
		&(struct delegation){
			.from = "targets", .to = "team", .keys = "team-1", .path = "app-*"});
	scene_move_app(s, "team");
}

void
sign_again(struct scene *s, enum upt_repo repo, const char *role)
{
	struct doc *d = scene_doc(s, repo, role);

	cJSON_Delete(d->signatures);
	d->signatures = NULL;
	upt_buf_clear(&d->bytes);
	scene_bytes(s, repo, role);
}

static void
add_fault(struct generator *g, const struct fault *fault, const struct place *place)
{
	bool is_root = strcmp(place->role, "root") == 0;
	struct scene *s;
	char name[128];

	snprintf(name, sizeof(name), "%s-%s-%s", upt_repo_name(place->repo), place->role, fault->name);
	s = scene_begin(g, name, fault->title, fault->proves);
	if (strcmp(place->role, "team") == 0)
		add_team(s);
	if (fault->prepare != NULL)
		fault->prepare(s, place->repo, place->role);
	scene_step(s);
	scene_accept(s);
	scene_step(s);
	if (is_root)
		scene_root(s, place->repo);
	fault->spoil(s, place->repo, place->role);
	scene_refuse(s, fault->code, place->repo, place->role);
	/* The accepted twin, and the proof that a refusal leaves a client that can go on (1.13). */
	scene_step(s);
	if (is_root)
		scene_root(s, place->repo);
	scene_accept(s);
	scene_end(&s);
}

void
add_faults(struct generator *g, const struct fault *faults, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
			if (faults[i].places & (1u << k))
				add_fault(g, &faults[i], &places[k]);
		}
	}
}
