#!/usr/bin/env python3
"""net.py - iperf3 between guest and host on virtio-net, user networking and tap, emulators in turn

    net.py --transom ./transom --kernel VMLINUZ --package LINUX-IMAGE.deb --busybox BUSYBOX
           [--qemu COMMAND]... [--runs 3] [--seconds 5] [--json FILE]

Runs in a network namespace of its own, where it makes the tap device (with vnet_hdr) and
hands it over as fd=. The guest has one card on each back end and is iperf3's client, sending
and (-R) receiving. Each run boots every emulator once; shown are the medians, in Gbit/s, and
the same per second of CPU time that the emulator got.
"""
import argparse
import fcntl
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile

import cpio
from disk import libraries, modules
from emulators import Emulator, cpu_seconds

MODULES = ("failover net_failover virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci "
           "virtio_net").split()
JOBS = {  # name: where the guest finds the server, iperf3's options
    "user, guest sends": ("10.0.2.2", ""),
    "user, guest receives": ("10.0.2.2", "-R"),
    "tap, guest sends": ("10.9.0.1", ""),
    "tap, guest receives": ("10.9.0.1", "-R"),
}
TUNSETIFF = 0x400454ca
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000


def make_initrd(args, folder):
    a = cpio.Archive()
    a.copy(args.busybox, "bin/busybox")
    iperf = subprocess.run(["which", "iperf3"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    a.copy(iperf, "bin/iperf3")
    for lib in libraries(iperf):
        a.copy(lib)
    for name in ("lib", "lib64"):
        a.link(name, "usr/" + name)
    found = modules(args.package, folder, MODULES)
    for m in MODULES:
        a.copy(found[m], "mod/%s.ko" % m)
    script = ["#!/bin/busybox sh", "/bin/busybox mkdir -p /proc /sys /dev /tmp", "/bin/busybox --install -s /bin",
              "mount -t proc none /proc", "mount -t sysfs none /sys", "mount -t devtmpfs none /dev",
              "export PATH=/bin LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu"]
    script += ["insmod /mod/%s.ko" % m for m in MODULES]
    script += ["ip link set lo up", "ip link set eth0 up", "ip addr add 10.0.2.15/24 dev eth0",
               "ip link set eth1 up", "ip addr add 10.9.0.2/24 dev eth1", "sleep 1", "echo started"]
    for name in args.jobs:
        server, options = JOBS[name]
        script.append("echo \"job %s: $(iperf3 -c %s -t %d -J %s 2>&1 | tr -d '\\n')\"" %
                      (name, server, args.seconds, options))
    script += ["echo finished", "sleep 2", "poweroff -f"]
    a.data("init", ("\n".join(script) + "\n").encode(), 0o755)
    path = os.path.join(folder, "net-initrd")
    a.write(path)
    return path


def make_tap():
    """A tap device with its address; closing the descriptor removes it."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"transom-bench", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    os.set_inheritable(fd, True)
    subprocess.run("ip addr add 10.9.0.1/24 dev transom-bench && ip link set transom-bench up", shell=True, check=True)
    return fd


def one_run(emulator, args, initrd):
    """{job: (Gbit/s, Gbit per CPU second)} of one boot."""
    figures = {}
    tap = make_tap()
    emulator.fds = [tap]
    emulator.options = emulator.given + [
        "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0",
        "-netdev", "tap,id=n1,fd=%d" % tap, "-device", "virtio-net-pci,netdev=n1"]
    with subprocess.Popen(["iperf3", "-s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        lines = emulator.boot(args.kernel, initrd, 512, args.seconds * len(args.jobs) * 4 + 120)
        pid, before = next(lines).pid, 0
        for line in lines:
            m = re.match(r"job (.+?): (.*)", line)
            if m and m.group(1) in JOBS:
                result = json.loads(m.group(2)[m.group(2).index("{"):])
                if "error" in result:
                    raise SystemExit("%s, %s: iperf3: %s" % (emulator.name, m.group(1), result["error"]))
                end = result["end"]["sum_received"]
                cpu = cpu_seconds(pid)
                figures[m.group(1)] = (end["bits_per_second"] / 1e9, end["bytes"] * 8e-9 / (cpu - before))
                before = cpu
            elif line == "started":
                before = cpu_seconds(pid)
            if line == "finished":
                break
        lines.close()
        server.terminate()
    os.close(tap)
    return figures


def report(results, jobs):
    names = list(results)
    for column, what in enumerate(("Gbit/s, median", "Gbit per CPU second")):
        print("\n%-22s" % what + "".join("%12s" % n for n in names) + "".join("%12s" % ("/" + n) for n in names[1:]))
        for job in jobs:
            mid = {n: statistics.median(r[job][column] for r in results[n] if job in r) for n in names}
            print("%-22s" % job + "".join("%12.2f" % mid[n] for n in names) +
                  "".join("%11.2fx" % (mid[names[0]] / mid[n]) for n in names[1:]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--transom", default="./transom")
    p.add_argument("--qemu", action="append", default=[])
    for option in ("kernel", "package", "busybox"):
        p.add_argument("--" + option, required=True)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--seconds", type=int, default=5)
    p.add_argument("--job", action="append", dest="jobs", choices=list(JOBS), help="all, unless named")
    p.add_argument("--json")
    p.add_argument("--in-namespace", action="store_true", help=argparse.SUPPRESS)
    args = p.parse_args()
    args.jobs = args.jobs or list(JOBS)
    if not args.in_namespace:
        os.execvp("unshare", ["unshare", "-n", sys.executable] + sys.argv + ["--in-namespace"])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="transom-net-bench-") as folder:
        initrd = make_initrd(args, folder)
        emulators = [Emulator("transom", args.transom, [])]
        emulators += [Emulator("qemu%d" % i, q, ["-accel", "tcg"]) for i, q in enumerate(args.qemu)]
        for e in emulators:
            e.given = e.options
            print("%s: %s" % (e.name, e.version()), flush=True)
        results = {e.name: [] for e in emulators}
        for n in range(args.runs):
            for e in emulators:
                results[e.name].append(one_run(e, args, initrd))
                print("run %d %s: %s" % (n, e.name, {k: round(v[0], 2) for k, v in results[e.name][-1].items()}),
                      flush=True)
        report(results, args.jobs)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(results, f, indent=1)


if __name__ == "__main__":
    sys.exit(main())
