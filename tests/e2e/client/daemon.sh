#!/usr/bin/env bash
# uptaned --daemon: polls, survives a network that is away, and ends at once when told, also in mid-download.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

start_daemon() {
	rm -f "$W/log/daemon.log"
	uptaned --daemon --config "$GATEWAY" >"$W/log/daemon.log" 2>&1 &
	DAEMON=$!
	world_at_end stop_quietly
}

stop_quietly() {
	[ -z "${DAEMON:-}" ] || kill -KILL "$DAEMON" 2>/dev/null || true
}

# ends SIGNAL: it exits with 0 within two seconds (ten with the sanitizers' build, which is slow to end).
ends() {
	local start=${EPOCHREALTIME/./} limit=2000 rc=0 took
	sanitized && limit=10000
	kill "-$1" "$DAEMON"
	wait "$DAEMON" || rc=$?
	DAEMON=
	is "exit code" "$rc" 0
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	[ "$took" -le "$limit" ] || fault "it took $took ms to end"
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

# A Director that takes the connection and never answers holds nobody up.
ends_while_the_server_is_silent() {
	local director
	director=$(world_pid director)
	kill -STOP "$director"
	start_daemon
	wait_for connected || fault "no connection: $(tail -n 2 "$W/log/daemon.log")"
	ends TERM
	kill -CONT "$director"
	updated
}

# connected: the daemon holds a connection to the server.
connected() {
	local socket inode
	for socket in "/proc/$DAEMON/fd/"*; do
		inode=$(readlink "$socket")
		[[ $inode = socket:* ]] || continue
		inode=${inode//[^0-9]/}
		awk -v i="$inode" -v p=":$(printf %04X "$GATE_PORT")" '$10 == i && index($3, p) && $4 == "01" {f = 1} END {exit !f}' \
			/proc/net/tcp && return 0
	done
	return 1
}

# The signal comes at any moment, also between the daemon's look at its flag and its sleep.
ends_whenever_told() {
	local i
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		start_daemon
		wait_for grep -q "cycle done" "$W/log/daemon.log" || fault "no cycle: $(tail -n 2 "$W/log/daemon.log")"
		ends TERM
	done
	for i in 1 2 3 4 5 6 7 8; do
		start_daemon
		sleep "0.0$i"
		kill -TERM "$DAEMON"
		wait "$DAEMON"
		RC=$?
		[[ $RC = 0 || $RC = 143 ]] || fault "exit code $RC: $(tail -n 2 "$W/log/daemon.log")" # 143: not yet listening to it
		DAEMON=
	done
	updated
}

make_world 200000
for name in polls_and_updates_by_itself goes_on_when_the_network_comes_back ends_in_the_middle_of_a_download \
	ends_while_the_server_is_silent ends_whenever_told; do
	run_case "$name"
done
finish
