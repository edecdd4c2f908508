#!/usr/bin/env bash
# Wrong command lines and wrong configuration: the exit code's class, one line that names the culprit, nothing made.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

help_and_version() {
	local program
	for program in uptaned uptanectl uptane-secondary uptane-repo uptane-director; do
		run "$program" --help
		is "$program --help" "$RC" 0
		has "$program --help" "$OUT" "Usage: $program"
		is "$program --help on stderr" "$ERR" ""
		run "$program" --version
		is "$program --version" "$RC" 0
		[[ $OUT =~ ^$program\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fault "$program --version says '$OUT'"
	done
}

uptaned_usage() {
	fails 2 "--once or --daemon" uptaned
	fails 2 "--onse" uptaned --onse
	fails 2 "only once" uptaned --once --daemon
	fails 2 "--config" uptaned --once --config
	fails 2 "'extra'" uptaned --once extra
	fails 2 "-x" uptaned -x --once
	fails 2 "x" uptaned -1x
	fails 2 "--once=yes" uptaned --once=yes
}

uptanectl_usage() {
	fails 2 "give a command" uptanectl
	fails 2 "'statsu'" uptanectl statsu
	fails 2 "--jsno" uptanectl status --jsno
	fails 2 "--config" uptanectl status --config
	fails 2 "more than one command" uptanectl status check
	fails 2 "--ecu" uptanectl rollback --ecu
	fails 2 "-x" uptanectl status -x
}

missing_folder_and_file() {
	fails 4 "$W/nowhere" uptaned --once --config "$W/nowhere"
	fails 4 "$W/nowhere" uptanectl status --config "$W/nowhere"
	mkdir -p "$W/empty"
	fails 4 "$W/empty/uptaned.conf" uptaned --once --config "$W/empty"
	fails 4 "$W/empty/uptaned.conf" uptanectl check --config "$W/empty"
	fails 4 "$W/nowhere" uptaned --once --config "$W/nowhere/"
	printf x >"$W/file"
	fails 4 "$W/file" uptaned --once --config "$W/file"
	fails 4 "nowhere" uptane-secondary --config "$W/nowhere"
}

# wrong TEXT: stdin is a drop-in; both programs refuse it with 3 and TEXT, and make no state.
wrong() {
	drop_in
	fails 3 "$1" uptaned --once --config "$GATEWAY"
	fails 3 "$1" uptanectl status --config "$GATEWAY"
	holds "no state was made" test ! -e "$GATEWAY/state"
	holds "no key was made" test ! -e "$GATEWAY/gw.key"
	rm -rf "$GATEWAY/state" "$GATEWAY"/*.key
	mend
}

# wrong_value SECTION KEY VALUE TEXT: the line names file and line, and the key.
wrong_value() {
	wrong "$4" <<<"[$1]"$'\n'"$2 = $3"
	has "its message" "$ERR" "50-test.conf:2:"
	has "its message" "$ERR" "$2"
}

unknown_keys_and_sections() {
	wrong "vehicel_id" <<<$'[uptane]\nvehicel_id = x'
	has message "$ERR" "50-test.conf:2"
	wrong "primery" <<<$'[primery]\nserial = x'
	wrong "nobody" <<<$'[nobody x]\nserial = x'
	wrong "os" <<<$'[primary]\nos = gateway' # belongs to another installer
}

no_ini() {
	wrong "50-test.conf:1" <<<'vehicle_id = x'
	wrong "50-test.conf:1" <<<'[uptane'
	wrong "50-test.conf:2" <<<$'[uptane]\nvehicle_id'
	wrong "50-test.conf:2" < <(printf '[uptane]\nvehicle_id = a\0b\n')
	wrong "50-test.conf" < <(printf '[uptane]\nvehicle_id = \xff\xfe\n')
}

# wrong_application TEXT LINE...: a container installer with these lines is refused with TEXT.
wrong_application() {
	local text=$1
	shift
	wrong "$text" < <(printf '[secondary radio]\ninstaller = container\nname = app\n'
		printf '%s\n' "$@")
}

wrong_application_settings() {
	wrong_application "none of auto, podman, docker" "engine = lxc"
	wrong_application "pull_stall_s" "pull_stall_s = 9"
	wrong_application "not KEY=VALUE" "env = A=b" "env = SECRET"
}

wrong_numbers() {
	local value
	for value in 0 -1 1.5 1x '' 99999999999999999999999 2592001 0x10; do
		wrong_value uptane poll_interval_s "$value" poll_interval_s
	done
	wrong_value network connect_timeout_s soon soon
	wrong_value director max_targets_bytes 10 max_targets_bytes
	wrong_value image_repository max_delegations 1000000 max_delegations
}

wrong_values() {
	wrong_value uptane profile standrad standrad
	wrong_value uptane build_time 2024-01-01 2024-01-01
	wrong_value uptane vehicle_id "" vehicle_id
	wrong_value primary serial "$(printf 'x%.0s' {1..300})" serial
	wrong_value primary installer magic "magic"
	wrong_value primary path "" path
	wrong_value "secondary radio" link ipp ipp
	wrong "secondary" <<<$'[secondary]\nhardware_id = x'
	wrong "hardware_id" <<<$'[secondary lonely]\nlink = virtual'
}

wrong_urls() {
	local url
	for url in ftp://127.0.0.1/x 127.0.0.1/x http://example.com/x http://127.0.0.1.example.com/x \
		http://127.0.0.1@example.com/x https:// https:///x https://127.0.0.1/x/ "https://a b/x" https://h:port/x \
		https://h:99999/x; do
		wrong_value director url "$url" "${url%% *}"
		wrong_value image_repository url "$url" "${url%% *}"
	done
	wrong_value image_repository targets_url "ftp://x/y" "ftp://x/y"
}

one_serial_twice() {
	wrong "two ECUs" <<-CONF
		[secondary gw]
		link = virtual
		hardware_id = radio-x1
		key = $GATEWAY/other.key
		installer = file
		path = $GATEWAY/other
	CONF
}

required_is_missing() {
	local key good
	good=$(<"$GATEWAY/uptaned.conf")
	for key in vehicle_id url root serial hardware_id installer path; do
		grep -v "^$key = " <<<"$good" >"$GATEWAY/uptaned.conf"
		fails 3 "$key" uptaned --once --config "$GATEWAY"
	done
	printf '%s\n' "$good" >"$GATEWAY/uptaned.conf"
}

tls_files() {
	wrong "both cert and key" <<<$'[tls]\ncert ='
	drop_in <<<"[tls]"$'\n'"ca = $W/nowhere.pem"
	fails 3 "$W/nowhere.pem" uptaned --once --config "$GATEWAY"
	echo garbage >"$W/garbage.pem"
	drop_in <<<"[tls]"$'\n'"ca = $W/garbage.pem"
	fails 3 "$W/garbage.pem" uptaned --once --config "$GATEWAY"
	drop_in <<<"[tls]"$'\n'"key = $PKI_DIR/operator.key"
	fails 3 "$PKI_DIR/operator.key" uptaned --once --config "$GATEWAY"
	mend
	rm -rf "$GATEWAY/state" "$GATEWAY"/*.key
}

# pinned RC TEXT: stdin is the Image repository's provisioned root; the first start refuses it.
pinned() {
	cat >"$W/bad.root.json"
	drop_in <<<"[image_repository]"$'\n'"root = $W/bad.root.json"
	fails "$1" "$2" uptaned --once --quiet --config "$GATEWAY"
	has "its message" "$ERR" "$W/bad.root.json"
	is "what is pinned" "$(status .metadata.image.root)" 0
}

bad_pinned_roots() {
	local root=$IMAGE_REPO/public/1.root.json
	drop_in <<<"[image_repository]"$'\n'"root = $W/nowhere.json"
	fails 4 "$W/nowhere.json" uptaned --once --quiet --config "$GATEWAY"
	pinned 26 malformed <<<garbage
	pinned 26 malformed </dev/null
	pinned 26 malformed < <(head -c 700 "$root")
	pinned 23 wrong-role <"$IMAGE_REPO/public/timestamp.json"
	pinned 20 signature-threshold < <(jq -c '.signatures = []' "$root")
	pinned 20 signature-threshold < <(jq -c '.signed.version = 2' "$root")
	# signed by its timestamp key, not by its root key
	pinned 20 signature-threshold < <(jq -cSj .signed "$root" | sign_as image timestamp)
	pinned 24 too-large < <(cat "$root" && head -c 300000 /dev/zero | tr '\0' ' ')
	mend
}

bad_ecu_keys() {
	rm -rf "$GATEWAY/state" "$GATEWAY"/*.key
	uptaned --once --quiet --config "$GATEWAY" || fault "the good configuration does not work"
	is "modes of new keys" "$(stat -c %a "$GATEWAY"/*.key | sort -u)" 600
	chmod 644 "$GATEWAY/gw.key"
	fails 3 "$GATEWAY/gw.key" uptaned --once --quiet --config "$GATEWAY"
	has message "$ERR" "0644"
	chmod 600 "$GATEWAY/gw.key"
	cp -a "$GATEWAY/radio.key" "$W/radio.key"
	echo garbage >"$GATEWAY/radio.key"
	fails 3 "$GATEWAY/radio.key" uptaned --once --quiet --config "$GATEWAY"
	: >"$GATEWAY/radio.key"
	fails 3 "$GATEWAY/radio.key" uptaned --once --quiet --config "$GATEWAY"
	cp -a "$W/radio.key" "$GATEWAY/radio.key"
	uptaned --once --quiet --config "$GATEWAY" || fault "the mended keys do not work"
}

# An ECU whose key is lost gets no other one, which the Director would not believe: its disk may not be mounted yet.
lost_ecu_key() {
	rm "$GATEWAY/radio.key"
	fails 3 "$GATEWAY/radio.key is gone" uptaned --once --quiet --config "$GATEWAY"
	[ ! -e "$GATEWAY/radio.key" ] || fault "another key was made"
	cp -a "$W/radio.key" "$GATEWAY/radio.key"
	uptaned --once --quiet --config "$GATEWAY" || fault "the mended key does not work"
}

rollback_faults() {
	fails 2 "nobody" uptanectl rollback --ecu nobody --config "$GATEWAY"
	fails 7 "nothing to go back to" uptanectl rollback --config "$GATEWAY"
	is "files" "$(cat "$GATEWAY"/ecu/*)" "factory appfactory radio"
}

works_after_all() {
	assign_now app 1
	updated
}

NO_FIRST_CYCLE=1 make_world 20000
APP=0
for name in help_and_version uptaned_usage uptanectl_usage missing_folder_and_file unknown_keys_and_sections no_ini \
	wrong_application_settings wrong_numbers wrong_values wrong_urls one_serial_twice required_is_missing tls_files bad_pinned_roots \
	bad_ecu_keys lost_ecu_key rollback_faults works_after_all; do
	run_case "$name"
done
finish
