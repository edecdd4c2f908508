# shellcheck shell=bash
# A gateway as it is in the field, small: its system in an OSTree sysroot, an application on a real Podman, a
# Secondary in a process of its own. Three releases of each go round (1, 2, 3, 1, ...): only two are kept on the
# device, so every update fetches all there is, and no world has to be built twice. Sourced with the programs'
# folder as $1. What the tests of faults share: stopping the client at a system call, and what must hold then.

BIN=$(cd "${1:?usage: $0 BIN-DIR}" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
set -u
umask 022
unset http_proxy https_proxy HTTPS_PROXY ALL_PROXY JOURNAL_STREAM SOURCE_DATE_EPOCH
W=$(mktemp -d "${TMPDIR:-/tmp}/uptane-plan.XXXXXX")
for part in procs pki ostree container nginx uptane; do
	# shellcheck source=/dev/null
	source "$HERE/../e2e/world/$part.sh"
done
world_begin "$W"
uptane_bin "$BIN" || exit 1
VEHICLE=gateway-0001 SYSROOT=$W/sysroot
FAULTS=0

# fault TEXT: what is wrong, and at which POINT.
fault() {
	FAULTS=$((FAULTS + 1))
	printf '  %s: %s\n' "${POINT:-no fault}" "$*"
}

# is WHAT ACTUAL EXPECTED
is() {
	[ "$2" = "$3" ] || fault "$1 is '${2:0:300}', expected '${3:0:300}'"
}

# run CMD...: its exit code in RC, stdout in OUT, stderr in ERR.
run() {
	RC=0
	"$@" >"$W/out" 2>"$W/err" </dev/null || RC=$?
	OUT=$(<"$W/out") ERR=$(<"$W/err")
}

# ---- the world ----

# tree N: root file system of release N; all three have the same shape and other bytes, kernel included.
tree() {
	local t=$W/tree-$1 d f
	mkdir -p "$t/usr/bin" "$t/usr/etc" "$t/usr/lib/modules/6.1.0"
	for d in boot dev proc sys run var tmp sysroot; do
		mkdir -p "$t/$d"
	done
	ln -s sysroot/ostree "$t/ostree"
	for f in bin/gateway lib/modules/6.1.0/vmlinuz lib/modules/6.1.0/initramfs.img; do
		printf '%s of release %d\n' "$f" "$1" >"$t/usr/$f"
	done
	head -c "${SYSTEM_BYTES:-20000}" /dev/urandom >"$t/usr/bin/data"
	printf 'gateway\n' >"$t/usr/etc/hostname"
	ostree_os_release "$t" "$1"
}

# systems: the OSTree remote with all releases; COMMIT[N].
systems() {
	local n
	OSTREE_REMOTE_REPO=$W/ostree/repo
	mkdir -p "$W/ostree"
	ostree --repo="$OSTREE_REMOTE_REPO" init --mode=archive
	for n in 1 2 3; do
		tree "$n"
		COMMIT[n]=$(ostree_commit "$OSTREE_REMOTE_REPO" "$W/tree-$n" "$n") || return 1
	done
	ostree --repo="$OSTREE_REMOTE_REPO" summary -u
}

# gate_config: before registry and OSTree remote stands a server of the tests. override/URI is served instead; slow
# there limits the rate.
gate_config() {
	local user= slow="if (-f $W/gate/slow) { set \$limit_rate 100k; }"
	[ "$(id -u)" -ne 0 ] || user='user root;'
	cat <<-END
		$user
		worker_processes 1;
		pid $W/gate/nginx.pid;
		error_log $W/gate/error.log info;
		events { worker_connections 256; }
		http {
			client_body_temp_path $W/gate/tmp/body;
			proxy_temp_path $W/gate/tmp/proxy;
			fastcgi_temp_path $W/gate/tmp/fastcgi;
			uwsgi_temp_path $W/gate/tmp/uwsgi;
			scgi_temp_path $W/gate/tmp/scgi;
			client_max_body_size 0;
			access_log $W/gate/access.log;
			root $W/gate;
			server {
				listen 127.0.0.1:$GATE_PORT;
				$slow
				default_type application/vnd.oci.image.manifest.v1+json;
				location /v2/ { try_files /override\$uri @registry; }
				location @registry {
					proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
					proxy_set_header Host \$http_host;
				}
			}
			server {
				listen 127.0.0.1:$REMOTE_PORT ssl http2;
				ssl_certificate $PKI_DIR/server.pem;
				ssl_certificate_key $PKI_DIR/server.key;
				ssl_client_certificate $PKI_DIR/ca.pem;
				ssl_verify_client on;
				$slow
				location /ostree/ { try_files /override\$uri \$uri =404; }
			}
		}
	END
}

# gate_start: also again after world_stop gate.
gate_start() {
	world_spawn gate nginx -e "$W/gate/error.log" -p "$W/gate" -c "$W/gate/nginx.conf" -g 'daemon off;' &&
		world_wait_port "$REMOTE_PORT"
}

# servers: the registry, and the gate before it and the OSTree remote, which are all that the device knows of them.
servers() {
	registry_start "$W/registry" || return 1
	UPSTREAM_PORT=$REGISTRY_PORT GATE_PORT=$(world_free_port) REMOTE_PORT=$(world_free_port)
	REGISTRY_PORT=$GATE_PORT REGISTRY=127.0.0.1:$GATE_PORT
	mkdir -p "$W/gate/tmp" "$W/gate/override"
	ln -s "$OSTREE_REMOTE_REPO" "$W/gate/ostree"
	gate_config >"$W/gate/nginx.conf"
	gate_start
}

# applications: all releases in a registry; DIGEST[N], LENGTH[N].
applications() {
	local n got
	APP_NAME=$REGISTRY/dashboard
	for n in 1 2 3; do
		app_make_one "$W/app/$n" "$n" && got=$(app_push_one "$W/app/$n" "$n") || return 1
		DIGEST[n]=${got% *} LENGTH[n]=${got#* }
	done
}

# publish_all: every release is a target, with one release counter: any may follow any.
publish_all() {
	local n
	for n in 1 2 3; do
		head -c "${FIRMWARE_BYTES:-30000}" /dev/urandom >"$W/fw-$n"
		repo target add --name "os/$n" --sha256 "${COMMIT[n]}" --length 0 --format OSTREE \
			--hardware-id gateway-x1 --release-counter 1 &&
			repo target add --name "app/$n" --sha256 "${DIGEST[n]}" --length "${LENGTH[n]}" \
				--format OCI --hardware-id container-host --release-counter 1 --uri "$APP_NAME" &&
			repo target add "$W/fw-$n" --name "fw/$n" --format BINARY --hardware-id mcu-a7 \
				--release-counter 1 || return 1
	done
	image_repo_serve
}

# want N: the Director assigns release N of everything.
want() {
	assign "$VEHICLE" gateway-os "os/$1" && assign "$VEHICLE" dashboard "app/$1" &&
		assign "$VEHICLE" telematics-mcu "fw/$1"
}

reboot() {
	ostree_boot "$SYSROOT" "$W/cmdline" "$W/boot_id"
}

# make_world: all of it, with release 1 installed and confirmed.
make_world() {
	local tool
	for tool in nginx openssl jq sqlite3 curl ostree podman docker-registry skopeo busybox; do
		command -v "$tool" >/dev/null || { printf 'SKIP: no %s\n' "$tool"; exit 77; }
	done
	pki_make "$W/pki" "$VEHICLE" && systems >>"$W/log/ostree.log" 2>&1 && servers &&
		applications && podman_start "$W/podman" && nginx_start "$W/nginx" "$(world_free_port)" &&
		ostree_make_sysroot "$SYSROOT" "$OSTREE_REMOTE_REPO" "https://127.0.0.1:$REMOTE_PORT/ostree/" \
			"$PKI_DIR/ca.pem" "$PKI_DIR/device.pem" "$PKI_DIR/device.key" || exit 1
	image_repo_make "$W/image-repo" && publish_all || exit 1
	director_serve "$W/director" && pinned_roots || exit 1
	secondary_serve "$W/secondary" telematics-mcu mcu-a7 "$VEHICLE" || exit 1
	gateway_config "$W/gateway" "$VEHICLE"
	sed -i 's|^factory_image = os/.*|factory_image = os/2|' "$GATEWAY/uptaned.conf"
	reboot && cycle && [ "$RC" = 0 ] && want 1 && CURRENT=0 && converge 1 || { echo "$ERR"; exit 1; }
	CURRENT=1
	# Now both releases on the device are updates, and the third one is fetched.
	next && completed
	[ "$FAULTS" = 0 ] || exit 1
}

# ---- cycles ----

cycle() {
	run uptaned --once --quiet --config "$GATEWAY"
}

# cut_cycle KINDS MODE...: a cycle below fault_at. The sanitizer's words on leaks cost a fifth of it.
cut_cycle() {
	run "$BIN/fault_at" "$W/calls" "$@" "$BIN/uptaned" --once --quiet --config "$GATEWAY"
}

# converge N: cycles and the reboots that they ask for, until release N is what runs; three at most.
converge() {
	local i
	for i in 1 2 3; do
		cycle
		[ "$RC" = 0 ] || { fault "cycle $i afterwards ends with $RC: $ERR"; return 1; }
		if [ -e "$GATEWAY/ask-for-reboot.asked" ]; then
			rm "$GATEWAY/ask-for-reboot.asked"
			reboot
		else
			break
		fi
	done
	ostree fsck --repo="$SYSROOT/ostree/repo" --quiet >"$W/out" 2>&1 || fault "ostree fsck: $(<"$W/out")"
	is "system" "$(booted)" "$1"
	is "application" "$(page)" "$1"
	is "Secondary" "$(flash)" "$1"
	run uptanectl status --json --config "$GATEWAY"
	is "status" "$(jq -r '[.ecus[] | .installed.name, (.pending.name? // "-")] | join(" ")' <<<"$OUT" 2>&1)" \
		"os/$1 - app/$1 - fw/$1 -"
}

# ---- what is there ----

# release_of DEPLOYMENT-DIR: the release whose files, all of them, that deployment has.
release_of() {
	local n name=${1##*/}
	for n in 1 2 3; do
		[ "${name%.*}" = "${COMMIT[n]}" ] || continue
		diff -r --no-dereference "$W/tree-$n/usr" "$1/usr" >/dev/null && [ -f "$1/etc/hostname" ] &&
			echo "$n" && return 0
	done
	echo broken
}

# next_boot: the release that a boot loader would boot now, kernel and initial RAM disk at hand.
next_boot() {
	local entry root file
	entry=$(ostree_default_entry "$SYSROOT") && [ -n "$entry" ] || { echo 'no entry'; return; }
	root=$(ostree_resolve "$SYSROOT" "$(sed -n 's/^options[[:space:]]*//p' "$entry")") ||
		{ echo 'no deployment'; return; }
	for file in $(awk '$1 == "linux" || $1 == "initrd" {print $2}' "$entry"); do
		[ -s "$SYSROOT/boot$file" ] || [ -s "$SYSROOT$file" ] || { echo "no $file"; return; }
	done
	release_of "$root"
}

booted() {
	release_of "$(ostree_booted_root "$SYSROOT" "$W/cmdline")"
}

# page: the release that answers where the endpoint file says.
page() {
	curl -sS --max-time 5 "http://127.0.0.1:$(<"$GATEWAY/dashboard.port")/" 2>&1 |
		sed -n 's|<title>gateway dashboard \(.*\)</title>|\1|p; s|^curl: .*|&|p'
}

# flash: the release in the Secondary's flash.
flash() {
	local n
	for n in 1 2 3; do
		! cmp -s "$W/fw-$n" "$SECONDARY_FILE" || { echo "$n"; return; }
	done
	echo broken
}

# refused RC NAME TEXT: the cycle that was run ended so, in one line of error; the old system and application run.
refused() {
	local errors
	errors=$(grep ' error: ' <<<"$ERR")
	is "exit code" "$RC" "$1"
	[ "$(grep -c ' error: ' <<<"$ERR")" = 1 ] || fault "not one line of error: $ERR"
	[[ $errors == *"[$2"* ]] || fault "the error is not $2: $ERR"
	[[ $errors == *"$3"* ]] || fault "the error lacks '$3': $ERR"
	intact
	is "the running system" "$(booted)" "$CURRENT"
	is "the system that boots next" "$(next_boot)" "$CURRENT"
	is "the application" "$(page)" "$CURRENT"
}

# next: the Director wants the release after the one that runs.
next() {
	NEXT=$((CURRENT % 3 + 1))
	want "$NEXT" || { echo "cannot assign release $NEXT"; exit 1; }
}

# completed: the world is mended; the next cycle completes the update.
completed() {
	converge "$NEXT"
	CURRENT=$NEXT
}

# run_case FUNCTION: as the case of that name.
run_case() {
	local before=$FAULTS begin=${EPOCHREALTIME/./} result='ok'
	[[ -n ${ONLY:-} && $1 != *$ONLY* ]] && return
	POINT=$1
	"$1"
	CASES=$((${CASES:-0} + 1))
	[ "$FAULTS" = "$before" ] || result='not ok' FAILED=$((${FAILED:-0} + 1))
	printf '%s %s %d ms\n' "$result" "$1" $(((${EPOCHREALTIME/./} - begin) / 1000))
}

# finish: the last line of a script of cases.
finish() {
	printf '%d cases, %d failed, %d s\n' "${CASES:-0}" "${FAILED:-0}" "$SECONDS"
	[ "${FAILED:-0}" = 0 ] || exit 1
}

# either WHAT RELEASE: it is the old one or the new one.
either() {
	[ "$2" = "$CURRENT" ] || [ "$2" = "$NEXT" ] || { fault "$1 is '$2', neither $CURRENT nor $NEXT"; return 1; }
}

# sound_commits: all objects of what is deployed are there and are what they are called. (fsck looks at all commits,
# also at one that was being removed.)
sound_commits() {
	local dir name
	for dir in "$SYSROOT"/ostree/deploy/gateway/deploy/*.[0-9]; do
		name=${dir##*/}
		rm -rf "$W/sound" && ostree --repo="$W/sound" init --mode=bare &&
			ostree --repo="$W/sound" pull-local --untrusted "$SYSROOT/ostree/repo" "${name%.*}" >"$W/out" 2>&1 ||
			fault "commit $name: $(<"$W/out")"
	done
}

# intact: what must hold at any moment.
intact() {
	either "what boots next" "$(next_boot)"
	either "the running system" "$(booted)"
	either "the application" "$(page)"
	either "the Secondary" "$(flash)"
	ostree admin status --sysroot="$SYSROOT" >"$W/out" 2>&1 || fault "ostree admin status: $(<"$W/out")"
	sound_commits
	# A copy: looking would finish what the client has to finish itself.
	rm -rf "$W/look" && mkdir "$W/look" && cp "$GATEWAY"/state/state.db* "$W/look/"
	is "quick_check" "$(sqlite3 "$W/look/state.db" 'PRAGMA quick_check' 2>&1)" ok
}
