#!/bin/busybox sh
# shellcheck shell=dash
# The initial RAM disk's first process: starts the watchdog, mounts the disk and hands over to the deployment that the
# kernel command line names.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=755 run /run
while read -r module; do
	case $module in
	*/softdog.ko) insmod "/$module" soft_margin=20 nowayout=1 ;;
	*) insmod "/$module" ;;
	esac
done </modules/list
# From here on somebody must say every 20 s that the system lives, or the machine is reset.
: >/dev/watchdog
tries=0
until [ -b /dev/vda1 ] || [ "$tries" -ge 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
mount -t ext4 -o rw /dev/vda1 /sysroot && /usr/lib/ostree/ostree-prepare-root /sysroot || {
	echo "initial RAM disk: no deployment" >/dev/console
	sleep 1000
}
for fs in dev proc sys run; do
	mount --move "/$fs" "/sysroot/$fs"
done
exec switch_root /sysroot /sbin/init
