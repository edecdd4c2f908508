#!/usr/bin/env bash
# Makes seeds of the test vectors: seeds.sh VECTORS SEEDS. VECTORS is what vectors-generate wrote; SEEDS
# gets a folder of seeds for each harness of metadata and JSON. Of documents of one role and one size, which
# hold the same members with other values, one is kept.
set -euo pipefail
vectors=$1 seeds=$2
mkdir -p "$seeds"/{json,json_cjson,root,timestamp,snapshot,targets,trusted_set,director_target}

# one_of_each_size FIND-TESTS...: "SIZE FILE" of documents
one_of_each_size() {
	find "$vectors" -path '*/targets/*' -prune -o -name '*.json' ! -name case.json -size -16k "$@" \
		-printf '%s %p\n' | sort -n -u -k1,1
}

for role in root timestamp snapshot targets; do
	one_of_each_size -name "*$role.json" | while read -r size file; do cp "$file" "$seeds/$role/$size"; done
done
one_of_each_size ! -name '*root.json' ! -name '*timestamp.json' ! -name '*snapshot.json' \
	! -name '*targets.json' | while read -r size file; do cp "$file" "$seeds/targets/delegated-$size"; done
cp "$seeds"/targets/* "$seeds/director_target"
for role in root timestamp snapshot targets; do
	for file in "$seeds/$role"/*; do cp "$file" "$seeds/json/$role-${file##*/}"; done
done
find "$seeds/json" -size -4k -exec cp -t "$seeds/json_cjson" {} +

add() { # add LETTER FILE...: segments of a stream, of those that are there
	local letter=$1 file
	shift
	for file in "$@"; do
		[ ! -e "$file" ] || { printf '%s' "$letter" && cat "$file" && printf '\377'; }
	done
}

# One step of one repository as fuzz_trusted_set reads it (metadata/stream.h): pinned root, new roots, the rest.
stream=$(mktemp)
trap 'rm -f "$stream"' EXIT
for case in "$vectors"/*/; do
	for repository in director image; do
		step=$(find "$case" -path '*/provisioned' -prune -o -type d -name $repository -print | sort -V | tail -n 1)
		[ -n "$step" ] || continue
		{
			if [ $repository = director ]; then printf 4; else printf 0; fi
			add p "$case/provisioned/$repository"/*root.json
			add n "$step"/*.root.json
			printf 'f\377'
			add T "$step"/*timestamp.json
			add S "$step"/*snapshot.json
			add G "$step"/*targets.json
		} >"$stream"
		size=$(stat -c %s "$stream")
		[ "$size" -gt 65536 ] || cp "$stream" "$seeds/trusted_set/$repository-$size"
	done
done
