#!/usr/bin/env python3
"""dns.py NAME ADDRESS - answer on 127.0.0.1:53 that NAME has ADDRESS, and nothing else

For a network namespace of a test's own. Source: RFC 1035, section 4.1.
"""
import socket
import struct
import sys

TYPE_A, CLASS_IN, RESPONSE, NXDOMAIN = 1, 1, 0x8180, 3


def question(message):
    """Name, type and end of the first question."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode('ascii', 'replace'))
        at += 1 + message[at]
    return '.'.join(labels).lower(), struct.unpack_from('>H', message, at + 1)[0], at + 5


def answer(message, name, address):
    asked, kind, end = question(message)
    found = asked == name and kind == TYPE_A
    code = 0 if asked == name else NXDOMAIN
    reply = message[:2] + struct.pack('>5H', RESPONSE | code, 1, found, 0, 0) + message[12:end]
    if found:
        reply += struct.pack('>3HIH', 0xc00c, TYPE_A, CLASS_IN, 60, 4) + socket.inet_aton(address)
    return reply


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(('127.0.0.1', 53))
    print('ready', flush=True)
    while True:
        message, sender = server.recvfrom(512)
        try:
            server.sendto(answer(message, sys.argv[1], sys.argv[2]), sender)
        except (IndexError, struct.error):
            pass


main()
