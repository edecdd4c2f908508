#!/usr/bin/env bash
# The verification library (base to imagerepo, and manifest) knows no network, database or clock: what it
# cannot reach, a hostile document cannot make it use. Argument: the build folder.
set -euo pipefail
build=$1
libs=()
for module in base json crypto metadata director imagerepo manifest; do
	libs+=("$build/src/$module/libupt_$module.a")
done
forbidden='curl_.*|sqlite3_.*|socket|connect|bind|listen|accept4?|getaddrinfo|send(to|msg)?|recv(from|msg)?|time|clock|clock_gettime|gettimeofday|ftime'
for lib in "${libs[@]}"; do
	[ -f "$lib" ] || { echo "no $lib"; exit 1; }
done
if nm -A --undefined-only "${libs[@]}" | grep -E " U ($forbidden)$"; then
	exit 1
fi
