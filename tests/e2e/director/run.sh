#!/bin/bash
# The reference Director from outside: its commands, its HTTPS interface with real client certificates, manifests
# signed as ECUs sign them, and signatures checked by openssl instead of by our own code.
# Usage: run.sh UPTANE-DIRECTOR MANIFEST-TOOL    (KEEP=1 keeps the files, SHOW=1 shows a table)
# shellcheck disable=SC2153,SC2016,SC2015,SC1091
set -u
export LC_ALL=C
DIRECTOR=$1 MANIFEST_TOOL=$2
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# ---- commands without a server ----

commands_explain_themselves() {
	local c
	ends_with 0 "$DIRECTOR" --help
	has help "$OUT" inventory
	for c in init serve assign inventory rotate; do
		ends_with 0 "$DIRECTOR" "$c" --help
		has "help of $c" "$OUT" "Usage: uptane-director $c"
	done
	ends_with 0 "$DIRECTOR" --version
}

wrong_usage_is_one_line_and_code_2() {
	local args
	for args in '' bogus 'init' "init --dir $W/x --bogus" "init --dir $W/x --key-type dsa" \
		"init --dir $W/x --expires root" "init --dir $W/x --expires root=1" "init --dir $W/x --dir $W/y" \
		"init --dir $W/x extra" "inventory" "rotate --dir $W/x" "rotate --dir $W/x mirrors" \
		"serve --dir $W/x --listen 127.0.0.1:0" "assign --dir $W/x --vehicle v" \
		"assign --dir $W/x --vehicle v --ecu e --name n --length 1" \
		"assign --dir $W/x --vehicle v --ecu e --name n --length -1 --sha256 $HASH_A" \
		"assign --dir $W/x --vehicle v --ecu e --name n --length 1 --sha256 abc" \
		"assign --dir $W/x --vehicle v --ecu e --name ../n --length 1 --sha256 $HASH_A" \
		"assign --dir $W/x --vehicle v --ecu e --clear --name n" \
		"assign --dir $W/x --vehicle v --ecu e --name n --length 1 --sha256 $HASH_A --format TAR"; do
		# shellcheck disable=SC2086
		ends_with 2 "$DIRECTOR" $args
		[ -z "$args" ] && continue
		is "lines for '$args'" "$(wc -l <"$W/err")" 1
		has "message for '$args'" "$ERR" 'uptane-director: '
	done
	[ ! -e "$W/x" ] || fault 'a wrong command line made something'
}

init_makes_private_keys_and_a_root() {
	ends_with 0 "$DIRECTOR" init --dir "$W/dir"
	is 'key modes' "$(stat -c %a "$W"/dir/keys/* | sort -u)" 600
	is 'keys' "$(cd "$W/dir/keys" && echo *)" 'root.1.pem snapshot.1.pem targets.1.pem timestamp.1.pem'
	is 'database mode' "$(stat -c %a "$W/dir/director.db")" 600
	is 'folder modes' "$(stat -c %a "$W/dir" "$W/dir/keys" | sort -u)" 700
	ROOT1=$(<"$W/dir/1.root.json")
	has root "$ROOT1" '"consistent_snapshot":true'
	verifies "$W/dir/1.root.json" "$(public_key "$ROOT1" root)" || fault 'openssl refuses root 1'
	! verifies "$W/dir/1.root.json" "$(public_key "$ROOT1" targets)" || fault 'the check checks nothing'
}

