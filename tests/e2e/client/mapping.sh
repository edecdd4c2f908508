#!/usr/bin/env bash
# More than two repositories: a fleet owner's Director that must agree too, and a mirror of the Image repository with
# keys of its own, of which one may be missing.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

# A second Director, which the vehicle only reads: it was registered there before, under the same ECU keys.
fleet_start() {
	world_spawn fleet uptane-director serve --dir "$W/fleet" --listen "127.0.0.1:${FLEET_PORT:-0}" \
		--cert "$PKI_DIR/server.pem" --key "$PKI_DIR/server.key" --client-ca "$PKI_DIR/ca.pem" \
		--ready-file "$W/fleet.port"
	uptane_wait_file fleet "$W/fleet.port"
	FLEET_PORT=$(<"$W/fleet.port")
}

fleet_make() {
	uptane-director init --dir "$W/fleet" >"$W/log/fleet-init.log" 2>&1
	fleet_start
	curl -fsS --cacert "$PKI_DIR/ca.pem" --cert "$PKI_DIR/device.pem" --key "$PKI_DIR/device.key" \
		"https://127.0.0.1:$FLEET_PORT/director/1.root.json" -o "$W/fleet.root.json"
	drop_in <<-CONF
		[uptane]
		state_dir = $W/fleet-state
		[director]
		url = https://127.0.0.1:$FLEET_PORT/director
		root = $W/fleet.root.json
	CONF
	uptaned --once --quiet --config "$GATEWAY" || echo "the vehicle is not registered with the fleet"
	mend
}

# fleet_wants ECU TARGET
fleet_wants() {
	DIRECTOR=$W/fleet assign "$VEHICLE" "$1" "$2"
}

mirror_make() {
	local v
	IMAGE_REPO=$W/mirror-repo repo init
	for v in 1 2; do
		IMAGE_REPO=$W/mirror-repo add_image "app/$v" gw-x1 5
		IMAGE_REPO=$W/mirror-repo add_image "radio/$v" radio-x1 5
	done
	IMAGE_REPO=$W/mirror-repo repo publish
	cp "$W/mirror-repo/public/1.root.json" "$W/mirror.root.json"
	ln -sfn "$W/mirror-repo/public" "$W/gate/mirror"
}

# mapped: stdin is the [repository] and [mapping] part of the configuration from now on.
mapped() {
	[ -e "$W/basic.conf" ] || cp "$GATEWAY/uptaned.conf" "$W/basic.conf"
	cat "$W/basic.conf" - >"$GATEWAY/uptaned.conf"
}

fleet_section() {
	printf '\n[repository fleet]\nkind = director\nurl = https://127.0.0.1:%s/director\nroot = %s\n' \
		"$FLEET_PORT" "$W/fleet.root.json"
}

mirror_section() {
	printf '\n[repository mirror]\nkind = image\nurl = http://127.0.0.1:%s/mirror\nroot = %s\n' \
		"$PLAIN_PORT" "$W/mirror.root.json"
}

both_directors() {
	mapped < <(fleet_section && printf '[mapping both]\nrepositories = director fleet image_repository\n')
}

two_of_three() {
	mapped < <(mirror_section &&
		printf '[mapping any]\nrepositories = director image_repository mirror\nthreshold = 2\n')
}

# unreachable REPOSITORY SECTION: its url leads nowhere until mend.
unreachable() {
	drop_in <<<"[$1]"$'\n'"url = https://127.0.0.1:$(world_free_port)/$2"
}

heard() {
	director_db 'SELECT text FROM attack ORDER BY rowid DESC LIMIT 1'
}

wrong_mappings_are_refused_at_start() {
	local before
	before=$(status .)
	drop_in < <(fleet_section)
	fails 3 "repository fleet is in no [mapping]" uptaned --once --config "$GATEWAY"
	drop_in <<<$'[mapping m]\nrepositories = director fleet image_repository'
	fails 3 "50-test.conf:2: [mapping m] repositories: there is no repository 'fleet'" \
		uptaned --once --config "$GATEWAY"
	fails 3 "there is no repository 'fleet'" uptanectl status --config "$GATEWAY"
	mend
	is "the state" "$(status .)" "$before"
}

