# A node under Pacemaker.
mkdir -p /run/crm /run/resource-agents "$state"/{corosync,log,working,run,etc,sbin,ocf/holdfast} "$state"/pacemaker/{cib,pengine,blackbox,cores}
rm -rf "$state"/{sbin,ocf}.work
mkdir -p "$state"/{sbin,ocf}.work
if [ ! -e "$state/pacemaker/cib/cib.xml" ]; then
    cp "$files/cib.xml" "$state/pacemaker/cib/cib.xml"
    chmod 600 "$state/pacemaker/cib/cib.xml"
fi
cp "$files/corosync.conf" "$state/etc/corosync.conf"
chown -R hacluster:haclient "$state/pacemaker" /run/crm
if [ -n "$disk" ]; then
    # What was installed for it; the rest of /etc is that of this machine.
    mount -t overlay overlay -o "lowerdir=$files/root/etc:/etc" /etc
    mkdir -p /run/disk /run/postgresql /var/log/postgresql "$state"/{postgresql,ocf/linbit,ocf/heartbeat}
    mount --bind "$disk" /run/disk
    mount --bind "$disk/s/$name" /run/postgresql
    mount --bind "$state/postgresql" /var/log/postgresql
    mount -t tmpfs -o mode=755 tmpfs /srv
    mkdir /srv/catalog
    install -m 755 "$files/shared_disk" "$state/ocf/linbit/drbd"
    install -m 755 "$files/shared_disk" "$state/ocf/heartbeat/Filesystem"
fi
mount --bind "$state/corosync" /var/lib/corosync
mount --bind "$state/pacemaker" /var/lib/pacemaker
mkdir -p /var/log/pacemaker /var/log/corosync
mount --bind "$state/log" /var/log/pacemaker
mount --bind "$state/log" /var/log/corosync
mount --bind "$state/etc" /etc/corosync
# crmsh pings a node by its name before it does anything with it.
mount --bind "$files/hosts" /etc/hosts
# Each node has a Working Directory and a Pid Directory of its own.
mount --bind "$state/working" "$site/director"
mount --bind "$state/run" "$site/run"
ln -sfn "$holdfast" "$state/ocf/holdfast/director"
ln -sfn "$holdfast" "$state/ocf/holdfast/storage"
cp "$files/fence_switch" "$state/sbin/fence_switch"
chmod 755 "$state/sbin/fence_switch"
mount -t overlay overlay -o "lowerdir=/usr/sbin,upperdir=$state/sbin,workdir=$state/sbin.work" /usr/sbin
mount -t overlay overlay -o "lowerdir=/usr/lib/ocf/resource.d,upperdir=$state/ocf,workdir=$state/ocf.work" /usr/lib/ocf/resource.d
corosync -f >>"$state/log/corosync.out" 2>&1 &
# It has no way to say that it is ready.
for _ in $(seq 400); do corosync-cfgtool -s >/dev/null 2>&1 && break; sleep 0.05; done
if grep -q 'model: net' /etc/corosync/corosync.conf; then
    mkdir -p /run/corosync-qdevice
    corosync-qdevice -f >>"$state/log/qdevice.out" 2>&1 &
fi
export PCMK_logfile=/var/log/pacemaker/pacemaker.log PCMK_logfacility=none HOME=/root
pacemakerd >>"$state/log/pacemakerd.out" 2>&1 &
