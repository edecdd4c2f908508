#!/usr/bin/env bash
# Keys of every role rotate in both repositories while the client follows; a fast-forwarded timestamp is
# recovered when its key rotates.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

root_version() { status ".metadata.$1.root"; }

image_keys_rotate() {
	local role before
	for role in timestamp snapshot targets root; do
		before=$(root_version image)
		repo rotate "$role" || fault "cannot rotate $role: $(tail -n 1 "$W/log/repo.log")"
		repo publish || fault "cannot publish: $(tail -n 1 "$W/log/repo.log")"
		want_other
		updated
		is "image root after $role" "$(root_version image)" "$((before + 1))"
	done
}

director_keys_rotate() {
	local role before
	for role in timestamp snapshot targets root; do
		before=$(root_version director)
		uptane-director rotate --dir "$DIRECTOR" "$role" >>"$W/log/rotate.log" 2>&1 ||
			fault "cannot rotate $role: $(tail -n 1 "$W/log/rotate.log")"
		want_other
		updated
		is "director root after $role" "$(root_version director)" "$((before + 1))"
	done
}

# A gateway that slept through many rotations goes through all of them, one by one.
many_rotations_at_once() {
	local before i
	before=$(root_version image)
	for i in 1 2 3 4 5; do
		repo rotate root && repo rotate timestamp || fault "cannot rotate: $(tail -n 1 "$W/log/repo.log")"
		repo publish || fault "cannot publish ($i): $(tail -n 1 "$W/log/repo.log")"
	done
	want_other
	updated
	is "image root" "$(root_version image)" "$((before + 10))"
}

# A root in the middle that the server lost: the last good root stays in force (the repository signs for clients
# between two roots too), and the client follows when the file is back.
missing_root_in_the_middle() {
	local before
	before=$(root_version image)
	repo rotate timestamp && repo rotate root && repo publish || fault "cannot rotate"
	mv "$IMAGE_REPO/public/$((before + 1)).root.json" "$W/lost.root.json"
	want_other
	updated
	is "image root while one is lost" "$(root_version image)" "$before"
	mv "$W/lost.root.json" "$IMAGE_REPO/public/$((before + 1)).root.json"
	want_other
	updated
	is "image root when it is back" "$(root_version image)" "$((before + 2))"
}

fast_forwarded_timestamp_is_recovered() {
	want_other
	current image timestamp | jq -cSj '.signed | .version = 1000000' | sign_as image timestamp >"$W/fast.json"
	cp "$IMAGE_REPO/public/timestamp.json" "$W/slow.json"
	put_document image timestamp "$W/fast.json"
	updated
	is "timestamp" "$(status .metadata.image.timestamp)" 1000000
	cp "$W/slow.json" "$IMAGE_REPO/public/timestamp.json"
	want_other
	refused 21 version-rollback "after v1000000" .director
	repo rotate timestamp && repo publish || fault "cannot rotate: $(tail -n 1 "$W/log/repo.log")"
	updated
	[ "$(status .metadata.image.timestamp)" -lt 1000000 ] || fault "the timestamp is still fast-forwarded"
}

make_world 20000
for name in image_keys_rotate director_keys_rotate many_rotations_at_once missing_root_in_the_middle \
	fast_forwarded_timestamp_is_recovered; do
	run_case "$name"
done
finish
