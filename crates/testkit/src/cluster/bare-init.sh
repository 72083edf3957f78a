#!/bin/bash
# The first process of a node without a cluster manager, in the namespaces that node-init.sh has, with the same arguments: $1 name of the
# node, $2 its own files, $3 the files of the cluster for it, $4 the site, $5 the program.
set -eu
name=$1 state=$2 files=$3 site=$4 holdfast=$5
mount --make-rprivate /
hostname "$name"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p "$state"/{etc,usr,var}{,.work}
for folder in etc usr var; do
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$state/$folder,workdir=$state/$folder.work" "/$folder"
done
install -d -m 1777 /run/lock
install -d /var/log/units
ln -sfn "$site/log/director-$name.log" /var/log/units/holdfast-director.log
install -m 755 "$files/fence_switch" /usr/sbin/fence_switch
install -m 755 "$files/systemctl" /usr/bin/systemctl
# A copy would be large, and a link would lead through folders that not every user may enter.
touch /usr/bin/holdfast /run/switch
mount --bind "$holdfast" /usr/bin/holdfast
mount --bind "$files/../../switch" /run/switch
touch /run/up
# Orphans become children of this process.
trap : TERM INT
while :; do wait -n || sleep 0.2; done
