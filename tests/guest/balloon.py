#!/usr/bin/env python3
"""balloon.py - a Debian guest with a balloon, and what the host has of it

  balloon.py TRANSOM DIRECTORY KERNEL      (DIRECTORY/balloon.cpio: balloon.sh)
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from linuxguest import Guest  # noqa: E402
from qmpclient import check, run_parts, until  # noqa: E402

MIB = 1 << 20
RAM, FILLED, LESS = 384, 160, 160
BALLOON = '/machine/peripheral/balloon0'


class Balloon(Guest):
    def __init__(self, props):
        super().__init__('balloon', sys.argv[3], 'balloon.cpio', '-m', str(RAM),
                         '-device', f'virtio-balloon-pci,id=balloon0{props}')

    def fill(self):
        self.send(f'fill {FILLED}')
        self.expect(b'filled=%d' % FILLED)

    def free(self):
        self.send('free')
        self.expect(b'freed')

    def resident(self):
        """MiB of the host's memory"""
        for line in open(f'/proc/{self.process.pid}/status'):
            if line.startswith('VmRSS'):
                return int(line.split()[1]) // 1024


def ask(g, name, mib):
    """For a balloon that leaves so much, until it is there."""
    check(f'{name}: balloon {mib}', g.qmp.value('balloon', value=mib * MIB), {})
    while g.qmp.wait_event('BALLOON_CHANGE')['data']['actual'] != mib * MIB:
        pass
    check(f'{name}: query-balloon', g.qmp.value('query-balloon'), {'actual': mib * MIB})


def modern():
    with Balloon(',disable-legacy=on') as g:
        c = g.qmp
        g.fill()
        g.free()
        before = g.resident()
        check('modern: the guest has used it', before > FILLED)
        ask(g, 'modern', LESS)
        check('modern: info balloon', c.value('human-monitor-command', **{'command_line': 'info balloon'}),
              f'balloon: actual={LESS}\r\n')
        after = g.resident()
        print(f'# modern: {before} MiB resident, {after} with the balloon full')
        check('modern: the host has it back', after < before - FILLED // 2)
        check('modern: a line deflates it', c.value('human-monitor-command', **{'command_line': f'balloon {RAM}'}), '')
        while c.wait_event('BALLOON_CHANGE')['data']['actual'] != RAM * MIB:
            pass
        g.fill()
        check('modern: the guest uses it again', g.resident() > FILLED)
        nonsense(c)
        statistics(c)


def nonsense(c):
    for value in 0, -1:
        check(f'balloon {value}', c.error('balloon', value=value), 'GenericError')
    c.value('balloon', value=4 * RAM * MIB)
    check('more than all is all', c.value('query-balloon'), {'actual': RAM * MIB})
    check('a nonsensical interval', c.error('qom-set', path=BALLOON, value='x',
                                            property='guest-stats-polling-interval'), 'GenericError')


def statistics(c):
    def get(name):
        return c.value('qom-get', path=BALLOON, property=name)

    first = get('guest-stats')['last-update']
    c.value('qom-set', path=BALLOON, property='guest-stats-polling-interval', value=1)
    check('polling', get('guest-stats-polling-interval'), 1)
    check('the guest sends numbers', until(lambda: get('guest-stats')['last-update'] > first + 1))
    stats = get('guest-stats')['stats']
    check('they make sense', 0 < stats['stat-free-memory'] < stats['stat-total-memory'] < RAM * MIB)
    names = {p['name'] for p in c.value('qom-list', path=BALLOON)}
    check('properties', {'guest-stats', 'guest-stats-polling-interval', 'type'} <= names)


def legacy():
    with Balloon(',disable-modern=on,free-page-reporting=on') as g:
        g.fill()
        before = g.resident()
        g.free()
        check('legacy: free pages are the host\'s', until(lambda: g.resident() < before - FILLED // 2))
        print(f'# legacy: {before} MiB resident, {g.resident()} after the guest freed {FILLED}')
        g.fill()
        check('legacy: the guest uses them again', g.resident() > FILLED)
        g.free()
        ask(g, 'legacy', LESS)


sys.exit(run_parts(modern, legacy))
