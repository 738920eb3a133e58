"""linuxguest.py - a Linux guest whose init takes lines on its serial port, and its machine protocol"""
import re
import socket

from qmpclient import Client, WAIT, path, start, until


class Guest:
    """With hvc= its terminal is a virtconsole: the properties of that one's controller."""

    def __init__(self, name, kernel, initrd, *args, hvc=None):
        qmp, serial = path(f'{name}-qmp.sock'), path(f'{name}-serial.sock')
        console = ['-serial', f'unix:{serial},server=on,wait=on']
        if hvc is not None:
            console = ['-serial', 'none', '-chardev', f'socket,id=hvc,path={serial},server=on,wait=on',
                       '-device', f'virtio-serial-pci{hvc}', '-device', 'virtconsole,chardev=hvc']
        self.process = start('-display', 'none', '-net', 'none', '-kernel', kernel, '-initrd', initrd,
                             '-append', f'console={"ttyS0" if hvc is None else "hvc0"} panic=-1 quiet', *console,
                             '-qmp', f'unix:{qmp},server=on,wait=off', *args)
        self.text = b''
        self.serial = socket.socket(socket.AF_UNIX)
        self.serial.settimeout(2 * WAIT)
        until(lambda: self.serial.connect_ex(serial) == 0)
        self.qmp = Client(qmp)
        self.expect(b'guest=ready')

    def expect(self, pattern):
        """The first match of what the guest prints from now on."""
        while not (found := re.search(pattern, self.text)):
            data = self.serial.recv(4096)
            if not data:
                raise EOFError('the guest is gone')
            self.text += data
        self.text = self.text[found.end():]
        return found

    def send(self, line):
        self.serial.sendall(line.encode() + b'\n')

    def run(self, line):
        """The exit status of a line of shell."""
        self.send(line)
        return int(self.expect(rb'done=(\d+)\r')[1])

    def ask(self, line):
        """What it prints."""
        self.send(f'echo "answer=$({line})"')
        answer = self.expect(rb'answer=([^\r]*)\r')[1].decode()
        self.expect(rb'done=')
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.process.kill()
        self.process.wait()
