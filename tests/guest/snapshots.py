#!/usr/bin/env python3
"""snapshots.py - jobs, snapshots of disks and dumps of memory, as management programs ask for them.
Prints ok and FAIL lines.

  snapshots.py TRANSOM DIRECTORY
"""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from qmpclient import Client, TRANSOM, WAIT, check, path, run_parts, start  # noqa: E402

IMG = TRANSOM + '-img'
SIZE = 8 << 20
PATTERN = bytes(range(256)) * 4096         # 1 MiB


def img(*args):
    return subprocess.run([IMG, *args], capture_output=True, text=True, timeout=WAIT)


def patterned(name):
    """A qcow2 image that begins with the pattern, by its absolute name."""
    raw, file = path(name + '.raw'), os.path.abspath(path(name))
    with open(raw, 'wb') as f:
        f.write(PATTERN)
        f.truncate(SIZE)
    if img('convert', '-f', 'raw', '-O', 'qcow2', raw, file).returncode:
        raise OSError(f'cannot make {file}')
    return file


def shows_pattern(file):
    raw = path('read.raw')
    done = img('convert', '-f', 'qcow2', '-O', 'raw', file, raw)
    return done.returncode == 0 and open(raw, 'rb').read(len(PATTERN)) == PATTERN and os.path.getsize(raw) == SIZE


def images(c):
    """Which file each drive has, and how many are below it."""
    return {n['node-name']: (os.path.basename(n['file']), n['backing_file_depth'])
            for n in c.value('query-named-block-nodes')
            if n['drv'] != 'file' and n['node-name'] != '#block-temporary'}


def create(c, job, **options):
    return c('blockdev-create', job_id=job, options={k.replace('_', '-'): v for k, v in options.items()})


def conclude(c, job):
    """What became of @job, which is dismissed."""
    found = [j for j in c.value('query-jobs') if j['id'] == job]
    c.value('job-dismiss', id=job)
    return (found[0]['status'], found[0]['type'], 'error' in found[0]) if found else None


def jobs(c, disk):
    check('no jobs', (c.value('query-jobs'), c.value('query-block-jobs')), ([], []))
    for name in 'dismiss', 'cancel', 'complete', 'finalize', 'pause', 'resume':
        check(f'job-{name} of nothing', c.error('job-' + name, id='j'), 'GenericError')
    for name in 'cancel', 'complete', 'pause', 'resume':
        check(f'block-job-{name} of nothing', c.error('block-job-' + name, device='j'), 'DeviceNotActive')
    upper = os.path.abspath(path('upper.qcow2'))
    c.events = []
    check('a file is made', create(c, 'file', driver='file', filename=upper, size=0)['return'], {})
    check('its life is told', [e['data']['status'] for e in c.events],
          ['created', 'running', 'waiting', 'pending', 'concluded'])
    check('it has concluded', c.value('query-jobs'), [{'id': 'file', 'type': 'create', 'status': 'concluded',
                                                       'current-progress': 1, 'total-progress': 1}])
    check('too late to cancel', c.error('job-cancel', id='file'), 'GenericError')
    check('its name is taken', 'error' in create(c, 'file', driver='file', filename=upper, size=0))
    c.events = []
    c.value('job-dismiss', id='file')
    check('the end is told', [e['data'] for e in c.events], [{'status': 'null', 'id': 'file'}])
    check('a node over it', c.value('blockdev-add', driver='file', node_name='upper-file', filename=upper), {})
    check('an image', create(c, 'image', driver='qcow2', file='upper-file', size=SIZE, cluster_size=65536,
                             backing_file=disk, backing_fmt='qcow2')['return'], {})
    check('is made', conclude(c, 'image'), ('concluded', 'create', False))
    c.events = []
    create(c, 'used', driver='qcow2', file='disk-file', size=SIZE)
    check('not over one in use', conclude(c, 'used'), ('concluded', 'create', True))
    check('which is told', [e['data']['status'] for e in c.events][2:4], ['aborting', 'concluded'])
    create(c, 'full', driver='file', filename='/no/folder/x', size=1)
    check('nor nowhere', conclude(c, 'full'), ('concluded', 'create', True))
    for wrong in ({'driver': 'rbd'}, {'driver': 'file'}, {'driver': 'qcow2', 'file': 'none', 'size': 1},
                  {'driver': 'qcow2', 'file': 'upper-file', 'size': -1},
                  {'driver': 'qcow2', 'file': 'upper-file', 'size': 1, 'cluster-size': 1 << 40},
                  {'driver': 'qcow2', 'file': 'upper-file', 'size': 1, 'version': 'v9'},
                  {'driver': 'qcow2', 'file': 'upper-file', 'size': 1, 'surprise': 1}):
        check(f'blockdev-create {wrong}', c.error('blockdev-create', job_id='w', options=wrong), 'GenericError')
    check('none of which is a job', c.value('query-jobs'), [])


