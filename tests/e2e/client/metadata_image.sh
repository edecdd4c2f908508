#!/usr/bin/env bash
# Bad metadata of the Image repository, from damaged bytes to documents that its own online keys signed. Each is
# refused as what it is; the vehicle stays as it was, the Director hears of attacks, and the next release works.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# What a refusal of each role leaves room for: documents before it in the order of the procedure.
TIMESTAMP=.director SNAPSHOT=".director, .image.timestamp" TARGETS=".director, .image.timestamp, .image.snapshot"

# garbled RC NAME TEXT: stdin is served as timestamp.json.
garbled() {
	want_other
	override repo/timestamp.json
	refused "$1" "$2" "$3" $TIMESTAMP
	updated
}

timestamp() {
	cat "$IMAGE_REPO/public/timestamp.json"
}

truncated_json() {
	garbled 26 malformed "image timestamp" < <(timestamp | head -c 200)
	garbled 26 malformed "image timestamp" < <(timestamp && printf '{}')
	garbled 26 malformed "image timestamp" </dev/null
	garbled 26 malformed "image timestamp" <<<'<html>It works!</html>'
}

unsigned() {
	garbled 20 signature-threshold "image timestamp" < <(timestamp | jq -c '.signatures = []')
	garbled 20 signature-threshold "image timestamp" < <(timestamp | jq -c '.signed.expires = "2035-01-01T00:00:00Z"')
}

wrong_role() {
	garbled 23 wrong-role "image timestamp" <"$(published snapshot)"
}

signed_by_another_role() {
	garbled 20 signature-threshold "image timestamp" < <(timestamp | jq -cSj '.signed | .version += 1' | sign_as image snapshot)
}

# forging FILTERS: an update is assigned, then the metadata that vouches for it is forged.
forging() {
	want_other
	forge image "$@"
}

# forged RC NAME TEXT MAY-CHANGE: refuses what was forged, then a healed repository works.
forged() {
	refused "$@"
	[ "$1" = 26 ] || has "what the Director heard" "$(heard)" ":$2:image"
	heal
	updated
}

heard() {
	director_db 'SELECT text FROM attack ORDER BY rowid DESC LIMIT 1'
}

# Well signed, and still not JSON as metadata may be.
floats() {
	PIPE_TIMESTAMP='s/"length":\([0-9]*\)/"length":\1.0/' forging - - .
	forged 26 malformed "image timestamp" $TIMESTAMP
}

duplicate_keys() {
	PIPE_TIMESTAMP='s/"version"/"version":1,"version"/' forging - - .
	forged 26 malformed "image timestamp" $TIMESTAMP
	PIPE_TARGETS='s/"targets":{/"targets":{"app\/1":{"length":1,"hashes":{"sha256":"00"}},/' forging . . .
	forged 26 malformed "image targets" "$TARGETS"
}

large_numbers() {
	PIPE_TIMESTAMP='s/"version":[0-9]*}$/"version":99999999999999999999}/' forging - - .
	forged 26 malformed "image timestamp" $TIMESTAMP
}

expired() {
	local past='.expires = "2026-01-01T00:00:00Z"'
	forging - - "$past"
	forged 22 expired "image timestamp" $TIMESTAMP
	forging - "$past" .
	forged 22 expired "image snapshot" "$SNAPSHOT"
	forging "$past" . .
	forged 22 expired "image targets" "$TARGETS"
}

expired_by_the_tool() {
	repo sign timestamp --expires 2026-01-01T00:00:00Z
	repo publish
	want_other
	refused 22 expired "image timestamp" $TIMESTAMP
	repo publish
	updated
}

rollback() {
	cp "$IMAGE_REPO/public/timestamp.json" "$W/old.json"
	repo publish
	want_other
	updated
	garbled 21 version-rollback "image timestamp" <"$W/old.json"
	forging - '.version -= 2' .
	forged 21 version-rollback "lists snapshot v" $TIMESTAMP
	forging '.version -= 2' . .
	forged 21 version-rollback "lists targets.json v" "$SNAPSHOT"
}