init_refuses_a_folder_with_something_in_it() {
	local before
	before=$(cat "$W"/dir/keys/* | sha256sum)
	ends_with 2 "$DIRECTOR" init --dir "$W/dir"
	is keys "$(cat "$W"/dir/keys/* | sha256sum)" "$before"
	mkdir "$W/other" && touch "$W/other/file"
	ends_with 2 "$DIRECTOR" init --dir "$W/other"
	is 'left there' "$(ls -A "$W/other")" file
}

commands_refuse_what_is_no_director() {
	mkdir -p "$W/none" "$W/damaged"
	ends_with 4 "$DIRECTOR" inventory --dir "$W/none"
	head -c 8192 /dev/urandom >"$W/damaged/director.db"
	ends_with 4 "$DIRECTOR" inventory --dir "$W/damaged"
	sqlite3 "$W/other/director.db" 'CREATE TABLE t(x)'
	ends_with 4 "$DIRECTOR" inventory --dir "$W/other"
}

other_key_types_sign_as_well() {
	local type
	for type in ecdsa rsa; do
		ends_with 0 "$DIRECTOR" init --dir "$W/$type" --key-type "$type" --expires root=1000
		ends_with 0 "$DIRECTOR" rotate --dir "$W/$type" root
		has "$type root" "$(<"$W/$type/2.root.json")" '"version":2'
		rm -r "${W:?}/$type"
	done
}

serve_refuses_wrong_tls_files() {
	local serve=("$DIRECTOR" serve --dir "$W/dir" --listen 127.0.0.1:0)
	ends_with 3 "${serve[@]}" --cert "$W/server.pem" --key "$W/veh-1.key" --client-ca "$W/ca.pem"
	ends_with 3 "${serve[@]}" --cert "$W/server.key" --key "$W/server.key" --client-ca "$W/ca.pem"
	ends_with 3 "${serve[@]}" --cert "$W/server.pem" --key "$W/server.key" --client-ca "$W/openssl.cnf"
	ends_with 4 "${serve[@]}" --cert "$W/server.pem" --key "$W/server.key" --client-ca "$W/absent.pem"
	ends_with 2 "$DIRECTOR" serve --dir "$W/dir" --listen localhost --cert x --key x --client-ca x
}

# ---- identity ----

a_client_without_certificate_is_refused() {
	STATUS=$(curl -sS --max-time 20 --cacert "$W/ca.pem" -o "$W/body" -w '%{http_code}' "$URL/director/root.json" \
		2>/dev/null)
	is status "$STATUS" 403
	has body "$(<"$W/body")" '"code":"client_certificate"'
}

certificates_that_prove_nothing_are_refused() {
	local who
	for who in stranger server expired two-names no-name bad-name; do
		refuses 403 client_certificate "$who" GET /director/root.json
	done
	answers 200 veh-1 GET /director/root.json
}

plain_http_and_old_tls_are_refused() {
	STATUS=$(curl -s --max-time 20 -o /dev/null -w '%{http_code}' "${URL/https/http}/director/root.json")
	is 'status of plain HTTP' "$STATUS" 000
	answers 000 veh-1 GET /director/root.json --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0
	answers 200 veh-1 GET /director/root.json --tls-max 1.2
}

# ---- registration ----

metadata_needs_a_registration() {
	refuses 404 unknown_vehicle veh-1 GET /director/timestamp.json
	refuses 404 unknown_vehicle veh-1 GET /director/1.targets.json
	answers 200 veh-1 GET /director/1.root.json
	refuses 403 unknown_vehicle veh-1 PUT /director/manifest -d '{}'
	refuses 403 unknown_vehicle veh-1 POST /events -d '[]'
}

registration_is_created_once_and_then_the_same() {
	register veh-1 "$(registration prim-1 "$PRIM" "$SEC")" 201
	register veh-1 "$(registration prim-1 "$PRIM" "$SEC")" 200
	register veh-1 "$(registration prim-1 "$SEC" "$PRIM")" 200
	register veh-2 "$(registration prim-1 "$(ecu prim2 prim-1 gateway ED25519)")" 201
	is 'ECUs' "$(inventory '[.vehicles[] | "\(.id):\(.ecus | map(.serial) | join(","))"] | join(" ")')" \
		'veh-1:prim-1,sec-1 veh-2:prim-1'
}

registration_never_changes_an_ecu() {
	local before
	before=$("$DIRECTOR" inventory --dir "$W/dir" --json)
	refuses 409 ecu_registered veh-1 POST /director/ecus \
		-d "$(registration prim-1 "$(ecu prim2 prim-1 gateway ED25519)" "$SEC")"
	refuses 409 ecu_registered veh-1 POST /director/ecus \
		-d "$(registration prim-1 "$PRIM" "$(ecu sec sec-1 other-hardware ecdsa)")"
	refuses 409 primary_registered veh-1 POST /director/ecus -d "$(registration sec-1 "$PRIM" "$SEC")"
	refuses 409 key_registered veh-1 POST /director/ecus \
		-d "$(registration prim-1 "$PRIM" "$(ecu sec sec-2 brake ecdsa)")"
	is inventory "$("$DIRECTOR" inventory --dir "$W/dir" --json)" "$before"
	register veh-1 "$(registration prim-1 "$PRIM")" 200
	is inventory "$("$DIRECTOR" inventory --dir "$W/dir" --json)" "$before"
}

a_new_ecu_may_join() {
	register veh-1 "$(registration prim-1 "$PRIM" "$SEC" "$(ecu sec3 sec-3 brake ed25519)")" 201
	is 'ECUs' "$(inventory '.vehicles[0].ecus | map(.serial) | join(" ")')" 'prim-1 sec-1 sec-3'
}

malformed_registrations_are_refused() {
	local body good
	good=$(registration prim-1 "$PRIM" "$SEC")
	for body in '' '{' 'null' '[]' '{}' '{"primary_ecu_serial":"p","ecus":[]}' '{"primary_ecu_serial":"p","ecus":{}}' \
		'{"primary_ecu_serial":"p","ecus":[1]}' "$(registration nobody "$PRIM")" "$(registration prim-1 "$PRIM" "$PRIM")" \
		"$(registration a "$(ecu prim a h ED25519)" "$(ecu prim b h ED25519)")" \
		"$(registration a "$(ecu prim a h RSA)")" "$(registration a "$(ecu prim a h MD5)")" \
		"$(registration 'a b' "$(ecu prim 'a b' h ED25519)")" "$(registration a "$(ecu prim a '' ED25519)")" \
		"${good/ED25519/\\u0000}" "${good/prim-1/pr$'\xff'im-1}" "${good/,/,,}" "${good/\{/\{\"ecus\":[],}" \
		"$(registration 'a' "$(ecu prim "$(printf 'x%.0s' {1..129})" h ED25519)")"; do
		refuses 400 malformed veh-1 POST /director/ecus -d "$body"
	done
	answers 200 veh-1 POST /director/ecus -d "$good"
}

# ---- metadata ----

# The four documents of $1 agree with each other, and openssl accepts their signatures.
check_chain() {
	local root version
	request "$1" GET /director/root.json
	root=$BODY
	answers 200 "$1" GET /director/timestamp.json
	verifies "$W/body" "$(public_key "$root" timestamp)" || fault 'openssl refuses the timestamp'
	version=$(jq '.signed.meta["snapshot.json"].version' <<<"$BODY")
	TIMESTAMP=$BODY
	answers 200 "$1" GET "/director/$version.snapshot.json"
	verifies "$W/body" "$(public_key "$root" snapshot)" || fault 'openssl refuses the snapshot'
	is 'snapshot hash' "$(sha256sum <"$W/body" | cut -d' ' -f1)" \
		"$(jq -r '.signed.meta["snapshot.json"].hashes.sha256' <<<"$TIMESTAMP")"
	is 'snapshot length' "$(stat -c %s "$W/body")" "$(jq '.signed.meta["snapshot.json"].length' <<<"$TIMESTAMP")"
	SNAPSHOT=$BODY
	version=$(jq '.signed.meta["targets.json"].version' <<<"$SNAPSHOT")
	answers 200 "$1" GET "/director/$version.targets.json"
	verifies "$W/body" "$(public_key "$root" targets)" || fault 'openssl refuses the targets'
	is 'targets hash' "$(sha256sum <"$W/body" | cut -d' ' -f1)" \
		"$(jq -r '.signed.meta["targets.json"].hashes.sha256' <<<"$SNAPSHOT")"
	TARGETS=$BODY
	answers 200 "$1" GET /director/targets.json
	is 'plain name' "$BODY" "$TARGETS"
	answers 200 "$1" GET /director/snapshot.json
	is 'plain name' "$BODY" "$SNAPSHOT"
}

a_fresh_vehicle_gets_empty_targets_with_its_name() {
	check_chain veh-1
	is targets "$(jq -c .signed.targets <<<"$TARGETS")" '{}'
	is vehicle "$(jq -c .signed.custom <<<"$TARGETS")" '{"vehicleId":"veh-1"}'
	check_chain veh-2
	is vehicle "$(jq -c .signed.custom <<<"$TARGETS")" '{"vehicleId":"veh-2"}'
}

what_is_not_there_is_404() {
	local path
	for path in / /director /director/ /director/2.root.json /director/0.root.json /director/01.root.json \
		/director/99999999999999999999.root.json /director/-1.root.json /director/1.timestamp.json /director/2.targets.json \
		/director/mirrors.json /director/root /director/1root.json /director/root.json.json /director/..%2froot.json \
		/director//root.json /repo/root.json /director/1.%00root.json; do
		refuses 404 not_found veh-1 GET "$path" --path-as-is
	done
}

other_methods_are_405() {
	local path
	for path in /director/root.json /director/1.targets.json; do
		refuses 405 method_not_allowed veh-1 PUT "$path" -d x
		refuses 405 method_not_allowed veh-1 DELETE "$path"
	done
	refuses 405 method_not_allowed veh-1 GET /director/ecus
	refuses 405 method_not_allowed veh-1 POST /director/manifest -d x
	refuses 405 method_not_allowed veh-1 GET /events
	request veh-1 GET /director/ecus -D "$W/headers"
	has headers "$(<"$W/headers")" 'Allow: POST'
	answers 200 veh-1 HEAD /director/root.json -I
}

a_poll_with_nothing_new_is_small_and_the_same() {
	local first received=0 name
	answers 200 veh-1 GET /director/timestamp.json
	first=$BODY
	next
	put_own 200 os-1 1 "$HASH_A" ''
	received=$RECEIVED
	for name in 2.root timestamp; do
		request veh-1 GET "/director/$name.json"
		received=$((received + RECEIVED))
	done
	is timestamp "$BODY" "$first"
	[ "$received" -lt 4096 ] || fault "a poll received $received bytes"
	is 'documents' "$(sqlite3 "$W/dir/director.db" "SELECT count(*) FROM document WHERE vehicle = 'veh-1'")" 3
}

assign() {
	"$DIRECTOR" assign --dir "$W/dir" --vehicle veh-1 "$@"
}

an_assignment_makes_a_new_version() {
	ends_with 0 assign --ecu prim-1 --name os-2.bin --sha256 "$HASH_B" --length 5 --release-counter 1000000000000000 \
		--uri https://cdn.example/os-2.bin --format BINARY
	check_chain veh-1
	is version "$(jq .signed.version <<<"$TARGETS")" 2
	is target "$(jq -cS '.signed.targets["os-2.bin"] | del(.hashes)' <<<"$TARGETS")" \
		'{"custom":{"ecuIdentifiers":{"prim-1":{"hardwareId":"gateway"}},"releaseCounter":1000000000000000,"targetFormat":"BINARY","uri":"https://cdn.example/os-2.bin"},"length":5}'
	is hash "$(jq -r '.signed.targets["os-2.bin"].hashes.sha256' <<<"$TARGETS")" "$HASH_B"
	has 'correlation id' "$(jq -r .signed.custom.correlationId <<<"$TARGETS")" urn:uuid:
	is vehicle "$(jq -r .signed.custom.vehicleId <<<"$TARGETS")" veh-1
	is state "$(ecu_fact prim-1 .state)" pending
	is "other vehicle's version" "$(request veh-2 GET /director/targets.json && version)" 1
	answers 200 veh-1 GET /director/1.targets.json
	is 'old targets' "$(jq -c .signed.targets <<<"$BODY")" '{}'
}

the_same_assignment_again_changes_nothing() {
	local before
	request veh-1 GET /director/timestamp.json
	before=$BODY
	ends_with 0 assign --ecu prim-1 --name os-2.bin --sha256 "$HASH_B" --length 5 --release-counter 1000000000000000 \
		--uri https://cdn.example/os-2.bin --format BINARY
	has output "$OUT" unchanged
	answers 200 veh-1 GET /director/timestamp.json
	is timestamp "$BODY" "$before"
}

another_vehicle_sees_only_its_own() {
	local v
	for v in 1 2 3; do
		request veh-2 GET "/director/$v.targets.json"
		[[ $BODY != *os-2.bin* ]] || fault "veh-2 got targets of veh-1"
	done
	check_chain veh-2
	is vehicle "$(jq -r .signed.custom.vehicleId <<<"$TARGETS")" veh-2
}

assignments_that_cannot_be_are_refused() {
	local before
	before=$("$DIRECTOR" inventory --dir "$W/dir" --json)
	ends_with 4 assign --ecu nobody --name x --sha256 "$HASH_A" --length 1
	ends_with 4 "$DIRECTOR" assign --dir "$W/dir" --vehicle nobody --ecu prim-1 --name x --sha256 "$HASH_A" --length 1
	ends_with 20 assign --ecu sec-1 --name os-2.bin --sha256 "$HASH_A" --length 5
	has message "$ERR" 'assigned to ECU prim-1 with other content'
	ends_with 20 assign --ecu sec-1 --ecu sec-1 --name x --sha256 "$HASH_A" --length 1
	ends_with 2 assign --ecu sec-1 --name $'bad\xff' --sha256 "$HASH_A" --length 1
	ends_with 4 assign --ecu sec-1 --name x --sha256 "$HASH_A" --length 1 --and --ecu nobody --name y --sha256 "$HASH_B" \
		--length 1
	is inventory "$("$DIRECTOR" inventory --dir "$W/dir" --json)" "$before"
}

images_come_from_published_targets() {
	cat >"$W/targets.json" <<-END
		{"signatures":[],"signed":{"_type":"targets","version":7,"targets":{
		"fw/brake-3.bin":{"length":42,"hashes":{"sha256":"$HASH_A","sha512":"$HASH_A$HASH_B","md5":"00"},
		"custom":{"hardwareIds":["brake","other"],"releaseCounter":3,"targetFormat":"BINARY","uri":"https://a.example/x",
		"mustMatch":{"a":1}}}}}}
	END
	ends_with 20 assign --ecu prim-1 --from "$W/targets.json" --name fw/brake-3.bin
	has message "$ERR" 'not for hardware gateway'
	ends_with 4 assign --ecu sec-1 --from "$W/targets.json" --name fw/brake-4.bin
	ends_with 26 assign --ecu sec-1 --from "$W/openssl.cnf" --name fw/brake-3.bin
	ends_with 2 assign --ecu sec-1 --from "$W/targets.json" --name fw/brake-3.bin --length 42
	ends_with 0 assign --ecu sec-1 --ecu sec-3 --from "$W/targets.json" --name fw/brake-3.bin --correlation-id campaign-9
	check_chain veh-1
	is target "$(jq -cS '.signed.targets["fw/brake-3.bin"]' <<<"$TARGETS")" \
		'{"custom":{"ecuIdentifiers":{"sec-1":{"hardwareId":"brake"},"sec-3":{"hardwareId":"brake"}},"mustMatch":{"a":1},"releaseCounter":3,"targetFormat":"BINARY","uri":"https://a.example/x"},"hashes":{"sha256":"'"$HASH_A"'","sha512":"'"$HASH_A$HASH_B"'"},"length":42}'
	is 'correlation id' "$(jq -r .signed.custom.correlationId <<<"$TARGETS")" campaign-9
	ends_with 0 assign --ecu sec-3 --from "$W/targets.json" --name fw/brake-3.bin --uri https://b.example/y
	check_chain veh-1
	is uri "$(jq -r '.signed.targets["fw/brake-3.bin"].custom.uri' <<<"$TARGETS")" https://b.example/y
}

several_images_change_in_one_step() {
	local before
	check_chain veh-1
	before=$(jq .signed.version <<<"$TARGETS")
	ends_with 0 assign --ecu sec-3 --clear --and --ecu sec-1 --name brake-4 --sha256 "$HASH_B" --length 1 --and \
		--ecu prim-1 --name os-3 --sha256 "$HASH_A" --length 1
	check_chain veh-1
	is version "$(jq .signed.version <<<"$TARGETS")" $((before + 1))
	is targets "$(jq -r '.signed.targets | keys | join(" ")' <<<"$TARGETS")" 'brake-4 os-3'
	ends_with 0 assign --ecu sec-1 --clear
	check_chain veh-1
	is targets "$(jq -r '.signed.targets | keys | join(" ")' <<<"$TARGETS")" os-3
	is state "$(ecu_fact sec-1 .state)" unassigned
}

the_last_ten_versions_stay() {
	local i v
	for i in 1 2 3 4 5 6 7 8 9 10; do
		ends_with 0 assign --ecu prim-1 --name "os-3.$i" --sha256 "$HASH_A" --length 1
		request veh-1 GET /director/timestamp.json
	done
	request veh-1 GET /director/targets.json
	v=$(version)
	answers 200 veh-1 GET "/director/$((v - 9)).targets.json"
	answers 200 veh-1 GET "/director/$((v - 9)).snapshot.json"
	answers 404 veh-1 GET "/director/$((v - 10)).targets.json"
	answers 404 veh-1 GET "/director/$((v - 10)).snapshot.json"
}

# ---- manifests ----

# put_own STATUS NAME LENGTH SHA256 ATTACKS [tool arguments]: what the Primary of veh-1 reports of itself, truthfully.
put_own() {
	local status=$1
	shift
	put "$status" veh-1 veh-1 prim-1 "$W/prim.ecu" prim-1 prim-1 "$W/prim.ecu" "$COUNTER" "$@"
}

a_good_manifest_is_recorded() {
	ends_with 0 assign --ecu prim-1 --name os-4 --sha256 "$HASH_B" --length 9
	next
	put_own 200 os-4 9 "$HASH_B" '' \
		sec-1 sec-1 "$W/sec.ecu" 7 brake-1 3 "$HASH_A" 'rollback:version-rollback:director' \
		sec-3 sec-3 "$W/sec3.ecu" 1 brake-1 3 "$HASH_A" ''
	is body "$BODY" ''
	is state "$(ecu_fact prim-1 .state)" current
	is installed "$(ecu_fact prim-1 '.installed | del(.at)' | jq -cS .)" "{\"length\":9,\"name\":\"os-4\",\"sha256\":\"$HASH_B\"}"
	is counter "$(ecu_fact prim-1 .reportCounter)" "$COUNTER"
	is attacks "$(inventory '.vehicles[0].attacks | map("\(.ecu) \(.text)") | join(";")')" \
		'sec-1 rollback:version-rollback:director'
}

the_same_name_with_other_content_is_not_current() {
	next
	put_own 200 os-4 9 "$HASH_A" ''
	is state "$(ecu_fact prim-1 .state)" pending
}

a_replayed_report_is_refused_and_named() {
	put_own 403 os-4 9 "$HASH_B" ''
	has body "$BODY" '"code":"replayed_report"'
	has body "$BODY" 'ECU prim-1'
	is installed "$(ecu_fact prim-1 .installed.sha256)" "$HASH_A"
	next
	put_own 403 os-4 9 "$HASH_B" '' \
		sec-1 sec-1 "$W/sec.ecu" 7 brake-1 3 "$HASH_A" ''
	has body "$BODY" 'ECU sec-1'
	is 'counter of the Primary' "$(ecu_fact prim-1 .reportCounter)" $((COUNTER - 1))
}

a_missing_secondary_is_noted() {
	next
	put_own 200 os-4 9 "$HASH_B" '' \
		sec-1 sec-1 "$W/sec.ecu" 8 brake-1 3 "$HASH_A" ''
	is missing "$(ecu_fact sec-3 .missingFromLastManifest)" true
	is missing "$(ecu_fact sec-1 .missingFromLastManifest)" false
	has table "$("$DIRECTOR" inventory --dir "$W/dir" --vehicle veh-1 | grep sec-3)" 'no report'
}

manifests_that_lie_are_refused() {
	local before
	before=$("$DIRECTOR" inventory --dir "$W/dir" --json)
	next
	# another vehicle's name, with a good signature
	put 403 veh-1 veh-2 prim-1 "$W/prim.ecu" prim-1 prim-1 "$W/prim.ecu" "$COUNTER" os-5 9 "$HASH_B" ''
	has body "$BODY" '"code":"wrong_vehicle"'
	# another Primary's key
	put 403 veh-1 veh-1 prim-1 "$W/prim2.ecu" prim-1 prim-1 "$W/prim.ecu" "$COUNTER" os-5 9 "$HASH_B" ''
	has body "$BODY" '"code":"bad_signature"'
	# a Secondary named as the Primary
	put 403 veh-1 veh-1 sec-1 "$W/prim.ecu" prim-1 prim-1 "$W/prim.ecu" "$COUNTER" os-5 9 "$HASH_B" ''
	has body "$BODY" '"code":"wrong_primary"'
	# the Primary reports for the Secondary
	put_own 403 os-5 9 "$HASH_B" '' \
		sec-1 sec-1 "$W/prim.ecu" 20 brake-9 3 "$HASH_A" ''
	has body "$BODY" '"code":"bad_signature","message":"sec-1'
	# one Secondary's report under another's name
	put_own 403 os-5 9 "$HASH_B" '' \
		sec-1 sec-3 "$W/sec.ecu" 20 brake-9 3 "$HASH_A" ''
	has body "$BODY" '"code":"wrong_ecu"'
	# an ECU that never registered
	put_own 403 os-5 9 "$HASH_B" '' \
		sec-9 sec-9 "$W/sec.ecu" 20 brake-9 3 "$HASH_A" ''
	has body "$BODY" '"code":"unknown_ecu"'
	# no report of the Primary: nothing would tell it from an old one
	put 400 veh-1 veh-1 prim-1 "$W/prim.ecu" sec-1 sec-1 "$W/sec.ecu" 20 brake-9 3 "$HASH_A" ''
	is inventory "$("$DIRECTOR" inventory --dir "$W/dir" --json)" "$before"
	# the same words, all of them true
	put_own 200 os-4 9 "$HASH_B" '' \
		sec-1 sec-1 "$W/sec.ecu" 20 brake-9 3 "$HASH_A" ''
}

malformed_manifests_are_refused() {
	local body good
	next
	"$MANIFEST_TOOL" veh-1 prim-1 "$W/prim.ecu" prim-1 prim-1 "$W/prim.ecu" "$COUNTER" os-4 9 "$HASH_B" '' >"$W/good"
	good=$(<"$W/good")
	for body in '' '{' '[]' 'null' '{"signed":{},"signatures":[]}' "${good%\}}" "$good$good" "${good/signed/sined}"; do
		request veh-1 PUT /director/manifest --data-binary "$body"
		[[ $STATUS == 40[03] ]] || fault "status $STATUS for ${body:0:60}"
	done
	answers 403 veh-1 PUT /director/manifest --data-binary "${good/os-4/os-5}"
	head -c 100000 /dev/urandom >"$W/noise"
	refuses 400 malformed veh-1 PUT /director/manifest --data-binary "@$W/noise"
	answers 200 veh-1 PUT /director/manifest --data-binary "@$W/good"
}

# result SUCCESS CODE CORRELATION ITEMS
result() {
	printf '{"content_type":"application/vnd.com.here.otac.installationReport.v1","report":{"correlation_id":"%s","raw_report":"","result":{"success":%s,"code":"%s","description":"text \\u001b[31m"},"items":[%s]}}' \
		"$3" "$1" "$2" "$4" >"$W/result"
}

a_failed_installation_shows_until_it_is_ordered_anew() {
	local id
	ends_with 0 assign --ecu prim-1 --name os-6 --sha256 "$HASH_B" --length 9 --and \
		--ecu sec-1 --name brake-6 --sha256 "$HASH_A" --length 9
	check_chain veh-1
	id=$(jq -r .signed.custom.correlationId <<<"$TARGETS")
	result false INSTALL_FAILED some-other-update '{"ecu":"sec-1","result":{"success":false,"code":"INSTALL_FAILED"}}'
	next
	put_own 200 os-4 9 "$HASH_B" '' --result "$W/result"
	is 'state after an old report' "$(ecu_fact sec-1 .state)" pending
	result false INSTALL_FAILED "$id" \
		'{"ecu":"sec-1","result":{"success":false,"code":"INSTALL_FAILED"}},{"ecu":"prim-1","result":{"success":true,"code":"NEED_COMPLETION"}}'
	next
	put_own 200 os-4 9 "$HASH_B" '' --result "$W/result"
	is 'state of the failed one' "$(ecu_fact sec-1 .state)" failed
	is 'state of the other' "$(ecu_fact prim-1 .state)" pending
	is report "$(inventory '.vehicles[0].installation | "\(.success) \(.code)"')" 'false INSTALL_FAILED'
	[[ $("$DIRECTOR" inventory --dir "$W/dir") != *$'\e'* ]] || fault 'an escape reached the terminal'
	ends_with 0 assign --ecu sec-1 --name brake-6 --sha256 "$HASH_A" --length 9
	[[ $OUT != *unchanged* ]] || fault 'a failed installation was not ordered anew'
	is 'state after a new order' "$(ecu_fact sec-1 .state)" pending
}

events_are_kept_once() {
	local event='{"id":"ID","deviceTime":"2024-01-01T00:00:00Z","eventType":{"id":"EcuDownloadStarted","version":0},"event":{"ecu":"prim-1"}}'
	answers 204 veh-1 POST /events -d "[$event]"
	answers 204 veh-1 POST /events -d "[$event,${event/ID/ID2}]"
	answers 204 veh-1 POST /events/ -d '[]'
	is events "$(sqlite3 "$W/dir/director.db" 'SELECT group_concat(id) FROM event')" ID,ID2
	refuses 400 malformed veh-1 POST /events -d '{}'
	refuses 400 malformed veh-1 POST /events -d '[{"id":"x"}]'
	refuses 400 malformed veh-1 POST /events -d '[1'
	{ printf '['; for i in {1..500}; do printf '{"id":"n%d","eventType":{"id":"t"}},' "$i"; done
		printf '{"id":"last","eventType":{"id":"t"}}]'; } >"$W/many"
	refuses 413 too_large veh-1 POST /events --data-binary "@$W/many"
	is events "$(sqlite3 "$W/dir/director.db" 'SELECT count(*) FROM event')" 2
}

the_table_fits_100_columns() {
	local long
	long=$(printf 'very-long-name-%.0s' {1..20})
	ends_with 0 assign --ecu prim-1 --name "$long" --sha256 "$HASH_B" --length 9
	next
	put_own 200 "$long" 9 "$HASH_B" "$long"
	ends_with 0 "$DIRECTOR" inventory --dir "$W/dir"
	is 'longest line' "$(awk 'length > 100' "$W/out")" ''
	has table "$OUT" current
	[ -z "${SHOW:-}" ] || printf '%s\n' "$OUT"
}

# ---- limits ----

oversize_bodies_are_refused() {
	head -c 2200000 /dev/zero >"$W/zeros"
	refuses 413 too_large veh-1 POST /director/ecus --data-binary "@$W/zeros"
	refuses 413 too_large veh-1 POST /director/ecus --data-binary "@$W/zeros" -H 'Transfer-Encoding: chunked'
	refuses 413 too_large veh-1 POST /director/ecus --data-binary "@$W/zeros" -H 'Expect: 100-continue'
	head -c 5000000 /dev/zero >"$W/zeros"
	refuses 413 too_large veh-1 PUT /director/manifest --data-binary "@$W/zeros"
	refuses 413 too_large veh-1 PUT /director/manifest --data-binary "@$W/zeros" -H 'Expect:'
	refuses 413 too_large veh-1 PUT /director/manifest --data-binary "@$W/zeros" -H 'Transfer-Encoding: chunked' \
		-H 'Expect:'
	request stranger PUT /director/manifest --data-binary "@$W/zeros" -H 'Transfer-Encoding: chunked'
	[[ $STATUS == 403 || $STATUS == 000 ]] || fault "a stranger's large body: $STATUS"
	request veh-1 GET /director/root.json -H "X-Long: $(head -c 60000 /dev/zero | tr '\0' x)"
	[[ $STATUS == 4* || $STATUS == 000 ]] || fault "a header of 60000 bytes: $STATUS"
	answers 200 veh-1 GET /director/root.json
}

# Sends the start of a request, then a byte now and then, until the server ends it. The time is bounded, not waited for.
slow_clients_are_cut_off() {
	local started=$SECONDS s_client
	s_client=(openssl s_client -quiet -connect "${URL#https://}" -CAfile "$W/ca.pem" -cert "$W/veh-1.pem"
		-key "$W/veh-1.key")
	{ printf 'GET /director/root.json HTTP/1.1\r\nX: '; while printf x && [ $((SECONDS - started)) -lt 15 ]; do
		sleep 0.2; done; } 2>/dev/null | "${s_client[@]}" >/dev/null 2>&1
	[ $((SECONDS - started)) -lt 10 ] || fault 'a trickling header was not cut off'
	started=$SECONDS
	{ printf 'PUT /director/manifest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n'
		while printf x && [ $((SECONDS - started)) -lt 15 ]; do sleep 0.2; done; } 2>/dev/null |
		"${s_client[@]}" >/dev/null 2>&1
	[ $((SECONDS - started)) -lt 10 ] || fault 'a trickling body was not cut off'
	# nothing at all, not even a handshake
	started=$SECONDS
	timeout 15 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1"; cat <&3 >/dev/null' - "${URL##*:}"
	[ $((SECONDS - started)) -lt 10 ] || fault 'a silent connection was not cut off'
	answers 200 veh-1 GET /director/root.json
}

a_running_request_ends_before_the_server() {
	local pid status rc=0
	mkfifo "$W/fifo"
	curl -sS --max-time 20 --cacert "$W/ca.pem" --cert "$W/veh-1.pem" --key "$W/veh-1.key" -o "$W/body" -v \
		-w '%{http_code}' -H 'Expect: 100-continue' -T - "$URL/director/manifest" <"$W/fifo" >"$W/status" 2>"$W/trace" &
	pid=$!
	exec 4>"$W/fifo"
	printf '{"signed":' >&4
	wait_for grep -q 'HTTP/1.1 100' "$W/trace" || fault 'the server did not ask for the body'
	kill -TERM "$SERVER"
	wait_for grep -q 'requests are still running' "$W/log" || fault 'the server saw no running request'
	status=$(curl -s --max-time 5 -o /dev/null -w '%{http_code}' --cacert "$W/ca.pem" --cert "$W/veh-1.pem" \
		--key "$W/veh-1.key" "$URL/director/root.json")
	is 'status of a new connection' "$status" 000
	printf 'x' >&4
	exec 4>&-
	wait "$pid"
	is 'status of the running request' "$(<"$W/status")" 400
	wait "$SERVER" || rc=$?
	SERVER=
	is 'exit code' "$rc" 0
}

# ---- rotation and expiry ----

# rotate ROLE N: root N is signed by the old and the new root key; metadata is signed anew.
check_rotation() {
	local role=$1 n=$2 old new before
	request veh-1 GET /director/root.json
	old=$BODY
	request veh-1 GET /director/timestamp.json
	before=$(version)
	ends_with 0 "$DIRECTOR" rotate --dir "$W/dir" "$role"
	answers 200 veh-1 GET "/director/$n.root.json"
	new=$BODY
	is 'root version' "$(version)" "$n"
	is 'copy' "$(<"$W/dir/$n.root.json")" "$new"
	verifies "$W/body" "$(public_key "$new" root)" || fault "root $n: the new key's signature is missing"
	if [ "$role" = root ]; then
		verifies "$W/body" "$(public_key "$old" root)" 1 || fault "root $n: the old key's signature is missing"
	fi
	[ "$(public_key "$old" "$role")" != "$(public_key "$new" "$role")" ] || fault "$role has its old key"
	check_chain veh-1
	is 'timestamp version' "$(jq .signed.version <<<"$TIMESTAMP")" $((before + 1))
	is 'keys' "$(cd "$W/dir/keys" && echo "$role".*)" "$role.$n.pem"
	is 'key file' "$(stat -c %a "$W/dir/keys/$role.$n.pem")" 600
}

every_role_can_get_a_new_key() {
	check_rotation targets 2
	check_rotation snapshot 3
	check_rotation timestamp 4
	check_rotation root 5
	check_rotation root 6
	answers 200 veh-1 GET /director/1.root.json
	is 'root 1' "$BODY" "$ROOT1"
	ends_with 0 "$DIRECTOR" rotate --dir "$W/dir" --keep-old-key targets
	is 'kept' "$(cd "$W/dir/keys" && echo targets.*)" 'targets.2.pem targets.7.pem'
}

a_lost_key_is_a_failure_and_no_404() {
	ends_with 0 "$DIRECTOR" rotate --dir "$W/dir" targets
	rm "$W/dir/keys/timestamp.4.pem"
	refuses 500 internal veh-1 GET /director/timestamp.json
	refuses 500 internal veh-1 GET /director/targets.json
	answers 200 veh-1 GET /director/root.json
	ends_with 4 "$DIRECTOR" rotate --dir "$W/dir" snapshot
	answers 404 veh-1 GET /director/9.root.json
}

a_lost_key_can_be_replaced() {
	ends_with 0 "$DIRECTOR" rotate --dir "$W/dir" timestamp
	answers 200 veh-1 GET /director/9.root.json
	check_chain veh-1
}

# ---- all of it ----

make_ca ca && make_ca wrong-ca &&
	make_cert server /CN=localhost server && make_cert veh-1 /O=TEST/CN=veh-1 client &&
	make_cert veh-2 /CN=veh-2 client && make_cert stranger /CN=veh-1 client wrong-ca &&
	make_cert expired /CN=veh-1 client ca -not_before 20200101000000Z -not_after 20210101000000Z ||
	make_cert expired /CN=veh-1 client ca -days -1
make_cert two-names /CN=veh-1/CN=veh-2 client && make_cert no-name /O=TEST client &&
	make_cert bad-name '/CN=veh 1' client || { echo 'certificates failed' >&2; exit 1; }
make_ecu prim ed25519 && make_ecu prim2 ed25519 && make_ecu sec ecdsa && make_ecu sec3 ed25519
PRIM=$(ecu prim prim-1 gateway ED25519)
SEC=$(ecu sec sec-1 brake ECPRIME256V1)

for c in commands_explain_themselves wrong_usage_is_one_line_and_code_2 init_makes_private_keys_and_a_root \
	init_refuses_a_folder_with_something_in_it commands_refuse_what_is_no_director other_key_types_sign_as_well \
	serve_refuses_wrong_tls_files; do
	run_case "$c"
done

start_server || exit 1
for c in a_client_without_certificate_is_refused certificates_that_prove_nothing_are_refused \
	plain_http_and_old_tls_are_refused metadata_needs_a_registration registration_is_created_once_and_then_the_same \
	registration_never_changes_an_ecu a_new_ecu_may_join malformed_registrations_are_refused \
	a_fresh_vehicle_gets_empty_targets_with_its_name what_is_not_there_is_404 other_methods_are_405 \
	a_poll_with_nothing_new_is_small_and_the_same an_assignment_makes_a_new_version \
	the_same_assignment_again_changes_nothing another_vehicle_sees_only_its_own assignments_that_cannot_be_are_refused \
	images_come_from_published_targets several_images_change_in_one_step the_last_ten_versions_stay \
	a_good_manifest_is_recorded the_same_name_with_other_content_is_not_current a_replayed_report_is_refused_and_named \
	a_missing_secondary_is_noted manifests_that_lie_are_refused malformed_manifests_are_refused \
	a_failed_installation_shows_until_it_is_ordered_anew events_are_kept_once the_table_fits_100_columns \
	oversize_bodies_are_refused a_running_request_ends_before_the_server; do
	run_case "$c"
done

start_server --timeout 1 || exit 1
for c in slow_clients_are_cut_off every_role_can_get_a_new_key a_lost_key_is_a_failure_and_no_404 \
	a_lost_key_can_be_replaced; do
	run_case "$c"
done
stop_server
CASES=$((CASES + 1))
if [ "$SERVER_RC" -ne 0 ]; then
	FAILED=$((FAILED + 1))
	printf 'not ok the_server_ends_cleanly (exit code %s)\n' "$SERVER_RC"
	tail -n 40 "$W/log"
fi
if grep -qE 'AddressSanitizer|LeakSanitizer|runtime error' "$W/log"; then
	FAILED=$((FAILED + 1))
	grep -E -A 20 'AddressSanitizer|LeakSanitizer|runtime error' "$W/log" | head -n 60
fi
printf '%d cases, %d failed\n' "$CASES" "$FAILED"
[ "$FAILED" -eq 0 ]
