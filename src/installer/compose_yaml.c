#include "installer/compose_yaml.h"

#include <yaml.h>

struct reader {
	struct upt_arena *arena;
	yaml_parser_t parser;
	size_t n_nodes;
};

static unsigned
line_of(const yaml_mark_t *mark)
{
	return (unsigned)mark->line + 1;
}

static enum upt_code
next_event(struct reader *r, yaml_event_t *event, struct upt_err *err)
{
	if (yaml_parser_parse(&r->parser, event) == 1)
		return UPT_OK;
	if (r->parser.error == YAML_MEMORY_ERROR)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
	return upt_fail(err, UPT_E_MALFORMED, "line %u: %s", line_of(&r->parser.problem_mark),
		r->parser.problem == NULL ? "no YAML" : r->parser.problem);
}

/* An anchor could be expanded without end, a tag could make a reader run code or guess a type. */
static bool
is_decorated(const yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT)
		return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return event->data.sequence_start.anchor != NULL ||
		       event->data.sequence_start.tag != NULL;
	if (event->type == YAML_MAPPING_START_EVENT)
		return event->data.mapping_start.anchor != NULL ||
		       event->data.mapping_start.tag != NULL;
	return event->type == YAML_ALIAS_EVENT;
}

static enum upt_code
new_node(struct reader *r, const yaml_event_t *event, struct upt_yaml **out, struct upt_err *err)
{
	unsigned line = line_of(&event->start_mark);

	if (is_decorated(event))
		return upt_fail(err, UPT_E_MALFORMED,
			"line %u: anchors, aliases and tags are not allowed", line);
	if (++r->n_nodes > UPT_YAML_MAX_NODES)
		return upt_fail(err, UPT_E_TOO_LARGE, "line %u: more than %d values", line,
			UPT_YAML_MAX_NODES);
	*out = upt_arena_alloc(r->arena, 1, sizeof(**out));
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
	(*out)->line = line;
	return UPT_OK;
}

static enum upt_code
copy_text(struct reader *r, const yaml_event_t *event, const char **out, struct upt_err *err)
{
	const uint8_t *value = event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (memchr(value, '\0', len) != NULL)
		return upt_fail(err, UPT_E_MALFORMED, "line %u: a text with a NUL",
			line_of(&event->start_mark));
	*out = upt_arena_string(r->arena, upt_span(value, len));
	return *out != NULL ? UPT_OK
			    : upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
}

static enum upt_code
read_key(struct reader *r, const struct upt_yaml *map, const yaml_event_t *event, const char **key,
	struct upt_err *err)
{
	unsigned line = line_of(&event->start_mark);

	if (event->type != YAML_SCALAR_EVENT || is_decorated(event))
		return upt_fail(err, UPT_E_MALFORMED, "line %u: a key that is no plain text", line);
	UPT_TRY(copy_text(r, event, key, err));
	for (const struct upt_yaml *member = map->first; member != NULL; member = member->next) {
		if (strcmp(member->key, *key) == 0)
			return upt_fail(
				err, UPT_E_MALFORMED, "line %u: '%.64s' comes twice", line, *key);
	}
	return UPT_OK;
}

static enum upt_code read_node(struct reader *r, yaml_event_t *event, unsigned depth,
	struct upt_yaml **out, struct upt_err *err);

/* What is below a list or map, up to its end event. */
static enum upt_code
read_members(struct reader *r, struct upt_yaml *node, unsigned depth, struct upt_err *err)
{
	struct upt_yaml **tail = &node->first;

	if (depth == UPT_YAML_MAX_DEPTH)
		return upt_fail(err, UPT_E_TOO_LARGE, "line %u: deeper than %d levels", node->line,
			UPT_YAML_MAX_DEPTH);
	while (true) {
		upt_cleanup(yaml_event_delete) yaml_event_t event = {0};
		const char *key = NULL;
		unsigned key_line = 0;

		UPT_TRY(next_event(r, &event, err));
		if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
			return UPT_OK;
		if (node->type == UPT_YAML_MAP) {
			UPT_TRY(read_key(r, node, &event, &key, err));
			key_line = line_of(&event.start_mark);
			yaml_event_delete(&event);
			UPT_TRY(next_event(r, &event, err));
		}
		UPT_TRY(read_node(r, &event, depth + 1, tail, err));
		(*tail)->key = key;
		if (key != NULL)
			(*tail)->line = key_line;
		tail = &(*tail)->next;
	}
}

/* The value that begins with event. */
static enum upt_code
read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct upt_yaml **out,
	struct upt_err *err)
{
	struct upt_yaml *node = NULL;

	UPT_TRY(new_node(r, event, &node, err));
	if (event->type == YAML_SCALAR_EVENT) {
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		UPT_TRY(copy_text(r, event, &node->text, err));
	} else {
		node->type = event->type == YAML_MAPPING_START_EVENT ? UPT_YAML_MAP : UPT_YAML_LIST;
		UPT_TRY(read_members(r, node, depth, err));
	}
	*out = node;
	return UPT_OK;
}

static enum upt_code
expect(struct reader *r, yaml_event_type_t type, const char *otherwise, struct upt_err *err)
{
	upt_cleanup(yaml_event_delete) yaml_event_t event = {0};

	UPT_TRY(next_event(r, &event, err));
	if (event.type == type &&
		(type != YAML_DOCUMENT_START_EVENT ||
			(event.data.document_start.version_directive == NULL &&
				event.data.document_start.tag_directives.start ==
					event.data.document_start.tag_directives.end)))
		return UPT_OK;
	return upt_fail(err, UPT_E_MALFORMED, "line %u: %s", line_of(&event.start_mark), otherwise);
}

static enum upt_code
read_document(struct reader *r, struct upt_yaml **out, struct upt_err *err)
{
	upt_cleanup(yaml_event_delete) yaml_event_t event = {0};

	UPT_TRY(expect(r, YAML_STREAM_START_EVENT, "no YAML", err));
	UPT_TRY(expect(r, YAML_DOCUMENT_START_EVENT, "no document, or one with directives", err));
	UPT_TRY(next_event(r, &event, err));
	UPT_TRY(read_node(r, &event, 0, out, err));
	UPT_TRY(expect(r, YAML_DOCUMENT_END_EVENT, "more than one value", err));
	return expect(r, YAML_STREAM_END_EVENT, "more than one document", err);
}

enum upt_code
upt_yaml_read(
	struct upt_arena *arena, struct upt_span text, struct upt_yaml **out, struct upt_err *err)
{
	struct reader r = {.arena = arena};
	struct upt_yaml *root = NULL;
	enum upt_code code;

	*out = NULL;
	if (text.len > UPT_YAML_MAX_BYTES)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"a compose file of %zu bytes, %zu are allowed", text.len,
			UPT_YAML_MAX_BYTES);
	if (yaml_parser_initialize(&r.parser) != 1)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, text.data, text.len);
	code = read_document(&r, &root, err);
	yaml_parser_delete(&r.parser);
	if (code == UPT_OK)
		*out = root;
	return code;
}
