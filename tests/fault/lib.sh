# shellcheck shell=bash
# What both fault tests share: a gateway that runs release 1, a published update to release 2 with new roots,
# and a way back to that moment. Sourced with the programs' folder as $1 and, optionally, --all as $2.

HERE_FAULT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../e2e/client/lib.sh
source "$HERE_FAULT/../e2e/client/lib.sh" "$1"

# The calls by which the client makes a change last; every one is a step that a crash can come before.
CALLS=fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,pwrite64,ftruncate
ALL=${2:-}
[ -z "$ALL" ] || [ "$ALL" = --all ] || { echo "usage: $0 BIN-DIR [--all]" >&2; exit 2; }

# director_again: the Director as it is on disk, at the port that nginx knows.
director_again() {
	rm -f "$W/director.port"
	world_spawn director uptane-director serve --dir "$DIRECTOR" --listen "127.0.0.1:$DIRECTOR_PORT" \
		--cert "$PKI_DIR/server.pem" --key "$PKI_DIR/server.key" --client-ca "$PKI_DIR/ca.pem" \
		--ready-file "$W/director.port" && uptane_wait_file director "$W/director.port"
}

# publish_update: new roots of both repositories, new metadata, release 2 for both ECUs.
publish_update() {
	repo rotate timestamp && repo publish &&
		uptane-director rotate --dir "$DIRECTOR" timestamp >>"$W/log/director-init.log" 2>&1 &&
		assign_now app 2 && assign "$VEHICLE" radio radio/2
}

# prepare: the world right before the update, saved.
prepare() {
	need strace
	strace -f -o /dev/null -e trace=fsync -e inject=fsync:error=EIO:when=1 true 2>/dev/null ||
		{ echo 'SKIP: strace cannot trace here'; exit 77; }
	make_world 300000
	publish_update || { echo 'cannot publish the update' >&2; exit 1; }
	world_stop director
	mkdir "$W/before"
	cp -a "$GATEWAY" "$W/before/gateway"
	cp -a "$DIRECTOR" "$W/before/director"
}

# restore: gateway and Director as prepare saved them. The Director too: it takes no report twice.
restore() {
	world_stop director
	rm -rf "$GATEWAY" "$DIRECTOR"
	cp -a "$W/before/gateway" "$GATEWAY"
	cp -a "$W/before/director" "$DIRECTOR"
	director_again || { echo 'the Director does not start again' >&2; exit 1; }
}

# traced ARGS...: one cycle below strace. LeakSanitizer cannot work there, and only there.
traced() {
	{
		run env "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" \
			strace -f -o "$W/calls" -e signal=none "$@" uptaned --once --quiet --config "$GATEWAY"
	} 2>/dev/null # the shell's word on a killed child
}

# find_points CALLS: what a good cycle does, in order: POINT_CALL[i] is the name, POINT_NTH[i] its how-manieth use;
# strace counts each name by itself. POINTS is their number.
find_points() {
	restore
	traced -e trace="$1"
	[ "$RC" = 0 ] || { echo "the counting run ended with $RC: $ERR" >&2; exit 1; }
	mapfile -t POINT_CALL < <(awk '$2 ~ /^[a-z0-9]+\(/ {sub(/\(.*/, "", $2); print $2}' "$W/calls")
	mapfile -t POINT_NTH < <(printf '%s\n' "${POINT_CALL[@]}" | awk '{print ++n[$1]}')
	POINTS=${#POINT_CALL[@]}
	[ "$(cut -d' ' -f1 "$W/calls" | sort -u | wc -l)" = 1 ] || { echo 'more than one thread makes them' >&2; exit 1; }
	[ "$POINTS" -ge 20 ] || { echo "only $POINTS points: is the cycle traced at all?" >&2; exit 1; }
}

# choose_step TRIES: STEP is such that every STEPth of POINTS makes about so many; always the same for the same POINTS.
choose_step() {
	STEP=$(((POINTS + $1 - 1) / $1))
	[ -z "$ALL" ] || STEP=1
}

# release ECU-FILE NAME: 1 or 2 as the file is byte for byte, else "lost".
release() {
	local v
	for v in 1 2; do
		! cmp -s "$GATEWAY/ecu/$1.bin" "$W/images/$2/$v" || { echo "$v"; return; }
	done
	echo lost
}

# observe: after a fault; APP_HAS and RADIO_HAS are what is installed, status must work and not claim more.
observe() {
	local names
	run uptanectl status --json --config "$GATEWAY"
	[ "$RC" = 0 ] || fault "$POINT: status ends with $RC: $ERR"
	names=$(jq -r '.ecus[].installed.name' <<<"$OUT" 2>/dev/null | sort | tr '\n' ' ')
	[[ $names =~ ^app/[12]\ radio/[12]\ $ ]] || fault "$POINT: status knows only '$names'"
	APP_HAS=$(release app app) RADIO_HAS=$(release radio radio)
	[[ $names != *app/2* || $APP_HAS = 2 ]] || fault "$POINT: status says app/2, the file is $APP_HAS"
	[[ $names != *radio/2* || $RADIO_HAS = 2 ]] || fault "$POINT: status says radio/2, the file is $RADIO_HAS"
	case $APP_HAS$RADIO_HAS in
	*lost*) LOST=$((LOST + 1)) && fault "$POINT: an installed file is neither release: $(ls -l "$GATEWAY/ecu")" ;;
	22) NEW=$((NEW + 1)) ;;
	11) OLD=$((OLD + 1)) ;;
	*) MIXED=$((MIXED + 1)) ;;
	esac
}

# director_says: what the Director believes runs, by ECU.
director_says() {
	uptane-director inventory --dir "$DIRECTOR" --vehicle "$VEHICLE" --json 2>/dev/null |
		jq -r '[.. | objects | .installed? // empty | if type == "object" then .name else . end] | sort | join(" ")'
}

# recovers: a plain cycle brings release 2, completely, with release 1 to go back to.
recovers() {
	local before=$FAULTS
	attempt
	[ "$RC" = 0 ] || fault "$POINT: the next cycle ends with $RC: $ERR"
	is "$POINT: then the files" "$(release app app) $(release radio radio)" "2 2"
	run uptanectl status --json --config "$GATEWAY"
	is "$POINT: then status" "$(jq -r '[.ecus[].installed.name] | sort | join(" ")' <<<"$OUT")" "app/2 radio/2"
	is "$POINT: then what to go back to" \
		"$(jq -r '[.ecus[].previous.name] | sort | join(" ")' <<<"$OUT")" "app/1 radio/1"
	cmp -s "$GATEWAY/ecu/app.bin.previous" "$W/images/app/1" || fault "$POINT: the app to go back to is not app/1"
	cmp -s "$GATEWAY/ecu/radio.bin.previous" "$W/images/radio/1" ||
		fault "$POINT: the radio to go back to is not radio/1"
	is "$POINT: then files beside the ECUs'" \
		"$(find "$GATEWAY/ecu" -type f ! -name '*.bin' ! -name '*.bin.previous' | tr '\n' ' ')" ""
	is "$POINT: then the Director" "$(director_says)" "app/2 radio/2"
	[ "$FAULTS" = "$before" ] || STUCK=$((STUCK + 1))
}
