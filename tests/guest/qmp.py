#!/usr/bin/env python3
"""qmp.py - programs at the monitor: the machine protocol over Unix sockets, as management
programs use it, with a client of our own. Prints ok and FAIL lines.

  qmp.py TRANSOM DIRECTORY
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from qmpclient import Client, DIR, TRANSOM, WAIT, check, path, run_parts, start, until  # noqa: E402


def ended(number):
    """A process that is no child of ours: a container's init may never take note of its end."""
    try:
        with open(f'/proc/{number}/stat') as f:
            return f.read().rpartition(')')[2].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


# ---- what management programs ask an emulator without a machine -------------------------

def probe():
    sock, pid = path('probe.sock'), path('probe.pid')
    status = subprocess.run(
        [TRANSOM, '-S', '-no-user-config', '-nodefaults', '-nographic', '-machine', 'none,accel=kvm:mshv:tcg',
         '-qmp', f'unix:{sock},server=on,wait=off', '-pidfile', pid, '-daemonize'],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT)
    check('probe: the parent ends once the child is ready', status.returncode, 0)
    number = int(open(pid).read())
    c = Client(sock)
    check('probe: greeting', 'oob' in c.greeting['QMP']['capabilities'])
    version = c.value('query-version')
    check('probe: version', version['qemu']['major'] >= 7 and 'Transom' in version['package'])
    check('probe: target', c.value('query-target'), {'arch': 'x86_64'})
    schema = {e['name']: e for e in c.value('query-qmp-schema')}
    commands = {e['name'] for e in c.value('query-commands')}
    check('probe: commands are those of the schema',
          commands, {n for n, e in schema.items() if e['meta-type'] == 'command'})
    check('probe: types in the schema are there',
          [m for e in schema.values() for m in e.get('members', []) if m['type'] not in schema], [])
    accelerators = c.value('query-accelerators')
    check('probe: accelerators', 'tcg' in accelerators['present'])
    check('probe: kvm is told alike', c.value('query-kvm')['present'], 'kvm' in accelerators['present'])
    types = {t['name'] for t in c.value('qom-list-types')}
    check('probe: types', {'tcg-accel', 'isa-serial', 'virtio-blk-pci', 'VGA', 'qemu64-x86_64-cpu'} <= types)
    check('probe: properties', any(p['name'] == 'drive' for p in
                                   c.value('device-list-properties', typename='virtio-blk-pci')))
    check('probe: unknown device', c.error('device-list-properties', typename='nvdimm'), 'DeviceNotFound')
    check('probe: unknown type has no properties', c.value('qom-list-properties', typename='none-machine'), [])
    machines = {m['alias']: m['name'] for m in c.value('query-machines')}
    check('probe: machines', sorted(machines), ['pc', 'q35'])
    models = {m['name']: m for m in c.value('query-cpu-definitions')}
    check('probe: CPU models', 'qemu64' in models and 'max' in models)
    check('probe: what a model lacks is told', any(m['unavailable-features'] for m in models.values()))
    check('probe: options', 'machine' in [o['option'] for o in c.value('query-command-line-options')])
    check('probe: capabilities of migration', isinstance(c.value('query-migrate-capabilities'), list))
    check('probe: no SEV', c.error('query-sev-capabilities'), 'CommandNotFound')
    props = c.value('query-cpu-model-expansion', type='static', model={'name': 'qemu64'})['model']['props']
    check('probe: model expansion', (props['sse2'], props['avx512f']), (True, False))
    check('probe: unknown model', c.error('query-cpu-model-expansion', type='full', model={'name': 'none'}),
          'GenericError')
    check('probe: status', c.value('query-status')['status'], 'prelaunch')
    check('probe: a line for people', 'version' in c.value('human-monitor-command', **{'command_line': 'info'}))
    check('probe: quit', c.value('quit'), {})
    check('probe: it is gone', until(lambda: ended(number)))
    check('probe: with its pid file', os.path.exists(pid), False)


# ---- a machine ------------------------------------------------------------------------------

