"""guests.py - runs the benchmark programs natively and in emulators

Every way to run them gives the same: a dictionary from (class, name) to a Sample.
"""
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import cpio
import programs
from emulators import Failed, cpu_seconds, memory_beyond

CLASSES = ["integer", "memory", "float", "system", "jit"]
HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Sample:
    seconds: float  # by the clock of the system that ran it
    cpu: float      # CPU time of the host that it took, all processes and threads
    checksum: str
    host: float     # by the host's clock, from line to line
    memory: int = None  # bytes that the emulator has besides guest RAM when it is done; None: not known


class Reader:
    """Makes samples of the lines "begin NAME" and "NAME SECONDS CHECKSUM CPU"."""

    def __init__(self, pid=None, verbose=False, ram_mib=0, guest_clock=True):
        self.verbose, self.ram_mib, self.guest_clock = verbose, ram_mib, guest_clock
        self.pid, self.samples, self.skipped, self.failed = pid, {}, [], []
        self.group = self.begun = None

    def line(self, text):
        words = text.split()
        if self.verbose:
            print("  " + text, file=sys.stderr)
        if len(words) == 2 and words[0] == "class":
            self.group = words[1]
        elif len(words) == 2 and words[0] == "begin":
            self.begun = (words[1], time.monotonic(), cpu_seconds(self.pid) if self.pid else 0)
        elif words and words[0] in ("skip", "failed"):
            (self.skipped if words[0] == "skip" else self.failed).append((self.group, " ".join(words[1:])))
        elif len(words) == 4 and self.begun and words[0] == self.begun[0]:
            self._sample(words)

    def _sample(self, words):
        _, host, cpu = self.begun
        cpu = cpu_seconds(self.pid) - cpu if self.pid else float(words[3])
        host = time.monotonic() - host
        memory = memory_beyond(self.pid, self.ram_mib) if self.pid else None
        self.samples[self.group, words[0]] = Sample(
            float(words[1]) if self.guest_clock else host, cpu, words[2], host, memory)
        self.begun = None


class Suite:
    """What is to be run: built programs, inputs, and how much of it."""

    def __init__(self, build, busybox, classes, only, percent):
        self.build, self.busybox, self.percent = build, busybox, percent
        self.classes, self.only = classes, only
        self.programs = [c for c in programs.available() if "programs" in classes and (not only or c[0] in only)]
        self.inputs = os.path.join(build, "inputs")
        if self.programs:
            self._make_inputs()

    def _make_inputs(self):
        """Anew when what makes them changed."""
        sources = [os.path.join(HERE, "guest", f) for f in ("integer.c", "system.c")]
        stamp, digest = self.inputs + ".stamp", hashlib.sha256()
        for path in sources + [programs.__file__]:
            with open(path, "rb") as f:
                digest.update(f.read())
        if os.path.exists(stamp) and open(stamp).read() == digest.hexdigest():
            return
        programs.make_inputs(self.inputs, sources)
        with open(stamp, "w") as f:
            f.write(digest.hexdigest())

    def kernel_commands(self, folder):
        for c in CLASSES:
            if c in self.classes:
                yield c, [os.path.join(folder, c), "-s", str(self.percent)] + self.only

    def make_initramfs(self, path):
        archive = cpio.Archive()
        for name in CLASSES + ["tiny", "timeit"]:
            archive.copy(os.path.join(self.build, "guest", name), "bench/" + name)
        if self.programs:
            programs.add_to(archive, self.busybox)
            for folder, _, files in os.walk(self.inputs):
                for f in files:
                    full = os.path.join(folder, f)
                    archive.copy(full, os.path.join("work", os.path.relpath(full, self.inputs)))
        else:
            archive.copy(self.busybox, "bin/busybox")
            for name in ("sh", "mount", "poweroff", "stty"):
                archive.link("bin/" + name, "busybox")
        for name in ("dev", "proc", "sys", "tmp", "work"):
            archive.folder(name)
        archive.data("init", self._init().encode(), 0o755)
        archive.write(path)

    def _init(self):
        lines = ["#!/bin/sh", "export PATH=/bin:/usr/bin:/sbin HOME=/work", "cd /work",
                 "mount -t proc proc /proc", "mount -t sysfs sys /sys", "mount -t devtmpfs dev /dev 2> /dev/null",
                 "stty -opost < /dev/console 2> /dev/null", "echo userspace"]
        for c, command in self.kernel_commands("/bench"):
            lines += ["echo class " + c, shlex.join(command)]
        if self.programs:
            lines.append("echo class programs")
        lines += [shlex.join(["/bench/timeit", name] + command) for name, _, command in self.programs]
        lines += ["echo finished", "busybox sleep 1", "poweroff -f", ""]  # a slow serial line gets it out
        return "\n".join(lines)


def run_native(suite, verbose=False):
    """All of the suite on this machine, pinned as in a guest with one CPU."""
    reader = Reader(None, verbose)
    folder = os.path.join(suite.build, "guest")
    with tempfile.TemporaryDirectory() as top:
        work, tools = os.path.join(top, "work"), os.path.join(top, "bin")
        os.mkdir(tools)
        os.symlink(suite.busybox, os.path.join(tools, "busybox"))
        for name in ("sh", "cat", "cp", "rm", "true"):
            os.symlink("busybox", os.path.join(tools, name))
        if suite.programs:
            shutil.copytree(suite.inputs, work)
        else:
            os.mkdir(work)
        env = {"PATH": tools + ":" + programs.PATH, "HOME": work}
        for c, command in suite.kernel_commands(folder):
            reader.group = c
            _native_lines(reader, command, work, env)
        reader.group = "programs"
        for name, _, command in suite.programs:
            _native_lines(reader, [os.path.join(folder, "timeit"), name] + command, work, env)
    return reader


def _native_lines(reader, command, cwd, env):
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd, env=env) as p:
        for line in p.stdout:
            reader.line(line)


def run_guest(emulator, kernel, initrd, verbose=False, memory=1024, timeout=3600, at_first=None):
    """Boots once and runs all; what was measured before a failure is kept. at_first() is
    called before the first program."""
    reader, last = Reader(None, verbose, memory, emulator.guest_clock), ""
    lines = emulator.boot(kernel, initrd, memory, timeout)
    reader.pid = next(lines).pid
    try:
        for line in lines:
            if at_first and line.startswith("class "):
                at_first()
                at_first = None
            reader.line(line)
            last = line or last
            if line == "finished":
                break
        else:
            raise Failed("ended early; last line: " + last)
    except Failed as e:
        begun = " during " + reader.begun[0] if reader.begun else ""
        reader.failed.append((reader.group, "%s%s" % (e, begun)))
    lines.close()
    return reader


def time_until(lines, is_there):
    """Seconds from start to a line of a guest that is about to be started: (by the clock, CPU time)."""
    start = time.monotonic()
    pid = next(lines).pid
    try:
        for line in lines:
            if is_there(line):
                return time.monotonic() - start, cpu_seconds(pid)
    finally:
        lines.close()
    raise Failed("the guest ended before that line")


def time_boot(emulator, kernel, initrd, memory=512, timeout=300):
    """To the first line of user space."""
    return time_until(emulator.boot(kernel, initrd, memory, timeout), lambda line: line == "userspace")


def time_login(emulator, disk, memory=512, timeout=600):
    """To the login prompt of a Debian on disk."""
    return time_until(emulator.boot_disk(disk, memory, timeout), lambda line: line.endswith("login:"))
