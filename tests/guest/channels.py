#!/usr/bin/env python3
"""channels.py - random bytes and ports of a Debian guest

  channels.py TRANSOM DIRECTORY KERNEL      (DIRECTORY/channels.cpio: channels.sh)
"""
import hashlib
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from linuxguest import Guest  # noqa: E402
from qmpclient import WAIT, check, path, run_parts, until  # noqa: E402

KERNEL = sys.argv[3]
AGENT = 'org.qemu.guest_agent.0'
MANY = 4000000


def connect(name):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(WAIT)
    until(lambda: s.connect_ex(name) == 0)
    return s


def receive(s, n):
    data = b''
    while len(data) < n and (part := s.recv(65536)):
        data += part
    return data


def exchange(name, g, s, port):
    """A line in either direction."""
    g.send(f'head -c 5 < $(port {port})')
    s.sendall(b'there')
    g.expect(rb'there.*done=0')
    g.run(f'printf back > $(port {port})')
    check(f'{name}: a line each way', receive(s, 4), b'back')


def open_at_the_guest(g, chardev):
    return next(c for c in g.qmp.value('query-chardev') if c['label'] == chardev)['frontend-open']


def changed(g):
    return g.qmp.wait_event('VSERPORT_CHANGE')['data']


def rng():
    sock = path('packed.sock')
    with Guest('rng', KERNEL, 'channels.cpio', '-m', '128', '-object', 'rng-random,id=r0,filename=/dev/urandom',
               '-device', 'virtio-rng-pci,rng=r0,id=rng0,max-bytes=100000,period=100',
               '-device', 'virtio-serial-pci,packed=on', '-chardev', f'socket,path={sock},server=on,wait=off,id=c',
               '-device', 'virtserialport,chardev=c,name=packed') as g:
        first = g.expect(rb'hwrng=([0-9a-f]{32})')[1].decode()
        check('rng: its bytes are not twice the same',
              first not in g.ask('dd if=/dev/hwrng bs=512 count=8 2> /dev/null | md5sum'))
        check('rng: the kernel has it', g.ask('cat /sys/class/misc/hw_random/rng_current'), 'virtio_rng.0')
        check('rng: it is in use', g.qmp.error('object-del', id='r0'), 'GenericError')
        s = connect(sock)
        g.run('host packed 1')
        exchange('packed rings', g, s, 'packed')


def counted():
    """With -icount they are the same in every run to which nothing is sent."""
    sums = []
    for _ in range(2):
        with Guest('counted', KERNEL, 'channels.cpio', '-m', '128', '-icount', 'shift=1,sleep=off',
                   '-rtc', 'base=2024-01-01', '-device', 'virtio-rng-pci,disable-modern=on') as g:
            sums.append(g.expect(rb'hwrng=([0-9a-f]{32})')[1])
    check('counted: the same bytes', sums[0], sums[1])


def agent():
    """The channel that libvirt gives every domain, as the agent in the guest and libvirt use it."""
    sock = path('agent.sock')
    with Guest('agent', KERNEL, 'channels.cpio', '-m', '128', '-device', 'virtio-serial-pci,id=vs,max_ports=4,addr=5',
               '-chardev', f'socket,path={sock},server=on,wait=off,id=c',
               '-device', f'virtserialport,bus=vs.0,nr=2,chardev=c,name={AGENT},id=channel0') as g:
        check('agent: its name and number', g.ask(f'port {AGENT}'), '/dev/vport0p2')
        check('agent: closed at first', open_at_the_guest(g, 'c'), False)
        for line, is_open in (f'exec 3<> $(port {AGENT})', True), ('exec 3>&-', False):
            g.run(line)
            check(f'agent: open {is_open}', (open_at_the_guest(g, 'c'), changed(g)),
                  (is_open, {'id': 'channel0', 'open': is_open}))
        to_the_guest(g, sock)
        to_the_host(g, sock)
        check('agent: in use', g.qmp.error('chardev-remove', id='c'), 'GenericError')
        plugged(g)
        terminal(g)
        all_go(g)


