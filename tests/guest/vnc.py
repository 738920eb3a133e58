#!/usr/bin/env python3
"""vnc.py - the VNC server as programs see it: connections of every kind, events, passwords that
change and expire, clients by descriptor, a picture that changes its size. Prints ok and FAIL lines.

  vnc.py TRANSOM DIRECTORY
"""
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from qmpclient import Client, TRANSOM, WAIT, check, path, run_parts, start, until  # noqa: E402
from rfbclient import Refused, Rfb, response  # noqa: E402


class Machine:
    """A PC that is not started"""

    def __init__(self, *args):
        qmp = path('vnc-qmp.sock')
        self.process = start('-S', '-m', '32', '-net', 'none', '-name', 'seen', '-display', 'none',
                             '-qmp', f'unix:{qmp},server=on,wait=off', *args)
        self.qmp = Client(qmp)

    def __enter__(self):
        return self.qmp

    def __exit__(self, *why):
        self.process.kill()
        self.process.wait()


def free_display():
    """A display number of whose two ports nobody listens at either, by the kernel's choice."""
    while True:
        with socket.socket() as main, socket.socket() as web:
            main.bind(('127.0.0.1', 0))
            port = main.getsockname()[1]
            try:
                web.bind(('127.0.0.1', port - 200))
            except OSError:
                continue
            if port >= 5900:
                return port - 5900


def place(server):
    """(host, port) of what query-vnc says"""
    return server['host'], int(server['service'])


def info(c):
    return c.value('human-monitor-command', **{'command_line': 'info vnc'})


def end(host='127.0.0.1', service=None, family='ipv4', websocket=False):
    return {'host': host, 'service': service, 'family': family, 'websocket': websocket}


def events(c, client, server):
    """The three of one connection, in order and to the letter."""
    for name in 'VNC_CONNECTED', 'VNC_INITIALIZED', 'VNC_DISCONNECTED':
        check(f'{name} of {client["family"]}{", WebSocket" if client["websocket"] else ""}',
              c.wait_event(name)['data'], {'server': server, 'client': client})


def connections():
    display = free_display()
    with Machine('-vnc', f'127.0.0.1:{display},to=59635,websocket=on') as c:
        main, web = [s for s in c.value('query-vnc-servers')[0]['server']]
        check('query-vnc', c.value('query-vnc'),
              {'enabled': True, 'host': '127.0.0.1', 'service': main['service'], 'family': 'ipv4', 'auth': 'none',
               'clients': []})
        check('the port of a display is 5900 and more', int(main['service']) >= 5900 + display)
        check('the WebSocket has its own', int(web['service']), int(main['service']) - 200)
        check('query-vnc-servers', c.value('query-vnc-servers'), [
            {'id': 'default', 'auth': 'none', 'clients': [],
             'server': [{**end(service=main['service']), 'auth': 'none'},
                        {**end(service=web['service'], websocket=True), 'auth': 'none'}]}])
        for server in main, web:
            ws = server['websocket']
            name = 'WebSocket' if ws else 'TCP'
            v = Rfb(place(server), websocket=ws)
            us = end(service=str(v.sock.getsockname()[1]), websocket=ws)
            check(f'{name}: protocol', v.version, b'RFB 003.008\n')
            check(f'{name}: security', v.security, [1])
            check(f'{name}: desktop name', v.name, 'QEMU (seen)')
            v.update()
            check(f'{name}: a whole picture', v.pixels, v.width * v.height)
            check(f'{name}: query-vnc tells', until(lambda: c.value('query-vnc')['clients'] == [us]))
            check(f'{name}: info vnc tells', f"Client: 127.0.0.1:{us['service']} (ipv4{', websocket' if ws else ''})" in info(c))
            v.close()
            events(c, us, server)
            check(f'{name}: query-vnc forgets', until(lambda: c.value('query-vnc')['clients'] == []))
        taken = subprocess.run([TRANSOM, '-vnc', f"127.0.0.1:{int(main['service']) - 5900}"], capture_output=True,
                               stdin=subprocess.DEVNULL, timeout=WAIT)
        check('a port in use is named', (taken.returncode, taken.stderr.count(b'\n'),
                                         f"port {main['service']} is in use".encode() in taken.stderr), (1, 1, True))


def unix_socket():
    sock = path('vnc.sock')
    with Machine('-vnc', f'unix:{sock}') as c:
        server = {'host': '', 'service': sock, 'family': 'unix'}
        check('unix: query-vnc', c.value('query-vnc'), {'enabled': True, **server, 'auth': 'none', 'clients': []})
        v = Rfb(sock)
        v.update()
        check('unix: a whole picture', v.pixels, v.width * v.height)
        v.close()
        events(c, end(host='', service='', family='unix'), {**server, 'websocket': False, 'auth': 'none'})
        c.value('quit')
        check('unix: the socket goes with the machine', until(lambda: not os.path.exists(sock)))


