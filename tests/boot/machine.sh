# shellcheck shell=bash
# The virtual machine: its disk, QEMU, a shell inside, and a look at the disk of one that was cut off. Sourced after
# procs.sh and image.sh.
#
#   machine_disk CACHE DIR COMMIT ETC   DIR/base.qcow2: U-Boot's environment, and a sysroot of cache CACHE whose first
#                               deployment is COMMIT of the remote; the folder ETC is laid over that deployment's /etc, as
#                               a factory does it
#   machine_overlay BASE DISK   a disk that starts as BASE is now; BASE must not be written any more
#   machine_start NAME DISK [qemu args]   turns on machine NAME; console in W/NAME/console.log; guest ports as
#                               machine_forward says
#   machine_forward NAME GUEST-PORT HOST-PORT   before machine_start: what the guest reaches at 10.0.2.100:GUEST-PORT
#   machine_cut NAME            takes its power away (SIGKILL)
#   machine_stop NAME           the same, for a machine that is not needed any more
#   machine_guest NAME cmd...   runs a shell command line inside, prints its words; its exit code
#   machine_wait NAME SECONDS REGEX [FROM]   waits until the console, from byte FROM on, has a line that matches REGEX
#   machine_console_size NAME   prints the console's length now, for FROM
#   machine_inspect DISK DIR    checks the file system (journal replayed in a copy) and extracts uptaned's state to DIR

MACHINE_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
MACHINE_UBOOT=/usr/lib/u-boot/qemu-x86/u-boot.rom
MACHINE_PART_BYTES=$((8192 * 512)) # where the partition starts
MACHINE_SIZE_MIB=1200