def grammar(c):
    check('before capabilities nothing else', c.error('query-status'), 'CommandNotFound')
    check('an unknown capability', c.error('qmp_capabilities', enable=['flying']), 'GenericError')
    check('a known one', c.value('qmp_capabilities', enable=['oob']), {})
    check('a second time', c.error('qmp_capabilities'), 'CommandNotFound')
    check('unknown command', c.error('nonsense'), 'CommandNotFound')
    check('missing parameter', c('qom-list')['error']['desc'], "Parameter 'path' is missing")
    check('unexpected parameter', c('query-status', x=1)['error']['desc'], "Parameter 'x' is unexpected")
    check('wrong type', c('qom-list', path=1)['error']['desc'],
          "Invalid parameter type for 'path', expected: string")
    c.sock.sendall(b'{"execute":"query-name","id":{"a":[1,"x"]}}')
    check('id comes back', c.answer().get('id'), {'a': [1, 'x']})
    c.sock.sendall(b'{"execute":"query-na')
    time.sleep(0.05)
    c.sock.sendall(b'me",\n"id":1}{"exec-oob":"query-name","id":2}\n{"execute":"query-name","id":3}\n')
    check('pieces and several at once', [c.answer().get('id') for _ in range(3)], [1, 2, 3])
    c.sock.sendall(b'{"execute": oops}\n')
    check('no JSON', c.answer()['error']['class'], 'GenericError')
    c.sock.sendall(b'[1]\n42\n"x"\n')
    check('no object', [c.answer()['error']['class'] for _ in range(3)], ['GenericError'] * 3)
    c.sock.sendall(b'{"execute":"query-name","execute":"quit"}\n')
    check('a key twice', c.answer()['error']['class'], 'GenericError')
    c.sock.sendall(b'{"a":' * 200 + b'1' + b'}' * 200 + b'\n')
    check('too deep', c.answer()['error']['class'], 'GenericError')
    c.sock.sendall(b'{"execute":"' + b'x' * 1500000)
    check('too long', c.answer()['error']['desc'], 'JSON parse error, too long')
    c.sock.sendall(b'"}\n{"execute":"query-name","id":4}\n')
    check('the next line is understood', c.answer().get('id'), 4)


def run_control(c):
    check('prelaunch', c.value('query-status'), {'running': False, 'status': 'prelaunch'})
    check('cont', c.value('cont'), {})
    check('RESUME comes before the answer', c.names(), ['RESUME'])
    check('running', c.value('query-status')['running'])
    c.sock.sendall(b'{"execute":"stop"}{"execute":"query-status"}')
    check('stop has stopped when the next command runs',
          (c.answer()['return'], c.answer()['return']['status']), ({}, 'paused'))
    check('STOP', c.names(), ['STOP'])
    check('stop twice is nothing', (c.value('stop'), c.names()), ({}, []))
    check('system_reset', c.value('system_reset'), {})
    check('RESET with its reason', c.events.pop()['data'], {'guest': False, 'reason': 'host-qmp-system-reset'})
    check('system_wakeup of one that is awake', c('system_wakeup')['error']['desc'],
          'Unable to wake up: guest is not in suspended state')
    check('system_powerdown', (c.value('system_powerdown'), c.names()), ({}, ['POWERDOWN']))
    check('a line for people waits, too',
          (c.value('human-monitor-command', **{'command_line': 'cont'}), c.value('query-status')['running']),
          ('', True))
    check('text of a line', c.value('human-monitor-command', **{'command_line': 'info status'}),
          'VM status: running\r\n')
    check('an unknown line', 'unknown command' in c.value('human-monitor-command', **{'command_line': 'nonsense'}))


