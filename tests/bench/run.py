#!/usr/bin/env python3
"""run.py - speed of guests against native speed: make bench, make bench-diff OLD=FILE

Runs the programs of guest/ and real ones (programs.py) natively, on Transom and,
where there are any, on QEMU and Bochs, one after the other in each repetition. Prints
the ratios to native by program and class and writes all samples to a JSON file.
"""
import argparse
import json
import math
import os
import platform
import shutil
import socket
import statistics
import sys
import tempfile

import emulators
import guests

LABEL = {"integer": "integer", "memory": "memory, strings", "float": "floating point", "system": "system",
         "jit": "written code", "programs": "real programs", "boot": "boot"}
GOAL = {"integer": 1.8, "memory": 1.6, "float": 1.5, "system": 5, "jit": 10, "programs": 3.5}  # times native
MEMORY_GOAL_MIB = 256  # besides guest RAM, in the compiler's run
SYSTEMS = ["transom", "qemu", "bochs"]


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--transom", default="./transom", help="command of Transom, options may follow")
    p.add_argument("--qemu", default=shutil.which("qemu-system-x86_64"),
                   help="command of QEMU, or 'chroot DIR COMMAND'; '' for none (%(default)s)")
    p.add_argument("--bochs", default=shutil.which("bochs"), help="command of Bochs; '' for none (%(default)s)")
    p.add_argument("--bochs-classes", default=",".join(guests.CLASSES), help="once each (%(default)s)")
    p.add_argument("--disk", default="build/demo/disk/disk.raw",
                   help="Debian on a disk, for the time to its login prompt; '' for none (%(default)s)")
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
    p.add_argument("--profile", metavar="FILE",
                   help="instead: once on Transom, counting from the first program on; FILE: where its time went")
    p.add_argument("--diff", nargs=2, metavar=("OLD", "NEW"), help="compare two results and end")
    return p.parse_args()


def choose_systems(o):
    found = [emulators.Emulator("transom", o.transom, ["-cpu", o.cpu])]
    if o.qemu:
        found.append(emulators.Emulator("qemu", o.qemu, ["-accel", "tcg", "-cpu", o.cpu]))
    if o.bochs and not emulators.Bochs.lacks():
        found.append(emulators.Bochs(o.bochs))
    elif o.bochs:
        print("Bochs is left out, for it wants " + " ".join(emulators.Bochs.lacks()), file=sys.stderr)
    return found


# ---- running --------------------------------------------------------------------


def add(result, system, reader):
    for (group, name), s in reader.samples.items():
        row = result["programs"].setdefault(group + "/" + name, {}).setdefault(system, [])
        row.append({"wall": s.seconds, "cpu": s.cpu, "host": s.host, "checksum": s.checksum, "memory": s.memory})
    for group, what in reader.failed:
        print("%s: %s: failed: %s" % (system, group, what), file=sys.stderr)
        result["failed"].append([system, group, what])
    result["skipped"] = sorted(set(map(tuple, result["skipped"])) | {(system,) + s for s in reader.skipped})


def make_suite(o, classes, image):
    suite = guests.Suite(os.path.abspath(o.build), os.path.abspath(o.busybox), classes,
                         [n for n in o.only.split(",") if n], o.percent)
    initrd = os.path.join(suite.build, image)
    suite.make_initramfs(initrd)
    return suite, initrd


def run_all(o, systems, result):
    classes = [c for c in o.classes.split(",") if c in guests.CLASSES + ["programs"]]
    if not classes:
        return
    suite, initrd = make_suite(o, classes, "initramfs.cpio")
    on_bochs = [c for c in classes if c in o.bochs_classes.split(",")]
    for rep in range(o.reps):
        print("repetition %d: native" % (rep + 1), end="", file=sys.stderr, flush=True)
        add(result, "native", guests.run_native(suite, o.verbose))
        for e in systems:
            if rep >= {"qemu": o.qemu_reps, "bochs": 1 if on_bochs else 0}.get(e.name, o.reps):
                continue
            if e.name == "bochs":
                initrd = make_suite(o, on_bochs, "bochs.cpio")[1]
            print(", " + e.name, end="", file=sys.stderr, flush=True)
            add(result, e.name, guests.run_guest(e, o.kernel, initrd, o.verbose))
            save(o.json, result)
        print(file=sys.stderr)


def run_profile(o):
    """Where the time of the chosen programs goes, the guest's boot left out."""
    name = os.path.abspath(o.profile)
    with tempfile.TemporaryDirectory() as folder:
        monitor = os.path.join(folder, "monitor")
        profiled = emulators.Emulator("transom", o.transom, [
            "-cpu", o.cpu, "-accel", "tcg,profile=on,profile-file=" + name,
            "-monitor", "unix:%s,server=on,wait=off" % monitor])
        initrd = make_suite(o, o.classes.split(","), "initramfs.cpio")[1]
        reader = guests.run_guest(profiled, o.kernel, initrd, o.verbose, at_first=lambda: restart_profile(monitor))
    for group, what in reader.failed:
        print("%s: failed: %s" % (group, what), file=sys.stderr)
    print(open(name).read().split("\nBlocks by heat")[0])
    print("\nthe hottest blocks are in " + name)
    return 1 if reader.failed else 0


def restart_profile(monitor):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(monitor)
        s.sendall(b"profile-restart\n")
        s.settimeout(10)
        got = b""
        while got.count(b"(") < 2:  # the prompt that comes first, and that after the command
            got += s.recv(4096)


