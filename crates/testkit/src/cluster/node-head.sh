#!/bin/bash
# The first process of a node: it runs in mount, UTS, IPC and PID namespaces of its own, and in the network namespace of its host.
# $1 name of the node, $2 its own files, which outlive a power cut, $3 the files of the cluster for it, $4 the site, $5 the program, $6 the disk that
# one node at a time may have, if there is one. What kind of node it is comes behind this, node-reap.sh at the end.
set -u
name=$1 state=$2 files=$3 site=$4 holdfast=$5 disk=${6:-}
mount --make-rprivate /
hostname "$name"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
install -d -m 1777 /run/lock
