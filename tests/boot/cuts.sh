# shellcheck shell=bash
# Power cuts. A gateway that runs release 1 of system and application is frozen: its disk, its memory and what the
# Director knows. Each cut thaws a copy, lets it begin the update of both to release 2, kills QEMU at a moment, looks at
# the disk, turns the machine on again and waits until release 2 of both runs and is reported. Sourced by run.sh.
#
#   scenario_cuts    BOOT_CUTS cuts: first one at each step below, then at random moments of a whole update
#
# A machine is bricked when it does not come up in release 1 or 2, lost when file system or database are damaged or
# something that was known is gone, converged when the next cycles complete the update without anybody's help.

# Step, what the console says when it begins, and the most milliseconds after that.
CUT_STEPS=(
	'pull|pull +[0-9]+ %|400'
	'stage|installing os/gateway-2|1500'
	'loader-switch|fw_setenv upgrade_available=1 begins|200'
	'deploy|fw_setenv upgrade_available=1 done|3000'
	'container-switch|installing apps/dashboard-2|6000'
	'reboot|asking for the reboot|3000'
	'boot|boot-test: bootcount 1 of|6000'
	'finalize|os/gateway-2 has booted and is on trial|500'
	'confirm|fw_setenv upgrade_available=0 begins|300'
)

# Commands for QEMU's monitor of machine $1, its words on stdout.
machine_monitor() {
	local name=$1
	shift
	printf '%s\n' "$@" | socat -t 2 - "UNIX-CONNECT:$W/$name/monitor" 2>/dev/null | tr -d '\r'
}

# Waits until the monitor of machine $1 answers $2 with regex $3.
machine_monitor_wait() {
	local end=$((SECONDS + 60))
	until machine_monitor "$1" "$2" | grep -qE "$3"; do
		if [ "$SECONDS" -ge "$end" ] || ! world_pid "$1" >/dev/null; then
			world_log "machine $1: '$2' does not say '$3'"
			return 1
		fi
		sleep 0.2
	done
}

# Freezes the gateway in W/frozen: disk.qcow2, memory, director.
cuts_freeze() {
	local dir=$W/frozen
	mkdir -p "$dir"
	machine_overlay "$W/factory/base.qcow2" "$dir/disk.qcow2"
	vehicle_ports cut "$DIRECTOR_PORT"
	machine_start cut "$dir/disk.qcow2"
	machine_wait cut $((60 * BOOT_SLOW)) 'registered 2 ECUs' || return 1
	vehicle_assign apps/dashboard-1
	vehicle_wait_report $((60 * BOOT_SLOW)) "$APP_ECU" apps/dashboard-1 || return 1
	machine_guest cut 'systemctl stop uptaned; sync; sleep 1' || return 1
	vehicle_assign os/gateway-2 apps/dashboard-2
	cp -a "$DIRECTOR" "$dir/director"
	machine_monitor cut stop >/dev/null
	machine_monitor cut "migrate \"exec:cat >$dir/memory\"" >/dev/null
	machine_monitor_wait cut 'info migrate' 'Migration status: completed' || return 1
	machine_stop cut
	CUT_KEYS=$(cuts_look frozen "$dir/disk.qcow2" | grep key: || true)
}

# A copy of the frozen gateway and of its Director, running, the update begun.
cuts_thaw() {
	local dir=$W/thawed
	rm -rf "$dir" "$W/cut/console.log"
	mkdir -p "$dir"
	machine_overlay "$W/frozen/disk.qcow2" "$dir/disk.qcow2"
	cp -a "$W/frozen/director" "$dir/director"
	world_spawn director-cut uptane-director serve --dir "$dir/director" --listen 127.0.0.1:0 \
		--cert "$PKI_DIR/server.pem" --key "$PKI_DIR/server.key" --client-ca "$PKI_DIR/ca.pem" \
		--ready-file "$dir/port" && uptane_wait_file director-cut "$dir/port" || return 1
	vehicle_ports cut "$(cat "$dir/port")"
	machine_start cut "$dir/disk.qcow2" -incoming "exec:cat $W/frozen/memory"
	machine_monitor_wait cut 'info status' 'VM status: paused$' || return 1 # not "(inmigrate)" any more
	machine_monitor cut cont >/dev/null
	machine_guest cut 'systemctl start --no-block uptaned'
}

