"""programs.py - real programs: the host's own, with their libraries and inputs

The guest gets copies of the host's binaries, so native and guest times are those
of the same code. Each command's standard output is its checksum, so it may depend
on nothing but the inputs, which are generated here.
"""
import os
import re
import shutil
import subprocess

PATH = "/usr/bin:/bin"

PYTHON = r"""
import re, json, collections
text = open('small').read()
words = re.findall(r'[a-z]+', text)
count = collections.Counter(words)
table = {w: [len(w), n, [i * n % 7 for i in range(8)]] for w, n in count.items()}
again = json.loads(json.dumps(table, sort_keys=True))
class Node:
    def __init__(self, key): self.key, self.left, self.right = key, None, None
def insert(n, key):
    while True:
        side = 'left' if key < n.key else 'right'
        if getattr(n, side) is None:
            setattr(n, side, Node(key)); return
        n = getattr(n, side)
root, x = Node(500000), 1
for _ in range(12000):
    x = x * 1103515245 + 12345 & 0x7fffffff
    insert(root, x)
def depth(n): return 0 if n is None else 1 + max(depth(n.left), depth(n.right))
print(len(words), len(again), depth(root), sum(i * i % 7 for i in range(200000)), 3 ** 4000 % 1000007)
"""

PERL = r"""
open F, 'small'; local $/; $_ = <F>; my %n;
$n{$1}++ while /([a-z]+)/g;
s/([aeiou])([a-z])/$2$1/g; my @w = sort { $n{$b} <=> $n{$a} || $a cmp $b } keys %n;
my $t = 0; for my $i (1 .. 600000) { $t = ($t * 31 + $i) % 1000003 }
print join(' ', map { "$_=$n{$_}" } @w[0 .. 9]), " $t ", length, "\n";
"""

SQL = """
create table t(a integer primary key, b text, c integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
insert into t select i, 'row ' || (i * 7919 % 60013), i * 31 % 997 from n;
create index tb on t(b);
select c % 10, count(*), sum(a), min(b) from t group by 1 order by 1;
select count(*) from t x join t y on y.b = 'row ' || x.c where x.a < 20000;
"""

SHELL = r"""
i=0; s=0; while [ $i -lt 60000 ]; do i=$((i+1)); s=$(((s*31+i)%65521))
case $s in *7) s=$((s+3)) ;; 1*) x=${s#1} ;; esac; done; echo $s
"""

GIT = """
export HOME=$PWD GIT_AUTHOR_NAME=b GIT_AUTHOR_EMAIL=b@b GIT_COMMITTER_NAME=b GIT_COMMITTER_EMAIL=b@b
export GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000' GIT_CONFIG_NOSYSTEM=1
rm -rf repo; cp -r tree repo; cd repo; git init -q . 2> /dev/null; git add .; git commit -q -m one
for i in 1 2 3; do echo $i >> d1/f1; git commit -q -a -m $i; done
git log --stat | cat; git gc -q 2> /dev/null; git status --short; git fsck 2> /dev/null; git rev-parse HEAD
"""

