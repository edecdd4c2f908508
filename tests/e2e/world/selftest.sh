#!/usr/bin/env bash
# Runs every function of tests/e2e/world for real in a temporary directory and checks what each one claims:
#   selftest.sh            all of it, then a world that TERM ends half way, then that nothing is left of either
# Needs root (chroot, overlay mounts, OSTree deployments). Exit 0 when all is well; a line for each check.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for lib in procs pki ostree container nginx firmware; do
	# shellcheck source=/dev/null
	. "$here/$lib.sh"
done
vehicle=gw-0001
n_checks=0

# Runs a command that must succeed; $1 says what that proves.
check() {
	local what=$1
	shift
	n_checks=$((n_checks + 1))
	if "$@" >"$WORLD_W/log/check.log" 2>&1; then
		printf 'ok   %s\n' "$what"
		return 0
	fi
	printf 'FAIL %s\n' "$what"
	sed 's/^/     /' "$WORLD_W/log/check.log"
	exit 1
}

# Runs a command that must fail; $1 says what that proves.
refuse() {
	local what=$1
	shift
	check "$what" not "$@"
}

# Turns success into failure and failure into success.
not() {
	! "$@"
}

# Says whether the output of a command holds text $1.
shows() {
	local text=$1 out
	shift
	out=$("$@" 2>&1) || { printf '%s\n' "$out"; return 1; }
	printf '%s\n' "$out"
	[[ $out == *"$text"* ]]
}

# Asks nginx over HTTPS as the device.
as_device() {
	curl -fsS --max-time 20 --cacert "$PKI_DIR/ca.pem" --cert "$PKI_DIR/device.pem" --key "$PKI_DIR/device.key" "$@"
}

# Checks certificates: who is trusted by whom, and their names.
test_pki() {
	pki_make "$W/pki" "$vehicle"
	check "pki: server certificate is of the CA" openssl verify -CAfile "$W/pki/ca.pem" -purpose sslserver \
		-verify_ip 127.0.0.1 "$W/pki/server.pem"
	check "pki: device certificate is of the CA" openssl verify -CAfile "$W/pki/ca.pem" -purpose sslclient \
		"$W/pki/device.pem"
	check "pki: device certificate names the vehicle" shows "CN = $vehicle" \
		openssl x509 -noout -subject -in "$W/pki/device.pem"
	check "pki: operator certificate names the operator" shows "CN = operator" \
		openssl x509 -noout -subject -in "$W/pki/operator.pem"
	refuse "pki: the wrong CA vouches for nobody" openssl verify -CAfile "$W/pki/wrong-ca.pem" "$W/pki/device.pem"
}

# Checks the HTTPS server: client certificates, HTTP/2, limits.
test_nginx() {
	local url
	nginx_start "$W/nginx" "$(world_free_port)"
	url=https://127.0.0.1:$NGINX_HTTPS_PORT
	printf '{"hello":1}\n' >"$W/nginx/repo/a.json"
	head -c 300000 /dev/zero >"$W/nginx/repo/big"
	check "nginx: with a client certificate" shows hello as_device "$url/repo/a.json"
	check "nginx: HTTP/2" shows 2 as_device -o "$W/a.json" -w '%{http_version}' "$url/repo/a.json"
	check "nginx: TLS 1.2" as_device --tlsv1.2 --tls-max 1.2 "$url/repo/a.json"
	refuse "nginx: without a client certificate" curl -fsS --cacert "$PKI_DIR/ca.pem" "$url/repo/a.json"
	check "nginx: that is a 400" shows 400 curl -sS -o /dev/null -w '%{http_code}' --cacert "$PKI_DIR/ca.pem" \
		"$url/repo/a.json"
	refuse "nginx: with the wrong CA" curl -fsS --cacert "$PKI_DIR/wrong-ca.pem" "$url/repo/a.json"
	refuse "nginx: no such file" as_device "$url/repo/b.json"
	check "nginx: ranges" shows 206 as_device -r 0-3 -o "$W/a.json" -w '%{http_code}' "$url/repo/a.json"
	check "nginx: OSTree remote" shows archive as_device "$url/ostree/config"
	check "nginx: plain HTTP for benches" shows hello curl -fsS "http://127.0.0.1:$NGINX_HTTP_PORT/repo/a.json"
	nginx_limit 200k
	check "nginx: limited to 200k a second" slow_fetch "$url/repo/big"
	nginx_limit 0
	refuse "nginx: no longer limited" slow_fetch "$url/repo/big"
}

