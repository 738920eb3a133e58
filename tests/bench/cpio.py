"""cpio.py - initial RAM disks ("newc" archives) from files of the host"""
import os
import stat


class Archive:
    """Collects entries; the names are those in the guest, without a leading slash."""

    def __init__(self):
        self.entries = {}

    def folder(self, name):
        while name and name not in self.entries:
            self.entries[name] = (stat.S_IFDIR | 0o755, b"")
            name = os.path.dirname(name)

    def data(self, name, content, mode=0o644):
        self.folder(os.path.dirname(name))
        self.entries[name] = (stat.S_IFREG | mode, content)

    def link(self, name, target):
        self.folder(os.path.dirname(name))
        self.entries[name] = (stat.S_IFLNK | 0o777, target.encode())

    def copy(self, path, name=None):
        """A file or link of the host; what a link leads to comes along."""
        name = (name or path).lstrip("/")
        # /bin, /lib and /lib64 are links on Debian 12: copy what they stand for
        folder = os.path.dirname(path)
        real = os.path.realpath(folder)
        if name == path.lstrip("/") and real != folder:
            return self.copy(os.path.join(real, os.path.basename(path)))
        if name in self.entries:
            return None
        if os.path.islink(path):
            self.link(name, os.readlink(path))
            return self.copy(os.path.normpath(os.path.join(folder, os.readlink(path))))
        with open(path, "rb") as f:
            self.data(name, f.read(), stat.S_IMODE(os.stat(path).st_mode) | 0o400)
        return None

    def write(self, path):
        with open(path + ".new", "wb") as out:
            for number, (name, (mode, content)) in enumerate(sorted(self.entries.items()), 1):
                _entry(out, number, name, mode, content)
            _entry(out, 0, "TRAILER!!!", 0, b"")
        os.rename(path + ".new", path)


def _entry(out, number, name, mode, content):
    raw = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
    out.write(b"070701" + b"".join(b"%08x" % f for f in fields) + raw)
    out.write(b"\0" * (-(110 + len(raw)) % 4) + content + b"\0" * (-len(content) % 4))
