# shellcheck shell=bash
# The gateway's operating system: a real Debian as OSTree commits. Sourced after procs.sh. What takes minutes is made
# once below a cache folder and made again only when what it is made of has changed. Prints nothing on stdout.
#
#   boot_base CACHE              fills CACHE: repo (archive, branch base: Debian, initial RAM disk, nothing of ours) and
#                                sysroot (a new sysroot that has pulled it)
#   boot_remote CACHE DIR BUILD  in DIR: repo, a remote to which releases are committed, and release, what the build
#                                folder BUILD installs with the service file; exports OSTREE_REMOTE_REPO
#   boot_release DIR N WHAT      commits release N, branch gateway, spoilt as WHAT says; sets BOOT_COMMIT[N]
#
# WHAT: good; sick (a health check that fails); panics (what shall be the initial RAM disk is none); hangs (the first
# process never does anything); starves (boots, but applications do not run in it).

BOOT_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BOOT_PACKAGES=(systemd systemd-sysv dbus kmod procps iproute2 ca-certificates ostree ostree-boot libubootenv-tool
	libcurl4 libsqlite3-0 libcjson1 libunistring2 libostree-1-1 libssl3 libyaml-0-2 podman runc netavark catatonit)
# What the virtual machine has, what finds a hang, and what containers are stacked with.
BOOT_MODULES=(virtio_pci virtio_blk virtio_net softdog overlay autofs4)
declare -A BOOT_COMMIT

# Runs a command with its words in log $1.
boot_log() {
	local log=$WORLD_W/log/$1.log
	shift
	"$@" >>"$log" 2>&1 || { world_log "'${*:0:80}' failed, see $log"; return 1; }
}

# The kernel's package without its scripts, which would make an initial RAM disk that nobody reads.
BOOT_KERNEL_HOOK='cd "$1/tmp" && chroot "$1" sh -ec "cd /tmp
	apt-get -q download \$(apt-cache depends linux-image-cloud-amd64 | sed -n \"s/.*Depends: *\\(linux-image-[0-9]\\)/\\1/p\")
	dpkg-deb -x linux-image-*.deb kernel
	mkdir -p /usr/lib/modules /boot
	mv kernel/lib/modules/* /usr/lib/modules/
	mv kernel/boot/vmlinuz-* /boot/
	rm -r kernel linux-image-*.deb"'

# Prints what the base is made of, besides this machine's package sources.
boot_stamp() {
	printf '%s\n' "${BOOT_PACKAGES[@]}" "$BOOT_KERNEL_HOOK" | sha256sum
	{
		declare -f boot_strip_modules boot_initramfs boot_strip boot_ostree_layout boot_base_make
		printf '%s\n' "${BOOT_MODULES[@]}"
		cat "$BOOT_HERE/initramfs.sh"
		cd "$BOOT_HERE/root" && find . ! -type d | LC_ALL=C sort | busybox cpio -o -H newc -R 0:0 2>/dev/null
	} | sha256sum
}

# Installs the packages into $1/base.tar, from the sources that this machine itself uses.
boot_packages() {
	local sources stamp
	stamp=$(boot_stamp | head -n 1)
	if [ -s "$1/base.tar" ] && [ "$(cat "$1/base.stamp" 2>/dev/null)" = "$stamp" ]; then
		return 0
	fi
	mapfile -t sources < <(find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.list' -o -name '*.sources' 2>/dev/null)
	boot_log packages mmdebstrap --mode=root --format=tar --variant=minbase \
		--include="$(IFS=,; printf '%s' "${BOOT_PACKAGES[*]}")" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='APT::Install-Recommends "false"' \
		--customize-hook="$BOOT_KERNEL_HOOK" bookworm "$1/base.tar.new" "${sources[@]}" || return 1
	mv "$1/base.tar.new" "$1/base.tar" || return 1
	printf '%s\n' "$stamp" >"$1/base.stamp"
}

# Keeps of kernel $2's modules in tree $1 those that are used, with what they need.
boot_strip_modules() {
	local all=$1/usr/lib/modules/$2 module
	chroot "$1" depmod "$2"
	mv "$all/kernel" "$all/all"
	(cd "$all" && ln -s all kernel)
	for module in "${BOOT_MODULES[@]}"; do
		chroot "$1" modprobe -S "$2" --show-depends "$module" | sed -n 's|^insmod .*/kernel/\([^ ]*\).*|\1|p'
	done | sort -u >"$all/used"
	(cd "$all/all" && xargs -a ../used cp --parents -t ..)
	for module in "${BOOT_MODULES[@]}"; do
		grep -q "/${module}.ko" "$all/used" || { world_log "kernel $2 has no module $module"; return 1; }
	done
	rm "$all/kernel" "$all/used"
	mkdir "$all/kernel"
	mv "$all"/{drivers,net,fs,lib,crypto,arch} "$all/kernel/" 2>/dev/null || true
	rm -r "$all/all"
	chroot "$1" depmod "$2"
}

