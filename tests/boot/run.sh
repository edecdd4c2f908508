#!/usr/bin/env bash
# Scenarios on a machine that boots: run.sh BUILD CACHE SCENARIO... (scripts/test-boot builds and calls it). BUILD is
# a build folder with CMAKE_INSTALL_PREFIX /usr, CACHE keeps the base system between runs. Environment: BOOT_CUTS how
# many power cuts (10), BOOT_KEEP=1 keeps the world's folder, BOOT_SLOW multiplies every time limit (8). Without a scenario only CACHE is filled.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$(realpath "$1") CACHE=$(realpath "$2")
shift 2
: "${BOOT_CUTS:=10}" "${BOOT_SLOW:=8}"
umask 022
unset http_proxy https_proxy HTTPS_PROXY ALL_PROXY JOURNAL_STREAM SOURCE_DATE_EPOCH
W=$(mktemp -d "$CACHE/world.XXXXXX")
export W
for part in procs pki nginx container uptane; do
	# shellcheck source=/dev/null
	source "$HERE/../e2e/world/$part.sh"
done
[ -z "${BOOT_KEEP:-}" ] || export WORLD_KEEP=1
world_begin "$W"
for part in image machine vehicle scenarios cuts; do
	# shellcheck source=/dev/null
	source "$HERE/$part.sh"
done
uptane_bin "$BUILD/bin"

took() { printf '%s %s %d s\n' "$1" "$2" "$((SECONDS - BEGAN))"; }

BEGAN=$SECONDS
(
	flock 9
	boot_base "$CACHE"
) 9>"$CACHE/lock"
took base made
[ $# -gt 0 ] || exit 0
BEGAN=$SECONDS
vehicle_world "$CACHE" "$BUILD"
took world made
FAILED=0
for name; do
	BEGAN=$SECONDS FAULTS=0
	if "scenario_$name" && [ "$FAULTS" -eq 0 ]; then
		took ok "$name"
	else
		FAILED=$((FAILED + 1))
		took 'not ok' "$name"
	fi
done
[ "$FAILED" -eq 0 ] || [ -z "${BOOT_KEEP:-}" ] || printf 'kept: %s\n' "$W"
[ "$FAILED" -eq 0 ]
