# shellcheck shell=bash
# Processes, ports and cleanup of one test world: everything started is recorded below $W and ended by pid.
# Sourced by scripts/demo and the e2e tests. Prints nothing on stdout unless a function says so.
#
#   world_begin W            take W (a fresh mktemp -d) as this world; sets traps that call world_end
#   world_spawn NAME cmd...  run cmd in the background, log in W/log/NAME.log
#   world_stop NAME          end it: TERM, bounded wait, KILL
#   world_at_end cmd...      run cmd before the processes are stopped, last registered first
#   world_end                undo all of it and delete W (WORLD_KEEP=1: keep the files); safe to call twice, returns
#                            1 if something was left
#   world_adopt W            take over a world whose script was killed with KILL, to call world_end on it
#   world_pid NAME           prints the pid of NAME while it runs
#   world_free_port          prints a free loopback port, never the same one twice in a world
#   world_wait_http URL [curl args]   world_wait_port PORT   wait until answered, at most WORLD_WAIT_S

[ -n "${WORLD_PROCS_SH:-}" ] && return 0
WORLD_PROCS_SH=1
PATH=$PATH:/usr/sbin:/sbin # nginx, runc, chroot
: "${WORLD_WAIT_S:=20}" "${WORLD_STOP_S:=5}"
WORLD_W=

# Reports a fault of the world on stderr.
world_log() {
	printf 'world: %s\n' "$*" >&2
}

# Takes the directory $1 as this world and, unless WORLD_NO_TRAP is set, calls world_end at exit and on signals.
world_begin() {
	[ -d "$1" ] || { world_log "no directory $1"; return 1; }
	[ -z "$(ls -A "$1")" ] || { world_log "$1 is not empty"; return 1; }
	WORLD_W=$(cd "$1" && pwd -P)
	WORLD_OWNER=$BASHPID
	mkdir -p "$WORLD_W/log" "$WORLD_W/run"
	: >"$WORLD_W/run/order"
	: >"$WORLD_W/run/ports"
	: >"$WORLD_W/run/at-end"
	[ -z "${WORLD_NO_TRAP:-}" ] || return 0
	trap 'world_on_exit' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
}

# Cleans up at exit and keeps the exit status, unless cleaning up itself failed.
world_on_exit() {
	local rc=$?
	world_end || [ "$rc" -ne 0 ] || rc=1
	exit "$rc"
}

# Prints the start time of process $1, which with the pid names a process for good; fails if it is gone or a zombie.
world_proc_start() {
	local stat fields
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -r -a fields <<<"${stat##*) }"
	[ "${fields[0]}" != Z ] && [ "${fields[0]}" != X ] && printf '%s\n' "${fields[19]}"
}

# Says whether pid $1 is still the process that started at $2.
world_proc_alive() {
	[ "$(world_proc_start "$1" || true)" = "$2" ]
}

# Waits until pid $1 that started at $2 is gone, at most $3 seconds.
world_proc_wait() {
	local i
	for ((i = 0; i < $3 * 50; i++)); do
		world_proc_alive "$1" "$2" || return 0
		sleep 0.02
	done
	return 1
}

# Ends pid $1 that started at $2 with TERM, with KILL when it does not listen, and what it left in its process group.
world_proc_end() {
	local pid=$1 start=$2
	if [ "$(world_proc_start "$pid" || true)" != "" ] && ! world_proc_alive "$pid" "$start"; then
		return 0 # the number is someone else's by now
	fi
	if world_proc_alive "$pid" "$start"; then
		kill -TERM "$pid" 2>/dev/null || true
		world_proc_wait "$pid" "$start" "$WORLD_STOP_S" || true
	fi
	kill -KILL -- "-$pid" 2>/dev/null || true
	world_proc_wait "$pid" "$start" 2 && return 0
	world_log "pid $pid does not end"
	return 1
}

# Runs a command in the background in a session of its own; it writes its pid itself, so none is ever lost.
world_spawn() {
	local name=$1 pidfile=$WORLD_W/run/$1.pid i
	shift
	if [ -s "$pidfile" ]; then
		world_log "$name was started before: world_stop it first"
		return 1
	fi
	: >"$pidfile.starting"
	printf '%s\n' "$name" >>"$WORLD_W/run/order"
	# shellcheck disable=SC2016
	setsid bash -c 's=$(<"/proc/$$/stat") && read -r -a v <<<"${s##*) }" &&
		printf "%s %s\n" "$$" "${v[19]}" >"$0.starting" && mv "$0.starting" "$0" && exec "$@"' \
		"$pidfile" "$@" </dev/null >>"$WORLD_W/log/$name.log" 2>&1 &
	disown "$!" 2>/dev/null || true
	for ((i = 0; i < 250; i++)); do
		[ ! -s "$pidfile" ] || return 0
		sleep 0.02
	done
	world_log "$name did not start, see $WORLD_W/log/$name.log"
	return 1
}

