# shellcheck shell=bash
# The scenarios, in the order in which one machine, the gateway, goes through them. Each brings the gateway to release 2
# first when it is not there. Sourced by run.sh. A scenario that cannot go on returns 1; what is wrong counts in FAULTS.
#
#   scenario_update   1 updates itself to 2 over the network, boots, confirms, reports
#   scenario_sick     3 boots and fails its health check: back in 2, reported, not tried again
#   scenario_panic    the kernel of 4 panics: the boot counter brings 2 back; reported, not tried again
#   scenario_hang     the first process of 5 hangs: watchdog and boot counter bring 2 back; reported, not tried again
#   scenario_bundle   system 6 and application 2 in one assignment; the application does not run in 6: both go back

# fault TEXT: what is wrong, with the scenario's line.
fault() {
	FAULTS=$((FAULTS + 1))
	printf '  %s:%s: %s\n' "${BASH_SOURCE[2]##*/}" "${BASH_LINENO[1]}" "$*"
}

# is WHAT ACTUAL EXPECTED
is() {
	[ "$2" = "$3" ] || fault "$1 is '${2:0:300}', expected '$3'"
}

# has WHAT TEXT PART
has() {
	[[ $2 == *"$3"* ]] || fault "$1 lacks '$3': ${2:0:600}"
}

# mark: what hears and said look at begins here.
mark() {
	AT=$(machine_console_size gateway)
}

# hears SECONDS REGEX: the gateway says it within that time on an idle machine.
hears() {
	machine_wait gateway $(($1 * BOOT_SLOW)) "$2" "$AT" || { fault "the gateway did not say '$2'"; return 1; }
}

# said REGEX: prints how many lines since mark match.
said() {
	tail -c "+$((AT + 1))" "$W/gateway/console.log" | grep -acE -- "$1" || true
}

# reported SECONDS ECU TARGET
reported() {
	vehicle_wait_report $(($1 * BOOT_SLOW)) "$2" "$3" || { fault "not reported: $2 runs $3"; return 1; }
}

guest() {
	machine_guest gateway "$@"
}

# Turns the gateway on, fresh from the factory, unless it runs.
gateway_on() {
	AT=0
	world_pid gateway >/dev/null && return 0
	machine_overlay "$W/factory/base.qcow2" "$W/gateway.qcow2"
	vehicle_ports gateway "$DIRECTOR_PORT"
	machine_start gateway "$W/gateway.qcow2"
	hears 60 'registered 2 ECUs' && hears 30 'cycle done'
}

# The gateway runs release 2, confirmed.
gateway_at_2() {
	gateway_on || return 1
	[ "$(vehicle_reports "$OS_ECU")" = os/gateway-2 ] || scenario_update
}

# The system, its boot loader and the Director agree on release $1, and nothing is tried any more.
settled_on() {
	reported 30 "$OS_ECU" "os/gateway-$1" || return 1
	# shellcheck disable=SC2016
	is "the system that runs" "$(guest '. /etc/os-release; echo $VERSION_ID')" "$1"
	is "the boot loader's state" "$(guest 'fw_printenv upgrade_available bootcount')" $'upgrade_available=0\nbootcount=0'
	has "the boot loader's default" "$(guest 'ostree admin status | sed -n "s/^[ *]*gateway/&/p" | head -n 1')" \
		"* gateway ${BOOT_COMMIT[$1]}"
}

# Release $1 failed as REGEX $2 says: told to the Director, and left alone in three further cycles.
gave_up_on() {
	local AT_BEFORE
	hears 30 "$2" || return 1
	for _ in 1 2 3; do
		AT_BEFORE=$AT
		mark
		hears 30 'cycle done.* 1 refused before' || return 1
		is "installations of the refused release" "$(said "installing os/gateway-$1")" 0
		AT=$AT_BEFORE
	done
	is "installations of release $1" "$(said "installing os/gateway-$1")" 1
	has "what the Director heard" "$(vehicle_heard)" "os/gateway-$1"
}

scenario_update() {
	gateway_on || return 1
	reported 30 "$OS_ECU" os/gateway-1 || return 1
	guest 'echo kept >/etc/changed-here; echo kept >/var/changed-here' || fault "the guest's shell failed"
	mark
	vehicle_assign os/gateway-2
	hears 60 'asking for the reboot' && hears 60 'os/gateway-2 has booted and is on trial' &&
		hears 60 'runs os/gateway-2' || return 1
	settled_on 2
	is "boots of release 2" "$(said 'boot-test: bootcount 1 of 2 upgrade_available 1')" 1
	is "/etc's change" "$(guest 'cat /etc/changed-here')" kept
	is "/var's change" "$(guest 'cat /var/changed-here')" kept
	is "the factory's key" "$(guest 'stat -c %a /etc/uptaned/device.key')" 600
}

scenario_sick() {
	gateway_at_2 || return 1
	mark
	vehicle_assign os/gateway-3
	hears 60 'os/gateway-3 has booted and is on trial' &&
		hears 90 'os/gateway-3 booted and is rolled back.*50-sick' || return 1
	hears 90 'asking for the reboot: .*' && hears 90 'cycle done.* 1 refused before' || return 1
	gave_up_on 3 'os/gateway-3 booted and is rolled back' && settled_on 2
}

scenario_panic() {
	gateway_at_2 || return 1
	mark
	vehicle_assign os/gateway-4
	hears 60 'Kernel panic' && hears 90 'boot-test: altbootcmd' && hears 90 'os/gateway-4 did not boot in 2 tries' || return 1
	is "panics" "$(said 'Kernel panic')" 2
	gave_up_on 4 'os/gateway-4 did not boot in 2 tries' && settled_on 2
}

scenario_hang() {
	gateway_at_2 || return 1
	mark
	vehicle_assign os/gateway-5
	hears 60 'boot-test: this first process hangs' && hears 180 'boot-test: altbootcmd' &&
		hears 90 'os/gateway-5 did not boot in 2 tries' || return 1
	is "hangs" "$(said 'boot-test: this first process hangs')" 2
	gave_up_on 5 'os/gateway-5 did not boot in 2 tries' && settled_on 2
}

scenario_bundle() {
	gateway_at_2 || return 1
	vehicle_assign os/gateway-2 apps/dashboard-1
	reported 90 "$APP_ECU" apps/dashboard-1 || return 1
	mark
	vehicle_assign os/gateway-6 apps/dashboard-2
	hears 90 'apps/dashboard-2 is installed' && hears 90 'os/gateway-6 has booted and is on trial' &&
		hears 120 'os/gateway-6 booted and is rolled back' || return 1
	reported 120 "$APP_ECU" apps/dashboard-1 || return 1
	gave_up_on 6 'os/gateway-6 booted and is rolled back' && settled_on 2 || return 1
	is "the application that runs" "$(guest 'podman ps --format "{{.Image}}"')" "10.0.2.100:5000/dashboard@sha256:$APP_V1"
}