# The snapshot says an older version of targets than it said before, itself being newer.
snapshot_rolls_targets_back() {
	repo sign targets
	repo publish
	want_other
	updated
	forging - '.meta["targets.json"].version -= 1' .
	forged 21 version-rollback "targets" "$SNAPSHOT"
}

snapshot_drops_a_file() {
	forging - 'del(.meta["supplier.json"])' .
	forged 21 snapshot-drops-file "supplier" "$SNAPSHOT"
	forging - 'del(.meta["targets.json"])' .
	forged 26 malformed "targets.json" "$SNAPSHOT"
}

wrong_hash_or_length() {
	forging - . '.meta["snapshot.json"].hashes.sha256 |= (.[1:] + "0")'
	forged 23 metadata-hash-mismatch "image snapshot" "$SNAPSHOT"
	forging . '.meta["targets.json"].hashes.sha256 |= (.[1:] + "0")' .
	forged 23 metadata-hash-mismatch "image targets" "$TARGETS"
	forging . '.meta["targets.json"].length += 1' .
	forged 23 metadata-hash-mismatch "image targets" "$TARGETS"
	forging . '.meta["targets.json"].length -= 1' .
	forged 24 too-large "image" "$TARGETS"
}

wrong_version() {
	forging '.version += 1' '.meta["targets.json"].version -= 1' .
	cp "$IMAGE_REPO/public/$(jq .signed.version "$W/forged.targets.json").targets.json" \
		"$IMAGE_REPO/public/$(($(jq .signed.version "$W/forged.targets.json") - 1)).targets.json"
	forged 23 version-mismatch "image targets" "$TARGETS"
}

# The Image repository does not list what the Director assigns, or lists something else under that name.
target_unknown() {
	forging "del(.targets[\"app/1\"], .targets[\"app/2\"])" . .
	forged 20 unknown-target "app/" .director,.image
}

targets_disagree() {
	forging '.targets |= map_values(.length += 1)' . .
	forged 20 target-mismatch "app/" .director,.image
	forging '.targets |= map_values(.hashes.sha256 |= (.[1:] + "0"))' . .
	forged 20 target-mismatch "app/" .director,.image
	forging '.targets |= map_values(.hashes.sha512 = ("0" * 128))' . .
	forged 20 image-hash-mismatch "app/" .director,.image
}

wrong_hardware() {
	forging '.targets |= map_values(.custom.hardwareIds = ["gw-x2"])' . .
	forged 20 wrong-hardware "gw-x1" .director,.image
	forging '.targets |= map_values(del(.custom.hardwareIds))' . .
	forged 20 wrong-hardware "gw-x1" .director,.image
}

# An image that both repositories list, older than what runs.
release_counter_going_back() {
	make_image app/old 50000
	add_image app/old gw-x1 4
	repo publish
	assign_now app old
	refused 21 release-counter-rollback "app/old" .director,.image
	APP=2
	want_other
	updated
}

release_counter_dropped() {
	forging '.targets |= map_values(del(.custom.releaseCounter))' . .
	forged 20 target-mismatch "releaseCounter" .director,.image
	# and when the Director says the same
	forge image '.targets |= map_values(del(.custom.releaseCounter))' . .
	want_other
	forged 21 release-counter-rollback "app/" .director,.image
}

case ${2:-} in
documents) set -- truncated_json unsigned wrong_role signed_by_another_role floats duplicate_keys large_numbers expired \
	expired_by_the_tool rollback snapshot_rolls_targets_back ;;
targets) set -- snapshot_drops_a_file wrong_hash_or_length wrong_version target_unknown targets_disagree \
	wrong_hardware release_counter_going_back release_counter_dropped ;;
*) echo "usage: $0 BIN-DIR documents|targets" >&2; exit 2 ;;
esac
make_world 20000
repo key generate supplier
repo delegate supplier --key supplier --path 'parts/*' --hardware-id gw-x1
repo publish
want_other
updated
for name; do
	run_case "$name"
done
finish
