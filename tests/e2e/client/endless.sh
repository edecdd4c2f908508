#!/usr/bin/env bash
# Endless data: 200 MB where kilobytes belong, announced or not. The client stops at its limit, neither receives
# nor holds much of it, and says so.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

SIZE=200000000
MAX_SENT=$((16 * 1024 * 1024)) # what socket buffers take before the server notices
MAX_KIB=65536
DIRECTOR_STEPS=".director.timestamp, .director.snapshot"

# spaces [BYTES]: so many.
spaces() {
	head -c "${1:-$SIZE}" /dev/zero | tr '\0' ' '
}

# endless TREE PATH TEXT MAY-CHANGE: 200 MB of spaces for /PATH; in ssi/ without a length, in override/ with one.
endless() {
	local tree=$1 path=$2 sent
	mkdir -p "$W/gate/$tree/$(dirname "$path")"
	ln -f "$W/spaces" "$W/gate/$tree/$path"
	refused_measured "$3" "$4"
	sent=$(tail -n "+$LOG_FROM" "$W/gate/access.log" | awk -v p="$path" 'index($2, p) {n += $4} END {print n + 0}')
	[ "$sent" -gt 0 ] || fault "the server never sent $path"
	[ "$sent" -lt "$MAX_SENT" ] || fault "the server got rid of $sent bytes of $path"
	updated
}

# refused_measured TEXT MAY-CHANGE: refused, in bounded memory.
refused_measured() {
	local memory before files
	before=$(status ".metadata | del($2)") files=$(ecu_files)
	log_from
	run /usr/bin/time -q -f '%M' -o "$W/memory" uptaned --once --quiet --config "$GATEWAY"
	[ "$RC" = 24 ] || fault "exit code $RC: $ERR"
	one_line "$1"
	has stderr "$ERR" "[too-large, attack: endless-data]"
	is "trusted metadata" "$(status ".metadata | del($2)")" "$before"
	is "installed files" "$(ecu_files)" "$files"
	memory=$(<"$W/memory")
	sanitized || [ "$memory" -lt "$MAX_KIB" ] || fault "the client held $memory KiB"
	printf '  %s: %d KiB held\n' "$1" "$memory"
}

image_timestamp() {
	want_other
	endless override repo/timestamp.json "image timestamp.json" .director
	want_other
	endless ssi repo/timestamp.json "image timestamp.json" .director
}

# Where a snapshot lists the length, that is the limit; without it, the configured one of 8 MiB.
image_targets() {
	local name
	want_other
	repo sign targets
	repo publish
	name=$(basename "$(published targets)")
	endless override "repo/$name" "image $name" ".director, .image.timestamp, .image.snapshot"
	want_other
	forge image . 'del(.meta["targets.json"].length, .meta["targets.json"].hashes)' .
	name=$(basename "$(published targets)")
	rm "$IMAGE_REPO/public/$name"
	endless_unlisted ssi "repo/$name" "image $name" ".director, .image.timestamp, .image.snapshot"
}

# As endless, but the limit itself is megabytes, and the server is mended by healing.
endless_unlisted() {
	mkdir -p "$W/gate/$1/$(dirname "$2")"
	ln -f "$W/spaces" "$W/gate/$1/$2"
	refused_measured "$3" "$4"
	mend
	heal
	updated
}

director_timestamp() {
	want_other
	endless override director/timestamp.json "director timestamp.json" empty
}

director_targets() {
	local name
	want_other
	curl -fsS --cacert "$PKI_DIR/ca.pem" --cert "$PKI_DIR/device.pem" --key "$PKI_DIR/device.key" -o /dev/null \
		"https://127.0.0.1:$GATE_PORT/director/timestamp.json"
	name=$(current director targets | jq .signed.version).targets.json
	endless override "director/$name" "director $name" "$DIRECTOR_STEPS"
}

roots() {
	want_other
	endless override director/2.root.json "director 2.root.json" empty
	want_other
	endless ssi repo/2.root.json "image 2.root.json" .director
}

# Valid metadata may have white space; more of it than the limit allows is refused all the same.
a_little_too_much() {
	want_other
	override repo/timestamp.json < <(cat "$IMAGE_REPO/public/timestamp.json" && spaces 16384)
	refused 24 too-large "image timestamp.json" .director
	updated
	want_other
	override repo/timestamp.json < <(cat "$IMAGE_REPO/public/timestamp.json" && spaces 2000)
	attempt
	is "exit code with some white space" "$RC: $ERR" "0: "
	updated
}

# Deep nesting and very many keys: refused by bounds, not by a crash.
deep_and_wide_json() {
	want_other
	override repo/timestamp.json < <(head -c 8000 /dev/zero | tr '\0' '[')
	refused 26 malformed "image timestamp" .director
	override repo/timestamp.json < <(printf '{"signatures":[' && yes '{"keyid":"a","sig":"b"},' | head -n 500 | tr -d '\n' &&
		printf '{"keyid":"a","sig":"b"}],"signed":{"_type":"timestamp"}}')
	attempt
	[[ $RC -ge 20 && $RC -le 26 ]] || fault "exit code $RC: $ERR"
	one_line "image timestamp"
	updated
}

make_world 20000
spaces >"$W/spaces"
for name in image_timestamp image_targets director_timestamp director_targets roots a_little_too_much deep_and_wide_json; do
	run_case "$name"
done
finish
