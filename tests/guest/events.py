#!/usr/bin/env python3
"""events.py - a Debian guest sleeps, sets its clock, opens the CD drive, meets a disk that fails, lets a
card go; a program is told of it, to the letter

  events.py TRANSOM DIRECTORY KERNEL      (DIRECTORY/events.cpio: events.sh)
"""
import os
import resource
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from linuxguest import Guest  # noqa: E402
from qmpclient import WAIT, check, path, run_parts, until  # noqa: E402

MIB = 1 << 20


def image(name, mib, text=b''):
    p = path(name)
    with open(p, 'wb') as f:
        f.write(text)
        f.truncate(mib * MIB)
    return p


def machine(*args):
    disk, disc = image('events-disk.raw', 16), image('events-disc.raw', 1, b'first disc')
    return Guest('events', sys.argv[3], 'events.cpio', '-m', '256', '-rtc', 'base=2020-02-02T12:00:00',
                 '-drive', f'file={disk},format=raw,if=none,id=disk,werror=stop,rerror=report,cache=none,aio=threads',
                 '-device', 'virtio-blk-pci,drive=disk,id=blk0',
                 '-drive', f'file={disc},format=raw,if=none,id=disc,media=cdrom',
                 '-device', 'ide-cd,drive=disc,id=cd0', *args)


def clock(g):
    c = g.qmp
    c.events = []
    g.run('date -u -s "2021-02-02 12:00:00" > /dev/null; hwclock -u -w')
    while True:
        data = c.wait_event('RTC_CHANGE')['data']
        if abs(data['offset'] - 366 * 86400) < 600:        # the guest took some time to come up
            break
    kind = c.value('qom-get', path=data.pop('qom-path'), property='type')
    check('RTC_CHANGE', (list(data), kind), (['offset'], 'mc146818'))


def tray(g):
    c = g.qmp

    def moved(opened):
        return c.wait_event('DEVICE_TRAY_MOVED')['data'] == {'device': 'disc', 'id': 'cd0', 'tray-open': opened}

    def drive():
        return [b for b in c.value('query-block') if b['qdev'].endswith('cd0')][0]

    check('the guest reads the disc', g.ask('head -c 10 /dev/sr0'), 'first disc')
    check('query-block: closed', drive()['tray_open'], False)
    g.run('cdtray open /dev/sr0')
    check('DEVICE_TRAY_MOVED: the guest opens it', moved(True))
    check('query-block: open', drive()['tray_open'], True)
    check('the guest sees no disc', g.run('head -c 10 /dev/sr0 2> /dev/null | grep -q .'), 1)
    g.run('cdtray close /dev/sr0')
    check('DEVICE_TRAY_MOVED: the guest closes it', moved(False))
    check('query-block: closed again', drive()['tray_open'], False)
    second = image('events-second.raw', 1, b'another one')
    check('blockdev-open-tray', c.value('blockdev-open-tray', id='cd0'), {})
    check('DEVICE_TRAY_MOVED: opened by us', moved(True))
    check('the guest sees that', g.run('head -c 10 /dev/sr0 2> /dev/null | grep -q .'), 1)
    check('blockdev-close-tray', c.value('blockdev-close-tray', id='cd0'), {})
    check('DEVICE_TRAY_MOVED: closed by us', moved(False))
    check('the disc is still the first', g.ask('head -c 10 /dev/sr0'), 'first disc')
    check('blockdev-change-medium', c.value('blockdev-change-medium', id='cd0', filename=second, format='raw'), {})
    check('DEVICE_TRAY_MOVED: it opens', moved(True))
    check('DEVICE_TRAY_MOVED: and closes', moved(False))
    check('query-block: another disc', drive()['inserted']['file'], second)
    check('the guest reads it', g.ask('head -c 11 /dev/sr0'), 'another one')
    g.run('sleep 1000 < /dev/sr0 &')                       # an open device is locked
    check('a locked tray', until(lambda: drive()['locked']))
    check('a locked tray stays closed', c.error('blockdev-open-tray', id='cd0'), 'GenericError')
    check('force opens it', c.value('blockdev-open-tray', id='cd0', force=True), {})
    check('DEVICE_TRAY_MOVED: by force', moved(True))
    c.value('blockdev-close-tray', id='cd0')
    g.run('kill %1')


def failing_disk(g):
    """No file of the emulator may grow, or be written, past 4 MiB for a while."""
    c = g.qmp
    limits = resource.prlimit(g.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(g.process.pid, resource.RLIMIT_FSIZE, (4 * MIB, limits[1]))
    c.events = []
    g.send('dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=2000 conv=fsync 2> /dev/null')
    data = c.wait_event('BLOCK_IO_ERROR')['data']
    check('BLOCK_IO_ERROR', data, {'device': 'disk', 'node-name': 'disk', 'operation': 'write', 'action': 'stop',
                                   'nospace': False, 'reason': 'File too large'})
    check('STOP', c.wait_event('STOP')['event'], 'STOP')
    check('query-status', c.value('query-status'), {'running': False, 'status': 'io-error'})
    check('query-block', [b['io-status'] for b in c.value('query-block') if b['qdev'].endswith('virtio-backend')], ['failed'])
    check('cont, and it fails again', c.value('cont'), {})
    check('BLOCK_IO_ERROR again', c.wait_event('BLOCK_IO_ERROR')['data'], data)
    c.wait_event('STOP')
    resource.prlimit(g.process.pid, resource.RLIMIT_FSIZE, limits)
    c.events = []
    check('cont, and it does not', c.value('cont'), {})
    check('RESUME', c.wait_event('RESUME')['event'], 'RESUME')
    check('the guest never knew', int(g.expect(rb'done=(\d+)\r')[1]), 0)
    check('no more errors', [n for n in c.names() if n != 'RTC_CHANGE'], [])


def removal(g):
    c = g.qmp
    check('device_del', c.value('device_del', id='blk0'), {})
    check('DEVICE_DELETED of the back end', c.wait_event('DEVICE_DELETED')['data'],
          {'path': '/machine/peripheral/blk0/virtio-backend'})
    check('DEVICE_DELETED once the guest lets it go', c.wait_event('DEVICE_DELETED')['data'],
          {'device': 'blk0', 'path': '/machine/peripheral/blk0'})
    check('the guest has none', g.run('until [ ! -e /sys/block/vda ]; do sleep 0.1; done'), 0)


def sleep(g):
    c = g.qmp
    c.events = []
    g.send('echo mem > /sys/power/state')
    check('SUSPEND', c.wait_event('SUSPEND').get('data'), None)
    check('its power button', c.value('system_powerdown'), {})
    check('WAKEUP', c.wait_event('WAKEUP').get('data'), None)
    check('the guest is awake', int(g.expect(rb'done=(\d+)\r')[1]), 0)


def hibernation(g):
    """What is left of it once the image is on a disk: SLP_TYP of \\_S4."""
    c = g.qmp
    c.events = []
    g.send(r"printf '\050' | dd of=/dev/port bs=1 seek=$((0x605)) conv=notrunc 2> /dev/null")
    check('SUSPEND_DISK', c.wait_event('SUSPEND_DISK').get('data'), None)
    check('SHUTDOWN', c.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-shutdown'})
    check('it is off', g.process.wait(WAIT), 0)


def all_of_them():
    with machine() as g:
        for part in clock, tray, failing_disk, removal, sleep, hibernation:
            part(g)


sys.exit(run_parts(all_of_them))
