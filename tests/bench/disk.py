#!/usr/bin/env python3
"""disk.py - fio in the guest on virtio-blk over a raw file, emulators in turn

    disk.py --transom ./transom --kernel VMLINUZ --package LINUX-IMAGE.deb --busybox BUSYBOX
            [--qemu COMMAND]... [--runs 3] [--seconds 6] [--json FILE]

On a machine with other work the second table tells more: the same per second of CPU
time that the emulator got. The guest is that kernel with the virtio modules of its package, busybox and the
host's fio. Each run boots every emulator once; shown are the medians.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

import cpio
from emulators import Emulator, cpu_seconds

WARM = "warm up"
JOBS = {  # name: options of fio, what is read from its terse output's fields
    WARM: ("--rw=randrw --bs=4k --iodepth=32", "iops"),
    "4k randread qd32": ("--rw=randread --bs=4k --iodepth=32", "iops"),
    "4k randread qd1": ("--rw=randread --bs=4k --iodepth=1", "iops"),
    "4k randwrite qd32": ("--rw=randwrite --bs=4k --iodepth=32", "iops"),
    "1M read qd8": ("--rw=read --bs=1M --iodepth=8", "MiB/s"),
    "1M write qd8": ("--rw=write --bs=1M --iodepth=8", "MiB/s"),
}
MODULES = "virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk".split()
DISK_BYTES = 512 << 20


def libraries(program):
    out = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def modules(package, folder, wanted):
    names = subprocess.run("dpkg-deb --fsys-tarfile '%s' | tar -C '%s' -xv --wildcards %s" % (
        package, folder, " ".join("'*/kernel/*/%s.ko'" % m for m in wanted)),
        shell=True, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return {os.path.basename(n)[:-3]: os.path.join(folder, n) for n in names}


def make_initrd(args, folder):
    a = cpio.Archive()
    a.copy(args.busybox, "bin/busybox")
    fio = subprocess.run(["which", "fio"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    a.copy(fio, "bin/fio")
    for lib in libraries(fio):
        a.copy(lib)
    for name in ("lib", "lib64"):
        a.link(name, "usr/" + name)
    found = modules(args.package, folder, MODULES)
    for m in MODULES:
        a.copy(found[m], "mod/%s.ko" % m)
    script = ["#!/bin/busybox sh", "/bin/busybox mkdir -p /proc /sys /dev /tmp", "/bin/busybox mount -t proc none /proc",
              "/bin/busybox mount -t sysfs none /sys", "/bin/busybox mount -t devtmpfs none /dev"]
    script.append("export PATH=/bin LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu")
    script += ["/bin/busybox insmod /mod/%s.ko" % m for m in MODULES]
    for name, (options, _) in JOBS.items():
        script.append("echo \"job %s: $(fio --name=x --filename=/dev/vda --direct=1 --ioengine=libaio --thread "
                      "--time_based --runtime=%d --output-format=json %s | /bin/busybox tr -d '\\n')\"" %
                      (name, args.seconds, options))
    script += ["echo finished", "/bin/busybox poweroff -f"]
    a.data("init", ("\n".join(script) + "\n").encode(), 0o755)
    path = os.path.join(folder, "disk-initrd")
    a.write(path)
    return path


def one_run(emulator, args, initrd):
    """{job: (figure, figure per CPU second)} of one boot."""
    figures = {}
    lines = emulator.boot(args.kernel, initrd, 1024, args.seconds * len(JOBS) * 10 + 300)
    pid, before = next(lines).pid, 0
    for line in lines:
        m = re.match(r"job (.+?): (.*)", line)
        if m and m.group(1) in JOBS:
            result = json.loads(m.group(2)[m.group(2).index("{"):])["jobs"][0]
            way = result["read"] if result["read"]["total_ios"] else result["write"]
            figure = way["iops"] if JOBS[m.group(1)][1] == "iops" else way["bw"] / 1024
            cpu = cpu_seconds(pid)
            figures[m.group(1)] = (figure, figure * way["runtime"] / 1000 / (cpu - before))
            before = cpu
        if line == "finished":
            break
    lines.close()
    return figures


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--transom", default="./transom")
    p.add_argument("--qemu", action="append", default=[])
    for option in ("kernel", "package", "busybox"):
        p.add_argument("--" + option, required=True)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--seconds", type=int, default=6)
    p.add_argument("--json")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="transom-disk-bench-") as folder:
        initrd = make_initrd(args, folder)
        image = os.path.join(folder, "disk.raw")
        with open(image, "wb") as f:
            for _ in range(DISK_BYTES >> 20):
                f.write(os.urandom(1 << 20))
        emulators = [Emulator("transom", args.transom, [])]
        emulators += [Emulator("qemu%d" % i, q, ["-accel", "tcg"]) for i, q in enumerate(args.qemu)]
        for e in emulators:
            e.options += ["-net", "none", "-drive", "file=%s,format=raw,if=virtio" % e.place(image)]
            print("%s: %s" % (e.name, e.version()), flush=True)
        results = {e.name: [] for e in emulators}
        for n in range(args.runs):
            for e in emulators:
                results[e.name].append(one_run(e, args, initrd))
                print("run %d %s: %s" % (n, e.name, {k: round(v[0]) for k, v in results[e.name][-1].items()}), flush=True)
        report(results)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(results, f, indent=1)
        for e in emulators:
            if e.root:
                os.unlink(e.root + "/tmp/transom-bench-disk.raw")


def report(results):
    names = list(results)
    for column, what in enumerate(("median", "per CPU second")):
        print("\n%-20s" % what + "".join("%14s" % n for n in names) + "".join("%12s" % ("/" + n) for n in names[1:]))
        for job, (_, unit) in JOBS.items():
            if job == WARM:
                continue
            mid = {n: statistics.median(r[job][column] for r in results[n] if job in r) for n in names}
            print("%-20s" % job + "".join("%14.0f" % mid[n] for n in names) +
                  "".join("%11.2fx" % (mid[names[0]] / mid[n]) for n in names[1:]) + "  " + unit)


if __name__ == "__main__":
    sys.exit(main())