# Prints the pid of NAME; fails when it does not run (any more).
world_pid() {
	local pid start
	read -r pid start 2>/dev/null <"$WORLD_W/run/$1.pid" || return 1
	world_proc_alive "$pid" "$start" && printf '%s\n' "$pid"
}

# Ends the process NAME and forgets it; not an error when it is gone already.
world_stop() {
	local pid start f=$WORLD_W/run/$1.pid
	[ -s "$f" ] || return 0
	read -r pid start <"$f"
	world_proc_end "$pid" "$start" || return 1
	rm -f "$f"
}

# Registers a command for world_end, run while all processes are still up.
world_at_end() {
	printf '%q ' "$@" >>"$WORLD_W/run/at-end"
	printf '\n' >>"$WORLD_W/run/at-end"
}

# Stops all processes, last started first; one that a signal caught while it started gets a moment to leave its pid.
world_stop_all() {
	local names=() i j rc=0
	mapfile -t names <"$WORLD_W/run/order"
	for ((i = ${#names[@]} - 1; i >= 0; i--)); do
		for ((j = 0; j < 25; j++)); do
			[ -e "$WORLD_W/run/${names[i]}.pid.starting" ] || break
			sleep 0.02
		done
		world_stop "${names[i]}" || rc=1
	done
	return "$rc"
}

# Unmounts whatever is still mounted below directory $1, deepest first.
world_unmount_below() {
	local points=() p i
	for ((i = 0; i < 5; i++)); do
		mapfile -t points < <(awk -v d="$1/" 'index($5 "/", d) == 1 {print $5}' /proc/self/mountinfo | sort -r)
		[ ${#points[@]} -gt 0 ] || return 0
		for p in "${points[@]}"; do
			p=$(printf '%b' "$p")
			umount "$p" 2>/dev/null || umount -l "$p" 2>/dev/null || true
		done
	done
	world_log "still mounted below $1: ${points[*]}"
	return 1
}

# Deletes directory tree $1, also deployments that OSTree made immutable.
world_delete() {
	[ -d "$1" ] || return 0
	rm -rf --one-file-system "$1" 2>/dev/null && return 0
	find "$1" -xdev -type d -path '*/ostree/deploy/*/deploy/*' -prune -exec chattr -i {} + 2>/dev/null || true
	rm -rf --one-file-system "$1" 2>/dev/null && return 0
	chattr -R -f -i "$1" >/dev/null 2>&1 || true
	rm -rf --one-file-system "$1"
}

# Takes over world $1 whose script was killed before it could clean up: world_end then does it.
world_adopt() {
	[ -f "$1/run/order" ] || { world_log "$1 is no world"; return 1; }
	WORLD_W=$(cd "$1" && pwd -P)
	WORLD_OWNER=$BASHPID
}

# Ends this world: registered commands, processes, mounts, then the directory. Only the shell that began it may.
world_end() {
	local rc=0 i w=$WORLD_W hooks=()
	[ -n "$w" ] && [ "$BASHPID" = "$WORLD_OWNER" ] || return 0
	local - traps
	set +e
	traps=$(trap -p INT TERM HUP)
	trap '' INT TERM HUP
	mapfile -t hooks <"$w/run/at-end"
	for ((i = ${#hooks[@]} - 1; i >= 0; i--)); do
		eval "${hooks[i]}" >>"$w/log/end.log" 2>&1 || rc=1
	done
	world_stop_all || rc=1
	world_unmount_below "$w" || rc=1
	if [ -z "${WORLD_KEEP:-}" ]; then
		world_delete "$w" || rc=1
	fi
	WORLD_W=
	trap - INT TERM HUP
	eval "$traps"
	return "$rc"
}

# Says whether some TCP socket of this machine uses local port $1.
world_port_taken() {
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v p="$(printf ':%04X' "$1")" \
		'substr($2, length($2) - 4) == p {found = 1} END {exit !found}'
}

# Prints a free port outside the range from which the kernel takes ports for outgoing connections.
world_free_port() {
	local low port i
	read -r low _ </proc/sys/net/ipv4/ip_local_port_range
	[ "$low" -gt 12000 ] || low=32768
	for ((i = 0; i < 200; i++)); do
		port=$((10240 + (RANDOM * 32768 + RANDOM) % (low - 10240)))
		if ! world_port_taken "$port" && ! grep -qx "$port" "$WORLD_W/run/ports"; then
			printf '%s\n' "$port" >>"$WORLD_W/run/ports"
			printf '%s\n' "$port"
			return 0
		fi
	done
	world_log "no free port found"
	return 1
}

# Waits until URL $1 answers with success; further arguments go to curl.
world_wait_http() {
	local url=$1 end=$((SECONDS + WORLD_WAIT_S))
	shift
	while ! curl -fsS -o /dev/null --max-time 2 "$@" "$url" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || { world_log "$url does not answer"; return 1; }
		sleep 0.05
	done
}

# Waits until something listens on 127.0.0.1:$1.
world_wait_port() {
	local end=$((SECONDS + WORLD_WAIT_S))
	while ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || { world_log "nothing listens on port $1"; return 1; }
		sleep 0.05
	done
}