def questions(c):
    cpus = c.value('query-cpus-fast')
    check('vCPUs', [(p['cpu-index'], p['qom-path']) for p in cpus],
          [(0, '/machine/unattached/device[0]'), (1, '/machine/unattached/device[1]')])
    check('their threads', all(os.path.exists(f"/proc/{p['thread-id']}") for p in cpus))
    check('name', c.value('query-name'), {'name': 'a "name"'})
    check('uuid', c.value('query-uuid'), {'UUID': '12345678-1234-1234-1234-123456789abc'})
    check('memory', c.value('query-memory-size-summary'), {'base-memory': 64 << 20})
    check('block', {b['qdev'] for b in c.value('query-block')},
          {'/machine/peripheral/blk0/virtio-backend', '/machine/peripheral/cd0'})
    check('nodes', {n['node-name'] for n in c.value('query-named-block-nodes')},
          {'disk', 'disk-file', '#block-disc', '#file-disc'})
    check('block statistics', {s['qdev'] for s in c.value('query-blockstats')},
          {'/machine/peripheral/blk0/virtio-backend', '/machine/peripheral/cd0'})
    check('PCI', {d['qdev_id'] for d in c.value('query-pci')[0]['devices']} >= {'blk0', 'video0'})
    check('character devices', {k['label']: k['filename'][:4] for k in c.value('query-chardev')},
          {'charserial0': 'pty:', 'ring': 'ring', 'qmp': 'unix', 'hmp': 'unix'})
    check('mice', [m['current'] for m in c.value('query-mice')].count(True), 1)
    check('VNC', c.value('query-vnc')['enabled'], False)
    check('no balloon', c.error('query-balloon'), 'DeviceNotActive')
    check('no I/O threads', c.value('query-iothreads'), [])
    peripherals = {p['name']: p['type'] for p in c.value('qom-list', path='/machine/peripheral')}
    check('objects', (peripherals['video0'], peripherals['serial0']), ('child<VGA>', 'child<isa-serial>'))
    check('a property', c.value('qom-get', path='/machine/peripheral/video0', property='vgamem_mb'), 16)
    check('an unknown object', c.error('qom-list', path='/machine/nothing'), 'DeviceNotFound')
    cpu = c.value('qom-list-get', paths=['/machine/unattached/device[0]'])[0]['properties']
    check('a vCPU with its features', {p['name']: p.get('value') for p in cpu}['sse2'])


def picture_and_keys(c):
    picture = path('shot.png')
    check('screendump', c.value('screendump', filename=picture, format='png'), {})
    check('it is a PNG', open(picture, 'rb').read(8), b'\x89PNG\r\n\x1a\n')
    check('screendump nowhere', c.error('screendump', filename='/nonexistent/x'), 'GenericError')
    check('send-key', c.value('send-key', keys=[{'type': 'qcode', 'data': 'ctrl'}, {'type': 'number', 'data': 30}]), {})
    check('unknown key', c.error('send-key', keys=[{'type': 'qcode', 'data': 'nokey'}]), 'GenericError')
    check('pointer', c.value('input-send-event', events=[
        {'type': 'btn', 'data': {'button': 'left', 'down': True}},
        {'type': 'rel', 'data': {'axis': 'x', 'value': 5}}]), {})
    check('pointer, nonsense', c.error('input-send-event', events=[{'type': 'btn'}]), 'GenericError')
    check('NMI', c.value('inject-nmi'), {})
    memory = path('memory')
    check('pmemsave', c.value('pmemsave', val=0xffff0, size=16, filename=memory), {})
    check('the reset vector is a far jump', open(memory, 'rb').read(1), b'\xea')


def come_and_go(c):
    check('device_add', c.value('device_add', driver='usb-mouse', id='m0'), {})
    check('it is there', 'm0' in [p['name'] for p in c.value('qom-list', path='/machine/peripheral')])
    check('the same id again', c.error('device_add', driver='usb-mouse', id='m0'), 'GenericError')
    check('device_del', c.value('device_del', id='m0'), {})
    check('DEVICE_DELETED', c.wait_event('DEVICE_DELETED')['data'],
          {'device': 'm0', 'path': '/machine/peripheral/m0'})
    check('device_del of nothing', c.error('device_del', id='m0'), 'DeviceNotFound')
    check('netdev_add', c.value('netdev_add', type='hubport', id='h0', hubid=0), {})
    check('the same id again', c.error('netdev_add', type='hubport', id='h0', hubid=0), 'GenericError')
    check('netdev_del', c.value('netdev_del', id='h0'), {})
    check('netdev_del of nothing', c.error('netdev_del', id='h0'), 'DeviceNotFound')
    check('object-add', c.value('object-add', **{'qom_type': 'secret', 'id': 's0', 'data': 'x'}), {})
    check('object-del', c.value('object-del', id='s0'), {})
    check('object-add as it was before', c.value('object-add', **{'qom_type': 'rng-random', 'id': 'r0',
                                                                  'props': {'filename': '/dev/zero'}}), {})
    check('object-add of what cannot be', c.error('object-add', **{'qom_type': 'rng-random', 'id': 'r1',
                                                                   'filename': '/nowhere/at/all'}), 'GenericError')
    check('object-del of a source', [c.value('object-del', id='r0'), c.error('object-del', id='r1')],
          [{}, 'GenericError'])
    check('object-del of nothing', c.error('object-del', id='s0'), 'GenericError')


