#!/usr/bin/env bash
# uptaned --daemon: polls, survives a network that is away, and ends at once when told, also in mid-download.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

start_daemon() {
	uptaned --daemon --config "$GATEWAY" >"$W/log/daemon.log" 2>&1 &
	DAEMON=$!
	world_at_end stop_quietly
}

stop_quietly() {
	[ -z "${DAEMON:-}" ] || kill -KILL "$DAEMON" 2>/dev/null || true
}

# ends SIGNAL: it exits with 0 within two seconds (ten with the sanitizers' build, which is slow to end).
ends() {
	local start=$SECONDS limit=2 rc=0
	sanitized && limit=10
	kill "-$1" "$DAEMON"
	wait "$DAEMON" || rc=$?
	DAEMON=
	is "exit code" "$rc" 0
	[ $((SECONDS - start)) -le "$limit" ] || fault "it took $((SECONDS - start)) s to end"
}

app_is() {
	cmp -s "$GATEWAY/ecu/app.bin" "$W/images/app/$1"
}

polls_and_updates_by_itself() {
	drop_in <<<$'[uptane]\npoll_interval_s = 1'
	start_daemon
	wait_for grep -q "cycle done" "$W/log/daemon.log" || fault "no cycle: $(tail -n 2 "$W/log/daemon.log")"
	want_other
	wait_for app_is "$APP" || fault "app/$APP did not arrive: $(tail -n 2 "$W/log/daemon.log")"
	run uptaned --once --config "$GATEWAY"
	is "a second one's exit code" "$RC" 8
	one_line "$DAEMON"
	run uptanectl status --config "$GATEWAY"
	is "exit code of status beside it" "$RC" 0
	ends TERM
	updated
}

goes_on_when_the_network_comes_back() {
	drop_in <<<$'[uptane]\npoll_interval_s = 1'
	fault_at 503 director
	start_daemon
	wait_for grep -q "\[server\]" "$W/log/daemon.log" || fault "no failure: $(tail -n 2 "$W/log/daemon.log")"
	rm -rf "$W/gate/fault"
	mkdir -p "$W/gate/fault"
	wait_for grep -q "cycle done" "$W/log/daemon.log" || fault "it gave up: $(tail -n 2 "$W/log/daemon.log")"
	ends INT
	updated
}

ends_in_the_middle_of_a_download() {
	make_image app/3 8000000 # one that the gateway has never had
	add_image app/3 gw-x1 5
	repo publish
	assign_now app 3
	fault_at slow "repo/targets/app/$(sha256sum "$W/images/app/$APP" | cut -d' ' -f1).$APP"
	start_daemon
	wait_for grep -q "app/3 .*%" "$W/log/daemon.log" || fault "no progress: $(tail -n 2 "$W/log/daemon.log")"
	ends TERM
	app_is "$APP" && fault "it was installed all the same"
	updated
}

make_world 200000
for name in polls_and_updates_by_itself goes_on_when_the_network_comes_back ends_in_the_middle_of_a_download; do
	run_case "$name"
done
finish
