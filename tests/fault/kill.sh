#!/usr/bin/env bash
# The client is killed right before each call by which it changes something that lasts: ECUs hold one release or
# the other, status works, and the next cycle completes the update. What this cannot show is a power cut: the page
# cache survives a kill. Usage: kill.sh BIN-DIR [--all]; without --all it samples, evenly and always the same.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

TRIED=0 OLD=0 NEW=0 MIXED=0 LOST=0 STUCK=0

# try I: the cycle is killed right before its point I, and the next one has to complete it.
try() {
	local call=${POINT_CALL[$1]} nth=${POINT_NTH[$1]}
	POINT="killed before point $(($1 + 1)), $call number $nth"
	restore
	traced -e trace="$CALLS" -e inject="$call:signal=KILL:when=$nth"
	if [ "$RC" != 137 ]; then
		fault "$POINT: the cycle ended with $RC instead: $ERR"
		return
	fi
	TRIED=$((TRIED + 1))
	observe
	recovers
}

crash_between_any_two_steps() {
	local i
	find_points "$CALLS"
	choose_step 32
	for ((i = POINTS - 1; i >= 0; i -= STEP)); do
		try "$i"
	done
	printf 'points %d, tried %d (every %d), old %d, new %d, one of two %d, lost %d, stuck %d\n' \
		"$POINTS" "$TRIED" "$STEP" "$OLD" "$NEW" "$MIXED" "$LOST" "$STUCK"
	[ "$OLD" -gt 0 ] && [ "$NEW" -gt 0 ] || fault "the crashes are not spread over the cycle"
}

prepare
run_case crash_between_any_two_steps
finish
