#!/usr/bin/env python3
"""picdiff.py A.png B.png [PERMILLE] - compare two pictures (PNG: 8 bits, RGB, not interlaced; or xwd)

A pixel differs when some colour is more than 40 of 255 off. Exit code 1 when the sizes
differ or more than PERMILLE (default 5) of the pixels do; says how many.
"""
import struct
import sys
import zlib


def read_xwd(data):
    """A window as xwd writes it, 32 bits a pixel; its upper left corner counts."""
    head = struct.unpack(">25I", data[:100])
    start, w, h, line = head[0] + head[19] * 12, head[4], head[5], head[12]
    rows = []
    for y in range(h):
        src, row = data[start + y * line:start + y * line + w * 4], bytearray(w * 3)
        row[0::3], row[1::3], row[2::3] = src[2::4], src[1::4], src[0::4]
        rows.append(row)
    return w, h, rows


def read(path):
    data = open(path, "rb").read()
    if path.endswith(".xwd"):
        return read_xwd(data)
    at, body = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            w, h, depth, colour, _, _, lace = struct.unpack(">IIBBBBB", data[at + 8:at + 21])
            if (depth, colour, lace) != (8, 2, 0):
                sys.exit(f"{path}: not 8 bit RGB")
        elif kind == b"IDAT":
            body += data[at + 8:at + 8 + n]
        at += 12 + n
    raw, rows, old = zlib.decompress(body), [], bytes(w * 3)
    for y in range(h):
        row = unfilter(raw[y * (w * 3 + 1)], bytearray(raw[y * (w * 3 + 1) + 1:(y + 1) * (w * 3 + 1)]), old)
        rows.append(row)
        old = row
    return w, h, rows


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def unfilter(kind, row, old):
    if kind == 2 and not any(old):
        return row
    for i in range(len(row)) if kind else ():
        a = row[i - 3] if i >= 3 else 0
        c = old[i - 3] if i >= 3 else 0
        row[i] = (row[i] + (0, a, old[i], (a + old[i]) // 2, paeth(a, old[i], c))[kind]) & 255
    return row


def main():
    permille = float(sys.argv[3]) if len(sys.argv) > 3 else 5
    w, h, a = read(sys.argv[1])
    w2, h2, b = read(sys.argv[2])
    if (w, h) != (w2, h2):
        sys.exit(f"{w}x{h} instead of {w2}x{h2}")
    bad = 0
    for x, y in zip(a, b):
        if x != y:
            bad += sum(1 for i in range(0, len(x), 3)
                       if max(abs(x[i] - y[i]), abs(x[i + 1] - y[i + 1]), abs(x[i + 2] - y[i + 2])) > 40)
    if bad * 1000 > permille * w * h:
        sys.exit(f"{bad} of {w * h} pixels differ")
    print(f"{bad} of {w * h} pixels differ")


main()
