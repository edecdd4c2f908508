# shellcheck shell=bash
# The operating system side of a test world: an OSTree remote with two Linux root file systems, a device's sysroot,
# and reboots the way a boot loader does them. Sourced after procs.sh.
#
#   ostree_make_remote DIR      archive repository DIR/repo, branch os/gateway: v1 has busybox's bc, v2 GNU bc;
#                               writes DIR/v1.commit DIR/v2.commit; exports OSTREE_V1 OSTREE_V2 OSTREE_REMOTE_REPO
#   ostree_make_sysroot SYSROOT REMOTE_REPO_DIR REMOTE_URL CA_PEM DEV_CERT DEV_KEY
#                               OS name gateway, v1 deployed, remote "updates" with the client certificate
#   ostree_boot SYSROOT CMDLINE_FILE BOOT_ID_FILE   writes what /proc/cmdline and boot_id would say after a reboot,
#                               and the root directory that the initial RAM disk finds by it to CMDLINE_FILE.root
#   ostree_booted_root SYSROOT CMDLINE_FILE         prints the deployment directory that was booted
#   ostree_run SYSROOT CMDLINE_FILE cmd...          runs cmd chrooted in that deployment

# Makes the initial RAM disk $2, a real one: busybox and an init that gives a shell; $1 is scratch space.
ostree_make_initramfs() {
	mkdir -p "$1/bin" "$1/proc" "$1/sys" "$1/dev"
	install -m 755 "$(command -v busybox)" "$1/bin/busybox"
	cat >"$1/init" <<-'END'
		#!/bin/busybox sh
		/bin/busybox mount -t proc proc /proc
		/bin/busybox mount -t sysfs sys /sys
		/bin/busybox mount -t devtmpfs dev /dev
		exec /bin/busybox sh
	END
	chmod 755 "$1/init"
	(cd "$1" && find . | LC_ALL=C sort | busybox cpio -o -H newc -R 0:0 2>/dev/null | gzip -n -1) >"$2"
	rm -r "$1"
}

