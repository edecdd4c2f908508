#!/usr/bin/env bash
# What ctest runs beside the corpus itself. Usage: check.sh same|wrong GENERATE RUN
#   same   generating twice gives the same bytes, but for cases marked randomised (ECDSA and RSA)
#   wrong  the runner fails for a case whose expectation was changed, in every field that it compares
set -euo pipefail
what=$1 generate=$2 run=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$generate" "$dir/corpus" >/dev/null

same() {
	"$generate" "$dir/again" >/dev/null
	local options=() name n=0
	for name in $(cd "$dir/corpus" && grep -l '"randomised":[[:space:]]*true' -- */case.json); do
		options+=(-x "${name%/case.json}")
		n=$((n + 1))
	done
	diff -r "${options[@]}" "$dir/corpus" "$dir/again"
	[ "$(ls "$dir/corpus")" = "$(ls "$dir/again")" ]
	# A rule that leaves everything out compares nothing.
	[ "$n" -lt $(($(ls "$dir/corpus" | wc -l) / 10)) ]
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

"$what"
