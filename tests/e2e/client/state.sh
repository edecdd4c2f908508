#!/usr/bin/env bash
# The state directory gone bad: damaged, not writable, held by another, full. Nothing is lost that was not
# damaged, nothing is taken for a new vehicle, and the client works again once the cause is gone.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

DB=state/state.db

# damaged RC TEXT: one cycle, status and check refuse the database as it is now and leave it alone.
damaged() {
	local sum files
	sum=$(sha256sum "$GATEWAY/$DB") files=$(ecu_files)
	fails "$1" "$2" uptaned --once --quiet --config "$GATEWAY"
	has message "$ERR" "$GATEWAY/$DB"
	fails "$1" "$2" uptanectl status --json --config "$GATEWAY"
	fails "$1" "$2" uptanectl check --config "$GATEWAY"
	is "the damaged database" "$(sha256sum "$GATEWAY/$DB")" "$sum"
	is "installed files" "$(ecu_files)" "$files"
}

save_state() {
	rm -rf "$W/saved"
	cp -a "$GATEWAY/state" "$W/saved"
}

restore_state() {
	rm -rf "$GATEWAY/state"
	cp -a "$W/saved" "$GATEWAY/state"
}

garbage_database() {
	save_state
	head -c 40000 /dev/urandom >"$GATEWAY/$DB"
	damaged 4 database
	restore_state
	want_other
	updated
}

empty_database() {
	save_state
	: >"$GATEWAY/$DB"
	damaged 4 database
	restore_state
	want_other
	updated
}

truncated_database() {
	save_state
	truncate -s $(($(stat -c %s "$GATEWAY/$DB") / 2)) "$GATEWAY/$DB"
	damaged 4 database
	restore_state
	want_other
	updated
}

flipped_page() {
	save_state
	head -c 4000 /dev/zero | dd of="$GATEWAY/$DB" bs=1 seek=4096 conv=notrunc status=none
	damaged 4 database
	restore_state
	want_other
	updated
}

database_of_another_program() {
	save_state
	rm -f "$GATEWAY"/state/state.db*
	sqlite3 "$GATEWAY/$DB" 'CREATE TABLE x(y); INSERT INTO x VALUES(1); PRAGMA user_version = 77'
	damaged 4 database
	restore_state
	want_other
	updated
}

# The journal of a database that is gone must not be replayed into a new one.
database_gone_but_not_its_journal() {
	save_state
	printf 'journal' >"$GATEWAY/state/state.db-wal"
	rm "$GATEWAY/$DB"
	fails 4 "$GATEWAY/$DB" uptaned --once --quiet --config "$GATEWAY"
	holds "no database was made" test ! -e "$GATEWAY/$DB"
	restore_state
	want_other
	updated
}

no_state_yet() {
	save_state
	rm -rf "$GATEWAY/state"
	fails 4 "$GATEWAY/state" uptanectl status --config "$GATEWAY"
	holds "status makes no state" test ! -e "$GATEWAY/state"
	restore_state
}

state_dir_is_a_file_or_open_to_all() {
	save_state
	rm -rf "$GATEWAY/state"
	echo x >"$GATEWAY/state"
	fails 4 "$GATEWAY/state" uptaned --once --quiet --config "$GATEWAY"
	rm "$GATEWAY/state"
	restore_state
	chmod 777 "$GATEWAY/state"
	fails 4 "$GATEWAY/state" uptaned --once --quiet --config "$GATEWAY"
	chmod 700 "$GATEWAY/state"
	want_other
	updated
}

# Root may write everywhere, so the directory lies on a file system that is read-only for a while.
state_dir_not_writable() {
	local before
	save_state
	mount -t tmpfs -o size=16m,mode=700 none "$GATEWAY/state" || { fault "cannot mount"; return; }
	cp -a "$W/saved/." "$GATEWAY/state/"
	before=$(status .ecus)
	mount -o remount,ro "$GATEWAY/state"
	fails 4 "$GATEWAY/state" uptaned --once --quiet --config "$GATEWAY"
	has message "$ERR" "Read-only file system"
	is "status on a read-only file system" "$(status .ecus)" "$before"
	mount -o remount,rw "$GATEWAY/state"
	want_other
	updated
	cp -a "$GATEWAY/state/." "$W/saved/"
	umount "$GATEWAY/state"
	restore_state
}

held_by_another() {
	local daemon
	world_spawn daemon uptaned --daemon --config "$GATEWAY"
	wait_for grep -q 'cycle done' "$W/log/daemon.log" || fault "the daemon does nothing"
	daemon=$(world_pid daemon)
	fails 8 "$daemon" uptaned --once --quiet --config "$GATEWAY"
	has message "$ERR" "$GATEWAY/state"
	fails 8 "$daemon" uptanectl update --config "$GATEWAY"
	is "status beside the daemon" "$(status .lastCycle.code)" '"ok"'
	world_stop daemon
	want_other
	updated
}