# Says whether fetching URL $1 takes more than half a second.
slow_fetch() {
	as_device -o /dev/null -w '%{time_total}' "$1" | awk '{exit !($1 > 0.5)}'
}

# Pulls version 2 by its bare commit id over HTTPS and deploys it, as the client does.
ostree_update() {
	ostree --repo="$W/sysroot/ostree/repo" pull updates "$OSTREE_V2" &&
		ostree admin deploy --sysroot="$W/sysroot" --os=gateway "$OSTREE_V2"
}

# Runs a command in the booted deployment of the test's sysroot.
booted() {
	ostree_run "$W/sysroot" "$W/cmdline" "$@"
}

# Checks update and reboot of a device from busybox's bc to GNU bc.
test_ostree() {
	local url=https://127.0.0.1:$NGINX_HTTPS_PORT/ostree first
	ostree_make_sysroot "$W/sysroot" "$OSTREE_REMOTE_REPO" "$url" "$PKI_DIR/ca.pem" "$PKI_DIR/device.pem" \
		"$PKI_DIR/device.key"
	refuse "ostree: the device does not hold v2" ostree --repo="$W/sysroot/ostree/repo" show "$OSTREE_V2"
	ostree_boot "$W/sysroot" "$W/cmdline" "$W/boot_id"
	first=$(<"$W/boot_id")
	check "ostree: v1 is booted" shows "/$OSTREE_V1." ostree_booted_root "$W/sysroot" "$W/cmdline"
	check "ostree: kernel arguments" grep -q 'root=LABEL=gateway.* ostree=/ostree/boot\.' "$W/cmdline"
	check "ostree: v1 says so" shows VERSION_ID=1 booted cat /etc/os-release
	check "ostree: v1 has busybox's bc" shows gavinhoward booted bc --version
	check "ostree: v1's bc calculates" shows 1267650600228229401496703205376 booted sh -c 'echo "2^100" | bc'
	check "ostree: pull v2 by commit id over HTTPS, deploy" ostree_update
	check "ostree: before the reboot still v1" shows gavinhoward booted bc --version
	ostree_boot "$W/sysroot" "$W/cmdline" "$W/boot_id"
	check "ostree: a new boot id" not grep -qx "$first" "$W/boot_id"
	check "ostree: v2 is booted" shows "/$OSTREE_V2." ostree_booted_root "$W/sysroot" "$W/cmdline"
	check "ostree: v2 says so" shows VERSION_ID=2 booted cat /etc/os-release
	check "ostree: v2 has GNU bc" shows "Free Software Foundation" booted bc --version
	check "ostree: v2's bc calculates" shows 1267650600228229401496703205376 booted sh -c 'echo "2^100" | bc'
	check "ostree: v1 is kept" shows "$OSTREE_V1" ostree admin status --sysroot="$W/sysroot"
}

# Checks that a sysroot with the wrong CA fetches nothing.
test_ostree_refused() {
	local sysroot=$W/sysroot-wrong
	ostree_make_sysroot "$sysroot" "$OSTREE_REMOTE_REPO" "https://127.0.0.1:$NGINX_HTTPS_PORT/ostree" \
		"$PKI_DIR/wrong-ca.pem" "$PKI_DIR/device.pem" "$PKI_DIR/device.key"
	refuse "ostree: a server of the wrong CA" ostree --repo="$sysroot/ostree/repo" pull updates "$OSTREE_V2"
}

# Calls Podman's REST API: method $1, path $2, further arguments for curl.
api() {
	local method=$1 path=$2
	shift 2
	curl -fsS --unix-socket "$PODMAN_SOCK" -X "$method" "$@" "http://d/v4.0.0/libpod$path"
}

# Pulls image $1 by digest through the API; a failed pull answers 200 with an error in it.
api_pull() {
	api POST "/images/pull?quiet=true&reference=$1" | tee /dev/stderr | jq -e '.id and (.error | not)' >/dev/null
}

# Creates and starts container dashboard of image $1 on port $2 through the API.
api_run() {
	jq -nc --arg i "$1" --arg p "$2" '{name: "dashboard", image: $i, env: {PORT: $p}, netns: {nsmode: "host"},
		restart_policy: "always"}' >"$W/create.json"
	api POST /containers/create -H 'Content-Type: application/json' -d @"$W/create.json" &&
		api POST /containers/dashboard/start && world_wait_http "http://127.0.0.1:$2/"
}

