#!/usr/bin/env bash
# What ctest runs beside the runner itself. Usage: check.sh make|same|wrong|uncovered GENERATE RUN CORPUS
#   make   generates CORPUS, unless it is newer than its generator
#   same   generating again gives the same bytes, RSA and ECDSA signatures among them
#   wrong  the runner fails for a case whose expectation was changed, in every field that it compares
#   uncovered cover.sh fails for a table, a list and cases that do not agree
set -euo pipefail
what=$1 generate=$2 run=$3 corpus=$4
# Many small files: in memory where there is room.
room=$(df --output=avail /dev/shm 2>/dev/null | tail -1 || echo 0)
[ "${room:-0}" -lt 1000000 ] || TMPDIR=/dev/shm
dir=$(TMPDIR=${TMPDIR:-/tmp} mktemp -d)
trap 'rm -rf "$dir"' EXIT

make() {
	[ ! "$corpus.made" -nt "$generate" ] || return 0
	rm -rf "$corpus"
	"$generate" "$corpus"
	touch "$corpus.made"
}

same() {
	"$generate" "$dir/again" >/dev/null
	diff -r "$corpus" "$dir/again"
	# Those whose signatures are another each time by nature are there.
	grep -q '"rsassa-pss-sha512"' -r "$corpus"/keys-*/1
	grep -q '"ecdsa-sha2-nistp256"' -r "$corpus"/keys-*/1
}

# refuses CASE SED-EXPRESSION WORDS: after the change the runner exits with 1 and names case and reason.
refuses() {
	local name=$1 expression=$2 words=$3 out rc=0
	"$run" "$dir/corpus" "$name" >/dev/null || { echo "$name fails before it is changed"; exit 1; }
	cp "$dir/corpus/$name/case.json" "$dir/kept"
	sed -i "$expression" "$dir/corpus/$name/case.json"
	if cmp -s "$dir/kept" "$dir/corpus/$name/case.json"; then
		echo "$name: $expression changed nothing"
		exit 1
	fi
	out=$("$run" "$dir/corpus" "$name") || rc=$?
	cp "$dir/kept" "$dir/corpus/$name/case.json"
	if [ "$rc" -ne 1 ] || ! grep -q "^$name step .*$words" <<<"$out" || ! grep -q '^0 passed, 1 failed$' <<<"$out"; then
		printf '%s: %s: exit %s\n%s\n' "$name" "$expression" "$rc" "$out"
		exit 1
	fi
}

wrong() {
	local name=director-timestamp-expired rc=0
	"$generate" "$dir/corpus" $name >/dev/null
	refuses $name 's/"expired"/"version-rollback"/' 'version-rollback is to come'
	refuses $name 's/"expired"/"ok"/' 'ok is to come'
	refuses $name 's/"code":\t*"ok"/"code": "expired"/' 'expired is to come'
	refuses $name 's/"repository":.*"director"/"repository": "image"/' 'by the image repository'
	refuses $name 's/"role":.*"timestamp"/"role": "snapshot"/' 'at snapshot'
	refuses $name 's/"app-1.bin"/"app-2.bin"/' 'app-2.bin'
	refuses $name 's/"sha256":.*"./"sha256": "x/' 'other hashes'
	refuses $name '/"ecu":/s/ecu-1/ecu-2/' 'ECU ecu-2'
	refuses $name 's/"timestamp":\t*1/"timestamp": 2/' 'timestamp v2 is to be trusted'
	refuses $name '/"targets":\t*1/d; s/"snapshot":\t*1,/"snapshot": 1/' 'none is to be'
	refuses $name 's/"targets":\t*1/"targets": 1, "x": 1/' 'x v1 is to be trusted'
	# What a server sends counts, not only what case.json says.
	cp "$dir/corpus/$name/3/director/timestamp.json" "$dir/corpus/$name/2/director/timestamp.json"
	"$run" "$dir/corpus" "$name" >/dev/null && { echo "a good server was taken for a bad one"; exit 1; }
	# No case at all is no success.
	mkdir "$dir/none"
	"$run" "$dir/none" >/dev/null || rc=$?
	[ "$rc" -eq 1 ]
}

# finds WORDS FOLDER [SED-EXPRESSION FILE]: cover.sh fails, and says so.
finds() {
	local words=$1 folder=$2 file=${4:-} out rc=0
	cp "$here/coverage.txt" "$here/README.md" "$dir"
	if [ -n "$file" ]; then
		sed -i "$3" "$dir/$file"
		! cmp -s "$here/$file" "$dir/$file" || { echo "$3 changed nothing"; exit 1; }
	fi
	out=$(COVERAGE_TABLE=$dir/coverage.txt COVERAGE_README=$dir/README.md "$here/cover.sh" "$folder") || rc=$?
	if [ "$rc" -ne 1 ] || ! grep -qF -- "$words" <<<"$out"; then
		printf '%s: exit %s\n%s\n' "$words" "$rc" "$out"
		exit 1
	fi
}

uncovered() {
	local here
	here=$(cd "$(dirname "$0")" && pwd)
	# Only what cover.sh reads.
	mkdir "$dir/corpus"
	(cd "$corpus" && cp --parents */case.json "$dir/corpus")
	finds 'root-version-gap at image/timestamp is not covered' "$dir/corpus" \
		'/^root-version-gap/s/+    c         c        c       c /+    +         c        c       c /' coverage.txt
	finds 'expired at director/root is covered, and coverage.txt says that it cannot be' "$dir/corpus" \
		'/^expired/s/+/b/' coverage.txt
	finds 'wrong-vehicle: 0 lines in coverage.txt' "$dir/corpus" '/^wrong-vehicle/d' coverage.txt
	finds 'unknown-ecu: 2 lines in coverage.txt' "$dir/corpus" 's/^never io /never unknown-ecu /' coverage.txt
	finds 'no reason z' "$dir/corpus" '/^wrong-hardware/s/e/z/5' coverage.txt
	finds 'reason c is not used' "$dir/corpus" '/^root-version-gap/s/ c/ b/g' coverage.txt
	finds 'image-root-provisioned-by-thief refuses and accepts nothing' "$dir/corpus" '/provisioned-by-thief/d' coverage.txt
	finds 'no case keys-none' "$dir/corpus" 's/`plain-names`/`plain-names` `keys-none`/' README.md
	finds 'README.md does not list the case plain-names' "$dir/corpus" 's/ `plain-names`//' README.md
	rm -r "$dir/corpus/director-timestamp-missing"
	finds 'missing-metadata at director/timestamp is not covered' "$dir/corpus"
	finds 'no case director-timestamp-missing' "$dir/corpus"
}

"$what"