# The initial RAM disk of kernel $2 in tree $1: small, because the boot loader and the emulated processor are slow.
boot_initramfs() {
	local dir=$1/initramfs lib module
	mkdir -p "$dir"/{bin,dev,proc,sys,run,sysroot,modules,usr/lib/ostree}
	install -m 755 "$(command -v busybox)" "$dir/bin/busybox"
	install -m 755 "$BOOT_HERE/initramfs.sh" "$dir/init"
	install -m 755 "$1/usr/lib/ostree/ostree-prepare-root" "$dir/usr/lib/ostree/"
	chroot "$1" ldd /usr/lib/ostree/ostree-prepare-root | grep -o '/[^ ]*' | while read -r lib; do
		install -D -m 755 "$1$lib" "$dir$lib"
	done
	for module in virtio_pci virtio_blk virtio_net softdog; do
		chroot "$1" modprobe -S "$2" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done | awk '!seen[$0]++' | while read -r module; do
		cp "$1$module" "$dir/modules/"
		printf 'modules/%s\n' "${module##*/}"
	done >"$dir/modules/list"
	(cd "$dir" && find . | LC_ALL=C sort | busybox cpio -o -H newc -R 0:0 2>/dev/null) | gzip -9n >"$1/usr/lib/modules/$2/initramfs.img"
	rm -r "$dir"
}

# Takes away what a gateway does not have, so that a boot is short; no service of the list is needed to boot.
boot_strip() {
	local unit
	rm -rf "$1"/usr/share/{doc,man,locale,info,perl,perl5,zoneinfo,bash-completion,bug,lintian,i18n,common-licenses} \
		"$1"/usr/lib/{dracut,udev/hwdb*,apt,python3*} "$1"/etc/{udev/hwdb.bin,apt} \
		"$1"/usr/lib/x86_64-linux-gnu/{perl,perl-base,gconv} "$1"/usr/bin/{perl*,apt*,gpg*,dpkg*,localedef}
	for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket \
		systemd-udevd-kernel.socket systemd-logind.service systemd-timesyncd.service systemd-networkd.service \
		systemd-hwdb-update.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
		systemd-user-sessions.service systemd-pstore.service systemd-random-seed.service systemd-firstboot.service \
		systemd-binfmt.service systemd-sysusers.service getty.target getty@tty1.service serial-getty@ttyS0.service \
		getty-static.service systemd-ask-password-wall.path systemd-ask-password-console.path systemd-machine-id-commit.service \
		dbus.service dbus.socket apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
		e2scrub_all.timer e2scrub_reap.service fstrim.timer podman-auto-update.timer \
		podman-auto-update.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
		sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount modprobe@configfs.service \
		modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@dm_mod.service \
		modprobe@loop.service systemd-tmpfiles-clean.timer ostree-finalize-staged.path; do
		ln -sf /dev/null "$1/etc/systemd/system/$unit"
	done
	cp -r "$BOOT_HERE/root/." "$1/"
}

# Turns the root file system $1 with kernel $2 into a tree that OSTree can deploy.
boot_ostree_layout() (
	cd "$1" || exit 1
	mv boot/vmlinuz-* "usr/lib/modules/$2/vmlinuz"
	rm -rf boot dev run tmp var root home opt srv mnt media initrd.img* vmlinuz*
	mkdir boot dev run tmp var sysroot
	ln -s sysroot/ostree ostree
	ln -s var/roothome root
	for d in home opt srv mnt; do
		ln -s "var/$d" "$d"
	done
	printf '0123456789abcdef0123456789abcdef\n' >etc/machine-id
	printf 'gateway\n' >etc/hostname
	: >etc/fstab
	mv etc usr/etc
)

