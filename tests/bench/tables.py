#!/usr/bin/env python3
"""tables.py RESULT.json [EVENTS.json] - results of make bench and make bench-events as tables of
docs/performance.md
"""
import sys

import events
import run


def number(value, form="%.2f"):
    return "-" if value is None else form % value


def row(*cells):
    print("| " + " | ".join(str(c) for c in cells) + " |")


def head(*cells):
    row(*cells)
    print("|" + "---|" * len(cells))


def classes(result, by):
    systems = run.present(result)
    head("class (geometric mean, times native)", "goal", "",
         *[cell for s in systems for cell in (s, "worst")], "QEMU / Transom")
    for group, rows in run.classes_of(result).items():
        if group == "boot":
            continue
        mean, goal = run.mean_and_worst(rows, "transom", "native", by)[0], run.GOAL.get(group)
        cells = []
        for s in systems:
            value, worst = run.mean_and_worst(rows, s, "native", by)
            cells += [number(value), worst]
        row(run.LABEL.get(group, group), goal, "met" if mean and mean <= goal else "missed", *cells,
            number(run.mean_and_worst(rows, "qemu", "transom", by)[0]))


def boots(result):
    head("boot to", "emulator", "seconds (from, to)", "CPU seconds", "of QEMU's")
    for name, systems in run.classes_of(result).get("boot", {}).items():
        for system, samples in systems.items():
            row(name.split("/")[1], system, "%.2f (%.2f, %.2f)" % (
                run.median(samples, "wall"), min(s["wall"] for s in samples), max(s["wall"] for s in samples)),
                "%.2f" % run.median(samples, "cpu"), number(run.ratio(systems, system, "qemu", "cpu")))


def memory(result):
    head("emulator", "MiB besides guest RAM after gcc", "at most", "after")
    for system in run.present(result):
        found = run.memory_of(result, system)
        if found:
            most = max(found.items(), key=lambda item: item[1])
            row(system, number(found.get("programs/gcc"), "%.0f"), "%.0f" % most[1], most[0])


def programs(result, by):
    systems = run.present(result)
    head("program", "native s", "spread", *[cell for s in systems for cell in (s, "spread")], "QEMU / Transom")
    for name, r in result["programs"].items():
        if name.startswith("boot/"):
            continue
        cells = []
        for s in ["native"] + systems:
            have = r.get(s)
            value = None if not have else run.median(have, by) if s == "native" else run.ratio(r, s, "native", by)
            cells += [number(value, "%.3f" if s == "native" else "%.2f"),
                      number(have and 100 * run.spread(have, by), "%.0f %%")]
        row(name, *cells, number(run.ratio(r, "qemu", "transom", by)))


def event_costs(costs):
    systems = list(costs["ns"])
    head("event, ns", *systems, "goal", "")
    for name, ns in costs["ns"]["transom"].items():
        goal = events.TARGETS.get(name)
        row(name, *[number(costs["ns"][s].get(name), "%.1f") for s in systems], goal or "",
            "" if not goal else "met" if ns <= goal else "missed")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: tables.py RESULT.json [EVENTS.json]")
    result, by = run.load(sys.argv[1]), "cpu"
    print("Host: %s. %s. Load %s. Kernels at %d %% of their work, %d repetitions.\n" % (
        result["host"], "; ".join(result["versions"].values()), result["load"], result["percent"], result["repetitions"]))
    classes(result, by)
    slower = run.ratios(result["programs"], "transom", "qemu", by)
    slower = sorted(((n, v) for n, v in slower.items() if v > 1), key=lambda s: -s[1])
    print("\nSlower than QEMU: " + (", ".join("%s %.2f" % s for s in slower) or "none") + ".\n")
    boots(result)
    print()
    memory(result)
    print("\n### Every program\n")
    programs(result, by)
    if len(sys.argv) > 2:
        print("\n### Events\n")
        event_costs(run.load(sys.argv[2]))


if __name__ == "__main__":
    main()
