#!/usr/bin/env bash
# Every header compiles alone. Prints the compiler's words; exit 1 when one does not.
set -euo pipefail
cd "$(dirname "$0")/../.."
read -ra flags <<<"$(pkg-config --cflags libcrypto libcurl libcjson sqlite3 libmicrohttpd gnutls ostree-1)"
bad=0
for header in src/*/*.h tools/*/*.h; do
	cc -std=gnu11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -Wno-pragma-once-outside-header \
		"${flags[@]}" -Isrc -Itools -Iinclude -x c "$header" || bad=1
done
exit "$bad"