def external(c):
    before = images(c)
    c.value('blockdev-add', driver='qcow2', node_name='upper', file='upper-file', backing=None)
    above = {'type': 'blockdev-snapshot', 'data': {'node': 'disk', 'overlay': 'upper'}}
    nowhere = {'type': 'blockdev-snapshot-sync', 'data': {'device': 'plain', 'snapshot-file': '/no/folder/x'}}
    check('a transaction that fails', c.error('transaction', actions=[above, nowhere]), 'GenericError')
    check('has changed nothing', images(c), before)
    plain = os.path.abspath(path('plain-1.qcow2'))
    good = {'type': 'blockdev-snapshot-sync', 'data': {'device': 'plain', 'snapshot-file': plain, 'format': 'qcow2'}}
    check('one that does not', c.value('transaction', actions=[above, good]), {})
    check('has put both above', images(c), {'upper': ('upper.qcow2', 1), '#block-plain': ('plain-1.qcow2', 1),
                                            '#block-cd': ('cd.qcow2', 0)})
    check('the device knows', [b['inserted']['node-name'] for b in c.value('query-block')
                               if b['qdev'].startswith('/machine/peripheral/blk0/')], ['upper'])
    check('what is below stays', c.error('blockdev-del', node_name='disk'), 'GenericError')
    check('again', c.error('blockdev-snapshot', node='upper', overlay='upper'), 'GenericError')
    check('no such node', c.error('blockdev-snapshot', node='none', overlay='upper'), 'DeviceNotFound')
    small, text = os.path.abspath(path('small.qcow2')), os.path.abspath(path('text.qcow2'))
    img('create', '-f', 'qcow2', small, str(SIZE // 2))
    with open(text, 'w') as f:
        f.write('no image\n')
    before = images(c)
    for why, file in ('too small', small), ('no image', text), ('not there', '/no/file'):
        check(f'an upper image that is {why}',
              c.error('blockdev-snapshot-sync', device='plain', snapshot_file=file, mode='existing'), 'GenericError')
    for drive in 'cd', 'temporary':
        check(f'not above {drive}', c.error('blockdev-snapshot-sync', device=drive, snapshot_file=plain + 'x'),
              'GenericError')
    check('leave all as it was', (images(c), os.path.exists(plain + 'x')), (before, False))
    check('the prompt has it, too', c.value('human-monitor-command', command_line='snapshot_blkdev plain '
                                            + os.path.abspath(path('plain-2.qcow2'))), '')
    check('above the other', images(c)['#block-plain'], ('plain-2.qcow2', 2))


def internal(c):
    check('a snapshot inside', c.value('blockdev-snapshot-internal-sync', device='plain', name='one'), {})
    check('its name is taken', c.error('blockdev-snapshot-internal-sync', device='plain', name='one'), 'GenericError')
    two = [{'type': 'blockdev-snapshot-internal-sync', 'data': {'device': d, 'name': 'two'}} for d in ('plain', 'blk0')]
    check('two disks, of which one fails', c.error('transaction', actions=two + two[:1]), 'GenericError')
    shown = c.value('human-monitor-command', command_line='info snapshots')
    check('leave none', ('one' in shown, 'two' in shown), (True, False))
    check('two disks', c.value('transaction', actions=two), {})
    gone = c.value('blockdev-snapshot-delete-internal-sync', device='plain', name='one')
    check('deleting tells what it was', (gone['name'], gone['vm-state-size']), ('one', 0))
    check('it is gone', c.error('blockdev-snapshot-delete-internal-sync', device='plain', name='one'), 'GenericError')
    check('from all', c.value('snapshot-delete', job_id='s', tag='two', devices=['upper', 'plain']), {})
    check('as a job', conclude(c, 's'), ('concluded', 'snapshot-delete', False))
    check('of an unknown disk', (c.value('snapshot-delete', job_id='s', tag='two', devices=['none']),
                                 conclude(c, 's')), ({}, ('concluded', 'snapshot-delete', True)))
    c.value('transaction', actions=two)
    check('from all, at the prompt', c.value('human-monitor-command', command_line='delvm two'), '')
    check('again', 'not found' in c.value('human-monitor-command', command_line='delvm two'))
    check('none is left', 'no snapshot' in c.value('human-monitor-command', command_line='info snapshots'))
    check('the state of the machine is not saved', c.error('snapshot-save', job_id='s'), 'CommandNotFound')


def core(file):
    """Registers of each vCPU, pieces of memory as (address, bytes in the file at)."""
    data = open(file, 'rb').read()
    ident, kind, machine, _, _, phoff = struct.unpack_from('<16sHHIQQ', data)
    count = struct.unpack_from('<H', data, 56)[0]
    regs, memory = [], []
    for i in range(count):
        p_type, _, off, _, paddr, size = struct.unpack_from('<IIQQQQ', data, phoff + 56 * i)
        if p_type == 4:
            regs = [struct.unpack_from('<27Q', data, at + 20 + 112) for at in range(off, off + size, 356)]
        else:
            memory.append((paddr, data[off:off + size]))
    return (ident[:5], kind, machine), regs, memory


def dumps(c):
    file = os.path.abspath(path('core'))
    check('no dump yet', c.value('query-dump'), {'total': 0, 'status': 'none', 'completed': 0})
    check('formats', c.value('query-dump-guest-memory-capability'), {'formats': ['elf']})
    c.events = []
    check('dump', c.value('dump-guest-memory', paging=False, protocol='file:' + file), {})
    done = {'total': 16 << 20, 'status': 'completed', 'completed': 16 << 20}
    check('its end is told', [e['data'] for e in c.events], [{'result': done}])
    check('and can be asked for', c.value('query-dump'), done)
    kind, regs, memory = core(file)
    check('an ELF core', kind, (b'\x7fELF\x02', 4, 62))
    check('two vCPUs at the reset vector', [(r[16], r[17]) for r in regs], [(0xfff0, 0xf000)] * 2)
    check('all memory', [(at, len(bytes)) for at, bytes in memory], [(0, 16 << 20)])
    with tempfile.TemporaryFile() as f:
        c.send_fd(f.fileno(), b'{"execute":"getfd","arguments":{"fdname":"to"}}\n')
        c.answer()
        check('a part, into a descriptor', c.value('dump-guest-memory', paging=False, protocol='fd:to', detach=True,
                                                   begin=4096, length=8192), {})
        f.seek(0, 2)
        check('has that size', f.tell(), 4096 + 8192)
    c.events = []
    check('a full disk', c.error('dump-guest-memory', paging=False, protocol='file:/dev/full'), 'GenericError')
    check('is told', [e['data']['result']['status'] for e in c.events], ['failed'])
    for wrong in ({'paging': True, 'protocol': 'file:' + file}, {'paging': False, 'protocol': 'tape:0'},
                  {'paging': False, 'protocol': 'fd:none'}, {'paging': False, 'protocol': 'file:/no/folder/x'},
                  {'paging': False, 'protocol': 'file:' + file, 'begin': 0},
                  {'paging': False, 'protocol': 'file:' + file, 'begin': 1 << 40, 'length': 1},
                  {'paging': False, 'protocol': 'file:' + file, 'begin': 1 << 40, 'length': 1, 'detach': True},
                  {'paging': False, 'protocol': 'fd:none', 'detach': True},
                  {'paging': False, 'protocol': 'file:' + file, 'format': 'kdump-zlib'}):
        check(f'dump-guest-memory {wrong}', c.error('dump-guest-memory', **wrong), 'GenericError')
    check('memory onto a full disk', c.error('pmemsave', val=0, size=100, filename='/dev/full'), 'GenericError')
    check('nothing counts', (c.value('query-stats', target='vm'), c.value('query-stats-schemas')), ([], []))
    check('vCPUs stay', c.error('query-hotpluggable-cpus'), 'GenericError')
    os.unlink(file)


def machine():
    qmp = path('snap.sock')
    disk, plain, cd, temporary = (patterned(n) for n in ('disk.qcow2', 'plain.qcow2', 'cd.qcow2', 'temporary.qcow2'))
    vm = start('-S', '-m', '16', '-smp', '2', '-display', 'none', '-nodefaults', '-machine', 'pc',
               '-qmp', f'unix:{qmp},server=on,wait=off',
               '-blockdev', '{"driver":"file","filename":"%s","node-name":"disk-file"}' % disk,
               '-blockdev', '{"driver":"qcow2","file":"disk-file","node-name":"disk"}',
               '-device', 'virtio-blk-pci,drive=disk,id=blk0',
               '-drive', f'if=virtio,id=plain,format=qcow2,file={plain}',
               '-drive', f'if=ide,id=cd,media=cdrom,format=qcow2,file={cd}',
               '-drive', f'if=virtio,id=temporary,format=qcow2,snapshot=on,file={temporary}')
    try:
        c = Client(qmp)
        jobs(c, disk)
        external(c)
        internal(c)
        dumps(c)
        check('quit', c.value('quit'), {})
        check('ends it', vm.wait(WAIT), 0)
    finally:
        vm.kill()
        vm.wait()
    for file in 'plain-2.qcow2', 'upper.qcow2', 'disk.qcow2', 'plain.qcow2':
        check(f'{file} is sound', img('check', '-q', file).returncode, 0)
        check(f'{file} shows the same', shows_pattern(file))


sys.exit(run_parts(machine))