# Prints what is wrong with disk $2, whose copies lie in W/$1-look, and "key: SHA256" of what must never be lost.
cuts_look() {
	local dir=$W/$1-look db rc=0
	rm -rf "$dir"
	mkdir -p "$dir"
	machine_inspect "$2" "$dir" || echo "the file system is damaged, see $dir/fsck.log"
	for db in "$dir"/state/*.db; do
		[ -s "$db" ] || { echo "the database is gone"; continue; }
		[ "$(sqlite3 "$db" 'PRAGMA quick_check' 2>&1)" = ok ] || echo "${db##*/} is damaged"
	done
	(cd "$dir/state" && sha256sum -- *.key | sed 's/^/key: /') || rc=1
	return "$rc"
}

# Sleeps $1 ms.
cuts_sleep() {
	sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
}

# Waits until both parts run release 2, by the Director's word; what the machine is not is counted.
cuts_converge() {
	local what=$1 version end DIRECTOR=$W/thawed/director
	machine_start cut "$W/thawed/disk.qcow2"
	machine_wait cut $((90 * BOOT_SLOW)) 'uptaned\[.*cycle done|on trial' "$AT" || { BRICKED=$((BRICKED + 1)); return 1; }
	# shellcheck disable=SC2016
	version=$(machine_guest cut '. /etc/os-release; echo $VERSION_ID')
	case $version in
	1 | 2) ;;
	*) fault "$what: the machine came up as '$version'"; BRICKED=$((BRICKED + 1)); return 1 ;;
	esac
	end=$((SECONDS + 180 * BOOT_SLOW))
	until [ "$(vehicle_reports "$OS_ECU")" = os/gateway-2 ] && [ "$(vehicle_reports "$APP_ECU")" = apps/dashboard-2 ]; do
		if [ "$SECONDS" -ge "$end" ]; then
			fault "$what: came up in $version and stays with $(vehicle_reports "$OS_ECU") and $(vehicle_reports "$APP_ECU")"
			return 1
		fi
		sleep 0.5
	done
	CAME_UP=$version
	CONVERGED=$((CONVERGED + 1))
}

# One cut: $1 number, $2 step.
cuts_one() {
	local name regex most wait words begin=$SECONDS update
	IFS='|' read -r name regex most <<<"$2"
	wait=$(((RANDOM * 32768 + RANDOM) % (most + 1)))
	AT=0
	cuts_thaw || { fault "cut $1 did not begin"; return 1; }
	update=$SECONDS
	if [ -n "$regex" ]; then
		machine_wait cut $((90 * BOOT_SLOW)) "$regex" || { fault "cut $1: never came to $name"; return 1; }
		CUT_WHOLE_MS=$(((SECONDS - update + 1) * 1000)) # at last: up to the confirmation
	fi
	cuts_sleep "$wait"
	machine_cut cut
	AT=$(machine_console_size cut)
	words=$(cuts_look cut "$W/thawed/disk.qcow2")
	if [ "$words" != "$CUT_KEYS" ]; then
		LOST=$((LOST + 1))
		fault "cut $1 ($name + $wait ms): $words"
	fi
	CAME_UP=-
	cuts_converge "cut $1 ($name + $wait ms)" || true
	printf '  cut %2d  %-17s + %4d ms  came up in %s  %d s\n' "$1" "$name" "$wait" "$CAME_UP" $((SECONDS - begin))
	if [ "$FAULTS" -gt "$FAULTS_SEEN" ] && [ -n "${BOOT_KEEP:-}" ]; then
		cp -a "$W/cut/console.log" "$W/cut-$1.console.log"
		cp -a "$W/thawed/disk.qcow2" "$W/cut-$1.qcow2"
	fi
	FAULTS_SEEN=$FAULTS
}

# Ends what a cut left running.
cuts_end_one() {
	machine_stop cut
	world_stop director-cut
}

scenario_cuts() {
	local i step
	BRICKED=0 LOST=0 CONVERGED=0 FAULTS_SEEN=0
	local began=$SECONDS
	cuts_freeze || return 1
	printf '  frozen in %d s\n' $((SECONDS - began))
	CUT_WHOLE_MS=60000
	for ((i = 1; i <= BOOT_CUTS; i++)); do
		step="random||$CUT_WHOLE_MS"
		[ "$i" -gt "${#CUT_STEPS[@]}" ] || step=${CUT_STEPS[i - 1]}
		cuts_one "$i" "$step" || true
		cuts_end_one
	done
	printf 'cuts %d, bricked %d, lost %d, converged %d\n' "$BOOT_CUTS" "$BRICKED" "$LOST" "$CONVERGED"
	[ "$BRICKED" -eq 0 ] && [ "$LOST" -eq 0 ] && [ "$CONVERGED" -eq "$BOOT_CUTS" ]
}
