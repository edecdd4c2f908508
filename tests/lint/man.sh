#!/usr/bin/env bash
# Every program has a man page, every page formats without a warning, and every page documents its exit
# codes. Prints each offence; exit 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
for page in uptaned.8 uptanectl.1 uptane-secondary.8 uptane-repo.1 uptane-director.1 uptaned.conf.5; do
	if [ ! -f "docs/man/$page" ]; then
		echo "docs/man/$page: missing"
		bad=1
		continue
	fi
	warnings=$(MANROFFSEQ='' MANWIDTH=100 LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "docs/man/$page" 2>&1 >/dev/null)
	if [ -n "$warnings" ]; then
		echo "docs/man/$page: $warnings"
		bad=1
	fi
	case $page in
	*.5) ;;
	*) grep -qi 'exit status' "docs/man/$page" || { echo "docs/man/$page: no EXIT STATUS"; bad=1; } ;;
	esac
done
exit "$bad"
