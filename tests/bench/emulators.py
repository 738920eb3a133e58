"""emulators.py - how each emulator is started, and what memory it takes

All take the same kernel and initial RAM disk and give the lines of the guest's serial
console. Emulator is for those with QEMU's options, Bochs for itself.
"""
import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time

BOOT_APPEND = "console=ttyS0 quiet panic=-1"


class Failed(Exception):
    """A guest did not come to its end."""


def descendants(pid):
    """The process and all it started, dead ones left out."""
    pids, at = [pid], 0
    while at < len(pids):
        try:
            for task in os.listdir("/proc/%d/task" % pids[at]):
                with open("/proc/%d/task/%s/children" % (pids[at], task)) as f:
                    pids += [int(p) for p in f.read().split()]
        except OSError:
            pass
        at += 1
    return pids


def cpu_seconds(pid):
    """CPU time so far of all threads of a process and its descendants."""
    total = 0
    for p in descendants(pid):
        try:
            for task in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/schedstat" % (p, task)) as f:
                    total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def memory_beyond(pid, ram_mib):
    """
    Bytes that an emulator has in memory besides guest RAM: all mappings (each shared page
    counted once) but those as large as guest RAM, and the host's page tables. None: no
    mapping is as large, so that is not known.
    """
    best = None
    for p in descendants(pid):
        try:
            kib = _beyond_kib(p, ram_mib * 1024)
        except OSError:
            continue
        if kib is not None:
            best = max(best or 0, kib * 1024)
    return best


def _beyond_kib(pid, ram_kib):
    total, size, found = 0, 0, False
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            if line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("Pss:"):
                if ram_kib <= size < ram_kib + 8192:  # merged with a neighbour, perhaps
                    found = True
                else:
                    total += int(line.split()[1])
    with open("/proc/%d/status" % pid) as f:
        total += sum(int(line.split()[1]) for line in f if line.startswith("VmPTE:"))
    return total if found else None


def end(process):
    """Gently: it may be a profiler that has to write its file."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def lines_of(fd, until):
    """The lines that come on @fd; raises Failed when the clock is past @until."""
    rest = b""
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise Failed("no end within the time allowed; last line: %r" % rest)
        got = os.read(fd, 65536)
        if not got:
            return
        *whole, rest = (rest + got).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").strip()
        if rest.endswith(b"login: "):  # no newline follows
            yield rest.decode(errors="replace").strip()
            rest = b""


class Emulator:
    """A command that takes QEMU's options; "chroot DIR ..." gets its files in DIR."""

    guest_clock = True  # seconds as the guest counts them are seconds

    def __init__(self, name, command, options):
        self.name, self.words, self.options = name, shlex.split(command), options
        self.fds = []  # descriptors that it inherits
        self.root = self.words[1] if os.path.basename(self.words[0]) == "chroot" else ""

    def version(self):
        out = subprocess.run(self.words + ["-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return out.stdout.splitlines()[0] if out.stdout else "unknown"

    def place(self, path):
        """The name under which the emulator sees a file."""
        if not self.root:
            return path
        name = "/tmp/transom-bench-" + os.path.basename(path)
        if os.path.exists(self.root + name):
            os.unlink(self.root + name)
        try:
            os.link(path, self.root + name)
        except OSError:
            subprocess.run(["cp", "--sparse=always", path, self.root + name], check=True)
        return name

    def _run(self, options, memory, timeout):
        command = self.words + self.options + options + [
            "-m", str(memory), "-display", "none", "-serial", "stdio", "-no-reboot"]
        if "-monitor" not in command:
            command += ["-monitor", "none"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              pass_fds=self.fds,
                              preexec_fn=lambda: os.setpriority(os.PRIO_PROCESS, 0, 0)) as p:
            yield p
            try:
                yield from lines_of(p.stdout.fileno(), time.monotonic() + timeout)
            finally:
                end(p)

    def firmware(self, image, timeout):
        """What a firmware image says on the debug console until it ends by itself."""
        command = self.words + self.options + [
            "-bios", self.place(image), "-display", "none", "-serial", "none", "-monitor", "none",
            "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0x501"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              timeout=timeout).stdout

    def boot(self, kernel, initrd, memory, timeout):
        """Yields the process, then the lines of the guest's console; raises Failed."""
        return self._run(["-kernel", self.place(kernel), "-initrd", self.place(initrd), "-append", BOOT_APPEND],
                         memory, timeout)

    def boot_disk(self, disk, memory, timeout):
        """Likewise, from a raw disk image, which stays as it is."""
        return self._run(["-drive", "file=%s,format=raw,if=ide,snapshot=on" % self.place(disk)], memory, timeout)


class Bochs:
    """Bochs has no direct kernel boot: GRUB on a CD does it. Its console goes to a file."""

    guest_clock = False
    needs = ["grub-mkrescue", "xorriso", "mformat"]

    def __init__(self, command):
        self.name, self.words = "bochs", shlex.split(command)

    def version(self):
        out = subprocess.run(self.words + ["--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "bochs"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True).stdout
        return "Bochs %s" % found if found else "Bochs" if "bochsrc" in out.stdout else "unknown"

    @classmethod
    def lacks(cls):
        """Programs that are missing to boot it."""
        return [n for n in cls.needs if not shutil.which(n)]

    def _make_cd(self, folder, kernel, initrd):
        tree = os.path.join(folder, "cd")
        os.makedirs(os.path.join(tree, "boot/grub"))
        shutil.copyfile(kernel, os.path.join(tree, "boot/vmlinuz"))
        shutil.copyfile(initrd, os.path.join(tree, "boot/initrd"))
        with open(os.path.join(tree, "boot/grub/grub.cfg"), "w") as f:
            f.write("linux /boot/vmlinuz %s\ninitrd /boot/initrd\nboot\n" % BOOT_APPEND)
        subprocess.run(["grub-mkrescue", "-o", os.path.join(folder, "boot.iso"), tree], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _make_rc(self, folder, memory):
        name = os.path.join(folder, "bochsrc")
        with open(name, "w") as f:
            f.write("""config_interface: textconfig
display_library: rfb, options="timeout=0"
plugin_ctrl: speaker=0, sb16=0, es1370=0, gameport=0, parallel=0
megs: {memory}
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0
clock: sync=none
log: {folder}/log
panic: action=fatal
error: action=ignore
info: action=ignore
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={folder}/boot.iso, status=inserted
com1: enabled=1, mode=file, dev={folder}/console
boot: cdrom
""".format(memory=memory, folder=folder))
        return name

    def boot(self, kernel, initrd, memory, timeout):
        with tempfile.TemporaryDirectory() as folder:
            self._make_cd(folder, kernel, initrd)
            command = self.words + ["-q", "-f", self._make_rc(folder, memory)]
            console = os.path.join(folder, "console")
            open(console, "w").close()
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                  cwd=folder, preexec_fn=lambda: os.setpriority(os.PRIO_PROCESS, 0, 0)) as p:
                p.stdin.write(b"c\n")  # to its debugger, where one is built in
                p.stdin.flush()
                yield p
                try:
                    yield from self._follow(console, p, time.monotonic() + timeout)
                finally:
                    end(p)

    @staticmethod
    def _follow(console, process, until):
        rest = ""
        with open(console, errors="replace") as f:
            while process.poll() is None:
                got = f.read()
                if not got:
                    if time.monotonic() > until:
                        raise Failed("no end within the time allowed; last line: %r" % rest)
                    time.sleep(0.02)
                    continue
                *whole, rest = (rest + got).split("\n")
                for line in whole:
                    yield line.strip()
