#!/usr/bin/env bash
# Runs the test program $1 with a /tmp of its own that holds 128 MiB, so that free space is what the test says.
set -euo pipefail
exec unshare -m bash -c 'mount --make-rprivate / && mount -t tmpfs -o size=128m tmpfs /tmp && exec "$1"' - "$1"