# name, program that must exist, arguments ("sh" is busybox's, in the guest and outside)
COMMANDS = [
    ("gcc", "gcc", ["sh", "-c", "gcc -O2 -c unit0.i unit1.i && cat unit0.o unit1.o"]),
    ("gcc_tiny", "gcc", ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do gcc -O0 -c tiny.i; done; cat tiny.o"]),
    ("python", "python3", ["/usr/bin/python3", "-S", "-E", "-B", "bench.py"]),
    ("python_start", "python3", ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do python3 -S -E -B -c 'print(1)'; done"]),
    ("perl", "perl", ["perl", "bench.pl"]),
    ("sqlite3", "sqlite3", ["sh", "-c", "rm -f t.db; sqlite3 t.db < bench.sql"]),
    ("zstd", "zstd", ["sh", "-c", "zstd -q -9 --single-thread -c text"]),
    ("unzstd", "zstd", ["sh", "-c", "for i in 1 2 3 4; do zstd -q -dc text.zst; done"]),
    ("xz", "xz", ["xz", "-T1", "-6", "-c", "small"]),
    ("gzip", "gzip", ["gzip", "-n", "-9", "-c", "small"]),
    ("gunzip", "gzip", ["sh", "-c", "for i in 1 2 3 4; do gzip -dc text.gz; done"]),
    ("openssl_sha", "openssl", ["sh", "-c", "cat text text text text | openssl dgst -sha256"]),
    ("openssl_aes", "openssl", ["sh", "-c", "cat text text text text text text text text |"
                                " openssl enc -aes-256-cbc -K 0123456789abcdef -iv 0123"]),
    ("openssl_key", "openssl", ["sh", "-c", "for i in 1 2 3 4; do openssl rsa -in key.pem -check -noout; done"]),
    ("git", "git", ["sh", "-c", GIT]),
    ("find", "busybox", ["sh", "-c", "for i in 1 2 3 4 5 6; do busybox find tree -type f -name 'f*' |"
                         " busybox sort | busybox wc; done"]),
    ("awk", "busybox", ["busybox", "awk", "{ for (i = 1; i <= NF; i++) n[$i]++ } "
                        "END { for (w in n) t += n[w] * length(w); print t }", "small"]),
    ("sort", "sort", ["sh", "-c", "LC_ALL=C sort lines"]),
    ("shell", "busybox", ["sh", "-c", SHELL]),
    ("shell_fork", "busybox", ["sh", "-c", "i=0; while [ $i -lt 400 ]; do i=$((i+1)); busybox true; done; echo $i"]),
]
FILES = {"python3": ["/usr/bin/python3"], "sort": ["/usr/bin/sort"]}


def available():
    """The commands whose programs this host has."""
    return [c for c in COMMANDS if c[1] == "busybox" or shutil.which(c[1], path=PATH)]


def _text(size):
    """Words with a skewed distribution and some repetition, the same on every host."""
    words, seed, out = [], 12345, []
    for i in range(3000):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        words.append("".join("etaoinshrdlucmfwyp"[seed >> k & 15] for k in range(4, 8 + seed % 16)))
    length = 0
    while length < size:
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        word = words[(seed >> 8) % ((seed >> 20) % 3000 + 1)] + "\n      "[seed >> 13 & 7 if (seed >> 13 & 7) < 7 else 1]
        out.append(word)
        length += len(word)
    return "".join(out)[:size].encode()


def _tree(folder):
    for d in range(40):
        sub = os.path.join(folder, "d%d" % d)
        os.makedirs(sub)
        for f in range(40):
            with open(os.path.join(sub, "f%d" % f), "w") as out:
                out.write("".join("file %d of %d line %d\n" % (f, d, i * f) for i in range(20)))


def _run(*args, **kw):
    env = dict(os.environ, PATH=PATH)
    return subprocess.run(args, check=True, env=env, stdout=subprocess.PIPE, **kw).stdout


def make_inputs(folder, sources):
    """
    Writes the input files of all commands.
    sources: C files that the compiler benchmark compiles
    """
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)

    def put(name, content):
        with open(os.path.join(folder, name), "wb") as out:
            out.write(content)

    text = _text(4 << 20)
    put("text", text)
    put("small", text[: 1 << 20])
    put("lines", b"\n".join(text.split()[:250000]) + b"\n")
    put("bench.py", PYTHON.encode())
    put("bench.pl", PERL.encode())
    put("bench.sql", SQL.encode())
    _tree(os.path.join(folder, "tree"))
    if shutil.which("gcc", path=PATH):
        for number, source in enumerate(sources):
            put("unit%d.i" % number, _run("gcc", "-O2", "-E", "-P", source))
        put("tiny.i", b"int main(void) { return 0; }\n")
    if shutil.which("zstd", path=PATH):
        put("text.zst", _run("zstd", "-q", "-c", os.path.join(folder, "text")))
    if shutil.which("gzip", path=PATH):
        put("text.gz", _run("gzip", "-nc", os.path.join(folder, "text")))
    if shutil.which("openssl", path=PATH):
        put("key.pem", _run("openssl", "genrsa", "2048", stderr=subprocess.DEVNULL))


def _libraries(path):
    out = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return re.findall(r"(/[^ ]+) \(0x", out)


def _compiler_parts():
    names = ["cc1", "as", "collect2"]
    return ["/usr/bin/gcc"] + [os.path.normpath(_run("gcc", "-print-prog-name=" + n, text=True).strip()) for n in names]


def _python_modules():
    code = "import re, json, collections, sys\nfor m in list(sys.modules.values()):\n" \
           " for f in (getattr(m, '__file__', 0), getattr(m, '__cached__', 0)):\n  if f: print(f)"
    return [f for f in _run("/usr/bin/python3", "-S", "-E", "-c", code, text=True).split() if os.path.exists(f)]


def add_to(archive, busybox):
    """Copies the programs with what they load into an initial RAM disk."""
    wanted = []
    for program in sorted({c[1] for c in available()} - {"busybox"}):
        if program == "gcc":
            wanted += [p if os.path.isabs(p) else shutil.which(p, path=PATH) for p in _compiler_parts()]
        else:
            wanted.append(shutil.which(program, path=PATH))
        if program == "python3":
            wanted += _python_modules()
    for path in list(wanted):
        if os.access(path, os.X_OK) or path.endswith(".so"):
            wanted += _libraries(os.path.realpath(path))
    for path in wanted:
        archive.copy(path)
    for name in ("bin", "lib", "lib64", "sbin"):
        archive.link(name, "usr/" + name)
    archive.copy(busybox, "usr/bin/busybox")
    for name in ("sh", "cat", "cp", "rm", "mount", "poweroff", "true", "stty", "mkdir"):
        archive.link("usr/bin/" + name, "busybox")
