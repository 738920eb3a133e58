#!/usr/bin/env python3
"""channels.py - random bytes and ports of a Debian guest

  channels.py TRANSOM DIRECTORY KERNEL      (DIRECTORY/channels.cpio: channels.sh)
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from linuxguest import Guest  # noqa: E402
from qmpclient import check, run_parts  # noqa: E402

KERNEL = sys.argv[3]


def rng():
    with Guest('rng', KERNEL, 'channels.cpio', '-m', '128', '-object', 'rng-random,id=r0,filename=/dev/urandom',
               '-device', 'virtio-rng-pci,rng=r0,id=rng0,max-bytes=100000,period=100') as g:
        first = g.expect(rb'hwrng=([0-9a-f]{32})')[1].decode()
        check('rng: its bytes are not twice the same',
              first not in g.ask('dd if=/dev/hwrng bs=512 count=8 2> /dev/null | md5sum'))
        check('rng: the kernel has it', g.ask('cat /sys/class/misc/hw_random/rng_current'), 'virtio_rng.0')
        check('rng: it is in use', g.qmp.error('object-del', id='r0'), 'GenericError')


def counted():
    """With -icount they are the same in every run to which nothing is sent."""
    sums = []
    for _ in range(2):
        with Guest('counted', KERNEL, 'channels.cpio', '-m', '128', '-icount', 'shift=1,sleep=off',
                   '-rtc', 'base=2024-01-01', '-device', 'virtio-rng-pci,disable-modern=on') as g:
            sums.append(g.expect(rb'hwrng=([0-9a-f]{32})')[1])
    check('counted: the same bytes', sums[0], sums[1])


sys.exit(run_parts(rng, counted))
