# shellcheck shell=bash
# What the Director's end-to-end cases share. Everything lies below $W; the one server has the pid $SERVER.

: "${DIRECTOR:?}" "${MANIFEST_TOOL:?}"
W=$(mktemp -d "${TMPDIR:-/tmp}/director.XXXXXX")
SERVER=
CASES=0 FAILED=0

cleanup() {
	local rc=$?
	if [ -n "$SERVER" ]; then
		kill -KILL "$SERVER" 2>/dev/null
		wait "$SERVER" 2>/dev/null
	fi
	[ -n "${KEEP:-}" ] || rm -rf "$W"
	exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs the function $1 as the case of that name: each check in it may fail it.
run_case() {
	CASES=$((CASES + 1))
	FAULTS=0
	"$1"
	if [ "$FAULTS" -eq 0 ]; then
		printf 'ok %s\n' "$1"
	else
		FAILED=$((FAILED + 1))
		printf 'not ok %s\n' "$1"
	fi
}

fault() {
	FAULTS=$((FAULTS + 1))
	printf '  %s: %s\n' "${FUNCNAME[2]}:${BASH_LINENO[1]}" "$*"
}

# is WHAT ACTUAL EXPECTED
is() {
	[ "$2" = "$3" ] || fault "$1 is '$2', expected '$3'"
}

# has WHAT TEXT PART
has() {
	[[ $2 == *"$3"* ]] || fault "$1 lacks '$3': ${2:0:300}"
}

# ends_with RC cmd...: its exit code; stdout in $OUT, stderr in $ERR.
ends_with() {
	local expected=$1 rc=0
	shift
	"$@" >"$W/out" 2>"$W/err" || rc=$?
	OUT=$(<"$W/out") ERR=$(<"$W/err")
	[ "$rc" -eq "$expected" ] || fault "exit code of ${*:1:3} ... is $rc, expected $expected: $ERR"
}

# ---- certificates ----

cat >"$W/openssl.cnf" <<'END'
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[server]
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
[client]
extendedKeyUsage = clientAuth
END

# make_ca NAME
make_ca() {
	openssl req -x509 -config "$W/openssl.cnf" -extensions ca -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-days 30 -subj "/O=TEST/CN=$1" -keyout "$W/$1.key" -out "$W/$1.pem" 2>/dev/null
}

# make_cert NAME SUBJECT EXTENSIONS [CA [openssl arguments]]
make_cert() {
	local name=$1 subject=$2 extensions=$3 ca=${4:-ca}
	shift 3
	[ $# -eq 0 ] || shift
	openssl req -new -config "$W/openssl.cnf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "$subject" -keyout "$W/$name.key" -out "$W/$name.csr" 2>/dev/null &&
		openssl x509 -req -in "$W/$name.csr" -CA "$W/$ca.pem" -CAkey "$W/$ca.key" \
			-set_serial "0x$(openssl rand -hex 8)" -extfile "$W/openssl.cnf" -extensions "$extensions" \
			-out "$W/$name.pem" "${@:--days=30}" 2>/dev/null
}

# ---- the server ----

# start_server [serve options]: sets SERVER and URL.
start_server() {
	rm -f "$W/ready"
	"$DIRECTOR" serve --dir "$W/dir" --listen 127.0.0.1:0 --cert "$W/server.pem" --key "$W/server.key" \
		--client-ca "$W/ca.pem" --ready-file "$W/ready" "$@" 2>>"$W/log" &
	SERVER=$!
	wait_for test -s "$W/ready" || { fault 'the server did not get ready'; tail "$W/log"; return 1; }
	URL=https://127.0.0.1:$(<"$W/ready")
}

# stop_server: TERM; its exit code is in $SERVER_RC.
stop_server() {
	SERVER_RC=0
	kill -TERM "$SERVER"
	wait "$SERVER" || SERVER_RC=$?
	SERVER=
}

# Waits until a command succeeds, for ten seconds at most.
wait_for() {
	local i
	for ((i = 0; i < 400; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.025
	done
	return 1
}

# request VEHICLE METHOD PATH [curl arguments]: sets STATUS (000: no answer) and BODY; bytes are in $W/body, received
# bytes in $RECEIVED.
request() {
	local vehicle=$1 method=$2 path=$3 numbers
	shift 3
	: >"$W/body"
	numbers=$(curl -sS --max-time 20 --cacert "$W/ca.pem" --cert "$W/$vehicle.pem" --key "$W/$vehicle.key" \
		-X "$method" -o "$W/body" -w '%{http_code} %{size_header} %{size_download}' "$@" "$URL$path" 2>"$W/curl.err")
	read -r STATUS header download <<<"$numbers"
	RECEIVED=$((header + download))
	BODY=$(tr -d '\0' <"$W/body")
}

# answers STATUS VEHICLE METHOD PATH [curl arguments]
answers() {
	local expected=$1
	shift
	request "$@"
	[ "$STATUS" = "$expected" ] ||
		fault "$2 $3 as $1: $STATUS instead of $expected: ${BODY:0:200} $(<"$W/curl.err")"
}

# refuses STATUS CODE VEHICLE METHOD PATH [curl arguments]: the JSON error body names CODE.
refuses() {
	local status=$1 code=$2
	shift 2
	answers "$status" "$@"
	[[ $BODY == '{"code":"'"$code"'","message":"'*'"}' ]] || fault "the error body is ${BODY:0:200}"
}

# ---- metadata ----

# The version in $BODY.
version() {
	[[ $BODY =~ \"version\":([0-9]+)\}\}$ ]] && printf '%s' "${BASH_REMATCH[1]}"
}

# public_key ROOT_JSON ROLE: the hex public key of the role that a root lists (one key per role).
public_key() {
	local id roles=${1#*'"roles":'}
	roles=${roles#*"\"$2\":{\"keyids\":[\""}
	id=${roles%%'"'*}
	roles=${1#*"\"$id\":{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\""}
	printf '%s' "${roles%%'"'*}"
}

unhex() {
	# shellcheck disable=SC2059
	printf "$(sed 's/../\\x&/g' <<<"$1")"
}

# verifies ENVELOPE_FILE PUBLIC_HEX [INDEX]: openssl accepts that signature over the signed part as it was served.
verifies() {
	local text index=${3:-0} sigs sig i
	text=$(<"$1")
	sigs=${text%%'],"signed":'*}
	for ((i = 0; i <= index; i++)); do
		sigs=${sigs#*'"sig":"'}
	done
	sig=${sigs%%'"'*}
	text=${text#*'],"signed":'}
	printf '%s' "${text%\}}" >"$W/signed"
	unhex "$sig" >"$W/sig"
	unhex "302a300506032b6570032100$2" >"$W/public.der"
	openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$W/public.der" -in "$W/signed" \
		-sigfile "$W/sig" >/dev/null 2>&1
}

# ---- ECUs ----

# make_ecu NAME ALGORITHM: a private key and its public text in WIRE's spelling.
make_ecu() {
	case $2 in
	ed25519)
		openssl genpkey -algorithm ed25519 -out "$W/$1.ecu" 2>/dev/null
		openssl pkey -in "$W/$1.ecu" -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \n' >"$W/$1.public"
		;;
	ecdsa)
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$W/$1.ecu" 2>/dev/null
		openssl pkey -in "$W/$1.ecu" -pubout | awk '{ printf "%s\\n", $0 }' >"$W/$1.public"
		;;
	esac
	chmod 600 "$W/$1.ecu"
}

# ecu NAME SERIAL HARDWARE KEYTYPE: one element of "ecus".
ecu() {
	printf '{"ecu_serial":"%s","hardware_identifier":"%s","clientKey":{"keytype":"%s","keyval":{"public":"%s"}}}' \
		"$2" "$3" "$4" "$(<"$W/$1.public")"
}

# registration PRIMARY ECU...: the body of POST /director/ecus.
registration() {
	local primary=$1
	shift
	local IFS=,
	printf '{"primary_ecu_serial":"%s","ecus":[%s]}' "$primary" "$*"
}

# register VEHICLE BODY STATUS
register() {
	answers "$3" "$1" POST /director/ecus -H 'Content-Type: application/json' -d "$2"
}

HASH_A=$(printf a | sha256sum | cut -d' ' -f1)
HASH_B=$(printf b | sha256sum | cut -d' ' -f1)

# Next report counter.
COUNTER=100
next() {
	COUNTER=$((COUNTER + 1))
}

# put STATUS VEHICLE manifest_tool-arguments...: makes a manifest with the tool and sends it as VEHICLE.
put() {
	local status=$1 vehicle=$2
	shift 2
	"$MANIFEST_TOOL" "$@" >"$W/manifest" || fault 'the manifest could not be made'
	answers "$status" "$vehicle" PUT /director/manifest --data-binary "@$W/manifest"
}

# inventory FILTER: what jq makes of the inventory's JSON.
inventory() {
	"$DIRECTOR" inventory --dir "$W/dir" --json | jq -r "$1"
}

# ecu_fact SERIAL FILTER: the same of an ECU of veh-1.
ecu_fact() {
	inventory ".vehicles[] | select(.id == \"veh-1\") | .ecus[] | select(.serial == \"$1\") | $2"
}
