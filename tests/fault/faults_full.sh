#!/usr/bin/env bash
# A disk that is full, to the last block, at each stage of the update of a whole gateway: state, system and image
# store are small file systems of their own. The cycle ends with "no space", the old release runs, and with space the
# next cycle completes the update. Usage: faults_full.sh BIN-DIR
# shellcheck source-path=SCRIPTDIR source=plan_lib.sh
FIRMWARE_BYTES=2000000 SYSTEM_BYTES=3000000
source "$(dirname "$0")/plan_lib.sh" "$@"

# volume DIR MIB: an ext4 of that size there.
volume() {
	mkdir -p "$1"
	truncate -s "$2M" "$W/volume-${1##*/}"
	mke2fs -q -F -t ext4 -b 4096 -m 0 "$W/volume-${1##*/}" && mount -o loop "$W/volume-${1##*/}" "$1" ||
		{ echo 'SKIP: no loop mounts here'; exit 77; }
	rmdir "$1/lost+found"
}

# fill DIR [KIB]: all but so much of it is taken. A file system lets go of some blocks only after a sync.
fill() {
	sh "$W/fill" "$1" "${2:-0}" 2>/dev/null
}
make_fill() {
	cat >"$W/fill" <<-'END'
		head -c "$(($2 * 1024))" /dev/zero >"$1/left"
		sync -f "$1"
		cat /dev/zero >"$1/filler"
		sync -f "$1"
		dd if=/dev/zero of="$1/filler" bs=4k oflag=append conv=notrunc
		sync -f "$1"
		rm "$1/left"
		sync -f "$1"
	END
}

# emptied: there is space everywhere again.
emptied() {
	rm -f "$GATEWAY/state/filler" "$SYSROOT/filler" "$W/podman/filler"
}

# full_at DIR WHERE: a cycle during which DIR is filled right before the call that WHERE names.
full_at() {
	rm -f "$W/filled"
	cut_cycle write,request,rename,link,mkdir run "$2" \
		"sh $W/fill $1 0 2>/dev/null; : >$W/filled"
	[ -e "$W/filled" ] || fault "no call $2 in the cycle"
}

# check_full TEXT: refused for want of space; then the update.
check_full() {
	refused 4 no-space "$1"
	emptied
	completed
}

state_is_full_from_the_start() {
	next
	fill "$GATEWAY/state"
	cycle
	check_full ''
}

state_has_no_room_for_the_firmware() {
	next
	fill "$GATEWAY/state" 1000
	cycle
	check_full 'fw'
}

# The application has changed already and is put back as far as there is room to note it.
state_fills_up_after_the_application() {
	next
	full_at "$GATEWAY/state" "rename $GATEWAY/dashboard.port"
	is "exit code" "$RC" 4
	[[ $ERR == *'[no-space'* ]] || fault "the error is not no-space: $ERR"
	intact
	is "the system that boots next" "$(next_boot)" "$CURRENT"
	emptied
	completed
}

sysroot_is_full_before_the_pull() {
	next
	fill "$SYSROOT"
	cycle
	check_full 'commit'
}

sysroot_fills_up_during_the_pull() {
	next
	full_at "$SYSROOT" "write $SYSROOT/ostree/repo/tmp/"
	check_full 'commit'
}

sysroot_fills_up_before_the_deployment() {
	next
	full_at "$SYSROOT" "mkdir ${COMMIT[NEXT]}.0"
	check_full 'deploy'
}

sysroot_fills_up_before_the_boot_entries() {
	next
	full_at "$SYSROOT" 'mkdir boot/loader'
	check_full 'deployments'
}

# Without a block left Podman cannot even say what runs: that is an ECU which does not answer.
store_has_no_room_for_the_image() {
	next
	fill "$W/podman" 300
	cycle
	check_full ''
}

store_fills_up_before_the_container_is_made() {
	next
	full_at "$W/podman" 'containers/create'
	check_full ''
}

store_fills_up_before_the_container_starts() {
	next
	full_at "$W/podman" '/start'
	check_full ''
}

volume "$W/gateway/state" 16
volume "$SYSROOT" 64
volume "$W/podman" 64
make_fill
make_world
sed -i '/^sysroot = /a reserve_mib = 1' "$GATEWAY/uptaned.conf"
for name in state_is_full_from_the_start state_has_no_room_for_the_firmware state_fills_up_after_the_application \
	sysroot_is_full_before_the_pull sysroot_fills_up_during_the_pull sysroot_fills_up_before_the_deployment \
	sysroot_fills_up_before_the_boot_entries store_has_no_room_for_the_image \
	store_fills_up_before_the_container_is_made store_fills_up_before_the_container_starts; do
	run_case "$name"
done
finish