# Checks the image pull by digest, run, page, update, stop and removal through the REST API.
test_container() {
	local port
	registry_start "$W/registry"
	app_make "$W/app"
	app_push "$W/app"
	check "container: two different images" not test "$APP_V1" = "$APP_V2"
	check "container: manifest length" test "$APP_V1_LEN" = "$(curl -fsS \
		-H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		"http://$REGISTRY/v2/dashboard/manifests/sha256:$APP_V1" | wc -c)"
	podman_start "$W/podman"
	check "container: engine answers" shows OK api GET /_ping
	port=$(world_free_port)
	refuse "container: an unknown digest" api_pull "$APP_NAME@sha256:$(printf '%064d' 0)"
	check "container: pull v1 by digest" api_pull "$APP_V1_REF"
	check "container: run v1" api_run "$APP_V1_REF" "$port"
	check "container: page of v1" shows "gateway dashboard 1" curl -fsS "http://127.0.0.1:$port/"
	check "container: what runs is v1" shows "\"ImageDigest\":\"sha256:$APP_V1\"" api GET /containers/dashboard/json
	check "container: restart policy revives it" killed_and_back "$port"
	check "container: pull v2 by digest" api_pull "$APP_V2_REF"
	check "container: stop v1" api POST "/containers/dashboard/stop?timeout=3"
	refuse "container: stopped stays stopped" curl -fsS "http://127.0.0.1:$port/"
	check "container: keep v1 by another name" api POST "/containers/dashboard/rename?name=dashboard-old"
	check "container: run v2" api_run "$APP_V2_REF" "$port"
	check "container: page of v2" shows "gateway dashboard 2" curl -fsS "http://127.0.0.1:$port/"
	check "container: podman_ctl sees it" shows dashboard podman_ctl ps --format '{{.Names}}'
	check "container: remove v1" api DELETE "/containers/dashboard-old?force=true"
	world_stop podman
	check "container: lives on without the service" shows "gateway dashboard 2" curl -fsS "http://127.0.0.1:$port/"
	podman_service
	check "container: a new service knows it" shows '"Status":"running"' api GET /containers/dashboard/json
}

# Kills the container's process and waits until another one serves port $1.
killed_and_back() {
	local old new i
	old=$(api GET /containers/dashboard/json | jq .State.Pid)
	kill -KILL "$old"
	for ((i = 0; i < 100; i++)); do
		new=$(api GET /containers/dashboard/json | jq .State.Pid)
		[ "$new" = 0 ] || [ "$new" = "$old" ] || break
		sleep 0.05
	done
	[ "$new" != "$old" ] && world_wait_http "http://127.0.0.1:$1/"
}

# Checks the two firmware files against what is exported.
test_firmware() {
	firmware_files "$W/firmware"
	check "firmware: first file" test "$(stat -c %s "$W/firmware/fw-1.bin") $FW_1_SHA256" = \
		"$FW_1_LEN $(world_sha256 "$W/firmware/fw-1.bin")"
	check "firmware: second file" test "$(stat -c %s "$W/firmware/fw-2.bin") $FW_2_SHA256" = \
		"$FW_2_LEN $(world_sha256 "$W/firmware/fw-2.bin")"
	check "firmware: they differ" not test "$FW_1_SHA256" = "$FW_2_SHA256"
}

# Checks processes: stop of a stubborn one, restart under the same name, ports.
test_procs() {
	local pid
	world_spawn stubborn bash -c 'trap "" TERM; while :; do sleep 0.1; done'
	pid=$(world_pid stubborn)
	WORLD_STOP_S=1 check "procs: one that ignores TERM ends" world_stop stubborn
	check "procs: it is gone" gone "$pid"
	check "procs: the name can be used again" world_spawn stubborn sleep 600
	refuse "procs: but not twice" world_spawn stubborn sleep 600
	# shellcheck disable=SC2016
	world_spawn parent bash -c 'sleep 600 & echo $! >"$0"; wait' "$W/child"
	until [ -s "$W/child" ]; do sleep 0.02; done
	kill -KILL "$(world_pid parent)"
	check "procs: the child of one that was killed ends too" world_stop parent
	check "procs: it is gone" gone "$(<"$W/child")"
	check "procs: two ports differ" not test "$(world_free_port)" = "$(world_free_port)"
}