# The sysroot of the first deployment in $2/sysroot.
machine_sysroot() {
	local cache=$1 dir=$2 commit=$3 etc=$4 sysroot=$2/sysroot root
	cp -al "$cache/sysroot" "$sysroot" || return 1
	cp --remove-destination "$cache/sysroot/ostree/repo/config" "$sysroot/ostree/repo/config"
	mkdir -p "$sysroot/boot/loader.0" || return 1
	ln -s loader.0 "$sysroot/boot/loader"
	: >"$sysroot/boot/loader/uEnv.txt"
	ostree config --repo="$sysroot/ostree/repo" set sysroot.readonly true &&
		ostree config --repo="$sysroot/ostree/repo" set sysroot.bootloader uboot &&
		ostree remote --repo="$sysroot/ostree/repo" add --no-gpg-verify --set=tls-ca-path=/etc/uptaned/ca.pem \
			--set=tls-client-cert-path=/etc/uptaned/device.pem --set=tls-client-key-path=/etc/uptaned/device.key \
			updates "https://10.0.2.100:9443/ostree/" &&
		ostree --repo="$sysroot/ostree/repo" pull-local "$OSTREE_REMOTE_REPO" "$commit" &&
		ostree --repo="$sysroot/ostree/repo" refs --delete base &&
		ostree admin deploy --sysroot="$sysroot" --os=gateway --karg=root=/dev/vda1 --karg=rw --karg=console=ttyS0 \
			--karg=panic=5 --karg=quiet --karg=mitigations=off --karg=random.trust_cpu=on --karg=audit=0 "$commit" || return 1
	root=$(echo "$sysroot"/ostree/deploy/gateway/deploy/*.0)
	cp -a "$etc/." "$root/etc/"
	mkimage -A x86 -T script -C none -n boot -d "$MACHINE_HERE/boot.cmd" "$sysroot/boot/boot.scr"
}

# U-Boot's environment as a factory leaves it, in file $1.
machine_environment() {
	{
		printf 'upgrade_available=0\nbootcount=0\nbootlimit=3\n'
		# shellcheck disable=SC2016
		printf '%s\n' 'altbootcmd=setenv kernel_image ${kernel_image2}; setenv ramdisk_image ${ramdisk_image2}; setenv bootargs ${bootargs2}'
	} | mkenvimage -s 0x4000 -o "$1" -
}

machine_disk_make() {
	local dir=$2 raw=$2/disk.raw
	machine_sysroot "$@" || return 1
	# U-Boot knows neither checksums of metadata nor 64-bit block numbers.
	mke2fs -q -t ext4 -O '^metadata_csum,^64bit' -L otaroot -d "$dir/sysroot" "$dir/root.ext4" "$((MACHINE_SIZE_MIB))M" || return 1
	world_delete "$dir/sysroot"
	truncate -s $((MACHINE_SIZE_MIB + 4))M "$raw"
	printf 'label: dos\nstart=8192,type=83,bootable\n' | sfdisk -q "$raw" || return 1
	machine_environment "$dir/env" && dd if="$dir/env" of="$raw" bs=1M seek=1 conv=notrunc &&
		dd if="$dir/root.ext4" of="$raw" bs=1M seek=4 conv=notrunc,sparse && rm "$dir/root.ext4" &&
		qemu-img convert -O qcow2 "$raw" "$dir/base.qcow2" && rm "$raw"
}

machine_disk() {
	mkdir -p "$2"
	boot_log disk machine_disk_make "$@"
}

machine_overlay() {
	boot_log disk qemu-img create -q -f qcow2 -F qcow2 -b "$(realpath "$1")" "$2"
}

machine_forward() {
	mkdir -p "$WORLD_W/$1"
	printf ',guestfwd=tcp:10.0.2.100:%s-cmd:socat - TCP:127.0.0.1:%s' "$2" "$3" >>"$WORLD_W/$1/forward"
}

machine_start() {
	local name=$1 disk=$2 dir=$WORLD_W/$1
	shift 2
	mkdir -p "$dir"
	rm -f "$dir/shell" "$dir/monitor"
	world_spawn "$name" qemu-system-x86_64 -accel tcg,thread=multi,tb-size=128 -M pc -cpu max -smp 1 -m 512 -nodefaults \
		-vga none -display none -bios "$MACHINE_UBOOT" \
		-drive "file=$disk,if=none,id=disk,format=qcow2,cache=writeback,discard=ignore" -device virtio-blk-pci,drive=disk \
		-netdev "user,id=net,restrict=on$(cat "$dir/forward" 2>/dev/null)" -device virtio-net-pci,netdev=net,romfile= \
		-chardev "file,id=console,path=$dir/console.log,append=on" -serial chardev:console \
		-chardev "socket,id=shell,path=$dir/shell,server=on,wait=off" -serial chardev:shell \
		-chardev "socket,id=monitor,path=$dir/monitor,server=on,wait=off" -mon chardev=monitor "$@"
}

machine_cut() {
	local pid start f=$WORLD_W/run/$1.pid
	[ -s "$f" ] || return 0
	read -r pid start <"$f"
	! world_proc_alive "$pid" "$start" || kill -KILL "$pid"
	world_proc_wait "$pid" "$start" 5 || { world_log "machine $1 does not end"; return 1; }
	kill -KILL -- "-$pid" 2>/dev/null || true # the socats of its network
	rm -f "$f"
}

machine_stop() {
	machine_cut "$1"
}

# One line to the shell on the second serial line, and what it says until END.
machine_guest() {
	local name=$1 line rc=255 pid in out
	shift
	coproc SHELL_LINE { exec socat - "UNIX-CONNECT:$WORLD_W/$name/shell" 2>/dev/null; }
	# shellcheck disable=SC2153
	pid=$SHELL_LINE_PID in=${SHELL_LINE[0]} out=${SHELL_LINE[1]}
	printf '%s\n' "$*" >&"$out"
	while IFS= read -r -t "${MACHINE_GUEST_S:-60}" -u "$in" line; do
		line=${line%$'\r'}
		if [[ $line =~ ^END\ ([0-9]+)$ ]]; then
			rc=${BASH_REMATCH[1]}
			break
		fi
		[ -z "$line" ] || printf '%s\n' "$line"
	done
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	return "$rc"
}

machine_console_size() {
	stat -c %s "$WORLD_W/$1/console.log" 2>/dev/null || echo 0
}

machine_wait() {
	local log=$WORLD_W/$1/console.log end=$((SECONDS + $2))
	until tail -c "+$((${4:-0} + 1))" "$log" 2>/dev/null | grep -aqE -- "$3"; do
		if [ "$SECONDS" -ge "$end" ]; then
			world_log "machine $1 did not say '$3' in $2 s; its last words:"
			tail -c 1500 "$log" | tr -d '\r' >&2
			return 1
		fi
		world_pid "$1" >/dev/null || { world_log "machine $1 does not run"; return 1; }
		sleep 0.1
	done
}

# The partition as a file, changes going to a copy.
machine_inspect() {
	local dir=$2 part=$2/part rc=0 end=$((SECONDS + WORLD_WAIT_S))
	machine_overlay "$1" "$dir/copy.qcow2" || return 1
	: >"$part"
	world_spawn inspect qemu-storage-daemon --blockdev "driver=file,node-name=file,filename=$dir/copy.qcow2" \
		--blockdev driver=qcow2,node-name=disk,file=file \
		--blockdev "driver=raw,node-name=part,file=disk,offset=$MACHINE_PART_BYTES,size=$((MACHINE_SIZE_MIB << 20))" \
		--export "type=fuse,id=part,node-name=part,mountpoint=$part,writable=on" || return 1
	until [ -s "$part" ]; do
		[ "$SECONDS" -lt "$end" ] || { world_log "no view of $1, see $WORLD_W/log/inspect.log"; return 1; }
		sleep 0.05
	done
	# The journal is replayed as the next mount would, then nothing may be wrong.
	{ e2fsck -p "$part" || [ $? -eq 1 ]; } >"$dir/fsck.log" 2>&1 && e2fsck -fn "$part" >>"$dir/fsck.log" 2>&1 || rc=1
	mkdir -p "$dir/state"
	debugfs -R "rdump /ostree/deploy/gateway/var/lib/uptaned $dir/state" "$part" >>"$dir/fsck.log" 2>&1
	mv "$dir/state/uptaned"/* "$dir/state/" 2>/dev/null
	world_stop inspect
	rm -f "$dir/copy.qcow2"
	return "$rc"
}
