#!/usr/bin/env bash
# The servers that content comes from die in the middle of a transfer, or serve something else than what was signed:
# a named refusal, the old release runs, and with honest servers the next cycle completes the update.
# Usage: faults_servers.sh BIN-DIR
# shellcheck source-path=SCRIPTDIR source=plan_lib.sh
SYSTEM_BYTES=3000000
source "$(dirname "$0")/plan_lib.sh" "$@"

# honest: the servers are as they should be.
honest() {
	rm -rf "$W/gate/override" "$W/gate/slow"
	mkdir -p "$W/gate/override"
	world_pid gate >/dev/null || { world_stop gate; gate_start; }
}

# serve PATH FILE: the gate serves FILE as PATH.
serve() {
	mkdir -p "$W/gate/override/$(dirname "$1")"
	cp "$2" "$W/gate/override/$1"
}

# flipped FILE: a copy with one byte in its middle changed.
flipped() {
	local at=$(($(stat -c %s "$1") / 2)) byte
	cp "$1" "$W/flipped"
	byte=$(od -An -tu1 -j "$at" -N 1 "$1")
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$W/flipped" bs=1 seek="$at" conv=notrunc status=none
}

# check RC NAME TEXT: the refusal, then the update.
check() {
	refused "$@"
	honest
	completed
}

# dies_at WHERE WAIT: the servers are slow, and die in a cycle after the call that WHERE names, once the shell command
# WAIT is over.
dies_at() {
	local gate
	gate=$(world_pid gate)
	touch "$W/gate/slow"
	cut_cycle write,request run "$1" "{ $2; kill -KILL -$gate && : >$W/died; } >/dev/null 2>&1 &"
	[ -e "$W/died" ] || fault "the servers did not die in the transfer: $ERR"
	rm -f "$W/died"
	world_stop gate
}

# The first bytes of content have come.
remote_dies_in_mid_transfer() {
	next
	dies_at "write $SYSROOT/ostree/repo/tmp/" :
	check 5 network 'commit'
}

# The engine has written a part of the layer.
registry_dies_in_mid_transfer() {
	next
	dies_at 'images/pull' "for i in \$(seq 500); do
		[ -z \"\$(find $W/podman/tmp -type f -size +64k 2>/dev/null)\" ] || break; sleep 0.02; done"
	check 5 server 'the engine cannot pull'
}

registry_serves_another_manifest() {
	local other=${DIGEST[CURRENT]}
	next
	serve "v2/dashboard/manifests/sha256:${DIGEST[NEXT]}" "$W/app/$CURRENT/blobs/sha256/$other"
	cycle
	check 20 image-hash ''
}

registry_serves_a_broken_layer() {
	local layer
	next
	layer=$(jq -r '.layers[0].digest' "$W/app/$NEXT/blobs/sha256/${DIGEST[NEXT]}")
	flipped "$W/app/$NEXT/blobs/sha256/${layer#sha256:}"
	serve "v2/dashboard/blobs/$layer" "$W/flipped"
	cycle
	check 20 image-hash ''
}

# object COMMIT: path of a commit object, relative to the repository.
object() {
	echo "objects/${1:0:2}/${1:2}.commit"
}

remote_serves_another_commit() {
	next
	serve "ostree/$(object "${COMMIT[NEXT]}")" "$OSTREE_REMOTE_REPO/$(object "${COMMIT[CURRENT]}")"
	cycle
	check 20 image-hash 'commit'
}

remote_serves_a_broken_object() {
	local file
	next
	# The large one, which is each release's own.
	file=$(ostree --repo="$OSTREE_REMOTE_REPO" ls -C "${COMMIT[NEXT]}" /usr/bin/data | awk '{print $5}')
	file=objects/${file:0:2}/${file:2}.filez
	flipped "$OSTREE_REMOTE_REPO/$file"
	serve "ostree/$file" "$W/flipped"
	cycle
	check 20 image-hash 'commit'
}

make_world
for name in remote_dies_in_mid_transfer registry_dies_in_mid_transfer registry_serves_another_manifest \
	registry_serves_a_broken_layer remote_serves_another_commit remote_serves_a_broken_object; do
	run_case "$name"
done
finish