# Makes the root file system of version 1 in directory $1.
ostree_make_tree() {
	local tree=$1 d applet modules=$1/usr/lib/modules/6.1.0-gateway
	mkdir -p "$tree/usr/bin" "$tree/usr/lib64" "$tree/usr/etc" "$modules"
	for d in boot dev proc sys run var tmp sysroot; do
		mkdir -p "$tree/$d"
	done
	for d in bin lib lib64; do
		ln -s "usr/$d" "$tree/$d"
	done
	ln -s bin "$tree/usr/sbin"
	ln -s usr/bin "$tree/sbin"
	ln -s sysroot/ostree "$tree/ostree"
	install -m 755 "$(command -v busybox)" "$tree/usr/bin/busybox"
	for applet in $(busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$tree/usr/bin/$applet"
	done
	ln -s ../usr/lib/os-release "$tree/usr/etc/os-release"
	printf 'root:x:0:0:root:/:/bin/sh\n' >"$tree/usr/etc/passwd"
	printf 'root:x:0:\n' >"$tree/usr/etc/group"
	printf 'gateway\n' >"$tree/usr/etc/hostname"
	printf 'A placeholder, not a kernel: nothing of this test boots it.\n' >"$modules/vmlinuz"
	ostree_make_initramfs "$tree.initramfs" "$modules/initramfs.img"
	ostree_os_release "$tree" 1
}

# Writes the os-release of version $2 in tree $1.
ostree_os_release() {
	cat >"$1/usr/lib/os-release" <<-END
		ID=gateway
		NAME="Gateway OS"
		VERSION_ID=$2
		PRETTY_NAME="Gateway OS $2"
	END
}

# Replaces busybox's bc in tree $1 by GNU bc with the loader and libraries it needs: that is version 2.
ostree_make_tree_v2() {
	local lib
	[ -x /usr/bin/bc ] || { world_log "/usr/bin/bc is missing: package bc"; return 1; }
	rm "$1/usr/bin/bc"
	install -m 755 /usr/bin/bc "$1/usr/bin/bc"
	ldd /usr/bin/bc | grep -o '/[^ ]*' | while read -r lib; do
		install -D -m 755 "$lib" "$1/usr/${lib#/usr}"
	done
	ostree_os_release "$1" 2
}

# Commits tree $2 as version $3 to repository $1 and prints the commit id.
ostree_commit() {
	ostree --repo="$1" commit --branch=os/gateway --tree=dir="$2" --owner-uid=0 --owner-gid=0 --no-xattrs \
		--bootable --timestamp="2024-01-0$3 00:00:00 +0000" --subject="Gateway OS $3" \
		--add-metadata-string="version=$3"
}

# Makes the remote repository with both versions below $1.
ostree_make_remote() {
	local dir=$1 tree=$1/tree
	mkdir -p "$dir"
	ostree --repo="$dir/repo" init --mode=archive >>"$WORLD_W/log/ostree.log" 2>&1 || return 1
	ostree_make_tree "$tree"
	OSTREE_V1=$(ostree_commit "$dir/repo" "$tree" 1) || return 1
	ostree_make_tree_v2 "$tree" || return 1
	OSTREE_V2=$(ostree_commit "$dir/repo" "$tree" 2) || return 1
	ostree --repo="$dir/repo" summary -u >>"$WORLD_W/log/ostree.log" 2>&1 || return 1
	rm -r "$tree"
	printf '%s\n' "$OSTREE_V1" >"$dir/v1.commit"
	printf '%s\n' "$OSTREE_V2" >"$dir/v2.commit"
	export OSTREE_V1 OSTREE_V2 OSTREE_REMOTE_REPO=$dir/repo
}

# Makes the sysroot $1 of a device that runs version 1, knowing remote $3 with CA $4, certificate $5 and key $6.
ostree_make_sysroot() {
	local sysroot=$1 repo=$1/ostree/repo v1
	v1=$(ostree --repo="$2" rev-parse "os/gateway^") || return 1
	mkdir -p "$sysroot"
	{
		ostree admin init-fs --modern "$sysroot" &&
			ostree admin os-init --sysroot="$sysroot" gateway &&
			ostree config --repo="$repo" set sysroot.bootloader none &&
			ostree remote --repo="$repo" add --no-gpg-verify --set=tls-ca-path="$4" \
				--set=tls-client-cert-path="$5" --set=tls-client-key-path="$6" updates "$3" &&
			ostree --repo="$repo" pull-local "$2" "$v1" &&
			ostree admin deploy --sysroot="$sysroot" --os=gateway --karg=root=LABEL=gateway --karg=rw \
				--karg=quiet "$v1"
	} >>"$WORLD_W/log/ostree.log" 2>&1 && return 0
	world_log "making $sysroot failed, see $WORLD_W/log/ostree.log"
	return 1
}

# Prints the boot loader entry below sysroot $1 that a boot loader takes: least sort-key, then highest version.
ostree_default_entry() {
	local f
	for f in "$1"/boot/loader/entries/*.conf; do
		[ -f "$f" ] || continue
		awk -v f="$f" '$1 == "sort-key" {key = $2} $1 == "version" {version = $2}
			END {printf "%s\t%s\t%s\n", key == "" ? "~" : key, version, f}' "$f"
	done | LC_ALL=C sort -t "$(printf '\t')" -k1,1 -k2,2Vr | head -n 1 | cut -f 3
}

# Prints the deployment directory in sysroot $1 that the kernel command line $2 names at this moment, as
# ostree-prepare-root does at boot. The next deployment gives the same link another meaning, or none.
ostree_resolve() {
	local sysroot link root
	sysroot=$(realpath -e "$1") || return 1
	link=$(tr ' ' '\n' <<<"$2" | sed -n 's/^ostree=//p' | tail -n 1)
	root=$(realpath -e "$sysroot/$link") || return 1
	case $root in
	"$sysroot"/ostree/deploy/*/deploy/*) printf '%s\n' "$root" ;;
	*) return 1 ;;
	esac
}

# Reboots: takes the default entry, writes its kernel command line to $2, a fresh boot id to $3, the root to $2.root.
ostree_boot() {
	local entry options root
	entry=$(ostree_default_entry "$1")
	[ -n "$entry" ] || { world_log "no boot loader entry in $1"; return 1; }
	options=$(sed -n 's/^options[[:space:]]*//p' "$entry")
	root=$(ostree_resolve "$1" "$options") || { world_log "$entry names no deployment: $options"; return 1; }
	printf '%s\n' "$options" >"$2"
	printf '%s\n' "$root" >"$2.root"
	cat /proc/sys/kernel/random/uuid >"$3"
}

# Prints the deployment directory of sysroot $1 that was booted with command line file $2.
ostree_booted_root() {
	local sysroot root
	sysroot=$(realpath -e "$1") && read -r root <"$2.root" || return 1
	case $root in
	"$sysroot"/*) [ -d "$root" ] && printf '%s\n' "$root" ;;
	*) world_log "$root is not in $sysroot"; return 1 ;;
	esac
}

# Runs a command in the deployment of sysroot $1 that command line $2 booted, as the running system would.
ostree_run() {
	local root
	root=$(ostree_booted_root "$1" "$2") || return 1
	shift 2
	env -i PATH=/usr/bin HOME=/ TERM=dumb "$(command -v chroot)" "$root" "$@"
}
