#!/usr/bin/env python3
"""pointer.py SOCKET - a VNC client that moves the pointer to one place and says where a tablet
then is: "X Y", 0 to 32767

Protocol: RFC 6143, 7.1 to 7.3 and 7.5.5.
"""
import socket
import struct
import sys


def take(s, n):
    data = b""
    while len(data) < n:
        got = s.recv(n - len(data))
        if not got:
            sys.exit("the server has hung up")
        data += got
    return data


def main():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(120)
    s.connect(sys.argv[1])
    s.sendall(take(s, 12))               # the version that it offers
    take(s, take(s, 1)[0])
    s.sendall(b"\x01")                   # no authentication
    if take(s, 4) != bytes(4):
        sys.exit("refused")
    s.sendall(b"\x01")                   # shared
    width, height = struct.unpack(">HH", take(s, 4))
    x, y = width // 3, height - 1
    s.sendall(struct.pack(">BBHH", 5, 0, x, y))
    print(x * 32767 // (width - 1), y * 32767 // (height - 1))
    s.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, 1, 1))
    take(s, 1)                           # an update: what came before it has been read


main()
