#!/usr/bin/env bash
# The clock of the machine jumps while an update is due: past the expiry of all metadata, back before the
# certificates are valid, and behind the time before which no clock is believed. A named refusal, or that time instead;
# the old release runs, and with the right clock the next cycle completes the update.
# Usage: faults_clock.sh BIN-DIR
# shellcheck source-path=SCRIPTDIR source=plan_lib.sh
source "$(dirname "$0")/plan_lib.sh" "$@"
DAY=86400

# cycle_at SECONDS: a cycle with a clock that is wrong by so much. The sanitizer would be loaded first.
cycle_at() {
	run env "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" FAULT_CLOCK_S="$1" \
		LD_PRELOAD="$BIN/fault_clock.so" "$BIN/uptaned" --once --quiet --config "$GATEWAY"
}

forward_past_all_expiry_is_a_freeze() {
	next
	cycle_at $((800 * DAY))
	refused 22 expired 'expired'
	completed
}

# TLS is asked first.
back_before_the_certificates_is_refused() {
	next
	cycle_at $((-400 * DAY))
	refused 6 tls ''
	completed
}

# Believed is the floor: what expires before it has expired.
behind_the_floor_the_floor_counts() {
	next
	sed -i "/^state_dir = /a build_time = $(date -u -d '+800 days' +%Y-%m-%dT%H:%M:%SZ)" "$GATEWAY/uptaned.conf"
	cycle
	refused 22 expired 'expired'
	[[ $ERR == *'the system clock is '*' s behind the trusted floor'* ]] || fault "no word of the clock: $ERR"
	sed -i '/^build_time = /d' "$GATEWAY/uptaned.conf"
	completed
}

make_world
for name in forward_past_all_expiry_is_a_freeze back_before_the_certificates_is_refused \
	behind_the_floor_the_floor_counts; do
	run_case "$name"
done
finish
