/* One fault in every place where it can be: the corpus is a table times a table. */
#include <stdio.h>
#include "cases.h"
#include "generator.h"

static const struct place places[] = {
	{DIRECTOR, "root", false},
	{DIRECTOR, "timestamp", false},
	{DIRECTOR, "snapshot", false},
	{DIRECTOR, "targets", false},
	{IMAGE, "root", false},
	{IMAGE, "timestamp", false},
	{IMAGE, "snapshot", false},
	{IMAGE, "targets", false},
	{IMAGE, "team", false},
	{DIRECTOR, "root", true},
	{DIRECTOR, "targets", true},
	{IMAGE, "root", true},
	{IMAGE, "timestamp", true},
	{IMAGE, "snapshot", true},
	{IMAGE, "targets", true},
	{IMAGE, "team", true},
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

static struct scene *
begin_at(struct generator *g, const struct place *place, const char *what, const char *title, const char *proves)
{
	char name[128];
	struct scene *s;

	snprintf(name, sizeof(name), "%s%s-%s-%s", place->ota ? "ota-" : "", upt_repo_name(place->repo),
		place->role, what);
	s = place->ota ? scene_begin_ota(g, name, title, proves) : scene_begin(g, name, title, proves);
	if (strcmp(place->role, "team") == 0)
		add_team(s);
	return s;
}

/* A root has no place in a step of its own: the next one begins. */
static void
step_at(struct scene *s, const struct place *place)
{
	scene_step(s);
	if (strcmp(place->role, "root") == 0)
		scene_root(s, place->repo);
}

static void
add_fault(struct generator *g, const struct fault *fault, const struct place *place)
{
	struct scene *s = begin_at(g, place, fault->name, fault->title, fault->proves);

	if (fault->prepare != NULL)
		fault->prepare(s, place->repo, place->role);
	scene_step(s);
	scene_accept(s);
	step_at(s, place);
	fault->spoil(s, place->repo, place->role);
	scene_refuse(s, fault->code, place->repo, place->role);
	/* The accepted twin, and the proof that a refusal leaves a client that can go on (1.13). */
	step_at(s, place);
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

static void
add_variant(struct generator *g, const struct variant *variant, const struct place *place)
{
	struct scene *s = begin_at(g, place, variant->name, variant->title, variant->proves);

	if (variant->prepare != NULL)
		variant->prepare(s, place->repo, place->role);
	scene_step(s);
	scene_accept(s);
	step_at(s, place);
	variant->change(s, place->repo, place->role);
	scene_accept(s);
	step_at(s, place);
	scene_accept(s);
	scene_end(&s);
}

void
add_variants(struct generator *g, const struct variant *variants, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
			if (variants[i].places & (1u << k))
				add_variant(g, &variants[i], &places[k]);
		}
	}
}
