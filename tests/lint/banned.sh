#!/usr/bin/env bash
# Calls that have no safe use, anywhere in the project's C. Prints each offence; exit 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."
banned='sprintf|vsprintf|strcpy|strcat|strncat|strtok|strtok_r|atoi|atol|atoll|gets|system|popen|alloca|mktemp|tmpnam'
if grep -rnE "(^|[^A-Za-z0-9_])($banned) *\(" --include='*.[ch]' src tools tests include |
	grep -vE '^[^:]*:[0-9]+:[[:space:]]*(\*|/\*|//)'; then
	exit 1
fi
