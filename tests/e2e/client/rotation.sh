#!/usr/bin/env bash
# Keys of every role of both repositories rotate while the client follows; what old keys sign is refused from then
# on; a vehicle that slept through several rotations catches up; a fast-forwarded timestamp is recovered from.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# follows AREA: a good cycle that trusts one root more than before.
follows() {
	local before
	before=$(status ".metadata.$1.root")
	want_other
	updated
	is "trusted $1 root" "$(status ".metadata.$1.root")" "$((before + ${2:-1}))"
}

# rotate_image ROLE [options]
rotate_image() {
	repo rotate "$@" || fault "cannot rotate $1: $(tail -n 1 "$W/log/repo.log")"
	repo publish
}

rotate_director() {
	uptane-director rotate --dir "$DIRECTOR" "$1" >>"$W/log/rotate.log" 2>&1 || fault "cannot rotate $1"
}

image_roles() {
	local role
	for role in timestamp snapshot targets root; do
		rotate_image $role
		follows image
	done
}

director_roles() {
	local role
	for role in timestamp snapshot targets root; do
		rotate_director $role
		follows director
	done
}

other_kinds_of_keys() {
	rotate_image targets --new-key-type ecdsa
	rotate_image root --new-key-type rsa
	rotate_image timestamp --new-key-type rsa
	follows image 3
	rotate_image root --new-key-type ed25519
	rotate_image targets --new-key-type ed25519
	rotate_image timestamp --new-key-type ed25519
	follows image 3
}

several_rotations_at_once() {
	local role
	for role in root timestamp root targets root snapshot; do
		rotate_image $role
		rotate_director $role
	done
	want_other
	updated
	is "trusted image root" "$(status .metadata.image.root)" "$(root_version image)"
	is "trusted director root" "$(status .metadata.director.root)" "$(root_version director)"
}

root_version() {
	current "$1" root | jq .signed.version
}

# A root in the middle that the server lost: the last good root stays in force (the repository signs for clients
# between two roots too), and the client follows when the file is back.
missing_root_in_the_middle() {
	local before
	before=$(status .metadata.image.root)
	repo rotate timestamp && rotate_image root
	mv "$IMAGE_REPO/public/$((before + 1)).root.json" "$W/lost.root.json"
	follows image 0
	mv "$W/lost.root.json" "$IMAGE_REPO/public/$((before + 1)).root.json"
	follows image 2
}

# Two of three root keys sign; afterwards one is not enough.
root_threshold() {
	repo key generate spare-1 && repo key generate spare-2
	rotate_image root --add spare-1 --add spare-2 --threshold 2
	follows image
	current image root | jq -cSj '.signed | .version += 1' | sign_as image root >"$W/bad.root.json"
	override "repo/$(jq .signed.version "$W/bad.root.json").root.json" <"$W/bad.root.json"
	want_other
	refused 20 signature-threshold "image root" .director
	updated
	rotate_image root --threshold 1
	follows image
}

# The thief of an old key signs on after it was rotated away.
old_keys() {
	local role dir
	for role in timestamp snapshot; do
		cp "$(key_of image $role)" "$W/stolen.pem"
		rotate_image $role
		follows image
		want_other
		forge_stolen $role
		refused 20 signature-threshold "image $role" ".director, .image.timestamp"
		heal
		updated
	done
}

# forge_stolen ROLE: the next version of it, signed with the stolen key under the new key's id.
forge_stolen() {
	[ -d "$W/genuine" ] || cp -a "$IMAGE_REPO/public" "$W/genuine"
	current image "$1" | jq -cSj '.signed | .version += 1' >"$W/payload.stolen"
	stolen_signature <"$W/payload.stolen" >"$W/forged.$1.json"
	put_document image "$1" "$W/forged.$1.json"
	[ "$1" = timestamp ] ||
		forge image - - ".meta[\"$1.json\"] = $(listing "$1")"
}

stolen_signature() {
	local sig
	cat >"$W/payload"
	sig=$(openssl pkeyutl -sign -rawin -inkey "$W/stolen.pem" -in "$W/payload" | od -An -v -tx1 | tr -d ' \n')
	printf '{"signatures":[{"keyid":"%s","method":"ed25519","sig":"%s"}],"signed":%s}' \
		"$(current image root | jq -r ".signed.roles[\"snapshot\"].keyids[0]")" "$sig" "$(<"$W/payload")"
}