second_director_agrees() {
	both_directors
	is "what is known of it" "$(status .metadata.fleet.root)" 0
	want_other
	fleet_wants gw "app/$APP"
	fleet_wants radio radio/1
	updated
	is "its root" "$(status .metadata.fleet.root)" 1
	run uptanectl status --config "$GATEWAY"
	has "the table" "$OUT" "fleet"
	has "who vouches" "$(status '.ecus[0].vouchedBy')" "; fleet root 1"
	run uptanectl check --config "$GATEWAY"
	is "exit code of check" "$RC" 0
}

second_director_disagrees() {
	want_other
	refused 20 target-mismatch "mapping both: 2 of 3 repositories agree on app/$APP, 3 must" ".director, .image, .fleet"
	has "its message" "$ERR" "not fleet: repository fleet: image app/$APP: another Director assigns app/$((3 - APP))"
	is "what the Director heard" "$(heard)" "arbitrary-software:target-mismatch:fleet"
	has "incidents" "$(status '.incidents | map(.repository)')" '"fleet"'
	fleet_wants gw "app/$APP"
	updated
}

second_director_is_down() {
	want_other
	fleet_wants gw "app/$APP"
	world_stop fleet
	refused 5 network "repository fleet: director 2.root.json" .director
	fails 5 "repository fleet" uptanectl check --config "$GATEWAY"
	rm "$W/fleet.port"
	fleet_start
	updated
}

# Its online keys are not enough for a thief: it can refuse, and assign nothing.
second_director_is_stolen() {
	fleet_wants gw "app/$((3 - APP))"
	attempt
	is "exit code with nothing to do" "$RC" 0
	is "installed name" "$(status '.ecus[0].installed.name')" "\"app/$APP\""
	fleet_wants gw "app/$APP"
}

state_stays_while_it_is_out_of_the_configuration() {
	local known
	known=$(status .metadata.fleet)
	cp "$W/basic.conf" "$GATEWAY/uptaned.conf"
	want_other
	updated
	is "status without it" "$(status '.metadata | keys')" '["director","image"]'
	both_directors
	is "what is known of it" "$(status .metadata.fleet)" "$known"
	want_other
	fleet_wants gw "app/$APP"
	updated
	[ "$(status .metadata.fleet.timestamp)" -gt "$(jq .timestamp <<<"$known")" ] ||
		fault "its timestamp is $(status .metadata.fleet.timestamp) after $known"
}

one_image_repository_is_enough() {
	two_of_three
	want_other
	updated
	has "who vouches" "$(status '.ecus[0].vouchedBy')" "; mirror root 1"
	want_other
	unreachable "repository mirror" mirror
	attempt
	is "exit code without the mirror" "$RC" 0
	has stderr "$ERR" "going on without repository mirror"
	updated
	want_other
	unreachable image_repository repo
	attempt
	is "exit code without the Image repository" "$RC" 0
	has stderr "$ERR" "going on without repository image"
	updated
	has "who vouched" "$(status '.ecus[0].vouchedBy')" "director root"
}

but_not_none() {
	want_other
	drop_in <<-CONF
		[image_repository]
		url = https://127.0.0.1:$(world_free_port)/repo
		[repository mirror]
		url = https://127.0.0.1:$(world_free_port)/mirror
	CONF
	run uptaned --once --quiet --config "$GATEWAY"
	is "exit code" "$RC" 5
	has stderr "$ERR" "mapping any: 1 of 3 repositories agree on app/$APP, 2 must"
	has "last cycle" "$(status .lastCycle.code)" '"network"'
	updated
}

# What a thief of the mirror's keys lists is not installed, and he is named.
mirror_is_stolen() {
	want_other
	make_image evil/app 20000
	IMAGE_REPO=$W/mirror-repo repo target remove "app/$APP"
	IMAGE_REPO=$W/mirror-repo repo target add "$W/images/evil/app" --name "app/$APP" --format BINARY --hardware-id gw-x1 \
		--release-counter 5
	IMAGE_REPO=$W/mirror-repo repo publish
	attempt
	is "exit code" "$RC" 0
	has stderr "$ERR" "repository mirror does not agree"
	updated
	is "what the Director heard" "$(heard)" "arbitrary-software:target-mismatch:mirror"
}

make_world 20000
fleet_make
mirror_make
for name in wrong_mappings_are_refused_at_start second_director_agrees second_director_disagrees second_director_is_down \
	second_director_is_stolen state_stays_while_it_is_out_of_the_configuration one_image_repository_is_enough \
	but_not_none mirror_is_stolen; do
	run_case "$name"
done
finish
