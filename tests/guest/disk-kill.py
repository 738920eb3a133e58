#!/usr/bin/env python3
"""disk-kill.py - SIGKILL of the emulator while a guest writes; what the guest flushed must be there

    disk-kill.py --transom ./transom --kernel VMLINUZ --package LINUX-IMAGE.deb [--rounds 30] [--seed 1]

Each round has its own image, format, cache mode and instant. Afterwards qemu-img check may
find leaks at worst (of lazy refcounts: nothing after its repair), and every sector holds what the last flushed
step wrote there or a later one (disk-kill-init.c). First a guest that tells of flushes it has
not made: the harness must see that data is missing. Prints "ok ..." or "FAIL ..." and ends with 1.
"""
import argparse
import os
import random
import re
import select
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import cpio  # noqa: E402
import disk  # noqa: E402

WRITERS, REGION, MAX_SECTORS = 4, 65536, 128  # as in disk-kill-init.c
MASK = (1 << 64) - 1
FORMATS = [("qcow2", ""), ("qcow2", "cluster_size=512"), ("qcow2", "cluster_size=4k"), ("qcow2", "lazy_refcounts=on"),
           ("raw", ""), ("qcow2", "cluster_size=2M")]
CACHES = ["writeback", "none", "writethrough"]


def mix(v):
    v = (v ^ v >> 31) * 0x9e3779b97f4a7c15 & MASK
    return v ^ v >> 29


def extent(w, n):
    """First sector and number of sectors of a step."""
    h = mix(n * WRITERS + w + 1)
    return w * REGION + (h >> 24) % (REGION - MAX_SECTORS), 1 + (h >> 8) % MAX_SECTORS


def make_initrd(args, folder):
    init = os.path.join(folder, "init")
    subprocess.run(["gcc", "-O2", "-static", "-o", init, os.path.join(HERE, "disk-kill-init.c")], check=True)
    a = cpio.Archive()
    a.copy(init, "init")
    a.folder("dev")
    a.data("dev/.keep", b"")
    found = disk.modules(args.package, folder)
    for i, m in enumerate(disk.MODULES):
        a.copy(found[m], "mod/%d" % i)
    path = os.path.join(folder, "initrd")
    a.write(path)
    return path


def run(args, initrd, image, fmt, cache, lie, seconds):
    """Boots, kills @seconds after the first flush; returns {writer: last flushed step}."""
    command = [args.transom, "-kernel", args.kernel, "-initrd", initrd, "-m", "256", "-display", "none", "-nodefaults",
               "-append", "console=ttyS0 quiet panic=-1" + (" lie" if lie else ""), "-serial", "stdio",
               "-drive", "file=%s,format=%s,if=virtio,cache=%s" % (image, fmt, cache)]
    flushed, text, end = {}, b"", time.monotonic() + 300
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        while time.monotonic() < end:
            if select.select([p.stdout], [], [], 0.01)[0]:
                got = os.read(p.stdout.fileno(), 65536)
                text += got
                if not got:
                    break
            if b"\nf " in text and seconds:
                end, seconds = time.monotonic() + seconds, 0
        p.kill()
        text += p.stdout.read()
    for w, n in re.findall(rb"^f (\d+) (\d+)\r?$", text[:text.rfind(b"\n") + 1], re.M):
        flushed[int(w)] = max(flushed.get(int(w), 0), int(n))
    if not flushed or b"failed" in text:
        sys.exit("FAIL disk-kill: the guest did not write: %r" % text[-300:])
    return flushed


def check_image(image, fmt, lazy):
    """What qemu-img finds wrong; "" for nothing or leaks."""
    if fmt == "raw":
        return ""
    command = ["qemu-img", "check", "-f", fmt] + (["-r", "all"] if lazy else []) + [image]
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return "" if r.returncode in (0, 3) else "qemu-img check ends with %d: %s" % (r.returncode, r.stdout[-300:])


def lost(raw, flushed):
    """The first sector that holds something older than what was flushed, in words; "" for none."""
    with open(raw, "rb") as f:
        data = f.read()
    for w, last in flushed.items():
        want = {}
        for n in range(1, last + 1):
            first, sectors = extent(w, n)
            want.update(dict.fromkeys(range(first, first + sectors), n))
        for sector, n in want.items():
            words = set(struct.unpack_from("<64Q", data, sector * 512))
            word = words.pop()
            at, sectors = extent(w, word & (1 << 56) - 1)
            if words or word >> 56 != w or word & (1 << 56) - 1 < n or not at <= sector < at + sectors:
                return "sector %d: %#x, flushed was step %d of writer %d" % (sector, word, n, w)
    return ""


def one_round(args, initrd, folder, rng, number, lie=False):
    fmt, options = FORMATS[number % len(FORMATS)]
    cache = CACHES[number // len(FORMATS) % len(CACHES)]
    image, raw = os.path.join(folder, "disk"), os.path.join(folder, "raw")
    subprocess.run(["qemu-img", "create", "-q", "-f", fmt] + (["-o", options] if options else []) +
                   [image, str(WRITERS * REGION * 512)], check=True)
    flushed = run(args, initrd, image, fmt, cache, lie, rng.uniform(0.02, 2))
    wrong = check_image(image, fmt, "lazy" in options)
    if not wrong:
        subprocess.run(["qemu-img", "convert", "-f", fmt, "-O", "raw", image, raw], check=True)
        wrong = lost(raw, flushed)
    if wrong and not lie:
        print("FAIL disk-kill: round %d, seed %d, %s %s cache=%s: %s" % (number, args.seed, fmt, options, cache, wrong))
        sys.exit(1)
    return wrong, sum(flushed.values())


def main():
    p = argparse.ArgumentParser()
    for option in ("transom", "kernel", "package"):
        p.add_argument("--" + option, required=True)
    p.add_argument("--rounds", type=int, default=30)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    rng, steps = random.Random(args.seed), 0
    with tempfile.TemporaryDirectory(prefix="transom-disk-kill-") as folder:
        initrd = make_initrd(args, folder)
        if not any(one_round(args, initrd, folder, rng, n, True)[0] for n in range(10)):
            print("FAIL disk-kill: flushes that were not made go unnoticed")
            return 1
        for n in range(args.rounds):
            steps += one_round(args, initrd, folder, rng, n)[1]
            print("round %d: %d flushed steps so far" % (n, steps), flush=True)
    print("ok disk-kill: %d rounds, %d flushed steps, seed %d; a false flush is found" % (args.rounds, steps, args.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