def network(c):
    check('query-rx-filter', c.value('query-rx-filter', name='net0'), [
        {'name': 'net0', 'promiscuous': True, 'multicast': 'normal', 'unicast': 'normal', 'vlan': 'all',
         'broadcast-allowed': True, 'multicast-overflow': False, 'unicast-overflow': False,
         'main-mac': '52:54:00:11:22:33', 'vlan-table': [], 'unicast-table': [], 'multicast-table': []}])
    check('query-rx-filter of all', [f['name'] for f in c.value('query-rx-filter')], ['net0'])
    check('query-rx-filter of a back end', c.error('query-rx-filter', name='hostnet0'), 'GenericError')
    check('query-rx-filter of nothing', c.error('query-rx-filter', name='nothing'), 'GenericError')
    check('announce-self', c.value('announce-self', initial=50, max=550, rounds=2, step=50), {})
    check('announce-self without end', c.error('announce-self', initial=50, max=550, rounds=100000, step=50), 'GenericError')


def media(c, second):
    check('eject', c.value('eject', id='cd0'), {})
    check('the tray moved', c.wait_event('DEVICE_TRAY_MOVED')['data']['tray-open'])
    check('it is empty', [b for b in c.value('query-block') if b['qdev'].endswith('cd0')][0].get('inserted'), None)
    check('another medium', c.value('blockdev-change-medium', id='cd0', filename=second, format='raw'), {})
    check('a medium that is not there', c.error('blockdev-change-medium', id='cd0', filename='/no/file'), 'GenericError')
    check('node by node: file', c.value('blockdev-add', driver='file', node_name='f1', filename=second), {})
    check('node by node: format', c.value('blockdev-add', driver='raw', node_name='n1', file='f1',
                                          **{'read_only': True}), {})
    check('a node twice', c.error('blockdev-add', driver='raw', node_name='n1', file='f1'), 'GenericError')
    check('open the tray', c.value('blockdev-open-tray', id='cd0'), {})
    c.value('blockdev-remove-medium', id='cd0')
    check('insert', c.value('blockdev-insert-medium', id='cd0', node_name='n1'), {})
    check('close the tray', c.value('blockdev-close-tray', id='cd0'), {})
    check('the node is in the drive', [b['inserted']['node-name'] for b in c.value('query-block')
                                       if b['qdev'].endswith('cd0')], ['n1'])
    check('it cannot be deleted now', c.error('blockdev-del', node_name='n1'), 'GenericError')
    check('with the tray closed nothing is taken out', c.error('blockdev-remove-medium', id='cd0'), 'GenericError')
    check('nor put in', c.error('blockdev-insert-medium', id='cd0', node_name='n1'), 'GenericError')
    check('open it again', c.value('blockdev-open-tray', id='cd0'), {})
    check('query-block tells', [b['tray_open'] for b in c.value('query-block') if b['qdev'].endswith('cd0')], [True])
    c.events = []
    check('opening an open tray is no news', (c.value('blockdev-open-tray', id='cd0'), c.names()), ({}, []))
    check('take it out', c.value('blockdev-remove-medium', id='cd0'), {})
    check('delete the node', c.value('blockdev-del', node_name='n1'), {})
    check('and its file', c.value('blockdev-del', node_name='f1'), {})
    check('resize', c.value('block_resize', node_name='disk', size=2 << 20), {})


