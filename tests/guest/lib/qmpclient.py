"""qmpclient.py - a client of the machine protocol, and how the tests that use it tell results

A test is called with TRANSOM DIRECTORY; sockets and logs go to DIRECTORY. Lines begin "ok SUITE:" or
"FAIL SUITE:".
"""
import array
import json
import os
import socket
import subprocess
import sys
import time

TRANSOM, DIR = sys.argv[1], sys.argv[2]
SUITE = os.path.splitext(os.path.basename(sys.argv[0]))[0]
WAIT = 200         # longest time that anything may take


class Client:
    """One connection; events are kept in order of arrival."""

    def __init__(self, path, greet=True):
        deadline = time.time() + WAIT
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                if time.time() > deadline:
                    raise
                time.sleep(0.02)
        self.sock.settimeout(WAIT)
        self.buf = b''
        self.events = []
        self.greeting = self.read() if greet else None
        if greet:
            self('qmp_capabilities')

    def read(self):
        while True:
            line, sep, rest = self.buf.partition(b'\r\n')
            if sep:
                try:
                    value = json.loads(line)
                except ValueError:      # a pretty one: more lines belong to it
                    line, sep, rest = self.buf.partition(b'\r\n')
                    value = json.loads(line)
                self.buf = rest
                return value
            data = self.sock.recv(65536)
            if not data:
                raise EOFError('connection closed')
            self.buf += data

    def answer(self):
        while True:
            value = self.read()
            if 'event' not in value:
                return value
            self.events.append(value)

    def __call__(self, name, /, **args):
        request = {'execute': name}
        if args:
            request['arguments'] = {k.replace('_', '-') if k != 'node_name' else 'node-name': v
                                    for k, v in args.items()}
        self.sock.sendall(json.dumps(request).encode() + b'\n')
        return self.answer()

    def value(self, name, /, **args):
        return self(name, **args).get('return')

    def error(self, name, /, **args):
        return self(name, **args).get('error', {}).get('class')

    def names(self):
        names = [e['event'] for e in self.events]
        self.events = []
        return names

    def wait_event(self, name):
        for i, e in enumerate(self.events):
            if e['event'] == name:
                return self.events.pop(i)
        while True:
            value = self.read()
            if value.get('event') == name:
                return value
            self.events.append(value)

    def send_fd(self, fd, text):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))]
        self.sock.sendmsg([text], rights)

    def close(self):
        self.sock.close()


class Results:
    failed = False


def check(name, got, want=True):
    if got == want:
        print(f'ok {SUITE}: {name}')
    else:
        Results.failed = True
        print(f'FAIL {SUITE}: {name}: {got!r} instead of {want!r}'[:600])
    sys.stdout.flush()


def until(condition, seconds=WAIT):
    """Whether it becomes true."""
    deadline = time.time() + seconds
    while not condition():
        if time.time() > deadline:
            return False
        time.sleep(0.02)
    return True


def path(name):
    p = os.path.join(DIR, name)
    if os.path.exists(p):
        os.unlink(p)
    return p


def start(*args, **kw):
    err = open(os.path.join(DIR, SUITE + '.err'), 'wb')
    return subprocess.Popen([TRANSOM, *args], stdin=subprocess.DEVNULL, stdout=err, stderr=err, **kw)


def run_parts(*parts):
    """Each to its end or a failed test; returns the exit status."""
    for part in parts:
        try:
            part()
        except Exception as why:           # a lost connection is a failed test
            check(f'{part.__name__} went to its end', repr(why), 'no exception')
    return Results.failed
