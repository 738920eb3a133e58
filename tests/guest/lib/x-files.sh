#!/bin/bash
# x-files.sh DIR BUSYBOX - a root file system with an X server, a window manager and two
# programs, from what is installed here; fails with the name of what is missing
set -eu

root=$1 busybox=$2
rm -rf "$root"
mkdir -p "$root"/{bin,dev,proc,sys,tmp/.X11-unix,etc,usr/share/X11,usr/share/fonts/X11,var/log,usr/bin,usr/lib/xorg/modules}
cp "$busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"

# with FILE...: programs and modules, with the libraries they need
with() {
    for f; do
        [ -e "$f" ] || { echo "no $f" >&2; exit 1; }
        mkdir -p "$root$(dirname "$f")"
        cp -L "$f" "$root$f"
        ldd "$f" 2> /dev/null | grep -o '/[^ ]*' | while read -r lib; do
            [ -e "$root$lib" ] && continue
            mkdir -p "$root$(dirname "$lib")"
            cp -L "$lib" "$root$lib"
        done
    done
}
modules=/usr/lib/xorg/modules
with /usr/lib/xorg/Xorg $modules/libfbdevhw.so $modules/libshadow.so $modules/drivers/fbdev_drv.so \
    /usr/bin/xkbcomp /usr/bin/twm /usr/bin/xterm /usr/bin/xlogo
cp -r /usr/share/X11/xkb "$root/usr/share/X11/xkb"
[ -d "$root/usr/share/X11/xkb/rules" ] || cp -rL /usr/share/X11/xkb/. "$root/usr/share/X11/xkb/"
mkdir -p "$root/usr/share/fonts/X11/misc"
for f in 6x13-ISO8859-1 6x13B-ISO8859-1 cursor; do
    cp -L "/usr/share/fonts/X11/misc/$f.pcf.gz" "$root/usr/share/fonts/X11/misc/"
done
cat > "$root/usr/share/fonts/X11/misc/fonts.dir" <<'END'
3
6x13-ISO8859-1.pcf.gz -misc-fixed-medium-r-semicondensed--13-120-75-75-c-60-iso8859-1
6x13B-ISO8859-1.pcf.gz -misc-fixed-bold-r-semicondensed--13-120-75-75-c-60-iso8859-1
cursor.pcf.gz cursor
END
cat > "$root/usr/share/fonts/X11/misc/fonts.alias" <<'END'
fixed -misc-fixed-medium-r-semicondensed--13-120-75-75-c-60-iso8859-1
END

cat > "$root/etc/x.conf" <<'END'
Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "AutoEnableDevices" "false"
    Option "DontZap" "true"
EndSection
Section "Files"
    FontPath "/usr/share/fonts/X11/misc"
EndSection
Section "Device"
    Identifier "fb"
    Driver "fbdev"
EndSection
END
cat > "$root/etc/twmrc" <<'END'
RandomPlacement
NoDefaults
NoGrabServer
DecorateTransients
TitleFont "fixed"
Color { TitleBackground "SteelBlue" TitleForeground "White" BorderColor "SteelBlue" }
END
cat > "$root/init" <<'END'
#!/bin/sh
PATH=/bin:/usr/bin
busybox mkdir -p /proc /sys /dev
busybox mount -t proc none /proc
busybox mount -t sysfs none /sys
busybox mount -t devtmpfs none /dev
busybox mkdir -p /dev/pts
busybox mount -t devpts none /dev/pts
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
export DISPLAY=:0
/usr/lib/xorg/Xorg :0 -config /etc/x.conf -novtswitch -sharevts -nolisten tcp vt1 > /var/log/x 2>&1 &
n=0
while [ ! -e /tmp/.X11-unix/X0 ]; do
    busybox sleep 1
    n=$((n + 1))
    [ $n = 120 ] && busybox cat /var/log/x && echo "X: no server"
done
twm -f /etc/twmrc &
xterm -fn fixed -geometry 60x12+60+80 -T terminal -e /bin/sh -c \
    'i=1; while [ $i -le 9 ]; do echo "line $i: the quick brown fox"; i=$((i + 1)); done; busybox sleep 100000' &
xlogo -geometry 200x200+560+360 &
busybox sleep 5
echo "X: session"
busybox sleep 100000
END
chmod 755 "$root/init"
