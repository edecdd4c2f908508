#!/usr/bin/env bash
# Runs the test program $1 with the pull program $2 in a system that OSTree booted, as far as libostree can tell:
# / is a deployment on a file system of its own, /sysroot is mounted read-only, /run/ostree-booted exists. All mounts
# are in a mount namespace of their own and end with it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for lib in procs ostree; do
	# shellcheck source=/dev/null
	. "$here/../../e2e/world/$lib.sh"
done

# Inside the namespace: makes and enters the system. $1 is the world's directory.
enter() {
	local dir=$1 root=$1/root
	WORLD_W=$dir
	mount --make-rprivate /
	mount -o loop "$dir/disk" "$dir/sysroot"
	ostree_make_sysroot "$dir/sysroot" "$dir/remote/repo" file:///tmp/remote/repo /none /none /none
	mount --bind "$(echo "$dir"/sysroot/ostree/deploy/gateway/deploy/*.0)" "$root"
	mount --bind "$dir/sysroot" "$root/sysroot"
	mount -o remount,ro,bind "$root/sysroot"
	mount --bind "$dir/sysroot/boot" "$root/boot"
	mount --bind "$dir/sysroot/ostree/deploy/gateway/var" "$root/var"
	mount --rbind /usr "$root/usr" # the machine's programs and libraries
	mount --rbind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmpfs "$root/run"
	touch "$root/run/ostree-booted"
	mount --bind "$dir" "$root/tmp"
	exec chroot "$root" /tmp/test
}
if [ "$1" = --inside ]; then
	enter "$2"
fi
W=$(mktemp -d /tmp/upt-booted-XXXXXX)
world_begin "$W"
ostree_make_remote "$W/remote"
mkdir "$W/sysroot" "$W/root"
truncate -s 256M "$W/disk"
mke2fs -q -t ext4 "$W/disk"
cp "$1" "$W/test"
cp "$2" "$W/uptane-ostree-pull"
printf 'quiet ostree=/ostree/boot.1/gateway/0/0\n' >"$W/cmdline" # not believed by anybody here
cat /proc/sys/kernel/random/uuid >"$W/boot_id"
unshare -m "$here/ostree_booted_world.sh" --inside "$W"
