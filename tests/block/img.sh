#!/bin/sh
# img.sh - transom-img beside qemu-img: same results, same exit codes
#
# T is the transom-img to test; runs in a scratch folder of its own.
program=$(realpath "${T:-./transom-img}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
ln -s "$program" transom-img
T=./transom-img
export LC_ALL=C
bad=0

wrong() { echo "$*"; bad=1; }
# ok COMMAND...: must succeed; no CODE COMMAND...: must exit with CODE
ok() { "$@" > out 2>&1 || wrong "failed: $* $(cat out)"; }
no() { want=$1; shift; "$@" > out 2>&1; r=$?; [ $r = $want ] || wrong "exit $r, not $want: $* $(cat out)"; }

head -c 3000000 /bin/bash > base.raw; truncate -s 8M base.raw
ok $T create -f qcow2 -b base.raw -F raw over.qcow2
ok qemu-img compare base.raw over.qcow2
ok qemu-io -c 'write -P 5 1M 100k' -c 'write -z 2M 64k' -c 'write -P 9 7M 1k' over.qcow2
ok qemu-img convert -O raw over.qcow2 want.raw
ok $T compare -s want.raw over.qcow2
no 1 $T compare base.raw over.qcow2
grep -q 'Content mismatch at offset' out || wrong "message: $(cat out)"
# rebase keeps the content, -u does not
head -c 2000000 /bin/ls > other.raw; truncate -s 4M other.raw
ok $T create -f qcow2 -b over.qcow2 -F qcow2 top.qcow2
ok $T rebase -b other.raw -F raw top.qcow2
ok qemu-img compare want.raw top.qcow2
ok qemu-img check top.qcow2
ok $T rebase -b '' top.qcow2
ok qemu-img compare want.raw top.qcow2
ok $T info top.qcow2; grep -q 'backing file' out && wrong "still has a backing file"
# commit
ok $T commit over.qcow2
ok qemu-img compare want.raw base.raw
ok qemu-img compare want.raw over.qcow2
ok qemu-img check over.qcow2
# snapshots, seen by qemu
ok $T snapshot -c one top.qcow2
ok qemu-io -c 'write -P 77 0 1M' top.qcow2
ok $T convert -l one -O raw top.qcow2 snap.raw; ok cmp snap.raw want.raw
no 1 qemu-img compare want.raw top.qcow2
ok qemu-img snapshot -l top.qcow2; grep -q one out || wrong "qemu sees no snapshot"
ok $T snapshot -l top.qcow2; grep -q one out || wrong "we see no snapshot"
ok $T snapshot -a one top.qcow2; ok qemu-img compare want.raw top.qcow2
ok $T snapshot -d one top.qcow2; ok qemu-img check top.qcow2
no 1 $T snapshot -d one top.qcow2
ok qemu-img snapshot -c two top.qcow2; ok $T snapshot -a two top.qcow2; ok $T snapshot -d two top.qcow2; ok qemu-img check top.qcow2
# resize
ok $T resize top.qcow2 +4M; ok qemu-img check top.qcow2
no 1 $T resize top.qcow2 8M
ok $T resize --shrink top.qcow2 -4M; ok qemu-img compare want.raw top.qcow2
ok $T resize top.qcow2 1G; ok qemu-img check top.qcow2
# map and info as qemu-img has them
ok $T map --output=json over.qcow2; cp out a.json; ok qemu-img map --output=json over.qcow2; diff -q a.json out > /dev/null || { wrong "map differs"; diff a.json out | head -8; }
for f in over.qcow2 base.raw; do
sync $f        # some file systems count blocks only then
ok $T info --output=json $f; cp out a.json; ok qemu-img info --output=json $f
python3 - a.json out <<'PY' || wrong "info differs"
import json,sys
a,b=[json.load(open(x)) for x in sys.argv[1:]]
bad=[k for k in b if a.get(k)!=b[k] and k not in('children',)]
if bad: print([(k,a.get(k),b[k]) for k in bad]); sys.exit(1)
PY
done
for o in '' '-o cluster_size=4k' '-o cluster_size=2M,refcount_bits=64'; do
ok $T measure -O qcow2 $o --size=10G; cp out a.txt; ok qemu-img measure -O qcow2 $o --size=10G; cmp -s a.txt out || { wrong "measure differs"; diff a.txt out; }
ok $T measure -O qcow2 $o want.raw; cp out a.txt; ok qemu-img measure -O qcow2 $o want.raw; cmp -s a.txt out || { wrong "measure differs"; diff a.txt out; }
done
# check: leaks are found, reported with 3, repaired
ok qemu-img create -f qcow2 leak.qcow2 4M
cp leak.qcow2 l2; printf '\0\1' | dd of=l2 bs=1 seek=$((131072+20)) conv=notrunc 2> /dev/null; truncate -s 1M l2
no 3 qemu-img check l2; no 3 $T check l2; ok $T check -r leaks l2; ok qemu-img check l2
printf '\0\0' | dd of=l2 bs=1 seek=$((131072)) conv=notrunc 2> /dev/null
no 2 qemu-img check l2; no 2 $T check l2; ok $T check -r all l2; ok qemu-img check l2
no 63 $T check want.raw
# dd, bench, words for mistakes
ok $T dd if=want.raw of=dd.qcow2 -O qcow2 bs=1M count=3; ok qemu-img info dd.qcow2; grep -q '3 MiB' out || wrong "unexpected: $(cat out)"
ok $T bench -c 2000 -w -f qcow2 top.qcow2; ok $T bench -c 2000 -i threads top.qcow2; ok qemu-img check top.qcow2
no 1 $T convrt; grep -q convert out || wrong "unexpected: $(cat out)"
no 1 $T info --outptu=json x; grep -q -- --output out || wrong "unexpected: $(cat out)"
no 1 $T create -f qcow2 -o cluster_sise=1 x 1G; grep -q cluster_size out || wrong "unexpected: $(cat out)"
no 1 $T info missing.img; no 1 $T create -f qcow2 x; no 1 $T create -f qcow2 x 12y
ok $T create -f qcow2 -o preallocation=metadata,compat=1.1,lazy_refcounts v.qcow2 64M; ok qemu-img check v.qcow2; ok $T info v.qcow2; grep -q 'lazy refcounts: true' out || wrong "unexpected: $(cat out)"
ok $T snapshot -c S v.qcow2; ok qemu-img check v.qcow2
ok $T convert -p -O qcow2 -c -W -m 4 -B base.raw -F raw want.raw c.qcow2; ok qemu-img compare want.raw c.qcow2; ok qemu-img check c.qcow2
ok $T convert -n -O qcow2 base.raw v.qcow2; ok qemu-img compare base.raw v.qcow2
ok $T info --backing-chain --output=json c.qcow2; cp out a.json; ok python3 -m json.tool a.json

# exit 0 only when nothing was said
exit $bad
