#!/usr/bin/env python3
"""kvm-unit-tests.py [-t SECONDS] SUITE [NAME]... - the public suite, test by test against QEMU's counts

SUITE is a built tree of kvm-unit-tests (./configure && make); i386 tests are looked for in
SUITE32, where that is set. TRANSOM names another program, TRANSOM_ARGS are more arguments for it.
kvm-unit-tests.txt has what QEMU's translator passes, fails and skips; "ok" there and here is a test that ends
with its success code. One line a test; FAIL: fewer passes than QEMU, more failures,
or an end that is not success where QEMU's is. Exit status 1 after a FAIL.
"""
import os
import re
import shlex
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SUCCESS, SKIPPED, TIMEOUT = 1, 77, 124
EXPLAINED = ("pmu", "x2apic", "xapic")     # fewer passes, or failures behind the place where QEMU dies: docs/fidelity.md says why
ASIDE = re.compile(r"vmx(?!exit)|ept|svm|hyperv|cet|lam")


def reference():
    """name -> (passes, failures, skips, exit status); None where verdicts are not counted"""
    ref = {}
    for line in open(os.path.join(HERE, "kvm-unit-tests.txt")):
        if not line.startswith("#") and line.strip():
            name, *n = line.split()
            ref[name] = tuple(None if x == "-" else int(x) for x in n)
    return ref


def rows(suite):
    """the sections of unittests.cfg: dictionaries with 'name'"""
    row = {}
    for line in open(os.path.join(suite, "x86", "unittests.cfg")):
        section = re.match(r"\[(\S+)\]", line)
        setting = re.match(r"(\w+)\s*=\s*(.*)", line)
        if section:
            if row:
                yield row
            row = {"name": section.group(1)}
        elif setting and row:
            row[setting.group(1)] = setting.group(2).strip()
    if row:
        yield row


def command(row, suite):
    tree = os.environ.get("SUITE32", suite) if row.get("arch") == "i386" else suite
    cmd = [os.environ.get("TRANSOM", "./transom"), "-no-reboot", "-nodefaults", "-device", "pc-testdev",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-display", "none", "-serial", "stdio"]
    cmd += shlex.split(os.environ.get("TRANSOM_ARGS", ""))
    cmd += ["-kernel", os.path.join(tree, "x86", row["file"])]
    more = shlex.split(row.get("qemu_params", row.get("extra_params", "")))
    if "smp" in row:
        cmd += ["-smp", row["smp"]]
    if "-cpu" not in more:
        cmd += ["-cpu", "max"]
    if "test_args" in row:
        cmd += ["-append", row["test_args"].strip("'\"").replace("`date +%s`", str(int(time.time())))]
    return cmd + more


def run(cmd, limit):
    """(passes, failures, skips, exit status), last line"""
    try:
        p = subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=limit, check=False)
        status, out = p.returncode, p.stdout
    except subprocess.TimeoutExpired as e:
        status, out = TIMEOUT, e.stdout or b""
    text = out.decode("latin1").replace("\r", "")
    counts = [len(re.findall(rf"^{k}\b", text, re.M)) for k in ("PASS", "FAIL", "SKIP")]
    if text.startswith("transom:"):
        status = -1                     # refused: its status would pass for success
    return (*counts, status), (text.strip().splitlines() or [""])[-1]


def verdict(got, ref):
    """why this is worse than QEMU, or None"""
    if not ref:
        return None
    if ref[3] == SUCCESS and got[3] != SUCCESS:
        return "does not end with success"
    if ref[0] is not None and got[0] < ref[0]:
        return "passes fewer"
    if ref[0] is not None and got[1] > ref[1]:
        return "fails more"
    return None


def main(argv):
    limit, failed = 100.0, 0
    if argv[:1] == ["-t"]:
        limit, argv = float(argv[1]), argv[2:]
    if not argv:
        sys.exit(__doc__)
    ref = reference()
    for row in rows(argv[0]):
        name = row["name"]
        if name not in argv[1:] if argv[1:] else ASIDE.match(name):
            continue
        begin = time.time()
        got, last = run(command(row, argv[0]), limit)
        why = None if name in EXPLAINED else verdict(got, ref.get(name))
        failed += why is not None
        show = lambda n: "/".join("-" if x is None else str(x) for x in n[:3]) + f" exit {n[3]}" if n else "none"
        print(f"{'FAIL' if why else 'ok':4} {name:28} {show(got):22} QEMU {show(ref.get(name)):22} "
              f"{time.time() - begin:6.1f} s {why + ': ' + last[:80] if why else ''}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