# Makes tree, commit and sysroot below $1 of $1/base.tar.
boot_base_make() {
	local tree=$1/tree kernel
	rm -rf "$1/repo" "$1/sysroot.new"
	world_delete "$1/sysroot"
	rm -rf "$tree"
	mkdir "$tree" "$1/sysroot.new"
	tar -C "$tree" --exclude='./dev/*' -xf "$1/base.tar" || return 1
	kernel=$(cd "$tree/usr/lib/modules" && echo *)
	boot_strip_modules "$tree" "$kernel" && boot_initramfs "$tree" "$kernel" && boot_strip "$tree" &&
		boot_ostree_layout "$tree" "$kernel" || return 1
	ostree --repo="$1/repo" init --mode=archive && ostree config --repo="$1/repo" set archive.zlib-level 1 &&
		ostree --repo="$1/repo" commit --branch=base --tree=dir="$tree" --owner-uid=0 --owner-gid=0 --no-xattrs &&
		ostree admin init-fs --modern "$1/sysroot.new" && ostree admin os-init gateway --sysroot="$1/sysroot.new" &&
		ostree --repo="$1/sysroot.new/ostree/repo" pull-local "$1/repo" base &&
		mv "$1/sysroot.new" "$1/sysroot" && rm -rf "$tree"
}

# Fills the cache $1 unless it is of the same packages and scripts.
boot_base() {
	local stamp
	boot_packages "$1" || return 1
	stamp=$(boot_stamp)
	if [ -d "$1/sysroot" ] && [ "$(cat "$1/tree.stamp" 2>/dev/null)" = "$stamp" ]; then
		return 0
	fi
	rm -f "$1/tree.stamp"
	boot_log base boot_base_make "$1" || return 1
	printf '%s\n' "$stamp" >"$1/tree.stamp"
}

# A remote in $2/repo that shares the objects of cache $1, and what folder $3 installs in $2/release.
boot_remote() {
	local units=$2/release/usr/lib/systemd/system
	mkdir -p "$2" "$units"
	cp -al "$1/repo" "$2/repo"
	boot_log install env DESTDIR="$2/release" cmake --install "$3" --strip || return 1
	cp "$BOOT_HERE/../../packaging/uptaned.service" "$units/"
	mkdir -p "$2/release/usr/etc/systemd/system/multi-user.target.wants"
	ln -s /usr/lib/systemd/system/uptaned.service "$2/release/usr/etc/systemd/system/multi-user.target.wants/"
	export OSTREE_REMOTE_REPO=$2/repo
}

# Commits release $2 of kind $3 to the remote in $1.
boot_release() {
	local dir=$1/release-$2 kernel n
	kernel=$(ostree --repo="$1/repo" ls base /usr/lib/modules | sed -n 's|.*/usr/lib/modules/||p')
	cp -a "$1/release" "$dir"
	printf 'ID=gateway\nNAME=Gateway\nVERSION_ID=%s\nPRETTY_NAME="Gateway OS %s"\n' "$2" "$2" >"$dir/usr/lib/os-release"
	# Enough to fetch that a power cut can hit it.
	if [ "$2" -gt 1 ]; then
		mkdir -p "$dir/usr/share/gateway"
		for n in 1 2 3 4 5 6 7 8; do
			head -c 200000 /dev/urandom >"$dir/usr/share/gateway/data-$n"
		done
	fi
	case $3 in
	good) ;;
	sick)
		mkdir -p "$dir/usr/etc/uptaned/health.d"
		printf '#!/bin/sh\necho this release is sick\nexit 1\n' >"$dir/usr/etc/uptaned/health.d/50-sick"
		chmod 755 "$dir/usr/etc/uptaned/health.d/50-sick"
		;;
	panics)
		mkdir -p "$dir/usr/lib/modules/$kernel"
		printf 'not an initial RAM disk\n' >"$dir/usr/lib/modules/$kernel/initramfs.img"
		;;
	hangs)
		mkdir -p "$dir/usr/sbin"
		printf '#!/bin/sh\necho "boot-test: this first process hangs" >/dev/console\nwhile :; do sleep 1000; done\n' >"$dir/usr/sbin/init"
		chmod 755 "$dir/usr/sbin/init"
		;;
	starves)
		mkdir -p "$dir/usr/etc/systemd/system"
		ln -s /dev/null "$dir/usr/etc/systemd/system/podman.socket"
		ln -s /dev/null "$dir/usr/etc/systemd/system/podman-restart.service"
		;;
	*) world_log "no kind of release: $3"; return 1 ;;
	esac
	# Options for owners or attributes would read all of the base again.
	chown -R 0:0 "$dir"
	BOOT_COMMIT[$2]=$(ostree --repo="$1/repo" commit --branch=gateway --tree=ref=base --tree=dir="$dir" --bootable \
		--subject="Gateway OS $2" --add-metadata-string="version=$2") || return 1
	rm -rf "$dir"
}
