#!/usr/bin/env python3
"""smp-torture.py - many minutes of work for several vCPUs, on a stock Debian kernel (make smp-torture)

  smp-torture.py --minutes 30 --vcpus 4 [-- more options of transom]

The guest takes turns: torture (torture.c), and make -j2 of the host's compiler on eight preprocessed files,
whose objects must be those that the host makes of them. The kernel must not complain.
"""
import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import cpio  # noqa: E402

UNITS = 8
COMPLAINTS = re.compile(r"stall|lockup|hung task|Call Trace|WARNING:|BUG:|Oops|Kernel panic|torture: WRONG|^BAD ", re.I)
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin 2> /dev/null
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
dmesg -n 8
echo processors $(nproc)
end=$(($(cut -d. -f1 /proc/uptime) + SECONDS_ALL))
n=0
while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; do
    /torture SECONDS_ONE || echo BAD torture
    if [ -x /usr/bin/make ]; then
        rm -rf /tmp/build; cp -r /build /tmp/build; cd /tmp/build
        make -s -j2 || echo BAD make
        md5sum -c sums > /tmp/sums 2>&1 || { echo BAD objects; cat /tmp/sums; }
        cd /
    fi
    n=$((n + 1))
    echo turn $n ended
done
grep -E "TLB|CAL|RES|LOC" /proc/interrupts
echo torture ended after $n turns
poweroff -f
"""


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **more).stdout


def libraries(path):
    out = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return re.findall(r"(/[^ ]+) \(0x", out)


def add_make(archive, folder):
    """make, the compiler, and what they are to make; False: they are not here"""
    if not shutil.which("make") or not shutil.which("gcc"):
        return False
    parts = [run("gcc", "-print-prog-name=" + n, text=True).strip() for n in ("cc1", "as")]
    wanted = [shutil.which(p) or p for p in ["gcc", "make"] + parts]
    for path in list(wanted):
        wanted += libraries(os.path.realpath(path))
    for path in wanted:
        archive.copy(os.path.normpath(path))
    source = run("gcc", "-E", "-P", os.path.join(HERE, "torture.c"))
    names = ["unit%d" % n for n in range(UNITS)]
    sums = ""
    for n, name in enumerate(names):
        text = source + b"\nint unit_number = %d;\n" % n
        archive.data("build/%s.i" % name, text)
        run("gcc", "-O2", "-c", "-xcpp-output", "-o", name + ".o", "-", input=text, cwd=folder)
        with open(os.path.join(folder, name + ".o"), "rb") as f:
            sums += "%s  %s.o\n" % (hashlib.md5(f.read()).hexdigest(), name)
    archive.data("build/sums", sums.encode())
    # from stdin, as on the host: the object has the name of its file in it
    rule = "all: %s\n%%.o: %%.i\n\tgcc -O2 -c -xcpp-output -o $@ - < $<\n" % " ".join(n + ".o" for n in names)
    archive.data("build/Makefile", rule.encode())
    return True


def image(folder, busybox, minutes):
    archive = cpio.Archive()
    program = os.path.join(folder, "torture")
    run("gcc", "-O2", "-Wall", "-static", "-pthread", "-o", program, os.path.join(HERE, "torture.c"))
    for name in ("bin", "lib", "lib64", "sbin"):
        archive.link(name, "usr/" + name)
    for name in ("dev", "proc", "sys", "tmp"):
        archive.folder(name)
    archive.copy(busybox, "usr/bin/busybox")
    archive.copy(program, "torture")
    if not add_make(archive, folder):
        print("# no make and gcc on this host: without them")
    script = INIT.replace("SECONDS_ALL", str(int(minutes * 60))).replace("SECONDS_ONE", "20" if minutes >= 1 else "1")
    archive.data("init", script.encode(), 0o755)
    path = os.path.join(folder, "torture.cpio")
    archive.write(path)
    return path


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--minutes", type=float, default=30)
    p.add_argument("--vcpus", type=int, default=4)
    p.add_argument("--build", default="build", help="where demo/ with kernel and busybox is, and where the log goes")
    p.add_argument("--transom", default="./transom")
    p.add_argument("more", nargs="*", help="more options of transom, after --")
    o = p.parse_args()
    demo, folder = os.path.join(o.build, "demo"), os.path.join(o.build, "torture")
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["tools/fetch-guest.sh", demo], check=True)
    disk = image(folder, os.path.join(demo, "busybox"), o.minutes)
    log = os.path.join(folder, "log")
    command = [o.transom, "-kernel", os.path.join(demo, "vmlinuz"), "-initrd", disk, "-m", "1024", "-display", "none",
               "-append", "console=ttyS0 panic=-1", "-serial", "stdio", "-no-reboot", "-smp", str(o.vcpus)] + o.more
    start = time.monotonic()
    with open(log, "w") as out:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                timeout=o.minutes * 60 * 2 + 600).returncode
    with open(log, errors="replace") as f:
        lines = f.read().split("\n")
    bad = [line for line in lines if COMPLAINTS.search(line)]
    ended = [line for line in lines if line.startswith("torture ended")]
    rounds = sum(int(m.group(1)) for m in (re.match(r"torture: (\d+) rounds, 0 wrong", line) for line in lines) if m)
    for line in bad[:20]:
        print("FAIL " + line.strip())
    print("%d vCPUs, %.0f minutes: %s, %d rounds, %d complaints, status %d" % (
        o.vcpus, (time.monotonic() - start) / 60, ended[0].strip() if ended else "ended early", rounds, len(bad), status))
    sys.exit(bool(bad) or not ended or status != 0)


if __name__ == "__main__":
    main()
