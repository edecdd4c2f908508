#!/usr/bin/env bash
# Each call by which the client changes a file fails once, with a broken and with a full disk, evenly sampled (--all:
# all of them): the cycle ends with one error line, or did not need the call; nothing is lost, and the next cycle
# completes the update. The kernel's answer is made, and not a file system that gives it: all that a broken one could
# tell the client passes here, for both processes, at each call exactly, where a fuse file system below SQLite,
# OSTree and overlayfs would have brought semantics of its own. Usage: faults_io.sh BIN-DIR [--all]
# shellcheck source-path=SCRIPTDIR source=plan_lib.sh
source "$(dirname "$0")/plan_lib.sh" "$@"
KINDS=write,sync,rename,link,unlink,truncate,mkdir TRIES=24
EIO=5 ENOSPC=28 TRIED=0 REFUSED=0 WENT_ON=0

# count_calls: CALLS of an update without a fault.
count_calls() {
	next
	cut_cycle "$KINDS" count
	[ "$RC" != 125 ] || { echo 'SKIP: no seccomp notification here'; exit 77; }
	CALLS=$(wc -l <"$W/calls")
	rm -f "$GATEWAY/ask-for-reboot.asked"
	reboot
	completed
	[ "$CALLS" -ge 300 ] || { echo "only $CALLS calls"; exit 1; }
}

# try N ERRNO
try() {
	local errors
	next
	POINT="errno $2 at call $1"
	cut_cycle "$KINDS" fail "$1" "$2"
	POINT="release $CURRENT to $NEXT, errno $2 at call $(sed -n "$1p" "$W/calls")"
	TRIED=$((TRIED + 1))
	errors=$(grep -c ' error: ' <<<"$ERR")
	case $RC in
	0) WENT_ON=$((WENT_ON + 1)) ;;
	4 | 7)
		REFUSED=$((REFUSED + 1))
		[ "$errors" = 1 ] || fault "not one line of error: $ERR"
		;;
	*) fault "exit code $RC: $ERR" ;;
	esac
	intact
	completed
}

make_world
count_calls
STEP=$(((CALLS + TRIES - 1) / TRIES))
[ "${2:-}" != --all ] || STEP=1
for ((i = 1; i <= CALLS; i += STEP)); do
	try "$i" "$EIO"
	try "$((i + STEP / 2))" "$ENOSPC"
done
printf 'calls %d, tried %d, refused %d, went on %d, faults %d, %d s\n' "$CALLS" "$TRIED" "$REFUSED" "$WENT_ON" \
	"$FAULTS" "$SECONDS"
[ "$FAULTS" = 0 ] && [ "$REFUSED" -gt 0 ]