def character_devices(c):
    check('ring buffer', c.value('ringbuf-write', device='ring', data='hello'), {})
    check('read back', c.value('ringbuf-read', device='ring', size=3), 'hel')
    check('base64', c.value('ringbuf-read', device='ring', size=9, format='base64'), 'bG8=')
    check('no ring buffer', c.error('ringbuf-read', device='charserial0', size=1), 'GenericError')
    pty = c.value('chardev-add', id='p0', backend={'type': 'pty', 'data': {}})['pty']
    check('chardev-add pty', os.path.exists(pty))
    check('chardev-remove', c.value('chardev-remove', id='p0'), {})
    check('one in use stays', c.error('chardev-remove', id='charserial0'), 'GenericError')
    ours, theirs = socket.socketpair()
    c.send_fd(theirs.fileno(), b'{"execute":"getfd","arguments":{"fdname":"x"}}\n')
    theirs.close()
    check('getfd', c.answer().get('return'), {})
    check('getfd without one', c.error('getfd', fdname='y'), 'GenericError')
    check('a socket from a descriptor', c.value('chardev-add', id='k0', backend={
        'type': 'socket', 'data': {'addr': {'type': 'fd', 'data': {'str': 'x'}}, 'server': False}}), {})
    check('the name is used up', c.error('closefd', fdname='x'), 'GenericError')
    c.value('chardev-remove', id='k0')
    ours.settimeout(WAIT)
    check('it is closed with the device', ours.recv(1), b'')
    ours.close()


