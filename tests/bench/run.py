#!/usr/bin/env python3
"""run.py - speed of guests against native speed: make bench, make bench-diff OLD=FILE

Runs the programs of guest/ and real ones (programs.py) natively, on Transom and,
where there is one, on QEMU, one after the other in each repetition. Prints the
ratios to native by program and class and writes all samples to a JSON file.
"""
import argparse
import json
import math
import os
import platform
import shutil
import statistics
import sys

import guests

LABEL = {"integer": "integer", "memory": "memory, strings", "float": "floating point", "system": "system",
         "jit": "written code", "programs": "real programs", "boot": "boot"}


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--transom", default="./transom", help="command of Transom, options may follow")
    p.add_argument("--qemu", default=shutil.which("qemu-system-x86_64"),
                   help="command of QEMU, or 'chroot DIR COMMAND'; '' for none (%(default)s)")
    p.add_argument("--kernel", default="build/demo/vmlinuz", help="Linux kernel (%(default)s)")
    p.add_argument("--busybox", default="build/demo/busybox", help="static busybox (%(default)s)")
    p.add_argument("--build", default="build/bench", help="folder of the built programs (%(default)s)")
    p.add_argument("--cpu", default="max", help="-cpu of the guests (%(default)s)")
    p.add_argument("--classes", default=",".join(guests.CLASSES + ["programs", "boot"]), help="(%(default)s)")
    p.add_argument("--only", default="", help="names of programs, separated by commas")
    p.add_argument("--reps", type=int, default=3, help="repetitions (%(default)s)")
    p.add_argument("--qemu-reps", type=int, default=1 << 30, help="repetitions on QEMU, if fewer")
    p.add_argument("--boots", type=int, default=5, help="boots for the boot time (%(default)s)")
    p.add_argument("--percent", type=int, default=100, help="how much work the kernels do (%(default)s)")
    p.add_argument("--by", choices=["cpu", "wall"], default="cpu",
                   help="ratios of the host's CPU time, or of the clocks' time (%(default)s)")
    p.add_argument("--json", default="build/bench/result.json", help="(%(default)s)")
    p.add_argument("--verbose", action="store_true", help="show the guests' lines as they come")
    p.add_argument("--diff", nargs=2, metavar=("OLD", "NEW"), help="compare two results and end")
    return p.parse_args()


def emulators(o):
    found = [guests.Emulator("transom", o.transom, ["-cpu", o.cpu])]
    if o.qemu:
        found.append(guests.Emulator("qemu", o.qemu, ["-accel", "tcg", "-cpu", o.cpu]))
    return found


# ---- running --------------------------------------------------------------------


def add(result, system, reader):
    for (group, name), s in reader.samples.items():
        row = result["programs"].setdefault(group + "/" + name, {}).setdefault(system, [])
        row.append({"wall": s.seconds, "cpu": s.cpu, "host": s.host, "checksum": s.checksum})
    for group, what in reader.failed:
        print("%s: %s: failed: %s" % (system, group, what), file=sys.stderr)
        result["failed"].append([system, group, what])
    result["skipped"] = sorted(set(map(tuple, result["skipped"])) | {(system,) + s for s in reader.skipped})


def run_all(o, systems, result):
    classes = [c for c in o.classes.split(",") if c in guests.CLASSES + ["programs"]]
    if not classes:
        return
    suite = guests.Suite(os.path.abspath(o.build), os.path.abspath(o.busybox), classes,
                         [n for n in o.only.split(",") if n], o.percent)
    initrd = os.path.join(suite.build, "initramfs.cpio")
    suite.make_initramfs(initrd)
    for rep in range(o.reps):
        print("repetition %d: native" % (rep + 1), end="", file=sys.stderr, flush=True)
        add(result, "native", guests.run_native(suite, o.verbose))
        for e in systems:
            if e.name == "qemu" and rep >= o.qemu_reps:
                continue
            print(", " + e.name, end="", file=sys.stderr, flush=True)
            add(result, e.name, guests.run_guest(e, o.kernel, initrd, o.verbose))
            save(o.json, result)
        print(file=sys.stderr)


def run_boots(o, systems, result):
    suite = guests.Suite(os.path.abspath(o.build), os.path.abspath(o.busybox), [], [], 100)
    initrd = os.path.join(suite.build, "boot.cpio")
    suite.make_initramfs(initrd)
    row = result["programs"].setdefault("boot/userspace", {})
    for _ in range(o.boots):
        for e in systems:
            try:
                wall, cpu = guests.time_boot(e, o.kernel, initrd)
            except guests.Failed as why:
                result["failed"].append([e.name, "boot", str(why)])
                continue
            row.setdefault(e.name, []).append({"wall": wall, "cpu": cpu, "host": wall, "checksum": ""})
    save(o.json, result)


def save(path, result):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as f:
        json.dump(result, f, indent=1)


# ---- figures --------------------------------------------------------------------


def median(samples, by):
    return statistics.median(s[by] for s in samples)


def spread(samples, by):
    values = [s[by] for s in samples]
    return (max(values) - min(values)) / max(statistics.median(values), 1e-9)


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def ratio(row, system, base, by):
    """Time on one system over that on another; None when either is missing."""
    if not row.get(system) or not row.get(base):
        return None
    return max(median(row[system], by), 1e-9) / max(median(row[base], by), 1e-9)


def show(value, form="%8.2f"):
    return "       -" if value is None else form % value


