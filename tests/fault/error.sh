#!/usr/bin/env bash
# Each call by which the client changes something that lasts fails once, with a full and with a broken disk: the
# cycle ends with one clear error line, or did not need the call; nothing is lost, and the next cycle completes the
# update. Usage: error.sh BIN-DIR [--all]; without --all it samples, evenly and always the same.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

CALLS=fsync,fdatasync,pwrite64,rename,renameat,renameat2
TRIED=0 REFUSED=0 WENT_ON=0 OLD=0 NEW=0 MIXED=0 LOST=0 STUCK=0

# said: how the cycle ended is what it says: 4 with one line, or 0 without an error.
said() {
	local lines
	lines=$(grep -c ' error: ' "$W/err")
	case $RC in
	0)
		WENT_ON=$((WENT_ON + 1))
		is "$POINT: error lines of a good cycle" "$lines" 0
		;;
	4)
		REFUSED=$((REFUSED + 1))
		[ "$lines" = 1 ] || fault "$POINT: not one error line: $ERR"
		;;
	*) fault "$POINT: exit code $RC: $ERR" ;;
	esac
}

# try I ERROR: the cycle's point I fails with ERROR, and the next cycle has to complete it.
try() {
	local call=${POINT_CALL[$1]} nth=${POINT_NTH[$1]}
	POINT="$2 at point $(($1 + 1)), $call number $nth"
	restore
	traced -e trace="$CALLS" -e inject="$call:error=$2:when=$nth"
	grep -q INJECTED "$W/calls" || fault "$POINT: not reached"
	TRIED=$((TRIED + 1))
	said
	observe
	recovers
}

both() {
	try "$1" ENOSPC
	try "$1" EIO
}

any_call_fails() {
	local i
	find_points "$CALLS"
	choose_step 14
	for ((i = POINTS - 1; i >= 0; i -= STEP)); do
		both "$i"
	done
	printf 'points %d, tried %d (every %d), refused %d, went on %d, old %d, new %d, one of two %d, lost %d, stuck %d\n' \
		"$POINTS" "$TRIED" "$STEP" "$REFUSED" "$WENT_ON" "$OLD" "$NEW" "$MIXED" "$LOST" "$STUCK"
	[ "$REFUSED" -gt 0 ] || fault "no failure was noticed"
}

prepare
run_case any_call_fails
finish
