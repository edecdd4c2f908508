# What U-Boot does on the gateway. Its environment is the first 16 KiB after 1 MiB of the disk, where fw_setenv of the
# running system writes it; the x86 build of U-Boot keeps none itself. Counting is what CONFIG_BOOTCOUNT_ENV does.
setenv bootlimit 3
setenv bootcount 0
setenv upgrade_available 0
virtio read 0x8000000 0x800 0x20
env import -c 0x8000000 0x4000
if test "${upgrade_available}" = "1" && test ${bootcount} -le ${bootlimit}; then
  # This build of U-Boot cannot add.
  setenv above 10
  for n in 9 8 7 6 5 4 3 2 1 0; do
    if test ${bootcount} -eq ${n}; then
      setenv next ${above}
    fi
    setenv above ${n}
  done
  setenv bootcount ${next}
  env export -c -s 0x4000 0x8000000 upgrade_available bootcount bootlimit altbootcmd
  virtio write 0x8000000 0x800 0x20
fi
load virtio 0:1 0x8100000 /boot/loader/uEnv.txt
env import -t 0x8100000 ${filesize}
echo "boot-test: bootcount ${bootcount} of ${bootlimit} upgrade_available ${upgrade_available}"
if test ${bootcount} -gt ${bootlimit} && test -n "${kernel_image2}"; then
  echo "boot-test: altbootcmd"
  run altbootcmd
fi
echo "boot-test: boots ${kernel_image}"
load virtio 0:1 0x2000000 ${kernel_image}
load virtio 0:1 0x10000000 ${ramdisk_image}
zboot 0x2000000 0 0x10000000 ${filesize}
reset
