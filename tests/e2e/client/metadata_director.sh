#!/usr/bin/env bash
# Bad metadata of the Director, from damaged bytes to documents that its own online keys signed: it may direct, but
# only this vehicle, only its ECUs, only to what the Image repository vouches for, and never back.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# What a refusal of each role leaves room for.
TIMESTAMP=empty SNAPSHOT=.director.timestamp TARGETS=".director.timestamp, .director.snapshot"

# served: as the vehicle gets it, after the Director signed what is assigned.
served() {
	curl -fsS --cacert "$PKI_DIR/ca.pem" --cert "$PKI_DIR/device.pem" --key "$PKI_DIR/device.key" \
		"https://127.0.0.1:$GATE_PORT/director/$1"
}

# garbled RC NAME TEXT: stdin is served as timestamp.json.
garbled() {
	override director/timestamp.json
	refused "$1" "$2" "$3" $TIMESTAMP
	updated
}

truncated_json() {
	want_other
	garbled 26 malformed "director timestamp" < <(served timestamp.json | head -c 300)
	want_other
	garbled 23 wrong-role "director timestamp" < <(printf '{"signatures":[],"signed":{}}')
	want_other
	garbled 26 malformed "director timestamp" </dev/null
}

unsigned() {
	want_other
	garbled 20 signature-threshold "director timestamp" < <(served timestamp.json | jq -c '.signatures = []')
	want_other
	garbled 20 signature-threshold "director timestamp" < \
		<(served timestamp.json | jq -c '.signed.version += 5')
}

wrong_role() {
	want_other
	garbled 23 wrong-role "director timestamp" < <(current director snapshot)
}

# The Image repository's keys are not the Director's.
signed_by_the_image_repository() {
	want_other
	garbled 20 signature-threshold "director timestamp" <"$IMAGE_REPO/public/timestamp.json"
}

# forging FILTERS: an update is assigned and signed, then forged on.
forging() {
	want_other
	served timestamp.json >"$W/genuine.timestamp.json"
	forge director "$@"
}

# forged RC NAME TEXT MAY-CHANGE: refuses what was forged; then the Director signs genuine newer documents.
forged() {
	refused "$@"
	[ "$1" = 26 ] || has "what the Director heard" "$(heard)" ":$2:${5:-director}"
	assign_now radio $((3 - RADIO))
	RADIO=$((3 - RADIO))
	updated
	is "the radio's image" "$(status '.ecus[1].installed.name')" "\"radio/$RADIO\""
}

heard() {
	director_db 'SELECT text FROM attack ORDER BY rowid DESC LIMIT 1'
}

floats_and_duplicate_keys() {
	PIPE_SNAPSHOT='s/"length":\([0-9]*\)/"length":\1e0/' forging - . .
	forged 26 malformed "director snapshot" "$SNAPSHOT"
	PIPE_TARGETS='s/"targets":{/"targets":{},"targets":{/' forging . . .
	forged 26 malformed "director targets" "$TARGETS"
}

expired() {
	local past='.expires = "2026-01-01T00:00:00Z"'
	forging - - "$past"
	forged 22 expired "director timestamp" $TIMESTAMP
	forging - "$past" .
	forged 22 expired "director snapshot" $SNAPSHOT
	forging "$past" . .
	forged 22 expired "director targets" "$TARGETS"
}

rollback() {
	served timestamp.json >"$W/old.json"
	want_other
	updated
	want_other
	garbled 21 version-rollback "director timestamp" <"$W/old.json"
	forging - . '.meta["snapshot.json"].version -= 3'
	forged 21 version-rollback "lists snapshot v" $TIMESTAMP
	forging - '.meta["targets.json"].version -= 2' .
	forged 21 version-rollback "targets" "$SNAPSHOT"
}

wrong_hash_or_version() {
	forging - . '.meta["snapshot.json"].hashes.sha256 |= (.[1:] + "0")'
	forged 23 metadata-hash-mismatch "director snapshot" $SNAPSHOT
	forging . '.meta["targets.json"].hashes.sha256 |= (.[1:] + "0")' .
	forged 23 metadata-hash-mismatch "director targets" "$TARGETS"
}

snapshot_drops_a_file() {
	forging - '.meta["extra.json"] = {"version": 1}' .
	mend
	attempt
	is "exit code with one more file" "$RC" 0
	forging - 'del(.meta["extra.json"])' .
	refused 21 snapshot-drops-file "extra.json" "$SNAPSHOT"
	# Here the genuine Director drops it as well, so that its snapshot key has to rotate.
	uptane-director rotate --dir "$DIRECTOR" snapshot >"$W/log/rotate.log" 2>&1
	updated
}

# Targets as a thief of the Director's keys writes them.
foreign_ecu() {
	forging '.targets |= map_values(.custom.ecuIdentifiers = {"brakes": {"hardwareId": "gw-x1"}})' . .
	forged 20 unknown-ecu "brakes" "$TARGETS"
}

one_ecu_twice() {
	forging '(.targets | to_entries[] | select(.key | startswith("app")) | .value) as $t | .targets["app/x"] = $t' . .
	forged 20 duplicate-ecu "gw" "$TARGETS"
}

other_vehicle() {
	forging '.custom.vehicleId = "vehicle-2"' . .
	forged 23 wrong-vehicle "vehicle-2" "$TARGETS"
	# Empty targets that name no vehicle would freeze every one they are replayed to.
	forging 'del(.custom) | .targets = {}' . .
	forged 23 wrong-vehicle "director targets" "$TARGETS"
}

delegations() {
	forging '.delegations = {"keys": {}, "roles": [{"name": "x", "keyids": [], "threshold": 1, "terminating": false,
		"paths": ["*"]}]}' . .
	forged 20 director-delegates "director targets" "$TARGETS"
}

wrong_hardware() {
	forging '.targets |= map_values(.custom.ecuIdentifiers |= map_values(.hardwareId = "gw-x2"))' . .
	forged 20 wrong-hardware "-x2" .director
}

# An image of the Director's own: nobody else vouches for it.
unknown_target() {
	forging '.targets |= with_entries(.key |= sub("app/"; "evil/"))' . .
	forged 20 unknown-target "evil/" .director image
}

other_content_under_a_known_name() {
	forging '.targets |= map_values(.hashes.sha256 |= (.[1:] + "0"))' . .
	forged 20 target-mismatch "app/" .director image
	forging '.targets |= map_values(.length += 1)' . .
	forged 20 target-mismatch "app/" .director image
}

# Wrong in one ECU's target: the others of the same document are not installed either.
one_bad_target_spoils_the_bundle() {
	assign_now radio $((3 - RADIO))
	forging '.targets |= with_entries(if .key | startswith("radio") then .value.length += 1 else . end)' . .
	refused 20 target-mismatch "radio/" .director
	assign_now radio "$RADIO"
	updated
}

path_traversal() {
	forging '.targets |= with_entries(.key |= sub("app/"; "../../"))' . .
	forged 20 unknown-target "../../" .director image
}

case ${2:-} in
documents) set -- truncated_json unsigned wrong_role signed_by_the_image_repository floats_and_duplicate_keys expired \
	rollback wrong_hash_or_version snapshot_drops_a_file ;;
targets) set -- foreign_ecu one_ecu_twice other_vehicle delegations wrong_hardware unknown_target \
	other_content_under_a_known_name one_bad_target_spoils_the_bundle path_traversal ;;
*) echo "usage: $0 BIN-DIR documents|targets" >&2; exit 2 ;;
esac
make_world 20000
RADIO=1
for name; do
	run_case "$name"
done
finish