def resize():
    """Writes to the adapter's registers do what a guest does."""
    sock = path('vnc.sock')
    with Machine('-vnc', f'unix:{sock}') as c:
        v = Rfb(sock)
        v.update()
        check('resize: text', (v.width, v.height, v.pixels), (720, 400, 720 * 400))
        lines = [f'o /w {port:#x} {value}' for index, value in ((1, 800), (2, 600), (3, 32), (4, 0x41))
                 for port, value in ((0x1ce, index), (0x1cf, value))]
        for line in lines + ['i /b 0x3ba', 'o /b 0x3c0 0x20']:     # the last: show it
            c.value('human-monitor-command', **{'command_line': line})
        while not v.sizes:
            v.update(incremental=True)
        check('resize: what the guest chose', v.sizes, [(800, 600)])
        v.pixels = 0
        v.update()
        check('resize: the new picture is whole', v.pixels, 800 * 600)


def allowed(sock, password):
    try:
        Rfb(sock, password).close()
        return True
    except Refused:
        return False


def passwords():
    try:
        response(b'0' * 16, 'x')
    except OSError:
        print('skip vnc passwords: no libvncclient.so.1')
        return
    sock = path('vnc.sock')
    with Machine('-vnc', f'unix:{sock},password=on') as c:
        check('password: auth', c.value('query-vnc')['auth'], 'vnc')
        check('password: until one is set nobody is let in', allowed(sock, ''), False)
        check('set_password', c.value('set_password', protocol='vnc', password='sesame', connected='keep'), {})
        check('password: right', allowed(sock, 'sesame'))
        check('password: wrong', allowed(sock, 'Sesame'), False)
        check('password: security type', Rfb(sock, 'sesame').security, [2])
        seen = Rfb(sock, 'sesame')
        check('change-vnc-password', c.value('change-vnc-password', password='other'), {})
        check('password: the old one is none', allowed(sock, 'sesame'), False)
        check('password: the new one is', allowed(sock, 'other'))
        check('expire_password now', c.value('expire_password', protocol='vnc', time='now'), {})
        check('password: expired', allowed(sock, 'other'), False)
        check('expire_password never', c.value('expire_password', protocol='vnc', time='never'), {})
        check('password: good again', allowed(sock, 'other'))
        check('expire_password in the past', c.value('expire_password', protocol='vnc', time='1'), {})
        check('password: expired long ago', allowed(sock, 'other'), False)
        check('expire_password in an hour', c.value('expire_password', protocol='vnc', time='+3600'), {})
        check('password: for an hour', allowed(sock, 'other'))
        check('expire_password on a line',
              c.value('human-monitor-command', **{'command_line': 'expire_password vnc now'}), '')
        check('password: expired by a person', allowed(sock, 'other'), False)
        for time in '', 'later', '+', '-1', '+1x', '9' * 30:
            check(f"expire_password: '{time}'", c.error('expire_password', protocol='vnc', time=time), 'GenericError')
        seen.update()
        check('password: who is connected stays', seen.pixels > 0)
        check('set_password: connected=disconnect', c.error('set_password', protocol='vnc', password='x',
                                                            connected='disconnect'), 'GenericError')
        check('set_password: spice', c.error('set_password', protocol='spice', password='x'), 'GenericError')
        check('set_password: another display', c.error('set_password', protocol='vnc', password='x', display='no'),
              'GenericError')
    with Machine('-vnc', f'unix:{sock}') as c:
        check('set_password where none is asked for', c.error('set_password', protocol='vnc', password='x'),
              'GenericError')
        check('expire_password where none is asked for', c.error('expire_password', protocol='vnc', time='now'),
              'GenericError')


def by_descriptor():
    with Machine('-vnc', 'none,password=on') as c:
        check('none: query-vnc', c.value('query-vnc'), {'enabled': False, 'clients': []})
        for skip in True, False:
            ours, theirs = socket.socketpair()
            c.send_fd(theirs.fileno(), b'{"execute":"getfd","arguments":{"fdname":"viewer"}}\n')
            theirs.close()
            check('add_client: getfd', c.answer().get('return'), {})
            check('add_client', c.value('add_client', protocol='vnc', fdname='viewer', skipauth=skip), {})
            try:
                check(f'add_client: skipauth={skip}', Rfb(ours).security, [1])
            except Refused as why:
                check(f'add_client: skipauth={skip}', (skip, 'failed' in str(why)), (False, True))
            check('VNC_CONNECTED', c.wait_event('VNC_CONNECTED')['data']['client'], end(host='', service='', family='unix'))
            ours.close()
        check('add_client: no descriptor', c.error('add_client', protocol='vnc', fdname='viewer'), 'GenericError')
        check('add_client: no protocol', c.error('add_client', protocol='x', fdname='viewer'), 'GenericError')


def sharing():
    sock = path('vnc.sock')
    with Machine('-vnc', f'unix:{sock},connections=2'):
        first, second = Rfb(sock), Rfb(sock)
        third = socket.socket(socket.AF_UNIX)
        third.settimeout(WAIT)
        third.connect(sock)
        check('connections=2: a third is hung up on', third.recv(12), b'')
        first.close()
        second.close()
    with Machine('-vnc', f'unix:{sock},share=allow-exclusive'):
        first = Rfb(sock)
        Rfb(sock, shared=False)
        check('who does not share has it alone', first.gone())
    with Machine('-vnc', f'unix:{sock},share=force-shared'):
        first = Rfb(sock)
        try:
            check('force-shared: who does not share goes', Rfb(sock, shared=False).gone())
        except EOFError:
            check('force-shared: who does not share goes', True)
        first.update()
        check('force-shared: the first stays', first.pixels > 0)


sys.exit(run_parts(connections, unix_socket, resize, passwords, by_descriptor, sharing))
