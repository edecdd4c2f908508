#!/usr/bin/env bash
# Runs the test program $1 in a world with a registry, two versions of an application and a Podman engine.
set -euo pipefail
world=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../e2e/world" && pwd)
for lib in procs container; do
	# shellcheck source=/dev/null
	. "$world/$lib.sh"
done
W=$(mktemp -d /tmp/upt-podman-XXXXXX)
world_begin "$W"
app_make "$W/app"
registry_start "$W/registry"
app_push "$W/app"
podman_start "$W/podman"
TEST_PORT_A=$(world_free_port)
TEST_PORT_B=$(world_free_port)
export TEST_PORT_A TEST_PORT_B
"$1"
