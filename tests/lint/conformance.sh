#!/usr/bin/env bash
# docs/conformance.md names a function and a test for each number of the Standard's list, and both exist in the
# tree. Prints each offence; exit 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."
page=docs/conformance.md
bad=0
offence() {
	echo "$page: $*"
	bad=1
}

# C functions by definition ("name(" at the start of a line); script functions and paths too for tests.
functions=$(grep -hoE '^[a-z][a-z0-9_]*\(' --include='*.c' -r src | tr -d '(' | sort -u)
tests=$({
	grep -hoE '^[a-z][a-z0-9_]*\(' --include='*.c' -r tests | tr -d '('
	grep -hoE '^[a-z][a-z0-9_]*\(\)' --include='*.sh' -r tests | tr -d '()'
} | sort -u)

names() { # the back-quoted words of a cell
	grep -oE '`[^`]+`' <<<"$1" | tr -d '`' || true
}

while IFS='|' read -r _ number _ function test _; do
	number=${number// /}
	while read -r name; do
		grep -qxF -- "$name" <<<"$functions" || offence "$number: src has no function $name"
	done < <(names "$function")
	while read -r name; do
		case $name in
		*/*) [ -f "$name" ] || offence "$number: no file $name" ;;
		*) grep -qxF -- "$name" <<<"$tests" || offence "$number: tests have no $name" ;;
		esac
	done < <(names "$test")
	case $function in
	*'not yet'*) ;;
	*)
		[ -n "$(names "$function")" ] || offence "$number: names no function"
		[ -n "$(names "$test")" ] || offence "$number: names no test"
		;;
	esac
done < <(grep -E '^\| [0-9]+\.[0-9]+ \|' "$page" | sed '/^$/d')

# Every number once.
for range in 0:1:15 1:4:6 1:13:14 2:1:24 3:1:20 5:1:16 6:1:7 7:1:4 8:1:7 9:1:8 10:1:7; do
	IFS=: read -r section first last <<<"$range"
	for ((i = first; i <= last; i++)); do
		n=$(grep -cE "^\| $section\.$i \|" "$page" || true)
		[ "$n" = 1 ] || offence "$section.$i stands there $n times"
	done
done
exit "$bad"
