#!/usr/bin/env bash
# Runs the test program $1 in a world with an OSTree remote behind nginx: HTTPS with client certificates, first
# at full speed, then with a server that is slow.
set -euo pipefail
world=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../e2e/world" && pwd)
for lib in procs pki ostree nginx; do
	# shellcheck source=/dev/null
	. "$world/$lib.sh"
done
W=$(mktemp -d /tmp/upt-ostree-XXXXXX)
world_begin "$W"
pki_make "$W/pki" gw-0001
ostree_make_remote "$W/remote"
port=$(world_free_port)
nginx_start "$W/nginx" "$port"
export TEST_URL=https://127.0.0.1:$port/ostree/ TEST_CMDLINE=$W/cmdline TEST_BOOT_ID=$W/boot_id

# A fresh device for each run.
device() {
	export TEST_SYSROOT=$W/$1
	ostree_make_sysroot "$TEST_SYSROOT" "$W/remote/repo" "$TEST_URL" "$PKI_DIR/ca.pem" "$PKI_DIR/device.pem" \
		"$PKI_DIR/device.key"
	ostree_boot "$TEST_SYSROOT" "$TEST_CMDLINE" "$TEST_BOOT_ID"
}
device fast
"$1" fast
device slow
nginx_limit 60k
"$1" slow