# Says whether a process $1 is gone, waiting for it for a second.
gone() {
	local i
	for ((i = 0; i < 500; i++)); do # ten seconds: init may be slow to reap an orphan on a busy machine
		world_proc_start "$1" >/dev/null || return 0
		sleep 0.02
	done
	return 1
}

# Prints what is left of world $1: mounts, processes that have to do with it, files.
leftovers() {
	local p link
	grep -F "$1" /proc/self/mountinfo || true
	for p in /proc/[0-9]*; do
		[ "${p#/proc/}" != "$$" ] || continue
		for link in cwd root exe; do
			[[ $(readlink "$p/$link" 2>/dev/null) != "$1"* ]] || printf '%s %s\n' "$p" "$link"
		done
		[[ $({ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null) != *"$1/"* ]] || printf '%s cmdline\n' "$p"
	done
	[ ! -e "$1" ] || printf '%s\n' "$1"
}

# A world with everything in it that waits to be killed: what `selftest.sh victim W` runs.
victim() {
	local port
	W=$1
	world_begin "$W"
	make_base
	test_nginx
	test_ostree
	registry_start "$W/registry"
	app_make "$W/app"
	app_push "$W/app"
	podman_start "$W/podman"
	port=$(world_free_port)
	check "victim: pull" api_pull "$APP_V1_REF"
	check "victim: run" api_run "$APP_V1_REF" "$port"
	printf 'victim ready\n'
	sleep 60 &
	wait "$!"
}

# Makes what the other tests stand on.
make_base() {
	test_pki
	ostree_make_remote "$W/ostree"
	check "ostree: two commits" test "$OSTREE_V1 $OSTREE_V2" = \
		"$(cat "$W/ostree/v1.commit") $(cat "$W/ostree/v2.commit")"
}

# Starts a world with a running container and deployments, ends its script by signal $1 and sets rc to its status.
kill_victim() {
	local pid
	dir=$(mktemp -d "${TMPDIR:-/tmp}/victim.XXXXXX")
	rc=0
	: >"$W/log/victim.out"
	bash "$here/selftest.sh" victim "$dir" >"$W/log/victim.out" 2>&1 &
	pid=$!
	while ! grep -q 'victim ready' "$W/log/victim.out"; do
		kill -0 "$pid" 2>/dev/null || { cat "$W/log/victim.out"; break; }
		sleep 0.1
	done
	kill "-$1" "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || rc=$?
}

# Checks that a world whose script gets TERM leaves nothing, and that one whose script got KILL can be cleaned up after.
test_interrupted() {
	local dir rc
	kill_victim TERM
	check "cleanup: TERM ends a whole world with 143" test "$rc" = 143
	check "cleanup: nothing is left of it" test -z "$(leftovers "$dir")"
	kill_victim KILL
	check "cleanup: KILL leaves a world running" test "$rc" = 137 -a -n "$(leftovers "$dir")"
	# shellcheck disable=SC2016
	check "cleanup: another shell takes it over" bash -c \
		'set -eu; . "$0/procs.sh"; . "$0/container.sh"; world_adopt "$1"; world_end' "$here" "$dir"
	check "cleanup: nothing is left of it" test -z "$(leftovers "$dir")"
}

# Runs all tests in a fresh world, ends it, and looks for what it left.
main() {
	local left
	[ "$(id -u)" -eq 0 ] || { printf 'selftest: needs root\n' >&2; exit 1; }
	W=$(mktemp -d "${TMPDIR:-/tmp}/world.XXXXXX")
	world_begin "$W"
	test_procs
	make_base
	test_nginx
	test_ostree
	test_ostree_refused
	test_firmware
	test_container
	test_interrupted
	check "nginx: stops" nginx_stop
	world_end || { printf 'FAIL cleanup\n'; exit 1; }
	left=$(leftovers "$W")
	[ -z "$left" ] || { printf 'FAIL cleanup: left\n%s\n' "$left"; exit 1; }
	printf 'ok   cleanup: no process, mount or file is left\n%d checks passed in %d s\n' "$((n_checks + 1))" "$SECONDS"
}

if [ "${1:-}" = victim ]; then
	victim "$2"
else
	main
fi
