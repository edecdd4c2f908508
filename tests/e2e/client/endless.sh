#!/usr/bin/env bash
# Endless data: 200 MB of spaces where a document belongs, announced and unannounced. The client stops at the
# limit, in bytes received and in memory.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

SPACES=209715200

spaces_at() { # spaces_at PATH: 200 MB of spaces are served there
	mkdir -p "$W/gate/override/$(dirname "$1")"
	head -c "$SPACES" /dev/zero | tr '\0' ' ' >"$W/gate/override/$1"
}

hidden_spaces_at() { # the same without a Content-Length
	mkdir -p "$W/gate/ssi/$(dirname "$1")"
	head -c "$SPACES" /dev/zero | tr '\0' ' ' >"$W/gate/ssi/$1"
}

# small_appetite PATH: what the server could send of PATH, and the peak memory of the refusing cycle, in bounds.
# The server's socket buffers hold some megabytes that the client never reads.
small_appetite() {
	local sent peak
	sent=$(awk -v uri="/$1" '$2 == uri { if ($4 > n) n = $4 } END { print n + 0 }' "$W/gate/access.log")
	[ "$sent" -lt 16777216 ] || fault "the server sent $sent bytes of $1"
	command time -f %M -o "$W/peak" uptaned --once --quiet --config "$GATEWAY" 2>/dev/null
	peak=$(tail -n 1 "$W/peak")
	sanitized || [ "$peak" -lt 65536 ] || fault "the client took $peak KiB"
}

spaces_as_director_timestamp() {
	want_other
	spaces_at director/timestamp.json
	refused 24 too-large "director timestamp.json"
	small_appetite director/timestamp.json
	updated
}

spaces_as_image_timestamp() {
	want_other
	spaces_at repo/timestamp.json
	refused 24 too-large "image timestamp.json" .director
	small_appetite repo/timestamp.json
	updated
}

spaces_as_image_targets() {
	local path
	want_other
	repo publish
	path=repo/$(basename "$(published targets)")
	add_image radio/2 radio-x1 6
	repo publish
	path=repo/$(basename "$(published targets)")
	spaces_at "$path"
	refused 24 too-large "targets.json" .director,.image
	small_appetite "$path"
	updated
}

spaces_as_next_root() {
	want_other
	spaces_at repo/2.root.json
	refused 24 too-large "image 2.root.json" .director
	updated
}

spaces_without_a_length() {
	want_other
	hidden_spaces_at repo/timestamp.json
	refused 24 too-large "image timestamp.json" .director
	small_appetite repo/timestamp.json
	updated
}

make_world 20000
for name in spaces_as_director_timestamp spaces_as_image_timestamp spaces_as_image_targets spaces_as_next_root \
	spaces_without_a_length; do
	run_case "$name"
done
finish
