#!/usr/bin/env bash
# A Secondary on another machine that is not there, comes late, or dies in the middle: the vehicle's other ECUs
# are updated all the same, and it is caught up later.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

mcu_is() {
	cmp -s "$SECONDARY_FILE" "$W/images/mcu/$1"
}

mcu_start() { # on the port that the gateway knows
	secondary_serve "$W/mcu" mcu mcu-a7 "$VEHICLE" "$MCU_PORT"
}

not_there_at_registration() {
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code" "$RC" 5
	has stderr "$ERR" "cannot be registered yet"
	mcu_start
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code when it is there" "$RC" 0
	assign_now app 1
	assign "$VEHICLE" radio radio/1
	assign "$VEHICLE" mcu mcu/1
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code of the first update" "$RC" 0
	mcu_is 1 || fault "mcu/1 is not in its flash"
}

down_during_an_update() {
	world_stop secondary
	want_other
	assign "$VEHICLE" mcu mcu/2
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code of an update that is not complete" "$RC" 5
	is "error lines" "$(grep -c ' error: ' "$W/err")" 1
	has stderr "$ERR" "ECU mcu does not answer: mcu/2 is left for a later cycle [network]"
	cmp -s "$GATEWAY/ecu/app.bin" "$W/images/app/$APP" || fault "app/$APP had to wait for the Secondary: $ERR"
	mcu_is 1 || fault "the flash of a stopped Secondary changed"
	mcu_start
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code when it is back" "$RC" 0
	mcu_is 2 || fault "mcu/2 was not caught up"
}

killed_in_mid_transfer() {
	local pid cycle rc=0
	make_image mcu/3 40000000
	add_image mcu/3 mcu-a7 7
	repo publish
	assign "$VEHICLE" mcu mcu/3
	want_other
	uptaned --once --quiet --config "$GATEWAY" 2>"$W/killed.err" &
	cycle=$!
	pid=$(world_pid secondary)
	wait_for partial_there || fault "the image never began to arrive"
	kill -KILL "$pid"
	wait "$cycle" || rc=$?
	cmp -s "$GATEWAY/ecu/app.bin" "$W/images/app/$APP" || fault "app/$APP had to wait for the Secondary that died"
	mcu_is 2 || mcu_is 3 || fault "the flash holds neither the old nor the new image"
	world_stop secondary
	mcu_start
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code of the next cycle" "$RC" 0
	mcu_is 3 || fault "mcu/3 did not arrive after all"
	if [ "$rc" -eq 0 ]; then
		echo "# it had finished before the kill"
	else
		is "exit code of the cycle" "$rc" 5
		has "its words" "$(<"$W/killed.err")" "Secondary mcu"
	fi
}

partial_there() {
	[ -n "$(find "$W/mcu/state" -path '*partial*' -type f -size +0 2>/dev/null | head -n 1)" ]
}

another_device_under_its_name() {
	world_stop secondary
	mv "$W/mcu/ecu.key" "$W/mcu.key"
	mcu_start
	want_other
	run uptaned --once --config "$GATEWAY"
	has stderr "$ERR" "mcu"
	[[ $(uptane-director inventory --dir "$DIRECTOR" --json | jq -r '.vehicles[0].ecus[] | select(.serial == "mcu") |
		.missingFromLastManifest') == true ]] || fault "the Director took a report with a foreign key"
	world_stop secondary
	mv "$W/mcu.key" "$W/mcu/ecu.key"
	mcu_start
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code when it is itself again" "$RC" 0
}

NO_FIRST_CYCLE=1 make_world 20000
for v in 1 2; do
	make_image "mcu/$v" 500000
	add_image "mcu/$v" mcu-a7 5
done
repo publish
MCU_PORT=$(world_free_port)
cat >>"$GATEWAY/uptaned.conf" <<-CONF

	[secondary mcu]
	link = ip
	hardware_id = mcu-a7
	address = 127.0.0.1
	port = $MCU_PORT
CONF
for name in not_there_at_registration down_during_an_update killed_in_mid_transfer another_device_under_its_name; do
	run_case "$name"
done
finish
