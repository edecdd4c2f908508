# shellcheck shell=bash
# Firmware files for a Secondary: real boot loaders from Debian's u-boot-qemu. Sourced after procs.sh.
#
#   firmware_files DIR   two different ones as DIR/fw-1.bin, DIR/fw-2.bin;
#                        exports FW_1_LEN FW_1_SHA256 FW_2_LEN FW_2_SHA256

# Copies the first two boot loaders of the package that differ into $1; prints nothing.
firmware_files() {
	local dir=$1 f n=1 sum
	mkdir -p "$dir"
	for f in /usr/lib/u-boot/{qemu_arm64/u-boot.bin,qemu_arm/u-boot.bin,qemu-x86/u-boot.rom,qemu-riscv64/u-boot.bin}; do
		[ -s "$f" ] || continue
		[ "$n" -le 2 ] || break
		if [ "$n" -eq 2 ] && cmp -s "$f" "$dir/fw-1.bin"; then
			continue
		fi
		install -m 644 "$f" "$dir/fw-$n.bin"
		sum=$(sha256sum "$dir/fw-$n.bin")
		export "FW_${n}_LEN=$(stat -c %s "$dir/fw-$n.bin")" "FW_${n}_SHA256=${sum%% *}"
		n=$((n + 1))
	done
	[ "$n" -gt 2 ] || { world_log "no two firmware files: package u-boot-qemu"; return 1; }
}
