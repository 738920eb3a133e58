#!/usr/bin/env python3
"""img-table.py - transom-img and qemu-img given the same command lines

Each row runs with both tools, in a folder of its own with the same images. Exit
codes must be equal, images that came out must hold the same, and where a row has a
pattern, both tools' words must match it (case and punctuation apart).

Where we differ on purpose there is no row: check reads nothing but the image named (so
a missing backing file is no error), "-r leaks" leaves other errors to -r all, and dd
does not count skipped blocks.

T: the transom-img to test. Prints what differs; exit code 1 when something does.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

T = os.path.realpath(os.environ.get("T", "./transom-img"))
TOOLS = {"transom-img": T, "qemu-img": "qemu-img"}

# what every row finds: made once by qemu-img
IMAGES = """
head -c 700000 /bin/sh > a.raw; truncate -s 2M a.raw
head -c 300000 /bin/ls > b.raw; truncate -s 2M b.raw
qemu-img convert -O qcow2 a.raw a.qcow2
qemu-img convert -O qcow2 -c a.raw c.qcow2
qemu-img create -q -f qcow2 -b a.raw -F raw over.qcow2
qemu-io -c 'write -P 7 1M 64k' over.qcow2
qemu-img create -q -f qcow2 -b over.qcow2 -F qcow2 top.qcow2
qemu-io -c 'write -P 9 0 4k' top.qcow2
qemu-img create -q -f qcow2 -b nowhere.raw -F raw -u broken.qcow2 1M
qemu-img create -q -f qcow2 snap.qcow2 1M; qemu-img snapshot -c one snap.qcow2
qemu-io -c 'write -P 3 0 64k' snap.qcow2
qemu-img create -q -f qcow2 -o lazy_refcounts=on lazy.qcow2 1M
qemu-img create -q -f qcow2 -o extended_l2=on ext.qcow2 1M; qemu-io -c 'write -P 3 0 64k' ext.qcow2
qemu-img create -q -f qcow2 bitmap.qcow2 1M; qemu-img bitmap --add bitmap.qcow2 b0
qemu-img create -q -f qcow2 leak.qcow2 1M; printf '\\0\\1' | dd of=leak.qcow2 bs=1 seek=131092 conv=notrunc status=none
truncate -s 1M leak.qcow2
qemu-img create -q -f qcow2 bad.qcow2 1M; printf '\\0\\0' | dd of=bad.qcow2 bs=1 seek=131072 conv=notrunc status=none
qemu-img convert -O vmdk a.raw a.vmdk; qemu-img convert -O vdi a.raw a.vdi; qemu-img convert -O vpc a.raw a.vpc
printf 'QFI\\373\\0\\0\\0\\3junk' > junk.qcow2
truncate -s 1000 odd.raw
"""

# arguments, and what both have to say ("" : nothing is compared); "!": the images
# named after it are compared as disks, "?": they must pass qemu-img check
ROWS = [
    # -- create
    ("create -f raw x 1M", "formatting", "! x"),
    ("create x 1M", "formatting", "! x"),
    ("create -f qcow2 x 1G", "cluster_size=65536", "! x ? x"),
    ("create -q -f qcow2 x 1G", "^$", "? x"),
    ("create -f qcow2 x", "size", ""),
    ("create -f qcow2", "filename|file name", ""),
    ("create -f qcow2 x 1M y", "", ""),
    ("create -f nothing x 1M", "unknown file format.*nothing", ""),
    ("create -f qcow2 x 1Q", "size", ""),
    ("create -f qcow2 x -- -1", "size", ""),
    ("create -f qcow2 x 0", "", "? x"),
    ("create -f qcow2 x 511", "", "! x ? x"),
    ("create -f qcow2 x 1.5M", "", "! x"),
    ("create -f qcow2 x 64P", "too large|size", ""),
    ("create -f qcow2 -o cluster_size=512 x 1M", "", "? x"),
    ("create -f qcow2 -o cluster_size=2M x 1M", "", "? x"),
    ("create -f qcow2 -o cluster_size=4M x 1M", "cluster size", ""),
    ("create -f qcow2 -o cluster_size=1000 x 1M", "cluster size", ""),
    ("create -f qcow2 -o refcount_bits=1 x 1M", "", "? x"),
    ("create -f qcow2 -o refcount_bits=64 x 1M", "", "? x"),
    ("create -f qcow2 -o refcount_bits=3 x 1M", "refcount width", ""),
    ("create -f qcow2 -o refcount_bits=128 x 1M", "refcount width", ""),
    ("create -f qcow2 -o compat=0.10 x 1M", "", "? x"),
    ("create -f qcow2 -o compat=v3 x 1M", "", "? x"),
    ("create -f qcow2 -o compat=2.0 x 1M", "compat", ""),
    ("create -f qcow2 -o compat=0.10,lazy_refcounts=on x 1M", "lazy refcounts", ""),
    ("create -f qcow2 -o compat=0.10,refcount_bits=8 x 1M", "refcount", ""),
    ("create -f qcow2 -o compat=0.10,compression_type=zstd x 1M", "compression", ""),
    ("create -f qcow2 -o compression_type=zstd x 1M", "zstd", "? x"),
    ("create -f qcow2 -o compression_type=lzma x 1M", "lzma", ""),
    ("create -f qcow2 -o nonsense=1 x 1M", "nonsense", ""),
    ("create -f qcow2 -o size=3M x", "", "! x"),
    ("create -f qcow2 -o preallocation=metadata x 1M", "", "! x ? x"),
    ("create -f qcow2 -o preallocation=falloc x 1M", "", "! x ? x"),
    ("create -f qcow2 -o preallocation=full x 1M", "", "! x ? x"),
    ("create -f qcow2 -o preallocation=some x 1M", "some", ""),
    ("create -f raw -o preallocation=full x 1M", "", "! x"),
    ("create -f raw -o preallocation=falloc x 1M", "", "! x"),
    ("create -f raw -o preallocation=metadata x 1M", "", ""),
    ("create -f qcow2 -b a.raw -F raw x", "backing_file=a.raw", "! x ? x"),
    ("create -f qcow2 -b a.raw -F raw x 4M", "", "! x ? x"),
    ("create -f qcow2 -b a.raw x", "format", ""),
    ("create -f qcow2 -b nowhere -F raw x 1M", "nowhere", ""),
    ("create -f qcow2 -b nowhere -F raw -u x 1M", "", ""),
    ("create -f qcow2 -b nowhere -F raw -u x", "size", ""),
    ("create -f qcow2 -b a.raw -F nothing x", "nothing", ""),
    ("create -f raw -b a.raw -F raw x", "backing", ""),
    ("create -f qcow2 -o backing_file=a.raw,backing_fmt=raw x", "", "! x"),
    ("create -f qcow2 -b x -F qcow2 x 1M", "", ""),
    ("create -f qcow2 nodir/x 1M", "nodir", ""),
    ("create -f qcow2 -o help", "cluster_size", ""),
    ("create -f raw -o help", "size", ""),
    # -- info
    ("info a.raw", "file format: raw", ""),
    ("info a.qcow2", "file format: qcow2", ""),
    ("info -f raw a.qcow2", "file format: raw", ""),
    ("info -f qcow2 a.raw", "not in qcow2 format|not a qcow2", ""),
    ("info -f nothing a.raw", "nothing", ""),
    ("info --output=json a.qcow2", '"format": "qcow2"', ""),
    ("info --output=xml a.qcow2", "--output", ""),
    ("info nowhere", "nowhere", ""),
    ("info", "file ?name", ""),
    ("info a.raw b.raw", "", ""),
    ("info --backing-chain top.qcow2", "image: a.raw", ""),
    ("info --backing-chain --output=json top.qcow2", '"filename": "a.raw"', ""),
    ("info broken.qcow2", "nowhere.raw", ""),
    ("info --backing-chain broken.qcow2", "nowhere.raw", ""),
    ("info snap.qcow2", "one", ""),
    ("info -U a.qcow2", "qcow2", ""),
    ("info a.vmdk", "file format: vmdk", ""),
    ("info a.vdi", "file format: vdi", ""),
    ("info a.vpc", "file format: vpc", ""),
    ("info junk.qcow2", "", ""),
    ("info ext.qcow2", "extended l2: true", ""),
    ("info bitmap.qcow2", "b0", ""),
    ("info --image-opts driver=qcow2,file.filename=a.qcow2", "file format: qcow2", ""),
    ("info --image-opts driver=raw,file.driver=file,file.filename=a.qcow2", "file format: raw", ""),
    ("info --image-opts a.qcow2", "", ""),
    # -- check
    ("check a.qcow2", "no errors", ""),
    ("check -q a.qcow2", "^$", ""),
    ("check --output=json a.qcow2", '"check-errors": 0', ""),
    ("check a.raw", "does not support checks", ""),
    ("check nowhere", "nowhere", ""),
    ("check leak.qcow2", "leaked", ""),
    ("check bad.qcow2", "errors? (was|were) found", ""),
    ("check -r leaks leak.qcow2", "repaired", "? leak.qcow2"),
    ("check -r all leak.qcow2", "", "? leak.qcow2"),
    ("check -r all bad.qcow2", "", "? bad.qcow2"),
    ("check -r some leak.qcow2", "", ""),
    ("check --output=json leak.qcow2", '"leaks": 1', ""),
    ("check junk.qcow2", "", ""),
    ("check ext.qcow2", "no errors", ""),
    ("check bitmap.qcow2", "no errors", ""),
    ("check a.vmdk", "", ""),
    # -- convert
    ("convert a.raw x", "", "! x"),
    ("convert -O qcow2 a.raw x", "", "! x ? x"),
    ("convert -f raw -O qcow2 a.qcow2 x", "", "! x ? x"),
    ("convert -c -O qcow2 a.raw x", "", "! x ? x"),
    ("convert -c -O qcow2 -o compression_type=zstd a.raw x", "", "! x ? x"),
    ("convert -c -O raw a.raw x", "compression not supported", ""),
    ("convert -p -O qcow2 a.raw x", "100.00/100%", "! x"),
    ("convert -O nothing a.raw x", "nothing", ""),
    ("convert -f nothing a.raw x", "nothing", ""),
    ("convert nowhere x", "nowhere", ""),
    ("convert a.raw", "", ""),
    ("convert", "", ""),
    ("convert a.raw b.raw x", "", "! x"),
    ("convert -O qcow2 a.qcow2 b.raw x", "", "! x ? x"),
    ("convert -S 0 -O qcow2 a.raw x", "", "! x ? x"),
    ("convert -S 64k -O qcow2 a.raw x", "", "! x ? x"),
    ("convert -S 1000 a.raw x", "sparse", ""),
    ("convert -m 16 -W -O qcow2 a.raw x", "", "! x ? x"),
    ("convert -m 17 a.raw x", "coroutines", ""),
    ("convert -m 0 a.raw x", "coroutines", ""),
    ("convert -n -O qcow2 b.raw a.qcow2", "", "! a.qcow2 ? a.qcow2"),
    ("convert -n -O raw b.raw nowhere", "nowhere", ""),
    ("convert -n --target-is-zero -O raw b.raw b.raw", "", ""),
    ("convert --target-is-zero a.raw x", "-n", ""),
    ("convert -l one -O raw snap.qcow2 x", "", "! x"),
    ("convert -l snapshot.name=one -O raw snap.qcow2 x", "", "! x"),
    ("convert -l snapshot.id=1 -O raw snap.qcow2 x", "", "! x"),
    ("convert -l two -O raw snap.qcow2 x", "two|snapshot", ""),
    ("convert -O qcow2 -B a.raw -F raw over.qcow2 x", "", "! x ? x"),
    ("convert -O qcow2 -B a.raw over.qcow2 x", "", ""),
    ("convert -O qcow2 -o backing_file=a.raw,backing_fmt=raw over.qcow2 x", "", "! x ? x"),
    ("convert -n -B a.raw -F raw over.qcow2 b.raw", "", ""),
    ("convert -t none -T none -O qcow2 a.raw x", "", ""),
    ("convert -t nonsense a.raw x", "cache", ""),
    ("convert -T nonsense a.raw x", "cache", ""),
    ("convert -C a.raw x", "", "! x"),
    ("convert -C -S 4k a.raw x", "", ""),
    ("convert -C -c -O qcow2 a.raw x", "", ""),
    ("convert -r 100M a.raw x", "", "! x"),
    ("convert -r nonsense a.raw x", "", ""),
    ("convert -q a.raw x", "^$", "! x"),
    ("convert --salvage a.raw x", "", "! x"),
    ("convert -U a.raw x", "", "! x"),
    ("convert a.vmdk x", "", "! x"),
    ("convert a.vdi x", "", "! x"),
    ("convert -f vpc a.vpc x", "", "! x"),
    ("convert ext.qcow2 x", "", "! x"),
    ("convert broken.qcow2 x", "nowhere.raw", ""),
    ("convert --image-opts driver=qcow2,file.filename=a.qcow2 x", "", "! x"),
    ("convert --image-opts -O qcow2 driver=raw,offset=512,size=512k,file.filename=a.raw x", "", "! x"),
    ("convert -n --target-image-opts a.raw driver=qcow2,file.filename=a.qcow2", "", "! a.qcow2"),
    ("convert --target-image-opts a.raw driver=qcow2,file.filename=a.qcow2", "-n", ""),
    ("convert -f raw --image-opts driver=raw,file.filename=a.raw x", "", ""),
    ("convert a.raw nodir/x", "nodir", ""),
    ("convert -O qcow2 -o cluster_size=4k,refcount_bits=8 a.raw x", "", "! x ? x"),
    ("convert -O qcow2 -o preallocation=metadata a.raw x", "", "! x ? x"),
    ("convert -O qcow2 -o preallocation=full a.raw x", "", "! x ? x"),
    ("convert -O raw -o preallocation=full a.qcow2 x", "", "! x"),
    ("convert odd.raw x", "", "! x"),
    ("convert -O qcow2 -o nonsense=on a.raw x", "nonsense", ""),
    ("convert -O qcow2 -o help", "cluster_size", ""),
    # -- compare
    ("compare a.raw a.qcow2", "images are identical", ""),
    ("compare a.raw b.raw", "content mismatch at offset", ""),
    ("compare -q a.raw b.raw", "^$", ""),
    ("compare -s a.raw odd.raw", "size mismatch", ""),
    ("compare odd.raw a.raw", "size mismatch|mismatch", ""),
    ("compare a.raw nowhere", "nowhere", ""),
    ("compare a.raw", "", ""),
    ("compare -f raw -F raw a.raw a.qcow2", "mismatch", ""),
    ("compare -p a.raw c.qcow2", "identical", ""),
    ("compare -x a.raw b.raw", "", ""),
    ("compare --image-opts driver=raw,file.filename=a.raw driver=qcow2,file.filename=a.qcow2", "identical", ""),
    # -- resize
    ("resize a.qcow2 4M", "image resized", "! a.qcow2 ? a.qcow2"),
    ("resize a.qcow2 +1M", "image resized", "! a.qcow2 ? a.qcow2"),
    ("resize a.qcow2 1M", "shrink", ""),
    ("resize --shrink a.qcow2 1M", "image resized", "! a.qcow2 ? a.qcow2"),
    ("resize --shrink a.qcow2 -1M", "image resized", "! a.qcow2 ? a.qcow2"),
    ("resize --shrink a.qcow2 -4M", "size", ""),
    ("resize a.qcow2 2M", "", ""),
    ("resize a.qcow2 nonsense", "size", ""),
    ("resize a.qcow2 +0", "", ""),
    ("resize -f raw a.raw 3M", "image resized", "! a.raw"),
    ("resize a.raw 3M", "", "! a.raw"),
    ("resize -f raw --shrink a.raw 1M", "image resized", "! a.raw"),
    ("resize -q a.qcow2 3M", "^$", ""),
    ("resize --preallocation=metadata a.qcow2 4M", "", "! a.qcow2 ? a.qcow2"),
    ("resize --preallocation=falloc a.qcow2 4M", "", "! a.qcow2 ? a.qcow2"),
    ("resize --preallocation=full a.qcow2 4M", "", "! a.qcow2 ? a.qcow2"),
    ("resize --preallocation=full -f raw a.raw 4M", "", "! a.raw"),
    ("resize --preallocation=some a.qcow2 4M", "some", ""),
    ("resize --preallocation=full --shrink a.qcow2 1M", "preallocation", ""),
    ("resize snap.qcow2 2M", "", "? snap.qcow2"),
    ("resize --shrink snap.qcow2 512k", "", ""),
    ("resize nowhere 1M", "nowhere", ""),
    ("resize a.qcow2", "", ""),
    ("resize a.vmdk 4M", "", None),
    ("resize over.qcow2 4M", "", "! over.qcow2 ? over.qcow2"),
    ("resize --shrink over.qcow2 1M", "", "! over.qcow2 ? over.qcow2"),
    ("resize bitmap.qcow2 2M", "", None),
    # -- snapshot
    ("snapshot -l snap.qcow2", "one", ""),
    ("snapshot snap.qcow2", "", ""),
    ("snapshot -l a.qcow2", "^$", ""),
    ("snapshot -l a.raw", "", ""),
    ("snapshot -c two snap.qcow2", "^$", "! snap.qcow2 ? snap.qcow2"),
    ("snapshot -a one snap.qcow2", "^$", "! snap.qcow2 ? snap.qcow2"),
    ("snapshot -a 1 snap.qcow2", "^$", "! snap.qcow2 ? snap.qcow2"),
    ("snapshot -d one snap.qcow2", "^$", "! snap.qcow2 ? snap.qcow2"),
    ("snapshot -d two snap.qcow2", "two", ""),
    ("snapshot -a two snap.qcow2", "two", ""),
    ("snapshot -c one a.raw", "", ""),
    ("snapshot -l -c x snap.qcow2", "", ""),
    ("snapshot -l nowhere", "nowhere", ""),
    ("snapshot -c", "", ""),
    ("snapshot", "", ""),
    # -- rebase
    ("rebase -b b.raw -F raw over.qcow2", "", "! over.qcow2 ? over.qcow2"),
    ("rebase -u -b b.raw -F raw over.qcow2", "", "! over.qcow2 ? over.qcow2"),
    ("rebase -b '' over.qcow2", "", "! over.qcow2 ? over.qcow2"),
    ("rebase -u -b '' over.qcow2", "", "! over.qcow2 ? over.qcow2"),
    ("rebase -u -b nowhere -F raw over.qcow2", "", ""),
    ("rebase -b nowhere -F raw over.qcow2", "nowhere", ""),
    ("rebase -b a.raw -F nothing over.qcow2", "nothing", ""),
    ("rebase -b a.raw over.qcow2", "", ""),
    ("rebase over.qcow2", "", ""),
    ("rebase -b a.raw -F raw a.raw", "", ""),
    ("rebase -b a.raw -F raw top.qcow2", "", "! top.qcow2 ? top.qcow2"),
    ("rebase -p -b b.raw -F raw over.qcow2", "100", "! over.qcow2"),
    ("rebase -t writeback -T none -b b.raw -F raw over.qcow2", "", None),
    ("rebase -b a.raw -F raw broken.qcow2", "nowhere.raw", ""),
    ("rebase -u -b a.raw -F raw broken.qcow2", "", "! broken.qcow2 ? broken.qcow2"),
    ("rebase -b top.qcow2 -F qcow2 top.qcow2", "", ""),
    # -- commit
    ("commit over.qcow2", "image committed", "! over.qcow2 a.raw ? over.qcow2"),
    ("commit -q over.qcow2", "^$", "! a.raw"),
    ("commit -d over.qcow2", "image committed", "! a.raw"),
    ("commit -p over.qcow2", "100", "! a.raw"),
    ("commit top.qcow2", "image committed", "! top.qcow2 over.qcow2 ? over.qcow2"),
    ("commit -b a.raw top.qcow2", "image committed", "! a.raw"),
    ("commit -b over.qcow2 top.qcow2", "image committed", "! over.qcow2"),
    ("commit -b nowhere top.qcow2", "nowhere", ""),
    ("commit a.qcow2", "backing", ""),
    ("commit a.raw", "", ""),
    ("commit nowhere", "nowhere", ""),
    ("commit -t nonsense over.qcow2", "cache", ""),
    ("commit", "", ""),
    # -- map
    ("map a.raw", "offset +length", ""),
    ("map over.qcow2", "a.raw", ""),
    ("map --output=json over.qcow2", '"depth": 1', "="),
    ("map --output=json top.qcow2", '"depth": 2', "="),
    ("map --output=json c.qcow2", '"data": true', "="),
    ("map c.qcow2", "compressed", ""),
    ("map --output=json -s 1M -l 64k over.qcow2", '"start": 1048576', "="),
    ("map -s 4M --output=json a.qcow2", "", ""),
    ("map --output=json --start-offset=512 --max-length=1000 a.raw", "", "="),
    ("map nowhere", "nowhere", ""),
    ("map", "", ""),
    ("map -s nonsense a.raw", "", ""),
    # -- measure
    ("measure -O qcow2 --size=10G", "required size", "="),
    ("measure -O qcow2 --output=json --size=10G", '"required"', "="),
    ("measure -O raw --size=10G", "", "="),
    ("measure -O qcow2 a.raw", "", "="),
    ("measure -O raw over.qcow2", "", "="),
    ("measure -O qcow2 -o cluster_size=4k,refcount_bits=1 --size=1T", "", "="),
    ("measure -O qcow2 -o preallocation=full --size=1G", "", "="),
    ("measure -O qcow2 -l one snap.qcow2", "", "="),
    ("measure -O nothing --size=1M", "nothing", ""),
    ("measure --size=1M a.raw", "", ""),
    ("measure", "", ""),
    ("measure -O qcow2 --size=nonsense", "", ""),
    ("measure -O vmdk --size=1M", "", ""),
    # -- dd
    ("dd if=a.raw of=x", "", "! x"),
    ("dd -O qcow2 if=a.raw of=x bs=64k count=3", "", "! x ? x"),
    ("dd if=a.raw of=x bs=1k skip=4", "", "! x"),
    ("dd if=a.raw of=x bs=1k count=10", "", "! x"),
    ("dd if=a.raw of=x skip=1M", "", ""),
    ("dd if=a.raw of=x bs=0", "", ""),
    ("dd if=a.raw of=x bs=nonsense", "", ""),
    ("dd if=a.raw", "", ""),
    ("dd if=nowhere of=x", "nowhere", ""),
    ("dd if=a.raw of=x conv=sync", "", ""),
    ("dd nonsense", "", ""),
    ("dd -f qcow2 -O raw if=a.qcow2 of=x bs=512", "", "! x"),
    # -- bench
    ("bench -c 10 -d 2 a.raw", "run completed", ""),
    ("bench -c 10 -w -f qcow2 a.qcow2", "sending 10 write", "? a.qcow2"),
    ("bench -c 10 -w --flush-interval=2 -d 2 a.qcow2", "run completed", ""),
    ("bench -c 10 -w --flush-interval=2 -d 4 a.qcow2", "flush", ""),
    ("bench -c 10 --flush-interval=2 a.qcow2", "", ""),
    ("bench -c 10 -w --pattern=300 a.qcow2", "", ""),
    ("bench -c 10 -s 64k -S 128k -o 4k a.raw", "step size 131072", ""),
    ("bench -c 10 -i threads a.raw", "run completed", ""),
    ("bench -c 10 -i nonsense a.raw", "aio", ""),
    ("bench -c 10 -t nonsense a.raw", "cache", ""),
    ("bench nowhere", "nowhere", ""),
    ("bench -q -c 10 a.raw", "", ""),
    # -- the rest
    ("", "", ""),
    ("nonsense", "command not found|nonsense", ""),
    ("--version", "version", ""),
    ("--help", "convert", ""),
    ("info --nonsense a.raw", "nonsense", ""),
    ("convert -f", "argument|f", ""),
]


def run(tool, args, folder):
    p = subprocess.run("exec %s %s" % (TOOLS[tool], args), shell=True, cwd=folder, timeout=300,
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                       env=dict(os.environ, LC_ALL="C"))
    return p.returncode, p.stdout, p.stdout + p.stderr


def disk(folder, name):
    """What a guest would see."""
    out = os.path.join(folder, "as.raw")
    if subprocess.run(["qemu-img", "convert", "-O", "raw", name, out], cwd=folder, capture_output=True).returncode:
        return None
    with open(out, "rb") as f:
        return f.read()


def judge_files(what, folders, complain):
    names, kind = [], None
    for word in what.split():
        if word in "!?=":
            kind = word
            continue
        if kind == "!":
            a, b = (disk(folders[t], word) for t in TOOLS)
            if a is None or a != b:
                complain("%s differs" % word)
        elif subprocess.run(["qemu-img", "check", "-q", word], cwd=folders["transom-img"], capture_output=True).returncode:
            complain("qemu-img check dislikes %s" % word)


def judge(row, folders):
    args, words, files = row
    bad = []
    got = {t: run(t, args, folders[t]) for t in TOOLS}
    (code, out, text), (want, want_out, want_text) = got["transom-img"], got["qemu-img"]
    if code != want:
        bad.append("exit %d, qemu-img's %d" % (code, want))
    for tool in TOOLS:
        if words and not re.search(words, got[tool][2], re.I):
            bad.append("%s does not say '%s'" % (tool, words))
    if code > 1 and code not in (2, 3, 4, 63) or "runtime error" in text or "Sanitizer" in text:
        bad.append("crash")
    if files == "=" and out != want_out:
        bad.append("other output")
    if files and files != "=" and code == want == 0:
        judge_files(files, folders, bad.append)
    return bad, text.strip(), want_text.strip()


def main():
    base = tempfile.mkdtemp(prefix="transom-img-table-")
    failed = 0
    try:
        origin = os.path.join(base, "origin")
        os.mkdir(origin)
        subprocess.run(IMAGES, shell=True, cwd=origin, check=True, stdout=subprocess.DEVNULL)
        rows = [r for r in ROWS if len(sys.argv) < 2 or sys.argv[1] in r[0]]
        def one(numbered):
            n, row = numbered
            folders = {t: os.path.join(base, "%d-%s" % (n, t)) for t in TOOLS}
            for f in folders.values():
                subprocess.run(["cp", "-r", "--sparse=always", origin, f], check=True)
            result = judge(row, folders)
            for f in folders.values():
                shutil.rmtree(f)
            return row, result
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = list(pool.map(one, enumerate(rows)))
        for row, (bad, ours, theirs) in results:
            if bad:
                failed += 1
                print("img-table: %s: %s\n    transom-img: %s\n    qemu-img: %s" %
                      (row[0], "; ".join(bad), ours[-300:], theirs[-300:]))
        print("img-table: %d command lines, %d differ" % (len(rows), failed))
    finally:
        shutil.rmtree(base)
    return 1 if failed else 0


sys.exit(main())