def run_boots(o, systems, result):
    initrd = make_suite(o, [], "boot.cpio")[1]
    kinds = {"userspace": lambda e: guests.time_boot(e, o.kernel, initrd)}
    if o.disk and os.path.exists(o.disk):
        kinds["login"] = lambda e: guests.time_login(e, os.path.abspath(o.disk))
    elif o.disk:
        result["skipped"].append(["all", "boot", "login: no " + o.disk + " (tools/debian-disk.sh makes it)"])
    for number in range(o.boots):
        for kind, measure in kinds.items():
            print("boot %d to %s" % (number + 1, kind), file=sys.stderr)
            boot_all(systems, kind, measure, result)
        save(o.json, result)


def boot_all(systems, kind, measure, result):
    row = result["programs"].setdefault("boot/" + kind, {})
    for e in systems:
        if e.name == "bochs":
            continue
        try:
            wall, cpu = measure(e)
        except guests.Failed as why:
            result["failed"].append([e.name, "boot", "%s: %s" % (kind, why)])
            continue
        row.setdefault(e.name, []).append({"wall": wall, "cpu": cpu, "host": wall, "checksum": ""})


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


def present(result):
    """The emulators that there are samples of."""
    return [s for s in SYSTEMS if any(s in row for row in result["programs"].values())]


def show_spread(row, system, by):
    return show(100 * spread(row[system], by) if row.get(system) else None, "%6.0f%%")


def print_programs(result, by):
    """Ratios to native, each with the spread of its samples."""
    systems = present(result)
    print("%-24s %9s %7s" % ("program (%s time)" % by, "native s", "spread") +
          "".join(" %8s %8s" % (s, "spread") for s in systems) + "      q/t")
    for name, row in result["programs"].items():
        native = median(row["native"], by) if row.get("native") else None
        print("%-24s %s %s" % (name, show(native, "%9.4f"), show_spread(row, "native", by)) +
              "".join(" %8s %8s" % (show(ratio(row, s, "native", by)), show_spread(row, s, by)) for s in systems) +
              " " + show(ratio(row, "qemu", "transom", by)))


def classes_of(result):
    groups = {}
    for name, row in result["programs"].items():
        groups.setdefault(name.split("/")[0], {})[name] = row
    return groups


def ratios(rows, system, base, by):
    found = {n: ratio(r, system, base, by) for n, r in rows.items()}
    return {n: v for n, v in found.items() if v}


def mean_and_worst(rows, system, base, by):
    values = ratios(rows, system, base, by)
    if not values:
        return None, ""
    worst = max(values.items(), key=lambda item: item[1])
    return geomean(values.values()), "%s %.1f" % (worst[0].split("/")[-1], worst[1])


def print_classes(result, by):
    systems = present(result)
    print("\n%-16s" % "class (geomean)" + "".join(" %8s %-20s" % (s + "/n", "worst") for s in systems) +
          "      q/t     goal")
    for group, rows in classes_of(result).items():
        if group == "boot":
            continue
        line, goal = "%-16s" % LABEL.get(group, group), GOAL.get(group)
        for s in systems:
            mean, worst = mean_and_worst(rows, s, "native", by)
            line += " %8s %-20s" % (show(mean), worst)
        mean = mean_and_worst(rows, "transom", "native", by)[0]
        verdict = "" if not goal or not mean else "met" if mean <= goal else "missed"
        print("%s %s %8s %s" % (line, show(mean_and_worst(rows, "qemu", "transom", by)[0]), goal or "", verdict))
    slower = ratios(result["programs"], "transom", "qemu", by)
    slower = sorted(((n, v) for n, v in slower.items() if v > 1), key=lambda s: -s[1])
    print("slower than QEMU (Transom's time over QEMU's): " + (", ".join("%s %.2f" % s for s in slower) or "none"))


def print_boot(result):
    for kind in ("userspace", "login"):
        row = result["programs"].get("boot/" + kind, {})
        for system, samples in row.items():
            print("boot to %-9s %-8s %6.2f s (%.2f to %.2f), CPU %.2f s" % (
                kind, system, median(samples, "wall"), min(s["wall"] for s in samples),
                max(s["wall"] for s in samples), median(samples, "cpu")))
        share = ratio(row, "transom", "qemu", "cpu")
        if share:
            print("boot to %-9s Transom's CPU time over QEMU's %.2f" % (kind, share))


def memory_of(result, system):
    """MiB besides guest RAM after each program: name -> most of all samples."""
    found = {}
    for name, row in result["programs"].items():
        values = [s["memory"] for s in row.get(system, []) if s.get("memory")]
        if values:
            found[name] = max(values) / 1048576
    return found


def print_memory(result):
    for system in present(result):
        found = memory_of(result, system)
        if not found:
            continue
        most = max(found.items(), key=lambda item: item[1])
        gcc = found.get("programs/gcc")
        print("memory besides guest RAM, %-8s %s%.0f MiB at most (%s)" % (
            system, "" if gcc is None else "%.0f MiB after gcc (goal of Transom: %d), " % (gcc, MEMORY_GOAL_MIB),
            most[1], most[0]))


def print_result(result, by):
    for key in ("host", "load", "versions", "percent", "repetitions"):
        print("%s: %s" % (key, result[key]))
    print()
    print_programs(result, by)
    print_classes(result, by)
    print_boot(result)
    print_memory(result)
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
    if o.profile:
        return run_profile(o)
    systems = choose_systems(o)
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
