#!/bin/sh
# lean.sh PROGRAM: uptane-secondary runs on small computers and faces the vehicle's network; it must
# not carry curl, SQLite, libostree or GLib. Looks at what it needs at run time and at its symbols.
set -eu

program=$1
needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
loaded=$(ldd "$program")
symbols=$(nm -D --undefined-only "$program"; nm --defined-only "$program")

# A checker that sees nothing would pass for ever.
echo "$needed" | grep -q '^libcrypto' || { echo "no libcrypto among: $needed" >&2; exit 1; }
echo "$symbols" | grep -q 'upt_trusted_set_update_root' ||
	{ echo "no symbols in $program" >&2; exit 1; }

bad=0
for library in libcurl libsqlite3 libostree libglib libgio libsystemd libssl; do
	if echo "$loaded" | grep -q "$library"; then
		echo "$program loads $library" >&2
		bad=1
	fi
done
for symbol in curl_ sqlite3_ ostree_ g_object_ sd_bus_; do
	if echo "$symbols" | grep -q " $symbol"; then
		echo "$program holds $symbol*" >&2
		bad=1
	fi
done
exit $bad
