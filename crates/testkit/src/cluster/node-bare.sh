# A node without a cluster manager.
set -e
rm -rf "$state"/{etc,usr,var}.work
mkdir -p "$state"/{etc,usr,var}{,.work}
for folder in etc usr var; do
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$state/$folder,workdir=$state/$folder.work" "/$folder"
done
install -d /var/log/units
ln -sfn "$site/log/director-$name.log" /var/log/units/holdfast-director.log
install -m 755 "$files/fence_switch" /usr/sbin/fence_switch
install -m 755 "$files/systemctl" /usr/bin/systemctl
# A copy would be large, and a link would lead through folders that not every user may enter.
touch /usr/bin/holdfast /run/switch
mount --bind "$holdfast" /usr/bin/holdfast
mount --bind "$files/../../switch" /run/switch
[ ! -x /etc/rc.local ] || /etc/rc.local
systemctl default
touch /run/up
