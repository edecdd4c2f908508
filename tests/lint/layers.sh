#!/usr/bin/env bash
# A folder of src includes only folders of lower layers; folders of one layer never include each other.
# GLib and libostree stay inside src/installer/ostree*.c. Prints each offence; exit 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."

declare -A layer=(
	[base]=0 [json]=1 [crypto]=1 [metadata]=2
	[director]=3 [imagerepo]=3 [manifest]=3 [transport]=3 [storage]=3 [installer]=3
	[secondary]=4 [primary]=5 [daemon]=6 [cli]=6
)
bad=0
for file in src/*/*.[ch]; do
	dir=$(basename "$(dirname "$file")")
	if [ -z "${layer[$dir]:-}" ]; then
		echo "$file: folder $dir has no layer"
		bad=1
		continue
	fi
	while read -r target; do
		[ "$target" = "$dir" ] && continue
		if [ -z "${layer[$target]:-}" ] || [ "${layer[$target]}" -ge "${layer[$dir]}" ]; then
			echo "$file: layer ${layer[$dir]} ($dir) includes $target (layer ${layer[$target]:-none})"
			bad=1
		fi
	done < <(sed -n 's|^#include "\([a-z_]*\)/.*|\1|p' "$file")
	if grep -qE '^#include <(glib|gio|ostree)' "$file"; then
		case $file in
		src/installer/ostree*) ;;
		*) echo "$file: GLib outside src/installer/ostree*"; bad=1 ;;
		esac
	fi
done
exit "$bad"
