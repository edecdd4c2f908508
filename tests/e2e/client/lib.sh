# shellcheck shell=bash
# What the client's end-to-end cases share: a small world (Image repository, Director, one nginx before both
# that can misbehave, a gateway with two files as ECUs), cases, and forged metadata. Sourced with the
# programs' folder as $1; everything lies below $W and is gone at the end, also after a signal.

BIN=$(cd "${1:?usage: $0 BIN-DIR}" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
set -u
umask 022
unset http_proxy https_proxy HTTPS_PROXY ALL_PROXY JOURNAL_STREAM SOURCE_DATE_EPOCH
W=$(mktemp -d "${TMPDIR:-/tmp}/uptane-client.XXXXXX")
for part in procs pki uptane; do
	# shellcheck source=/dev/null
	source "$HERE/../world/$part.sh"
done
world_begin "$W"
uptane_bin "$BIN" || exit 1
CASES=0 FAILED=0 FAULTS=0
VEHICLE=vehicle-1

# ---- cases ----

# run_case FUNCTION: runs it as the case of that name.
run_case() {
	CASES=$((CASES + 1))
	FAULTS=0
	[[ -n ${ONLY:-} && $1 != *$ONLY* ]] && return
	local begin=${EPOCHREALTIME/./} result='ok'
	"$1"
	if [ "$FAULTS" -gt 0 ]; then
		FAILED=$((FAILED + 1))
		result='not ok'
	fi
	printf '%s %s %d ms\n' "$result" "$1" $(((${EPOCHREALTIME/./} - begin) / 1000))
}

# fault TEXT: what is wrong, with the case's line.
fault() {
	local i
	FAULTS=$((FAULTS + 1))
	for ((i = 1; i < ${#BASH_SOURCE[@]} - 1; i++)); do
		[[ ${BASH_SOURCE[i]} == */lib.sh ]] || break
	done
	printf '  %s:%s: %s\n' "${BASH_SOURCE[i]##*/}" "${BASH_LINENO[i - 1]}" "$*"
}

# is WHAT ACTUAL EXPECTED
is() {
	[ "$2" = "$3" ] || fault "$1 is '${2:0:300}', expected '${3:0:300}'"
}

# has WHAT TEXT PART
has() {
	[[ $2 == *"$3"* ]] || fault "$1 lacks '$3': ${2:0:400}"
}

# holds WHAT COMMAND...: it succeeds.
holds() {
	local what=$1
	shift
	"$@" || fault "$what"
}

# finish: the last line of a script of cases.
finish() {
	printf '%d cases, %d failed, %d s\n' "$CASES" "$FAILED" "$SECONDS"
	[ "$FAILED" -eq 0 ] || exit 1
}

# need TOOL...: ends the script as skipped where this machine lacks one.
need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || { printf 'SKIP: no %s\n' "$tool"; exit 77; }
	done
}

# run CMD...: its exit code in RC, stdout in OUT, stderr in ERR.
run() {
	RC=0
	"$@" >"$W/out" 2>"$W/err" </dev/null || RC=$?
	OUT=$(<"$W/out") ERR=$(<"$W/err")
}

# fails RC TEXT CMD...: that exit code, nothing on stdout, one line on stderr that has TEXT.
fails() {
	local rc=$1 text=$2
	shift 2
	run "$@"
	[ "$RC" = "$rc" ] || fault "exit code of ${*:1:6} is $RC, expected $rc: $ERR"
	one_line "$text"
	[ -z "$OUT" ] || fault "words on stdout: ${OUT:0:200}"
}

# one_line TEXT: stderr is one line of a program, with TEXT in it.
one_line() {
	[ "$(wc -l <"$W/err")" = 1 ] || fault "stderr is not one line: $ERR"
	[[ $ERR =~ ^uptane(d|ctl|-secondary):\ error:\  ]] || fault "no error line of a program: $ERR"
	has stderr "$ERR" "$1"
}

# wait_for CMD...: until it succeeds, for ten seconds at most.
wait_for() {
	local i
	for ((i = 0; i < 500; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.02
	done
	return 1
}

# sanitized: whether the programs are built with AddressSanitizer, which needs memory of its own.
sanitized() {
	grep -q __asan_init "$BIN/uptaned"
}

# ---- the world ----

# The server that the gateway talks to: /director/ is the Director, /repo/ the Image repository. Files steer it:
# override/URI is served instead, fault/STATUS/URI answers STATUS (444: closes the connection), fault/slow/URI
# limits the rate, fault/STATUS/all-director or all-repo stands for all of it; ssi/URI is served instead, without
# announcing its length. PLAIN_PORT speaks HTTP without TLS.
gate_config() {
	local user= status
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
			log_format gate '\$request_method \$uri \$status \$bytes_sent "\$http_range"';
			access_log $W/gate/access.log gate;
			default_type application/octet-stream;
			server {
				listen 127.0.0.1:$GATE_PORT ssl http2;
				ssl_certificate $PKI_DIR/server.pem;
				ssl_certificate_key $PKI_DIR/server.key;
				ssl_client_certificate $PKI_DIR/ca.pem;
				ssl_verify_client on;
				root $W/gate;
				if (\$uri ~ ^/(director|repo)/) { set \$area \$1; }
	END
	for status in 301 404 444 500 503; do
		printf 'if (-f %s/fault/%s$uri) { return %s; }\n' "$W/gate" "$status" "$status"
		printf 'if (-f %s/fault/%s/all-$area) { return %s; }\n' "$W/gate" "$status" "$status"
	done
	cat <<-END
				if (-f $W/gate/fault/slow\$uri) { set \$limit_rate 1m; }
				if (-f $W/gate/ssi\$uri) { rewrite ^(.*)\$ /ssi\$1 last; }
				location /director/ { try_files /override\$uri @director; }
				location /repo/ { try_files /override\$uri \$uri =404; }
				location /ssi/ { internal; ssi on; ssi_types *; }
				location @director {
					proxy_pass https://127.0.0.1:$DIRECTOR_PORT;
					proxy_ssl_certificate $PKI_DIR/device.pem;
					proxy_ssl_certificate_key $PKI_DIR/device.key;
				}
			}
			server {
				listen 127.0.0.1:$PLAIN_PORT;
				root $W/gate;
			}
		}
	END
}

# gate_start: nginx in front of both repositories; sets GATE_PORT.
gate_start() {
	mkdir -p "$W/gate/tmp" "$W/gate/fault" "$W/gate/override"
	GATE_PORT=${GATE_PORT:-$(world_free_port)}
	PLAIN_PORT=${PLAIN_PORT:-$(world_free_port)}
	ln -sfn "$IMAGE_REPO/public" "$W/gate/repo"
	gate_config >"$W/gate/nginx.conf"
	world_spawn gate nginx -e "$W/gate/error.log" -p "$W/gate" -c "$W/gate/nginx.conf" -g 'daemon off;'
	world_wait_port "$GATE_PORT"
}

# fault_at STATUS PATH: from now on that answer for /PATH, or for all of director or repo.
fault_at() {
	local path=$W/gate/fault/$1/$2
	[[ $2 == */* ]] || path=$W/gate/fault/$1/all-$2
	mkdir -p "${path%/*}"
	touch "$path"
}

# override PATH: stdin is served as /PATH.
override() {
	mkdir -p "$W/gate/override/$(dirname "$1")"
	cat >"$W/overriding"
	mv "$W/overriding" "$W/gate/override/$1"
}

# mend: no fault and no override any more, no drop-in in the gateway's configuration.
mend() {
	rm -rf "$W/gate/fault" "$W/gate/override" "$W/gate/ssi"
	rm -rf "$GATEWAY/uptaned.conf.d"
	mkdir -p "$W/gate/fault" "$W/gate/override"
}

# drop_in: stdin is a drop-in of the gateway's configuration until mend.
drop_in() {
	mkdir -p "$GATEWAY/uptaned.conf.d"
	cat >"$GATEWAY/uptaned.conf.d/50-test.conf"
}

# gateway_write: the gateway's configuration: two ECUs, each a file.
gateway_write() {
	mkdir -p "$GATEWAY/ecu"
	cat >"$GATEWAY/uptaned.conf" <<-CONF
		[uptane]
		vehicle_id = $VEHICLE
		state_dir = $GATEWAY/state

		[director]
		url = https://127.0.0.1:$GATE_PORT/director
		root = $W/director.root.json

		[image_repository]
		url = https://127.0.0.1:$GATE_PORT/repo
		root = $W/image.root.json

		[tls]
		ca = $PKI_DIR/ca.pem
		cert = $PKI_DIR/device.pem
		key = $PKI_DIR/device.key

		[network]
		connect_timeout_s = 3

		[primary]
		serial = gw
		hardware_id = gw-x1
		key = $GATEWAY/gw.key
		factory_image = app/factory
		installer = file
		path = $GATEWAY/ecu/app.bin

		[secondary radio]
		link = virtual
		hardware_id = radio-x1
		key = $GATEWAY/radio.key
		factory_image = radio/factory
		installer = file
		path = $GATEWAY/ecu/radio.bin
	CONF
	printf 'factory app' >"$GATEWAY/ecu/app.bin"
	printf 'factory radio' >"$GATEWAY/ecu/radio.bin"
}

# make_image NAME BYTES: an image file of random bytes.
make_image() {
	mkdir -p "$W/images/$(dirname "$1")"
	head -c "$2" /dev/urandom >"$W/images/$1"
}

# add_image NAME HARDWARE COUNTER [options]: it becomes a target (unpublished).
add_image() {
	local name=$1 hardware=$2 counter=$3
	shift 3
	repo target add "$W/images/$name" --name "$name" --format BINARY --hardware-id "$hardware" \
		--release-counter "$counter" "$@"
}

# make_world [APP-BYTES]: everything, with app/1 and radio/1 installed and assigned.
make_world() {
	local bytes=${1:-200000} v
	need nginx openssl jq sqlite3 curl
	pki_make "$W/pki" "$VEHICLE"
	image_repo_make "$W/image-repo"
	for v in 1 2; do
		make_image "app/$v" "$bytes"
		make_image "radio/$v" 30000
		add_image "app/$v" gw-x1 5
		add_image "radio/$v" radio-x1 5
	done
	repo publish
	director_serve "$W/director"
	pinned_roots
	GATEWAY=$W/gateway
	gate_start
	gateway_write
	[ -n "${NO_FIRST_CYCLE:-}" ] && return
	uptaned --once --quiet --config "$GATEWAY" || exit 1
	assign_now app 1
	assign "$VEHICLE" radio radio/1
	uptaned --once --quiet --config "$GATEWAY" || exit 1
	cmp -s "$GATEWAY/ecu/app.bin" "$W/images/app/1" || { echo "the world is broken"; exit 1; }
}

# ---- cycles ----

# assign_now app|radio VERSION: what the Director wants from now on.
assign_now() {
	[ "$1" = radio ] || APP=$2
	assign "$VEHICLE" "$([ "$1" = app ] && echo gw || echo "$1")" "$1/$2"
}

# want_other: the Director assigns the app that is not installed; the next good cycle installs it.
want_other() {
	assign_now app "$((3 - APP))"
}

# status FILTER: of uptanectl's JSON.
status() {
	uptanectl status --json --config "$GATEWAY" | jq -cS "$1"
}

ecu_files() {
	sha256sum "$GATEWAY"/ecu/*
}

# attempt: one cycle, warnings and errors on stderr only.
attempt() {
	run uptaned --once --quiet --config "$GATEWAY"
}

# refused RC NAME TEXT [MAY-CHANGE]: a cycle that fails with that exit code and one line that has TEXT and the
# code's NAME; ECUs are as before, and so is trusted metadata but for the jq paths MAY-CHANGE.
refused() {
	local rc=$1 name=$2 text=$3 paths=${4:-empty} before after
	before=$(status ".metadata | del($paths)") ecus=$(status .ecus) files=$(ecu_files)
	attempt
	[ "$RC" = "$rc" ] || fault "exit code $RC, expected $rc: $ERR"
	one_line "$text"
	has stderr "$ERR" "[$name"
	after=$(status ".metadata | del($paths)")
	is "trusted metadata" "$after" "$before"
	is "ECUs" "$(status .ecus)" "$ecus"
	is "installed files" "$(ecu_files)" "$files"
	has "last cycle" "$(status .lastCycle.code)" "\"$name\""
	[ "$(find "$GATEWAY/ecu" -type f ! -name '*.previous' | wc -l)" = 2 ] || fault "left: $(ls "$GATEWAY/ecu")"
}

# updated: everything is mended; a plain cycle succeeds and brings what is assigned.
updated() {
	mend
	attempt
	[ "$RC" = 0 ] || fault "the good cycle ended with $RC: $ERR"
	[ -z "$ERR" ] || fault "the good cycle complains: $ERR"
	cmp -s "$GATEWAY/ecu/app.bin" "$W/images/app/$APP" || fault "app/$APP is not what is installed"
	is "installed name" "$(status '.ecus[0].installed.name')" "\"app/$APP\""
	is "last cycle" "$(status .lastCycle.code)" '"ok"'
}

# requests PATTERN: how many lines of the server's log since log_from match.
log_from() {
	LOG_FROM=$(($(wc -l <"$W/gate/access.log") + 1))
}
requests() {
	tail -n "+$LOG_FROM" "$W/gate/access.log" | grep -cE "$1"
}

# ---- forged metadata: by whoever holds the repository's online keys ----

# director_db SQL: on the database of the running Director.
director_db() {
	sqlite3 -cmd '.timeout 20000' "$DIRECTOR/director.db" "$1"
}

# current AREA ROLE: the newest document.
current() {
	if [ "$1" = director ]; then
		[ "$2" != root ] || { director_db \
			"SELECT CAST(bytes AS TEXT) FROM root ORDER BY version DESC LIMIT 1"; return; }
		director_db "SELECT CAST(bytes AS TEXT) FROM document
			WHERE vehicle = '$VEHICLE' AND role = '$2' ORDER BY version DESC LIMIT 1"
	elif [ "$2" = timestamp ]; then
		cat "$IMAGE_REPO/public/timestamp.json"
	else
		cat "$(published "$2")"
	fi
}

# key_of AREA ROLE: file of the role's newest private key.
key_of() {
	local dir=$IMAGE_REPO/keys
	[ "$1" = image ] || dir=$DIRECTOR/keys
	find "$dir" -name "$2[-.]*.pem" | sort -V | tail -n 1
}

# put_document AREA ROLE FILE: serves it as the newest.
put_document() {
	local version name
	version=$(jq .signed.version "$3")
	if [ "$1" = director ]; then
		director_db "INSERT INTO document
			SELECT vehicle, role, $version, expires, key_epoch, source,
			CAST(readfile('$3') AS BLOB) FROM document WHERE vehicle = '$VEHICLE' AND role = '$2'
			ORDER BY version DESC LIMIT 1"
	else
		name=$version.$2.json
		[ "$2" != timestamp ] || name=timestamp.json
		cp "$3" "$IMAGE_REPO/public/$name.tmp" && mv "$IMAGE_REPO/public/$name.tmp" "$IMAGE_REPO/public/$name"
	fi
}

# sign_as AREA ROLE: the payload on stdin, byte for byte, with that role's key.
sign_as() {
	local key id sig
	key=$(key_of "$1" "$2")
	id=$(current "$1" root | jq -r ".signed.roles[\"$2\"].keyids[0]")
	if [ -f "${key%.pem}.json" ]; then
		id=$(current "$1" root | jq -r --slurpfile k "${key%.pem}.json" \
			'.signed.keys | to_entries[] | select(.value.keyval == $k[0].keyval) | .key')
	fi
	cat >"$W/payload"
	sig=$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$W/payload" | od -An -v -tx1 | tr -d ' \n')
	printf '{"signatures":[{"keyid":"%s","method":"ed25519","sig":"%s"}],"signed":' "$id" "$sig"
	cat "$W/payload"
	printf '}'
}

# forge AREA TARGETS SNAPSHOT TIMESTAMP: signs the next version of each role, changed by a jq filter; '-' leaves
# a role as it is. Afterwards PIPE_TARGETS, PIPE_SNAPSHOT, PIPE_TIMESTAMP (sed scripts) work on the payload's text,
# before it is signed, and RAW_* on the whole document. Hashes above are made to fit.
forge() {
	local area=$1 role filter pipe raw list=
	shift
	[ -d "$W/genuine" ] || cp -a "$IMAGE_REPO/public" "$W/genuine"
	for role in targets snapshot timestamp; do
		filter=$1
		shift
		[ "$filter" != - ] || continue
		pipe=PIPE_${role^^} raw=RAW_${role^^}
		current "$area" "$role" | jq -cSj ".signed | .version += 1 ${list:+| .meta[\"$list.json\"] = $(listing "$list")} | $filter" |
			sed "${!pipe:-}" | sign_as "$area" "$role" | sed "${!raw:-}" >"$W/forged.$role.json"
		put_document "$area" "$role" "$W/forged.$role.json"
		list=$role
	done
}

# listing ROLE: how its forged document is listed by the one above it.
listing() {
	local f=$W/forged.$1.json
	printf '{"version": %s, "length": %s, "hashes": {"sha256": "%s"}}' "$(jq .signed.version "$f")" \
		"$(stat -c %s "$f")" "$(sha256sum "$f" | cut -d' ' -f1)"
}

# heal: the forged metadata is gone, and genuine documents have higher versions of everything.
heal() {
	local role
	rm -rf "$IMAGE_REPO/public"
	mv "$W/genuine" "$IMAGE_REPO/public"
	for role in targets snapshot timestamp; do
		repo sign "$role" && repo sign "$role" || fault "cannot sign $role: $(tail -n 1 "$W/log/repo.log")"
	done
	repo publish || fault "cannot publish: $(tail -n 1 "$W/log/repo.log")"
}
