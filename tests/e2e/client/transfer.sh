#!/usr/bin/env bash
# Servers that answer with errors, nothing, half of it or too slowly: never "nothing new", never half an update.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# ---- HTTP statuses ----

server_errors() {
	local path
	for path in repo/timestamp.json director/timestamp.json director/manifest; do
		want_other
		fault_at 500 "$path"
		log_from
		refused 5 server "500" .director
		# whoever fails is asked again, but not for ever
		is "requests for $path" "$(requests " /$path 500")" 3
		updated
	done
	want_other
	fault_at 503 repo
	refused 5 server "503" .director
	updated
}

# A root that cannot be had is not "no newer root": a thief of old keys would keep the rotation away with it.
failing_root_probe() {
	local repo
	for repo in director repo; do
		want_other
		fault_at 500 "$repo/2.root.json"
		refused 5 server "2.root.json" "$([ $repo = repo ] && echo .director || echo empty)"
		updated
		want_other
		fault_at 444 "$repo/2.root.json"
		refused 5 network "2.root.json" "$([ $repo = repo ] && echo .director || echo empty)"
		updated
	done
}

# What must be there and is not is "missing", not "nothing new".
missing_metadata() {
	local role
	want_other
	fault_at 404 repo/timestamp.json
	refused 26 missing-metadata "image: the server has no timestamp.json" .director
	updated
	want_other
	fault_at 404 director/timestamp.json
	refused 26 missing-metadata "director: the server has no timestamp.json"
	updated
	for role in snapshot targets; do
		repo sign $role
		repo publish
		want_other
		fault_at 404 "repo/$(basename "$(published $role)")"
		refused 26 missing-metadata "image: the server has no $(basename "$(published $role)")" \
			".director, .image.timestamp, .image.snapshot"
		updated
	done
}

missing_image() {
	want_other
	fault_at 404 "$(image_path)"
	refused 26 missing-metadata "no image app/$APP" .director
	updated
}

# image_path: of the wanted app on the server.
image_path() {
	printf 'repo/targets/app/%s.%s' "$(sha256sum "$W/images/app/$APP" | cut -d' ' -f1)" "$APP"
}

# ---- broken off in the middle ----

partial() {
	find "$GATEWAY/state/images/partial" -type f -printf '%s\n'
}

partial_grows() {
	[ "$(partial)" -gt 1000000 ]
}

# The server goes away in the middle of the image: 5; what came stays and the next cycle asks for the rest only.
server_dies_in_the_middle() {
	local pid files got
	want_other
	files=$(ecu_files)
	fault_at slow "$(image_path)"
	world_spawn cycle uptaned --once --quiet --config "$GATEWAY"
	pid=$(world_pid cycle)
	wait_for partial_grows || fault "no download: $(<"$W/log/cycle.log")"
	world_stop gate
	wait_for not_running "$pid" || fault "the client goes on without a server"
	world_stop cycle
	cp "$W/log/cycle.log" "$W/err" && ERR=$(<"$W/err")
	one_line "app/$APP"
	has stderr "$ERR" "[network]"
	is "installed files" "$(ecu_files)" "$files"
	got=$(partial)
	[ "${got:-0}" -gt 1000000 ] || fault "of the image, '$got' bytes are left"
	rm -rf "$W/gate/fault/slow"
	gate_start
	log_from
	updated
	is "requests for the rest" "$(requests "$APP 206 .*\"bytes=$got-\"")" 1
	is "requests for the whole" "$(requests "/$APP 200 ")" 0
}

not_running() {
	! world_proc_start "$1" >/dev/null
}

# Only the connection breaks: the same cycle goes on where it was.
connection_breaks_in_the_middle() {
	local worker
	want_other
	fault_at slow "$(image_path)"
	log_from
	world_spawn breaking uptaned --once --quiet --config "$GATEWAY"
	wait_for partial_grows || fault "no download: $(<"$W/log/breaking.log")"
	worker=$(pgrep -P "$(world_pid gate)")
	mend
	kill -KILL "$worker"
	wait_for cmp -s "$GATEWAY/ecu/app.bin" "$W/images/app/$APP" || fault "not installed: $(<"$W/log/breaking.log")"
	wait_for not_running "$(world_pid breaking || echo 999999999)"
	world_stop breaking
	[ ! -s "$W/log/breaking.log" ] || fault "it complains: $(<"$W/log/breaking.log")"
	is "requests for the rest" "$(requests "206 .*\"bytes=[0-9]+-\"")" 1
	updated
}

# A slow but steady server is not an attack; one below the minimum speed is, and what came stays.
slow_retrieval() {
	want_other
	fault_at slow "$(image_path)"
	drop_in <<-CONF
		[network]
		min_speed_bytes = 10000000
		min_speed_window_s = 1
	CONF
	refused 25 too-slow "less than 10000000 bytes a second" .director
	holds "bytes that came are kept" test "$(partial)" -gt 0
	has "what the Director heard" "$(uptane-director inventory --dir "$DIRECTOR" --json)" "slow-retrieval"
	updated
}

# ---- answers that are not what was asked for ----

redirected_metadata() {
	want_other
	fault_at 301 repo/timestamp.json
	refused 5 server "301" .director
	updated
}

make_world 3000000
for name in server_errors failing_root_probe missing_metadata missing_image server_dies_in_the_middle \
	connection_breaks_in_the_middle slow_retrieval redirected_metadata; do
	run_case "$name"
done
finish