def to_the_guest(g, sock):
    """It is sent before anybody reads it; nothing is lost."""
    data = os.urandom(MANY)
    s = connect(sock)
    sender = threading.Thread(target=s.sendall, args=(data,), daemon=True)
    sender.start()
    g.run(f'host {AGENT} 1')
    check('to the guest: it waits', sender.is_alive())
    g.send(f'head -c {MANY} < $(port {AGENT}) | md5sum')
    check('to the guest: the sum', g.expect(rb'([0-9a-f]{32})')[1].decode(), hashlib.md5(data).hexdigest())
    g.expect(rb'done=')
    sender.join(WAIT)
    s.close()


def to_the_host(g, sock):
    """Nobody takes it for a while; who comes next finds the channel again."""
    s = connect(sock)
    g.run(f'host {AGENT} 1')
    g.run(f'head -c {MANY} /dev/urandom > /tmp/data')
    g.send(f'cat /tmp/data > $(port {AGENT}); md5sum /tmp/data')
    data = receive(s, MANY)
    check('to the host: the sum', g.expect(rb'([0-9a-f]{32})')[1].decode(), hashlib.md5(data).hexdigest())
    g.expect(rb'done=')
    s.close()
    check('to the host: the guest sees it go', g.run(f'host {AGENT} 0'), 0)
    s = connect(sock)
    check('to the host: and come', g.run(f'host {AGENT} 1'), 0)
    exchange('to the host: again', g, s, AGENT)
    s.close()


def plugged(g):
    """Ports that come and go, twice at the same place."""
    for turn in 'first', 'second':
        sock = path(f'{turn}.sock')
        g.qmp.value('chardev-add', id='p', backend={'type': 'socket', 'data': {
            'addr': {'type': 'unix', 'data': {'path': sock}}, 'server': True, 'wait': False}})
        check(f'plugged: {turn} port', g.qmp.value('device_add', driver='virtserialport', bus='vs.0', id='port1',
                                                    chardev='p', name='plugged'), {})
        s = connect(sock)
        g.run('host plugged 1')
        exchange(f'plugged: {turn}', g, s, 'plugged')
        check(f'plugged: {turn} goes', g.qmp.value('device_del', id='port1'), {})
        check(f'plugged: {turn} is told', g.qmp.wait_event('DEVICE_DELETED')['data'],
              {'device': 'port1', 'path': '/machine/peripheral/port1'})
        check(f'plugged: {turn} is gone', g.run('no_port plugged'), 0)
        check(f'plugged: {turn} back end is free', g.qmp.value('chardev-remove', id='p'), {})
        s.close()


class Terminal:
    """As a socket is used here."""

    def __init__(self, name):
        self.fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
        self.recv = lambda n: os.read(self.fd, n)
        self.sendall = lambda data: os.write(self.fd, data)


def terminal(g):
    """A pty at the host's end: the guest sees who has it open."""
    name = g.qmp.value('chardev-add', id='t', backend={'type': 'pty', 'data': {}})['pty']
    g.qmp.value('device_add', driver='virtserialport', id='port1', chardev='t', name='pty')
    check('terminal: nobody has it open', g.run('host pty 0'), 0)
    for turn in 'first', 'second':
        t = Terminal(name)
        check(f'terminal: {turn} opens it', g.run('host pty 1'), 0)
        exchange(f'terminal: {turn}', g, t, 'pty')
        os.close(t.fd)
        check(f'terminal: {turn} closes it', g.run('host pty 0'), 0)
    g.qmp.value('device_del', id='port1')


def all_go(g):
    """The controller goes when the guest lets it, and its ports with it."""
    g.qmp.value('device_del', id='vs')
    gone = set()
    while not {'channel0', 'vs'} <= gone:
        gone |= {g.qmp.wait_event('DEVICE_DELETED')['data'].get('device')} - {None}
    check('all go: the guest has no port', g.ask('ls /sys/class/virtio-ports'), '')
    check('all go: the back end is free', g.qmp.value('chardev-remove', id='c'), {})


def console():
    """A terminal without a serial port, through the legacy interface."""
    with Guest('console', KERNEL, 'channels.cpio', '-m', '128', hvc=',disable-modern=on') as g:
        check('console: there is no other', g.ask('cat /sys/class/tty/console/active'), 'hvc0')
        check('console: a long line', len(g.ask('head -c 30000 /dev/zero | tr "\\0" x')), 30000)


sys.exit(run_parts(rng, counted, agent, console))
