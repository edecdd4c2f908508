#!/usr/bin/env bash
# Applications through the whole client, on the engine that the second argument names: what a release says of its
# container, a description that changes under the same image, what the device does not permit, compose files.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=/dev/null
source "$HERE/../world/container.sh"
ENGINE=${2:?usage: $0 BIN-DIR podman|docker}

# release VERSION COUNTER CONTAINER: app/VERSION with custom.container, published.
release() {
	local digest=APP_V$1 len=APP_V${1}_LEN
	repo target add --name "app/$1" --sha256 "${!digest}" --length "${!len}" --format OCI --hardware-id gw-x1 \
		--release-counter "$2" --uri "$APP_NAME" --custom "{\"container\": $3}"
	repo publish
}

# compose VERSION [LINE]: stack/VERSION, a compose file with one service on PORT_C, published.
compose() {
	local digest=APP_V$1
	mkdir -p "$W/images/stack"
	cat >"$W/images/stack/$1" <<-END
		services:
		  page:
		    image: $APP_NAME@sha256:${!digest}
		    network_mode: host
		    environment: {PORT: "$PORT_C"}
		    ${2:-init: false}
	END
	repo target add "$W/images/stack/$1" --name "stack/$1" --format COMPOSE --hardware-id radio-x1 \
		--release-counter 5
	repo publish
}

# page PORT: the title of what answers there.
page() {
	curl -fsS --retry 20 --retry-delay 1 --retry-connrefused "http://127.0.0.1:$1/" 2>/dev/null |
		sed -n 's|<title>\(.*\)</title>|\1|p'
}

# environment KEY: of the one running container of the application.
environment() {
	local id
	id=$("${ENGINE}_ctl" ps -q --filter label=uptane.app=dashboard)
	"${ENGINE}_ctl" inspect "$id" | jq -r ".[0].Config.Env[] | select(startswith(\"$1=\"))"
}

# good: a cycle that succeeds without a warning.
good() {
	attempt
	is "cycle" "$RC: $ERR" "0: "
}

application_and_stack_come_up() {
	release 1 1 '{"name": "dashboard", "env": {"MODE": "one"}}'
	compose 1
	assign "$VEHICLE" gw app/1
	assign "$VEHICLE" radio stack/1
	good
	is "application" "$(page "$(<"$GATEWAY/port")")" "gateway dashboard 1"
	is "stack" "$(page "$PORT_C")" "gateway dashboard 1"
	is "mode" "$(environment MODE)" "MODE=one"
	is "inventory" "$(status '.ecus | map(.installed.name)')" '["app/1","stack/1"]'
}

description_changes_under_the_same_image() {
	local before
	release 1 1 '{"name": "dashboard", "env": {"MODE": "two"}}'
	good # the Director has said nothing: nothing changes
	is "mode" "$(environment MODE)" "MODE=one"
	assign "$VEHICLE" gw app/1
	good
	is "mode" "$(environment MODE)" "MODE=two"
	before=$("${ENGINE}_ctl" ps -q --no-trunc)
	good
	is "containers" "$("${ENGINE}_ctl" ps -q --no-trunc)" "$before"
}

# It fails once, is undone, and is neither tried again nor taken for a refusal of the image that runs.
description_that_fails_is_undone() {
	local before
	release 1 1 '{"name": "dashboard", "env": {"MODE": "three"}, "command": ["exit"],
		"health": {"command": ["/bin/busybox", "false"], "timeout_s": 3}}'
	drop_in <<<$'[primary]\nhealth_url ='
	assign "$VEHICLE" gw app/1
	attempt
	is "exit code" "$RC" 7
	has "message" "$ERR" "not healthy after 3 s"
	is "mode" "$(environment MODE)" "MODE=two"
	before=$("${ENGINE}_ctl" ps -q --no-trunc)
	good
	is "containers" "$("${ENGINE}_ctl" ps -q --no-trunc)" "$before"
	is "installed" "$(status '.ecus[0].installed.name')" '"app/1"'
	mend
}

device_decides_what_a_release_gets() {
	release 2 2 '{"name": "dashboard", "mounts": [{"bind": "/etc", "target": "/host", "read_only": true}]}'
	assign "$VEHICLE" gw app/2
	attempt
	is "exit code" "$RC" 4
	has "message" "$ERR" "allow_binds does not permit the release to mount /etc"
	is "application" "$(page "$(<"$GATEWAY/port")")" "gateway dashboard 1"
	sed -i '/^serial = gw/a allow_binds = /etc:ro' "$GATEWAY/uptaned.conf"
	good
	is "application" "$(page "$(<"$GATEWAY/port")")" "gateway dashboard 2"
}

compose_file_that_is_not_pinned_is_refused_by_line() {
	compose 2 'privileged: true'
	assign "$VEHICLE" radio stack/2
	attempt
	is "exit code" "$RC" 26
	has "message" "$ERR" "line 6: privileged is no key that is allowed here"
	is "stack" "$(page "$PORT_C")" "gateway dashboard 1"
	compose 2
	assign "$VEHICLE" radio stack/2
	good
	is "stack" "$(page "$PORT_C")" "gateway dashboard 2"
	run uptanectl rollback --ecu radio --config "$GATEWAY"
	is "rollback" "$RC" 0
	is "stack" "$(page "$PORT_C")" "gateway dashboard 1"
}

# containers SOCKET: both ECUs of the gateway are applications.
containers() {
	sed -i "/^installer\|^path\|^factory_image/d" "$GATEWAY/uptaned.conf"
	sed -i "/^serial = gw/a installer = container\nname = dashboard\nengine = $ENGINE\nsocket = $1\nnetwork = host\n\
port_a = $(world_free_port)\nport_b = $(world_free_port)\nendpoint = $GATEWAY/port\n\
health_url = http://127.0.0.1:%p/" "$GATEWAY/uptaned.conf"
	sed -i "/^link = virtual/a installer = compose\nname = stack\nengine = $ENGINE\nsocket = $1\nnetwork = host" \
		"$GATEWAY/uptaned.conf"
}

need docker-compose docker-registry skopeo busybox
NO_FIRST_CYCLE=1 make_world 1000
app_make "$W/app" && registry_start "$W/registry" && app_push "$W/app" && "${ENGINE}_start" "$W/engine" || exit 1
PORT_C=$(world_free_port)
if [ "$ENGINE" = docker ]; then containers "$DOCKER_SOCK"; else containers "$PODMAN_SOCK"; fi
uptaned --once --quiet --config "$GATEWAY" || exit 1
for name in application_and_stack_come_up description_changes_under_the_same_image description_that_fails_is_undone \
	device_decides_what_a_release_gets compose_file_that_is_not_pinned_is_refused_by_line; do
	run_case "$name"
done
finish