def power_off(c):
    """The guest's own end, under -no-shutdown; a write to the ACPI registers, which are there once
    firmware has placed them, does what a guest does."""
    c.value('cont')
    c.events = []
    deadline = time.time() + WAIT
    while c.value('query-status')['status'] != 'shutdown' and time.time() < deadline:
        c.value('human-monitor-command', **{'command_line': 'o /w 0x604 0x2000'})
        time.sleep(0.02)
    check('power-off is told', c.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-shutdown'})
    check('and stops the machine', c.wait_event('STOP')['event'], 'STOP')
    check('cont does not help', (c.value('cont'), c.value('query-status')['status']), ({}, 'shutdown'))
    check('a reset does', (c.value('system_reset'), c.value('cont'), c.value('query-status')['status']),
          ({}, {}, 'running'))


def people(hmp_path, c):
    """The other monitor, a line after the other."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(hmp_path)
    s.settimeout(WAIT)
    text = b''

    def until(end):
        nonlocal text
        while end not in text:
            data = s.recv(65536)
            if not data:
                break
            text += data
        got, text = text.partition(end)[0], text.partition(end)[2]
        return got.decode(errors='replace')

    check('hmp: greeting', 'Transom' in until(b'(qemu) '))
    s.sendall(b'stop\ninfo status\n')
    until(b'(qemu) ')
    check('hmp: stop, then status', 'VM status: paused\r\n' in until(b'(qemu) '))
    items = [line for line in c.value('human-monitor-command', **{'command_line': 'info'}).split('\r\n') if line]
    names = [line.split()[1] for line in items]
    for want in ('status registers mem tlb mtree qtree pci block network irq pic lapic version cpus chardev jit roms '
                 'kvm uuid name state usb mice vnc snapshots history usernet blockstats').split():
        if want not in names:
            check(f'hmp: info {want}', False)
    for name in names:
        s.sendall(b'info ' + name.encode() + b'\n')
        got = until(b'(qemu) ')
        if 'unknown' in got:
            check(f'hmp: info {name}', got, 'something')
    check('hmp: all info items answer', True)
    s.sendall(b'info registers -a\n')
    check('hmp: registers of both vCPUs', until(b'(qemu) ').count('CPU#'), 2)
    s.sendall(b'cpu 1\n')
    until(b'(qemu) ')
    s.sendall(b'info cpus\n')
    check('hmp: the chosen vCPU is marked', '* CPU #1' in until(b'(qemu) '))
    s.sendall(b'eject nothing\n')
    check('hmp: errors', "Error: Device 'nothing' not found" in until(b'(qemu) '))
    s.sendall(b'sendkey a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q\n')
    check('hmp: too many keys', 'more than 16 keys' in until(b'(qemu) '))
    s.sendall(b'ringbuf_write ring "two words"\n')
    until(b'(qemu) ')
    s.sendall(b'ringbuf_read ring 20\n')
    check('hmp: arguments', 'two words' in until(b'(qemu) '))
    s.sendall(b'info regis\t')
    check('hmp: completion', 'info registers ' in until(b'registers ') + 'registers ')
    s.sendall(b'\x15eject cd\t\n')
    check('hmp: completion of a drive', 'cd0 ' in until(b'(qemu) '))
    s.close()


def machine():
    qmp, hmp = path('vm.sock'), path('hmp.sock')
    disk, disc, second = path('disk.raw'), path('disc.raw'), path('second.raw')
    for name in disk, disc, second:
        with open(name, 'wb') as f:
            f.truncate(1 << 20)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(qmp)
    listening.listen(1)
    vm = start('-name', 'guest=a "name",debug-threads=on', '-S', '-m', '64', '-smp', '2', '-display', 'none',
               '-uuid', '12345678-1234-1234-1234-123456789abc', '-no-user-config', '-nodefaults',
               '-object', '{"qom-type":"memory-backend-ram","id":"pc.ram","size":67108864}',
               '-machine', 'pc,usb=on,dump-guest-core=off,memory-backend=pc.ram', '-no-shutdown',
               '-chardev', f'socket,id=qmp,fd={listening.fileno()},server=on,wait=off',
               '-mon', 'chardev=qmp,id=monitor,mode=control',
               '-chardev', f'socket,id=hmp,path={hmp},server=on,wait=off', '-mon', 'hmp',
               '-chardev', 'pty,id=charserial0', '-device', '{"driver":"isa-serial","chardev":"charserial0","id":"serial0"}',
               '-chardev', 'ringbuf,id=ring', '-device', 'VGA,id=video0', '-device', 'usb-tablet',
               '-blockdev', json.dumps({'driver': 'file', 'filename': disk, 'node-name': 'disk-file'}),
               '-blockdev', '{"driver":"raw","node-name":"disk","file":"disk-file"}',
               '-device', '{"driver":"virtio-blk-pci","drive":"disk","id":"blk0"}',
               '-drive', f'file={disc},format=raw,if=none,id=disc,media=cdrom', '-device', 'ide-cd,drive=disc,id=cd0',
               '-netdev', '{"type":"hubport","id":"hostnet0","hubid":0}',
               '-device', '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:11:22:33"}',
               '-msg', 'timestamp=on', pass_fds=[listening.fileno()])
    listening.close()
    try:
        raw = Client(qmp, greet=False)
        check('greeting of a machine', 'QMP' in raw.read())
        grammar(raw)
        raw.close()
        c = Client(qmp)                # it accepts again
        run_control(c)
        questions(c)
        picture_and_keys(c)
        come_and_go(c)
        network(c)
        media(c, second)
        character_devices(c)
        people(hmp, c)
        power_off(c)
        c.events = []
        vm.send_signal(signal.SIGTERM)
        check('SIGTERM is told', c.wait_event('SHUTDOWN')['data'], {'guest': False, 'reason': 'host-signal'})
        check('and ends it', vm.wait(WAIT), 0)
    finally:
        vm.kill()
        vm.wait()


def pretty():
    sock = path('pretty.sock')
    vm = start('-display', 'none', '-nodefaults', '-machine', 'none', '-qmp-pretty', f'unix:{sock},server=on,wait=off')
    try:
        s = Client(sock, greet=False).sock
        s.sendall(b'{"execute":"qmp_capabilities"}{"execute":"query-target"}{"execute":"quit"}')
        text = b''
        while True:
            data = s.recv(65536)
            if not data:
                break
            text += data
        check('indented text', b'{\n    "return": {\n        "arch": "x86_64"\n    }\n}' in text)
        check('quit ends it', vm.wait(WAIT), 0)
    finally:
        vm.kill()
        vm.wait()


sys.exit(run_parts(probe, pretty, machine))
