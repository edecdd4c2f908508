#!/usr/bin/env bash
# The client is killed right before each call by which it, or the process that pulls for it, changes anything while
# it updates system, application and Secondary; every second time the machine reboots at that moment. At once: the
# system that runs and the one that boots next are the old or the new release, complete; the application answers;
# repository and database are sound. Then cycles and their reboots complete the update.
# A kill before an fsync leaves what the kill before the next change leaves (the page cache survives it), so that
# those are not tried apart. Of the pull's writes of content every eighth is tried; --all tries all of them.
# Usage: plan_kill.sh BIN-DIR PART PARTS [--all]: the PARTth of PARTS shares, from 1.
# shellcheck source-path=SCRIPTDIR source=plan_lib.sh
source "$(dirname "$0")/plan_lib.sh" "$@"
PART=${2:?} PARTS=${3:?} STRIDE=8
[ "${4:-}" != --all ] || STRIDE=1

CHANGES=write,request,rename,link,unlink,truncate,mkdir,ioctl,exec
KILLS=0 OLD=0 NEW=0 BETWEEN=0 BROKEN=0
declare -A KILLED=() CALLS=()

# count_state: where the vehicle stands, for the summary.
count_state() {
	case "$(booted)$(page)$(flash)$(next_boot)" in
	"$CURRENT$CURRENT$CURRENT$CURRENT") OLD=$((OLD + 1)) ;;
	"$NEXT$NEXT$NEXT$NEXT") NEW=$((NEW + 1)) ;;
	*) BETWEEN=$((BETWEEN + 1)) ;;
	esac
}

# try KINDS MODE N: the update is cut there; what is left is intact, and the update is completed.
try() {
	local before=$FAULTS last
	POINT="$2 at $1 number $3"
	next
	cut_cycle "$1" "$2" "$3"
	last=$(tail -n 1 "$W/calls")
	POINT="release $CURRENT to $NEXT, $2 at call ${last//$W/}"
	if [ "$RC" = 137 ]; then
		KILLS=$((KILLS + 1))
		last=${last#* }
		KILLED[${last%% *}]=$((${KILLED[${last%% *}]:-0} + 1))
		intact
		if [ $((KILLS % 2)) = 0 ]; then
			rm -f "$GATEWAY/ask-for-reboot.asked"
			reboot || fault "cannot boot"
			either "what booted" "$(booted)"
		fi
		count_state
	elif [ "$RC" != 0 ]; then
		fault "the cycle ended with $RC: $ERR"
	fi
	completed
	[ "$FAULTS" = "$before" ] || BROKEN=$((BROKEN + 1))
	[ "$BROKEN" -lt 5 ] || { echo 'too much is broken'; exit 1; }
}

# count_calls: one update without a fault; POINTS[i] is what its call number i is.
count_calls() {
	next
	cut_cycle "$CHANGES" count
	[ "$RC" != 125 ] || { echo 'SKIP: no seccomp notification here'; exit 77; }
	mapfile -t -O 1 POINTS < <(cut -d ' ' -f 2- "$W/calls")
	rm -f "$GATEWAY/ask-for-reboot.asked"
	reboot
	completed
	[ "$RC$FAULTS" = 00 ] && [ "${#POINTS[@]}" -ge 200 ] ||
		{ echo "the update without a fault: $RC, ${#POINTS[@]} calls: $ERR"; exit 1; }
}

# chosen I: whether this share tries call number I.
chosen() {
	if [[ ${POINTS[$1]} == "write $SYSROOT/ostree/repo/tmp/"* ]]; then
		CONTENT=$((CONTENT + 1))
		[ $((CONTENT % STRIDE)) = 0 ] || return 1
	fi
	[ $(($1 % PARTS + 1)) = "$PART" ]
}

# leftovers: after all of it the device holds two releases and nothing of those that were cut.
leftovers() {
	POINT=afterwards
	is "images" "$(podman_ctl images -q | sort -u | wc -l)" 2
	is "containers" "$(podman_ctl ps -aq | wc -l)" 2
	is "deployments" "$(find "$SYSROOT/ostree/deploy/gateway/deploy" -mindepth 1 -maxdepth 1 -type d | wc -l)" 2
	is "commits" "$(find "$SYSROOT/ostree/repo/objects" -name '*.commit' | wc -l)" 2
	is "partial downloads" "$(find "$GATEWAY/state/images/partial" -type f | wc -l)" 0
	is "half-written files" "$(find "$GATEWAY" -name '*.new')" ""
}

make_world
count_calls
for ((i = 1, CONTENT = 0; i <= ${#POINTS[@]}; i++)); do
	CALLS[${POINTS[i]%% *}]=$((${CALLS[${POINTS[i]%% *}]:-0} + 1))
	if chosen "$i"; then try "$CHANGES" kill "$i"; fi
done
for ((i = PART; i <= ${CALLS[request]}; i += PARTS)); do
	try request kill-after "$i"
done
leftovers
for kind in ${CHANGES//,/ }; do
	printf '%-9s calls %3d, killed in this share %3d\n' "$kind" "${CALLS[$kind]:-0}" "${KILLED[$kind]:-0}"
done
printf 'share %d of %d: calls %d (of them %d content of the pull), kills %d, old %d, new %d, between %d, broken %d, %d s\n' \
	"$PART" "$PARTS" "${#POINTS[@]}" "$CONTENT" "$KILLS" "$OLD" "$NEW" "$BETWEEN" "$BROKEN" "$SECONDS"
[ "$FAULTS" = 0 ] && [ "$OLD" -gt 0 ] && [ "$BETWEEN" -gt 0 ]