# fill FILE BYTES: fills the state's file system but for so many bytes.
fill() {
	local free
	free=$(df --output=avail -B1 "$GATEWAY/state" | tail -n 1)
	[ "$free" -le "$2" ] || fallocate -l $((free - $2)) "$1"
}

# full STATE-FREE-BYTES TEXT: a cycle with so little space: 4, a line with TEXT, nothing lost; then it works.
full() {
	local before files
	want_other
	before=$(status .ecus) files=$(ecu_files)
	fill "$GATEWAY/state/ballast" "$1"
	attempt
	[ "$RC" = 4 ] || fault "with $1 bytes free the exit code is $RC: $ERR"
	grep -q 'error: .*no-space' "$W/err" || fault "with $1 bytes free nobody says no-space: $ERR"
	is "error lines" "$(grep -c ' error: ' "$W/err")" 1
	has "the error" "$(grep ' error: ' "$W/err")" "$2"
	is "ECUs with $1 bytes free" "$(status .ecus)" "$before"
	is "files with $1 bytes free" "$(ecu_files)" "$files"
	rm "$GATEWAY/state/ballast"
	updated
}

# on_disk: the state moves to the file system mounted there, gets too little space, works again, and moves back.
on_disk() {
	local bytes
	cp -a "$W/saved/." "$GATEWAY/state/"
	full 0 "$GATEWAY/state"
	full 4096 "$GATEWAY/state"
	for bytes in 12288 20000 28672 40960 65536; do
		full "$bytes" "$GATEWAY/state"
	done
	full 250000 app/
	rm -rf "$W/saved"
	cp -a "$GATEWAY/state" "$W/saved"
	rm -rf "$W/saved/lost+found"
	umount "$GATEWAY/state"
	restore_state
	updated
}

# A disk that is full at different steps of the cycle: while the database grows, while the image is fetched.
full_tmpfs() {
	save_state
	mount -t tmpfs -o size=16m,mode=700 none "$GATEWAY/state" || { fault "cannot mount"; return; }
	on_disk
}

# ext4_of BLOCK-BYTES
ext4_of() {
	save_state
	truncate -s 16M "$W/disk.img"
	mkfs.ext4 -q -F -m 0 -O ^has_journal -b "$1" "$W/disk.img"
	mount -o loop "$W/disk.img" "$GATEWAY/state" || { fault "cannot mount a loop device"; return; }
	chmod 700 "$GATEWAY/state"
	on_disk
}

full_ext4() {
	ext4_of 4096
}

# What mkfs.ext4 makes of a small partition by itself: SQLite's mapped index can have holes there.
full_ext4_of_small_blocks() {
	ext4_of 1024
}

# A disk that is full where the ECU's file is: the old one stays.
full_disk_of_the_installer() {
	mkdir -p "$W/keep"
	cp -a "$GATEWAY/ecu/." "$W/keep/"
	mount -t tmpfs -o size=1m none "$GATEWAY/ecu" || { fault "cannot mount"; return; }
	cp -a "$W/keep/." "$GATEWAY/ecu/"
	want_other
	head -c 900k /dev/zero >"$GATEWAY/ecu/ballast" 2>/dev/null
	local files
	files=$(sha256sum "$GATEWAY"/ecu/*.bin)
	attempt
	[ "$RC" = 4 ] || fault "exit code $RC: $ERR"
	one_line "$GATEWAY/ecu has 0 bytes free"
	has message "$ERR" no-space
	is files "$(sha256sum "$GATEWAY"/ecu/*.bin)" "$files"
	rm "$GATEWAY/ecu/ballast"
	updated
	rm -rf "$W/keep" && mkdir "$W/keep"
	cp -a "$GATEWAY/ecu/." "$W/keep/"
	umount "$GATEWAY/ecu"
	cp -a "$W/keep/." "$GATEWAY/ecu/"
}

make_world 300000
for name in garbage_database empty_database truncated_database flipped_page database_of_another_program \
	database_gone_but_not_its_journal no_state_yet state_dir_is_a_file_or_open_to_all held_by_another; do
	run_case "$name"
done
if [ "$(id -u)" = 0 ] && mount -t tmpfs none "$W/gate/tmp" 2>/dev/null && umount "$W/gate/tmp"; then
	for name in state_dir_not_writable full_tmpfs full_ext4 full_ext4_of_small_blocks full_disk_of_the_installer; do
		run_case "$name"
	done
else
	echo "SKIP: mounts need root"
fi
finish
