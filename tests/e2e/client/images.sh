#!/usr/bin/env bash
# Images that are not what the metadata lists, however they came to be so: nothing is installed, nothing bad is
# kept, and the right image is fetched once the server has it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

served() {
	printf '%s/public/targets/app/%s.%s' "$IMAGE_REPO" "$(sha256sum "$W/images/app/$APP" | cut -d' ' -f1)" "$APP"
}

# served_as: stdin is served in the wanted image's place until restored.
served_as() {
	cp "$(served)" "$W/right"
	cat >"$W/wrong"
	chmod u+w "$(served)"
	cat "$W/wrong" >"$(served)"
}

# wrong_image RC NAME TEXT: refused twice (a poisoned partial must not be resumed for ever), then it works.
wrong_image() {
	refused "$1" "$2" "$3" .director
	refused "$1" "$2" "$3" .director
	holds "no image is in its place" test -z "$(find "$GATEWAY/state/images" -maxdepth 1 -type f)"
	cat "$W/right" >"$(served)"
	updated
	holds "no image is kept after the installation" test -z "$(find "$GATEWAY/state/images" -type f)"
}

flipped_byte() {
	want_other
	served_as < <(flip 1234 <"$(served)")
	wrong_image 20 image-hash-mismatch "app/$APP"
	has "what the Director heard" "$(uptane-director inventory --dir "$DIRECTOR" --json)" image-hash-mismatch
}

# flip OFFSET: stdin with that byte changed.
flip() {
	local byte
	cat >"$W/flip"
	byte=$(od -An -tu1 -j "$1" -N 1 "$W/flip")
	# shellcheck disable=SC2059
	printf "\\x$(printf %x $(((byte + 1) % 256)))" | dd of="$W/flip" bs=1 seek="$1" conv=notrunc status=none
	cat "$W/flip"
}

shorter() {
	want_other
	served_as < <(head -c 100000 "$(served)")
	refused 5 network "app/$APP" .director
	refused 5 network "app/$APP" .director
	cat "$W/right" >"$(served)"
	updated
}

longer() {
	want_other
	served_as < <(cat "$(served)" && echo more)
	wrong_image 24 too-large "app/$APP"
}

longer_without_a_length() {
	want_other
	cp "$(served)" "$W/right"
	mkdir -p "$W/gate/ssi/repo/targets/app"
	{ cat "$(served)" && head -c 50000000 /dev/zero; } >"$W/gate/ssi/repo/targets/app/$(basename "$(served)")"
	refused 24 too-large "app/$APP" .director
	updated
}

empty() {
	want_other
	served_as </dev/null
	refused 5 network "app/$APP" .director
	cat "$W/right" >"$(served)"
	updated
}

# A byte of what came before the line was cut is wrong: resuming cannot make it right, so it is fetched anew.
poisoned_partial() {
	local partial
	want_other
	partial=$GATEWAY/state/images/partial/$(sha256sum "$W/images/app/$APP" | cut -d' ' -f1)
	mkdir -p "$(dirname "$partial")"
	head -c 150000 "$(served)" | flip 77 >"$partial"
	chmod 600 "$partial"
	log_from
	refused 20 image-hash-mismatch "app/$APP" .director
	is "requests for the rest" "$(requests " 206 .*bytes=150000-")" 1
	holds "the partial is gone" test ! -e "$partial"
	updated
}

# Partials that were planted: a link to somewhere else is not written through; too long a one starts anew.
planted_partial() {
	local partial
	want_other
	partial=$GATEWAY/state/images/partial/$(sha256sum "$W/images/app/$APP" | cut -d' ' -f1)
	echo precious >"$W/precious"
	ln -s "$W/precious" "$partial"
	refused 4 io "partial" .director
	is "the file behind the link" "$(<"$W/precious")" precious
	rm "$partial"
	head -c 400000 /dev/zero >"$partial"
	chmod 600 "$partial"
	updated
}

# Damaged in the store after it was verified, before it is installed: never installed.
stored_image_is_damaged() {
	local name
	want_other
	name=$(sha256sum "$W/images/app/$APP" | cut -d' ' -f1)
	flip 500 <"$(served)" >"$GATEWAY/state/images/$name"
	chmod 400 "$GATEWAY/state/images/$name"
	refused 20 image-hash-mismatch "app/$APP" .director
	updated
}

# A file in an image's place whose last bytes never reached the disk.
stored_image_is_short() {
	local name
	want_other
	name=$(sha256sum "$W/images/app/$APP" | cut -d' ' -f1)
	head -c 1000 "$(served)" >"$GATEWAY/state/images/$name"
	updated
}

# The ECU's own file was changed by hand: it is reported as what it is, and the update goes on.
changed_by_hand() {
	echo changed >"$GATEWAY/ecu/app.bin"
	want_other
	attempt
	is "exit code" "$RC" 0
	has "the warning" "$ERR" "warning: ECU gw: app/$((3 - APP)) is recorded, but something else is installed"
	updated
}

two_ecus_one_image() {
	add_image app/1 gw-x1 5 --hardware-id radio-x1
	repo publish
	assign_now app 1
	assign "$VEHICLE" radio app/1
	attempt
	is "cycle" "$RC: $ERR" "0: "
	holds "the radio has it" cmp -s "$GATEWAY/ecu/radio.bin" "$W/images/app/1"
	updated
}

make_world 300000
for name in flipped_byte shorter longer longer_without_a_length empty poisoned_partial planted_partial \
	stored_image_is_damaged stored_image_is_short changed_by_hand two_ecus_one_image; do
	run_case "$name"
done
finish