def disagreements(result):
    """Programs whose checksums differ between repetitions or systems."""
    for name, row in sorted(result["programs"].items()):
        sums = {s["checksum"] for samples in row.values() for s in samples}
        if len(sums) > 1:
            yield name, {system: sorted({s["checksum"] for s in samples}) for system, samples in row.items()}


def print_programs(result, by):
    print("%-24s %9s %8s %8s %8s %8s %8s" % ("program (%s time)" % by, "native s", "transom", "qemu", "q/t", "spread t", "spread n"))
    for name, row in result["programs"].items():
        native = median(row["native"], by) if row.get("native") else None
        print("%-24s %s %s %s %s %8s %8s" % (
            name, show(native, "%9.4f"), show(ratio(row, "transom", "native", by)),
            show(ratio(row, "qemu", "native", by)), show(ratio(row, "qemu", "transom", by)),
            show(100 * spread(row["transom"], by) if row.get("transom") else None, "%6.0f%%"),
            show(100 * spread(row["native"], by) if row.get("native") else None, "%6.0f%%")))


def classes_of(result):
    groups = {}
    for name, row in result["programs"].items():
        groups.setdefault(name.split("/")[0], {})[name] = row
    return groups


def print_classes(result, by):
    print("\n%-18s %12s %12s %10s   %s" % ("class (geomean)", "transom/nat", "qemu/nat", "qemu/trans", "worst of transom"))
    for group, rows in classes_of(result).items():
        means, worst = [], ("", 0)
        for system, base in (("transom", "native"), ("qemu", "native"), ("qemu", "transom")):
            both = {n: ratio(r, system, base, by) for n, r in rows.items()}
            both = {n: v for n, v in both.items() if v}
            means.append(geomean(both.values()) if both else None)
            if system == "transom" and both:
                worst = max(both.items(), key=lambda item: item[1])
        print("%-18s %12s %12s %10s   %s" % ((LABEL.get(group, group),) + tuple(show(m) for m in means) +
                                             ("%s %.1f" % (worst[0].split("/")[-1], worst[1]) if worst[1] else "",)))
    slower = [(n, ratio(r, "transom", "qemu", by)) for n, r in result["programs"].items()]
    slower = sorted([s for s in slower if s[1] and s[1] > 1], key=lambda s: -s[1])
    print("slower than QEMU: " + (", ".join("%s %.2f" % s for s in slower) or "none"))


def print_boot(result):
    row = result["programs"].get("boot/userspace", {})
    for system, samples in row.items():
        print("boot to user space, %-8s %6.2f s (%.2f to %.2f), CPU %.2f s" % (
            system, median(samples, "wall"), min(s["wall"] for s in samples), max(s["wall"] for s in samples),
            median(samples, "cpu")))


def print_result(result, by):
    for key in ("host", "load", "versions", "percent", "repetitions"):
        print("%s: %s" % (key, result[key]))
    print()
    print_programs(result, by)
    print_classes(result, by)
    print_boot(result)
    for system, group, what in result["failed"]:
        print("FAILED on %s: %s: %s" % (system, group, what))
    for system, group, what in result["skipped"]:
        print("skipped on %s: %s: %s" % (system, group, what))
    wrong = list(disagreements(result))
    for name, sums in wrong:
        print("CHECKSUMS DIFFER: %s: %s" % (name, sums))
    return 1 if wrong or result["failed"] else 0


# ---- comparing ------------------------------------------------------------------


def print_diff(old, new, by):
    """Ratios to native of two results; noise is what the samples' spread explains."""
    for key in ("host", "percent", "versions"):
        if old[key] != new[key]:
            print("note: %s differs: %s, %s" % (key, old[key], new[key]))
    print("%-24s %9s %9s %8s" % ("transom/native", "old", "new", "change"))
    changes = {}
    for name, row in new["programs"].items():
        before = old["programs"].get(name)
        base = "native" if "native" in row else "qemu"
        now, then = ratio(row, "transom", base, by), before and ratio(before, "transom", base, by)
        if not now or not then:
            continue
        changes.setdefault(name.split("/")[0], []).append(now / then)
        noise = max(spread(row["transom"], by), spread(before["transom"], by), 0.03)
        mark = " slower" if now / then > 1 + noise else " faster" if now / then < 1 - noise else ""
        print("%-24s %9.2f %9.2f %+7.1f%%%s" % (name, then, now, (now / then - 1) * 100, mark))
    for group, values in changes.items():
        print("%-24s %19s %+7.1f%%" % (LABEL.get(group, group) + " (geomean)", "", (geomean(values) - 1) * 100))


def load(path):
    with open(path) as f:
        return json.load(f)


def cpu_model():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return "%s, %d CPUs" % (names[0] if names else platform.machine(), len(names))


def main():
    o = options()
    if o.diff:
        print_diff(load(o.diff[0]), load(o.diff[1]), o.by)
        return 0
    systems = emulators(o)
    result = {"host": "%s, Linux %s" % (cpu_model(), platform.release()), "load": "%.2f before" % os.getloadavg()[0],
              "versions": {e.name: e.version() for e in systems}, "percent": o.percent, "repetitions": o.reps,
              "programs": {}, "failed": [], "skipped": []}
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)  # to see the guests' lines at once; they do not inherit it
    except PermissionError:
        pass
    run_all(o, systems, result)
    if "boot" in o.classes.split(","):
        run_boots(o, systems, result)
    result["load"] += ", %.2f after" % os.getloadavg()[0]
    save(o.json, result)
    return print_result(result, o.by)


if __name__ == "__main__":
    sys.exit(main())
