#!/usr/bin/env bash
# Proves that the corpus is complete, and prints what is in it. Usage: cover.sh CORPUS
#   codes    every refusal stands in coverage.txt, and the corpus covers what that table says, no less and no more
#   list     each pattern of "What the corpus covers" in README.md has cases, and each case has a line there
#   twins    every case that refuses also has a step that is accepted
#   numbers  each number that a case proves is one of docs/conformance.md, and sections 6 to 10 have cases
# Prints each offence; exit 1 when there is one.
set -euo pipefail
corpus=$(cd "$1" && pwd)
cd "$(dirname "$0")"
table=${COVERAGE_TABLE:-coverage.txt} readme=${COVERAGE_README:-README.md}
err=../../src/base/err.h conformance=../../docs/conformance.md
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
offence() {
	echo "$*"
	bad=1
}

# One line for each step: case, code, repository/role; and one for each number that a case proves.
(cd "$corpus" && printf '%s\0' */case.json | xargs -0 jq -r '
	(input_filename | split("/")[0]) as $case | (.steps[].expect |
	[$case, .code, "\(.repository // "-")/\(.role // "-")"]), (.proves[] | ["proves", .]) | @tsv') >"$dir/all"
grep -v '^proves	' "$dir/all" >"$dir/steps"
sed -n 's/^proves	//p' "$dir/all" | sort | uniq -c | sort -k2V >"$dir/numbers"
cut -f1 "$dir/steps" | sort -u >"$dir/cases"

codes() {
	sed -nE 's/^\tX\(UPT_[A-Z_0-9]+, "([a-z-]+)".*/\1/p' "$err" >"$dir/codes"
	awk -v codes="$dir/codes" -v steps="$dir/steps" -F'\t' '
	function offence(text) { print text; bad = 1 }
	BEGIN {
		split("root timestamp snapshot targets target", d, " ")
		split("root timestamp snapshot targets delegated target image", i, " ")
		for (k = 1; k <= 5; k++)
			place[k] = "director/" d[k]
		for (k = 1; k <= 7; k++)
			place[5 + k] = "image/" i[k]
		while ((getline line < codes) > 0)
			known[line] = 1
		while ((getline line < steps) > 0) {
			split(line, step, "\t")
			where = step[3]
			if (where ~ /^image\// && where !~ /^image\/(-|root|timestamp|snapshot|targets|target|image)$/)
				where = "image/delegated"
			n[step[2], where]++
			total[step[2]]++
		}
	}
	/^#/ || /^$/ || /^ / { next }
	/^(code|alone) / { next }
	/^never / {
		split($0, word, / +/)
		told[word[2]]++
		if (word[2] != "ok" && total[word[2]] > 0)
			offence(word[2] " is in the corpus, and coverage.txt says that it cannot be")
		next
	}
	/^[a-z]  / { reason[substr($0, 1, 1)] = 1; next }
	{
		count = split($0, word, / +/)
		code = word[1]
		told[code]++
		if (count != 13)
			offence(code ": " count - 1 " columns instead of 12")
		for (k = 2; k <= count; k++) {
			covered = n[code, place[k - 1]] + 0
			if (word[k] == "+" && covered == 0)
				offence(code " at " place[k - 1] " is not covered")
			else if (word[k] != "+" && covered > 0)
				offence(code " at " place[k - 1] " is covered, and coverage.txt says that it cannot be")
			if (word[k] != "+")
				used[word[k]] = 1
			else
				places++
		}
	}
	END {
		for (code in known)
			if (told[code] != 1)
				offence(code ": " told[code] + 0 " lines in coverage.txt")
		for (code in told)
			if (!(code in known))
				offence(code ": no code of src/base/err.h")
		for (r in used)
			if (!(r in reason))
				offence("no reason " r)
		for (r in reason)
			if (!(r in used))
				offence("reason " r " is not used")
		if (places == 0)
			offence("coverage.txt asks for nothing")
		printf "%5d places where a refusal is covered\n", places
		exit bad
	}' "$table" || bad=1
}

# The back-quoted words of a cell, their braces expanded: they are our own page's, not a stranger's.
patterns() {
	local word
	patterns=()
	for word in $(grep -oE '`[^`]+`' <<<"$1" | tr -d '`'); do
		[[ $word =~ ^[a-z0-9*{},-]+$ ]] || { offence "no pattern: $word"; continue; }
		eval "patterns+=($word)"
	done
}

# The cases of a pattern, into found.
find_cases() {
	local name
	found=()
	if [[ $1 != *'*'* ]]; then
		[ -z "${cases[$1]:-}" ] || found=("$1")
		return
	fi
	for name in "${!cases[@]}"; do
		# shellcheck disable=SC2053 # a pattern it is
		if [[ $name == $1 ]]; then
			found+=("$name")
		fi
	done
}

list() {
	local what cell pattern name lines=0
	local -a patterns found
	local -A cases listed line
	while read -r name; do
		cases[$name]=1
	done <"$dir/cases"
	set -f
	while IFS='|' read -r _ what cell _; do
		lines=$((lines + 1))
		line=()
		patterns "$cell"
		for pattern in "${patterns[@]}"; do
			find_cases "$pattern"
			[ ${#found[@]} -gt 0 ] || offence "no case $pattern:${what% }"
			for name in "${found[@]}"; do
				line[$name]=1
				listed[$name]=1
			done
		done
		printf '%5d%s\n' ${#line[@]} "${what% }"
	done < <(sed -n '/^## What the corpus covers/,$p' "$readme" | grep -E '^\| .*`')
	set +f
	[ "$lines" -gt 0 ] || offence "README.md lists nothing"
	for name in "${!cases[@]}"; do
		[ -n "${listed[$name]:-}" ] || offence "README.md does not list the case $name"
	done
}

twins() {
	local name pattern alone
	while read -r name; do
		alone=no
		while read -r pattern; do
			# shellcheck disable=SC2053 # a pattern it is
			[[ $name == $pattern ]] && alone=yes
		done < <(sed -n 's/^alone \([^ ]*\) .*/\1/p' "$table")
		[ $alone = yes ] || offence "$name refuses and accepts nothing"
	done < <(awk -F'\t' '$2 != "ok" { refuses[$1] = 1 } $2 == "ok" { accepts[$1] = 1 }
		END { for (c in refuses) if (!(c in accepts)) print c }' "$dir/steps")
	printf '%5d cases that refuse\n' "$(awk -F'\t' '$2 != "ok" { print $1 }' "$dir/steps" | sort -u | wc -l)"
}

numbers() {
	local number
	while read -r _ number; do
		grep -qF "| $number |" "$conformance" || offence "docs/conformance.md has no number $number"
	done <"$dir/numbers"
	while read -r number; do
		grep -qE "^ *[0-9]+ ${number/./\\.}\$" "$dir/numbers" || offence "no case proves $number"
	done < <(sed -nE '/not yet/d; s/^\| ((6|7|8|9|10)\.[0-9]+) \|.*/\1/p' "$conformance")
	while read -r n number; do
		printf '%5d prove %s\n' "$n" "$number"
	done <"$dir/numbers"
}

list
codes
twins
numbers
printf '%5d cases, %d steps\n' "$(wc -l <"$dir/cases")" "$(wc -l <"$dir/steps")"
exit "$bad"
