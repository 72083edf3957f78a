#!/bin/sh
# A changer of disk files, by the conventions of disk-changer:
#   changer.sh CHANGER-DEVICE OPERATION SLOT ARCHIVE-DEVICE DRIVE
# Beside the Archive Device: slotN is a medium, loadedD the slot in drive D, barcodes what `list` says.
op=$2 slot=$3 device=$4 drive=$5
dir=$(dirname "$device")
loaded=$(cat "$dir/loaded$drive" 2>/dev/null || echo 0)
case $op in
loaded) echo "$loaded" ;;
slots) ls "$dir" | grep -c '^slot[0-9]*$' ;;
list) cat "$dir/barcodes" ;;
listall)
    for d in 0 1; do
        in=$(cat "$dir/loaded$d" 2>/dev/null || echo 0)
        if [ "$in" = 0 ]; then echo "D:$d:E"; else echo "D:$d:F:$in:$(sed -n "s/^$in://p" "$dir/barcodes")"; fi
    done
    sed 's/^\([0-9]*\):\(.*\)$/S:\1:F:\2/' "$dir/barcodes"
    ;;
load)
    if [ "$loaded" != 0 ]; then echo "Drive $drive Full (Storage element $loaded loaded)"; exit 1; fi
    if grep -qsx "$slot" "$dir"/loaded*; then echo "Storage element $slot is in another drive"; exit 1; fi
    if [ ! -f "$dir/slot$slot" ]; then echo "source Element Address $slot is Empty"; exit 1; fi
    ln -s "$dir/slot$slot" "$device" && echo "$slot" >"$dir/loaded$drive"
    ;;
unload)
    if [ "$loaded" != "$slot" ]; then echo "Storage Element $slot is Already Full"; exit 1; fi
    rm -f "$device" && echo 0 >"$dir/loaded$drive"
    ;;
*) echo "unknown operation $op"; exit 1 ;;
esac
