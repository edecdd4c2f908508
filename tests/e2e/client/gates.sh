#!/usr/bin/env bash
# Gates, the inhibitor and maintenance windows: an update waits, says for what, and then is installed.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# gate_is COMMANDS...: the only gate there is.
gate_is() {
	mkdir -p "$GATEWAY/gates.d"
	printf '#!/bin/sh\n%s\n' "$*" >"$GATEWAY/gates.d/50-parked.new"
	chmod 755 "$GATEWAY/gates.d/50-parked.new"
	mv "$GATEWAY/gates.d/50-parked.new" "$GATEWAY/gates.d/50-parked"
}

# gates [LINE...]: the [gates] of the configuration.
gates() {
	drop_in < <(printf '%s\n' '[gates]' "dir = $GATEWAY/gates.d" "inhibit = $GATEWAY/run/inhibit" "$@" \
		'[uptane]' 'poll_interval_s = 1')
}

# waits STEP GATE REASON: a cycle ends well, installs nothing and says so everywhere.
waits() {
	local files
	files=$(ecu_files)
	run uptaned --once --config "$GATEWAY"
	is "exit code" "$RC" 0
	has log "$ERR" "$1 waits for gate $2 until "
	is "installed files" "$(ecu_files)" "$files"
	is "last cycle" "$(status '[.lastCycle.code, .lastCycle.message]')" "[\"ok\",\"waits for gate $2\"]"
	is wait "$(status '[.waits.step, .waits.gate, .waits.reason]')" "[\"$1\",\"$2\",\"$3\"]"
	is incidents "$(status '.incidents')" "$INCIDENTS"
	run uptanectl status --config "$GATEWAY"
	has "status for people" "$OUT" "$1 waits for gate $2 until "
}

# installs: nothing holds it back any more.
installs() {
	updated
	is wait "$(status .waits)" null
}

an_update_waits_until_its_gate_is_open() {
	gates
	gate_is "[ \$1 != install ] || { echo the vehicle moves; echo retry-after 60; exit 75; }"
	want_other
	log_from
	waits install 50-parked "the vehicle moves"
	waits install 50-parked "the vehicle moves"
	is downloads "$(requests '^GET /repo/targets/app/.* 200 ')" 1
	gate_is "exit 0"
	log_from
	attempt
	is "exit code" "$RC" 0
	is "further downloads" "$(requests '^GET /repo/targets/app/.* 200 ')" 0
	installs
}

the_service_asks_again_by_itself() {
	gates 'retry_s = 1'
	gate_is "exit 75"
	want_other
	uptaned --daemon --config "$GATEWAY" >"$W/log/daemon.log" 2>&1 &
	DAEMON=$!
	world_at_end stop_quietly
	wait_for grep -q "download waits for gate 50-parked" "$W/log/daemon.log" || fault "no wait: $(tail -n 2 "$W/log/daemon.log")"
	gate_is "exit 0"
	wait_for cmp -s "$GATEWAY/ecu/app.bin" "$W/images/app/$APP" || fault "app/$APP did not arrive: $(tail -n 2 "$W/log/daemon.log")"
	kill -TERM "$DAEMON"
	wait "$DAEMON" || fault "exit code $?"
	DAEMON=
	installs
}

stop_quietly() {
	[ -z "${DAEMON:-}" ] || kill -KILL "$DAEMON" 2>/dev/null || true
}

a_person_holds_an_update_back() {
	rm -rf "$GATEWAY/gates.d"
	gates
	want_other
	run uptanectl inhibit "maintenance by J. Doe" --config "$GATEWAY"
	is "exit code of inhibit" "$RC" 0
	is inhibited "$(status .inhibited)" '"maintenance by J. Doe"'
	waits install inhibitor "maintenance by J. Doe"
	has "status for people" "$OUT" "inhibited maintenance by J. Doe"
	fails 2 "one argument" uptanectl inhibit two words --config "$GATEWAY"
	fails 2 "more than one command" uptanectl uninhibit now --config "$GATEWAY"
	run uptanectl uninhibit --config "$GATEWAY"
	is "exit code of uninhibit" "$RC" 0
	is inhibited "$(status .inhibited)" null
	run uptanectl uninhibit --config "$GATEWAY"
	is "what a second one says" "$OUT" "nothing was inhibited"
	installs
}

an_update_waits_for_its_window() {
	local day hour
	export TZ=EST5EDT,M3.2.0,M11.1.0
	day=$(LC_ALL=C date -d '3 days' +%a)
	hour=$(date +%H)
	gates "window = $day $hour:00-$hour:30"
	want_other
	waits install window "no maintenance window is open"
	unset TZ
	drop_in <<<$'[gates]\nwindow = 02:00-01:00\nwindow = 00:30-03:00'
	installs
}

a_wrong_window_is_named() {
	drop_in <<<$'[gates]\nwindow = Mo 02:00-05:00'
	fails 3 "50-test.conf:2: [gates] window: 'Mo 02:00-05:00' has no days" uptaned --once --config "$GATEWAY"
	drop_in <<<$'[gates]\nwindow_applies_to = install boot'
	fails 3 "50-test.conf:2: [gates] window_applies_to: 'boot' is none of" uptaned --once --config "$GATEWAY"
	updated
}

# A gate that others could have put there is not run, and holds everything back.
a_gate_that_anybody_can_write_is_an_error() {
	gates
	gate_is "touch $W/ran; exit 0"
	chmod 777 "$GATEWAY/gates.d/50-parked"
	want_other
	waits download gates.d "$GATEWAY/gates.d/50-parked is not run: it is no file that its owner, root, alone can write"
	run uptaned --once --quiet --config "$GATEWAY"
	one_line "50-parked is not run"
	[ ! -e "$W/ran" ] || fault "it ran"
	chmod 755 "$GATEWAY/gates.d/50-parked"
	updated
}

a_gate_refuses_an_update_for_good() {
	local files
	gates
	gate_is "[ \$1 != install ] || { echo no \$UPTANE_UPDATES; exit 69; }"
	want_other
	files=$(ecu_files)
	attempt
	is "exit code" "$RC" 7
	one_line "gate 50-parked refuses this update before its install: no gw app/$APP"
	is "installed files" "$(ecu_files)" "$files"
	has incidents "$(status '.incidents[-1].message')" "gate 50-parked refuses this update"
	is "what is refused" "$(status '.ecus[0].refused.name')" "\"app/$APP\""
	gate_is "exit 0"
	attempt
	is "exit code" "$RC" 0
	is "what runs" "$(status '.ecus[0].installed.name')" "\"app/$((3 - APP))\""
	assign_now app "$((3 - APP))"
	attempt
	want_other
	updated
}

make_world
INCIDENTS=$(status .incidents)
for name in an_update_waits_until_its_gate_is_open the_service_asks_again_by_itself a_person_holds_an_update_back \
	an_update_waits_for_its_window a_wrong_window_is_named a_gate_that_anybody_can_write_is_an_error \
	a_gate_refuses_an_update_for_good; do
	run_case "$name"
done
finish
