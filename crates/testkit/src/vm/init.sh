#!/bin/bash
# First process of a virtual machine: its network, then a shell on the first serial line of virtio. A request is its length and a line end,
# then a script; the answer is "rc CODE LENGTH", a line end, and what the script printed.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/lock /dev/pts /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t devpts devpts /dev/pts
for word in $(</proc/cmdline); do
    case $word in
    kit.name=*) hostname "${word#*=}" ;;
    kit.addresses=*) IFS=, read -ra addresses <<<"${word#*=}" ;;
    esac
done
ip link set lo up
modprobe virtio_net
for card in "${!addresses[@]}"; do
    for _ in {1..100}; do
        [[ -e /sys/class/net/eth$card ]] && break
        sleep 0.05
    done
    ip address add "${addresses[card]}" dev "eth$card"
    ip link set "eth$card" up
done
mkdir /run/payload && tar -C /run/payload -xf /dev/vdb
modprobe virtio_console
for _ in {1..100}; do
    [[ -c /dev/vport1p1 || -c /dev/vport0p1 ]] && break
    sleep 0.05
done
exec 3<>"$(echo /dev/vport*p1)"
echo "KIT-READY" >&3
while IFS= read -r length <&3; do
    script=$(head -c "$length" <&3)
    bash -c "$script" </dev/null >/run/said 2>&1
    printf 'rc %d %d\n' $? "$(stat -c %s /run/said)" >&3
    cat /run/said >&3
done
