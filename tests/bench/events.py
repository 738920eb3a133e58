#!/usr/bin/env python3
"""events.py - costs of single events in nanoseconds: make bench-events

Runs the firmware image of events/ on Transom and, where there is one, on QEMU, by
turns. Of the repetitions the cheapest counts: what disturbs only adds. Not on Bochs,
whose TSC counts instructions instead of time.
"""
import argparse
import json
import os
import shutil
import sys

import emulators

# DESIGN.md 4.1, ns; a byte of code for translate_byte
TARGETS = {"tlb_refill": 60, "int_iret": 120, "syscall_sysret": 80, "fault_fix_invlpg": 300, "cr3_tagged": 60,
           "port_out": 150, "port_in": 150, "mmio_read": 150, "mmio_write": 150, "store_to_code": 1000,
           "translate_byte": 40}


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--transom", default="./transom")
    p.add_argument("--qemu", default=shutil.which("qemu-system-x86_64"), help="'' for none (%(default)s)")
    p.add_argument("--image", default="build/bench/events/events.bin")
    p.add_argument("--cpu", default="max")
    p.add_argument("--reps", type=int, default=3)
    p.add_argument("--json", default="build/bench/events.json")
    return p.parse_args()


def run(emulator, image):
    """Returns NAME -> ns of one run."""
    out = emulator.firmware(image, 600)
    lines = [line.strip() for line in out.split("\n")]
    if "end" not in lines or " 0 failed" not in out:
        raise SystemExit("%s: the image did not come to its end: %s" % (emulator.name, lines[-3:]))
    body = lines[lines.index("begin") + 1:lines.index("end")]
    return {name: float(ns) for name, ns in (line.split() for line in body if not line.startswith("skip"))}


def measure(systems, image, reps):
    best = {e.name: {} for e in systems}
    for _ in range(reps):
        for e in systems:
            for name, ns in run(e, image).items():
                best[e.name][name] = min(ns, best[e.name].get(name, ns))
    return best


def show(value):
    return "%9s" % ("-" if value is None else "%.1f" % value)


def print_table(best):
    print("%-22s" % "event, ns" + "".join(" %9s" % s for s in best) + "       q/t    target")
    for name, ns in best["transom"].items():
        other, target = best.get("qemu", {}).get(name), TARGETS.get(name)
        print("%-22s" % name + "".join(" " + show(best[s].get(name)) for s in best) +
              " %9s %9s %s" % ("-" if not other or not ns else "%.2f" % (other / ns), target or "",
                               "" if not target else "met" if ns <= target else "missed"))


def main():
    o = options()
    systems = [emulators.Emulator("transom", o.transom, ["-cpu", o.cpu])]
    if o.qemu:
        systems.append(emulators.Emulator("qemu", o.qemu, ["-accel", "tcg", "-cpu", o.cpu]))
    best = measure(systems, os.path.abspath(o.image), o.reps)
    versions = {e.name: e.version() for e in systems}
    for name, version in versions.items():
        print("%s: %s" % (name, version))
    print_table(best)
    os.makedirs(os.path.dirname(o.json) or ".", exist_ok=True)
    with open(o.json, "w") as f:
        json.dump({"versions": versions, "ns": best}, f, indent=1)


if __name__ == "__main__":
    sys.exit(main())