# Roots that are not the next one, or not signed by the one before.
bad_roots() {
	local next
	next=$(($(root_version image) + 1))
	want_other
	override "repo/$next.root.json" < <(current image root) # the same again
	refused 21 version-rollback "image root" .director
	updated
	want_other
	override "repo/$next.root.json" <"$IMAGE_REPO/public/1.root.json"
	refused 21 version-rollback "image root v1" .director
	updated
	want_other
	override "repo/$next.root.json" < <(current image root | jq -cSj '.signed | .version += 1' | sign_as image targets)
	refused 20 signature-threshold "image root" .director
	updated
	want_other
	override "repo/$next.root.json" < <(head -c 500 "$IMAGE_REPO/public/1.root.json")
	refused 26 malformed "image root" .director
	updated
	next=$(($(root_version director) + 1))
	want_other
	override "director/$next.root.json" < <(current image root | jq -c ".signed.version = $next")
	refused 20 signature-threshold "director root"
	updated
}

# A root that skips a version may be perfectly signed: without the one between, nobody vouches for its keys.
root_gap() {
	local next
	next=$(($(root_version image) + 1))
	rotate_image root
	rotate_image root
	want_other
	override "repo/$next.root.json" <"$IMAGE_REPO/public/$((next + 1)).root.json"
	attempt
	[[ $RC = 20 || $RC = 21 ]] || fault "exit code $RC: $ERR"
	one_line "image root v$((next + 1))"
	mend
	updated
	is "trusted image root" "$(status .metadata.image.root)" "$((next + 1))"
}

expired_root() {
	local next
	next=$(($(root_version image) + 1))
	current image root | jq -cSj '.signed | .version += 1 | .expires = "2026-01-01T00:00:00Z"' |
		sign_as image root >"$W/expired.root.json"
	cp -a "$IMAGE_REPO/public" "$W/genuine"
	cp "$W/expired.root.json" "$IMAGE_REPO/public/$next.root.json"
	want_other
	refused 22 expired "image root v$next" .director,.image.root
	# It is trusted all the same: the next one, which it signs, ends the freeze.
	jq -cSj '.signed | .version += 1 | .expires = "2035-01-01T00:00:00Z"' "$W/expired.root.json" |
		sign_as image root >"$W/next.root.json"
	mv "$W/next.root.json" "$IMAGE_REPO/public/$((next + 1)).root.json"
	updated
	is "trusted image root" "$(status .metadata.image.root)" "$((next + 1))"
}

# A thief of the timestamp's key made the client trust version 1000000: genuine ones look like a rollback, until
# the key is rotated.
fast_forwarded_image_timestamp() {
	want_other
	forge image - - '.version = 1000000'
	updated
	is "trusted timestamp" "$(status .metadata.image.timestamp)" 1000000
	heal
	want_other
	refused 21 version-rollback "image timestamp" .director
	rotate_image timestamp
	updated
	[ "$(status .metadata.image.timestamp)" -lt 1000 ] || fault "the client keeps the thief's timestamp"
}

fast_forwarded_image_snapshot() {
	want_other
	forge image - '.version = 1000000' .
	updated
	is "trusted snapshot" "$(status .metadata.image.snapshot)" 1000000
	heal
	want_other
	refused 21 version-rollback "snapshot" .director
	rotate_image snapshot
	updated
	[ "$(status .metadata.image.snapshot)" -lt 1000 ] || fault "the client keeps the thief's snapshot"
}

fast_forwarded_director_timestamp() {
	want_other
	curl -fsS --cacert "$PKI_DIR/ca.pem" --cert "$PKI_DIR/device.pem" --key "$PKI_DIR/device.key" -o /dev/null \
		"https://127.0.0.1:$GATE_PORT/director/timestamp.json"
	forge director - - '.version = 1000000'
	updated
	is "trusted timestamp" "$(status .metadata.director.timestamp)" 1000000
	director_db "DELETE FROM document WHERE version = 1000000"
	want_other
	refused 21 version-rollback "director timestamp"
	rotate_director timestamp
	updated
	[ "$(status .metadata.director.timestamp)" -lt 1000 ] || fault "the client keeps the thief's timestamp"
}

case ${2:-} in
roles) set -- image_roles director_roles other_kinds_of_keys several_rotations_at_once missing_root_in_the_middle \
	root_threshold ;;
thieves) set -- old_keys bad_roots root_gap fast_forwarded_image_timestamp fast_forwarded_image_snapshot \
	fast_forwarded_director_timestamp expired_root ;;
*) echo "usage: $0 BIN-DIR roles|thieves" >&2; exit 2 ;;
esac
make_world 20000
for name; do
	run_case "$name"
done
finish
