#!/usr/bin/env bash
# Runs the test program $1 in a world with a registry, two versions of an application and the engine $2, which
# is podman or docker.
set -euo pipefail
world=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../e2e/world" && pwd)
for lib in procs container; do
	# shellcheck source=/dev/null
	. "$world/$lib.sh"
done
W=$(mktemp -d /tmp/upt-engine-XXXXXX)
world_begin "$W"
app_make "$W/app"
registry_start "$W/registry"
app_push "$W/app"
"$2_start" "$W/engine"
if [ "$2" = docker ]; then ENGINE_SOCK=$DOCKER_SOCK; else ENGINE_SOCK=$PODMAN_SOCK; fi
export ENGINE=$2 ENGINE_SOCK
TEST_PORT_A=$(world_free_port)
TEST_PORT_B=$(world_free_port)
export TEST_PORT_A TEST_PORT_B
"$1"
