"""rfbclient.py - a small VNC client: TCP, Unix and WebSocket connections, VNC authentication, raw
rectangles and desktop sizes. Source: RFC 6143, RFC 6455.
"""
import base64
import ctypes
import hashlib
import os
import socket
import struct

GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
RAW, DESKTOP_SIZE = 0, -223


class Refused(Exception):
    """The server does not let this client in."""


class WebSocket:
    """Bytes in binary frames; has recv() and sendall() as a socket has."""

    def __init__(self, sock, host):
        self.sock, self.frames, self.data = sock, b'', b''
        key = base64.b64encode(os.urandom(16))
        sock.sendall(b'GET /websockify HTTP/1.1\r\nHost: ' + host.encode() + b'\r\nUpgrade: websocket\r\n'
                     b'Connection: Upgrade\r\nSec-WebSocket-Key: ' + key + b'\r\nSec-WebSocket-Protocol: binary\r\n'
                     b'Sec-WebSocket-Version: 13\r\nOrigin: http://' + host.encode() + b'\r\n\r\n')
        while b'\r\n\r\n' not in self.frames:
            self.more()
        head, _, self.frames = self.frames.partition(b'\r\n\r\n')
        lines = head.split(b'\r\n')
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(b':') for line in lines[1:])}
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        if b' 101 ' not in lines[0] or fields.get(b'sec-websocket-accept') != accept:
            raise ValueError(f'no WebSocket: {head!r}')

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError('closed')
        self.frames += data

    def sendall(self, data):
        mask = os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b'\xfe' + struct.pack('>H', len(data))
        self.sock.sendall(b'\x82' + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def frame(self):
        """The next one's payload."""
        while len(self.frames) < 2:
            self.more()
        size, at = self.frames[1], 2
        if size > 125:
            at += 2 if size == 126 else 8
            while len(self.frames) < at:
                self.more()
            size = int.from_bytes(self.frames[2:at], 'big')
        while len(self.frames) < at + size:
            self.more()
        kind, data = self.frames[0] & 15, self.frames[at:at + size]
        self.frames = self.frames[at + size:]
        if kind == 8:
            raise EOFError('closed')
        if kind not in (0, 2):
            raise ValueError(f'frame of type {kind}')
        return data

    def recv(self, size):
        while not self.data:
            self.data = self.frame()
        got, self.data = self.data[:size], self.data[size:]
        return got


def response(challenge, password):
    """DES of the challenge, by libvncclient."""
    text = ctypes.create_string_buffer(challenge, 16)
    ctypes.CDLL('libvncclient.so.1').rfbClientEncryptBytes(text, password.encode())
    return text.raw


class Rfb:
    """Connected to @to: (host, port), a path, or a socket; let in; @password is asked for one"""

    def __init__(self, to, password=None, websocket=False, shared=True, wait=200):
        if isinstance(to, socket.socket):
            self.sock = to
        else:
            self.sock = socket.socket(socket.AF_UNIX if isinstance(to, str) else socket.AF_INET)
            self.sock.settimeout(wait)
            self.sock.connect(to)
        self.sock.settimeout(wait)
        self.io = WebSocket(self.sock, f'{to[0]}:{to[1]}') if websocket else self.sock
        self.version = self.get(12)
        self.io.sendall(b'RFB 003.008\n')
        self.security = list(self.get(self.get(1)[0]))
        if password is None and 1 in self.security:
            self.io.sendall(b'\x01')
        elif 2 in self.security:
            self.io.sendall(b'\x02')
            self.io.sendall(response(self.get(16), password or ''))
        else:
            raise Refused(f'security types {self.security}')
        if self.number('>I'):
            raise Refused(self.get(self.number('>I')))
        self.io.sendall(bytes([shared]))
        self.width, self.height = struct.unpack('>HH', self.get(4))
        self.format = self.get(16)
        self.name = self.get(self.number('>I')).decode()
        self.io.sendall(struct.pack('>BxHii', 2, 2, DESKTOP_SIZE, RAW))
        self.sizes = []
        self.pixels = 0

    def get(self, size):
        data = b''
        while len(data) < size:
            more = self.io.recv(size - len(data))
            if not more:
                raise EOFError('closed')
            data += more
        return data

    def number(self, form):
        return struct.unpack(form, self.get(struct.calcsize(form)))[0]

    def update(self, incremental=False):
        """Ask for the picture and take one update."""
        self.io.sendall(struct.pack('>BBHHHH', 3, incremental, 0, 0, self.width, self.height))
        while self.number('>B') != 0:      # no bell, no cut text is longer than this
            raise ValueError('unexpected message')
        for _ in range(self.number('>xH')):
            x, y, w, h, encoding = struct.unpack('>HHHHi', self.get(12))
            if encoding == DESKTOP_SIZE:
                self.width, self.height = w, h
                self.sizes.append((w, h))
            elif encoding == RAW:
                self.get(w * h * 4)
                self.pixels += w * h
            else:
                raise ValueError(f'encoding {encoding}')

    def key(self, sym, down):
        self.io.sendall(struct.pack('>BBxxI', 4, down, sym))

    def gone(self):
        """Whether the server has hung up, or does now."""
        try:
            while self.io.recv(65536):
                pass
        except (EOFError, ConnectionError):
            pass
        except socket.timeout:
            return False
        return True

    def close(self):
        self.sock.close()
