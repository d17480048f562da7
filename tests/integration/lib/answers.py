"""Reading what a server has answered on the wire: lists of (type, body), as Raw gives them."""

import struct


def only(answers, kind):
    return [body for k, body in answers if k == kind]


def kinds(answers):
    """Their types in a row, with the state behind each Z."""
    return "".join(kind + (body.decode() if kind == "Z" else "") for kind, body in answers)


def fields(body):
    """Of an ErrorResponse or NoticeResponse, by their letters."""
    return {chr(f[0]): f[1:].decode() for f in body.split(b"\0") if f}


def columns(body):
    """Names in a RowDescription."""
    out, at = [], 2
    while at < len(body):
        end = body.index(b"\0", at)
        out.append(body[at:end].decode())
        at = end + 19
    return out


def values(row):
    """Of a DataRow, None for null."""
    out, at = [], 2
    for _ in range(struct.unpack("!H", row[:2])[0]):
        n = struct.unpack("!i", row[at:at + 4])[0]
        at += 4
        out.append(None if n < 0 else row[at:at + n])
        at += max(n, 0)
    return out


def stat(proxy, name):
    """A counter of SHOW STATS."""
    return int(next(r["value"] for r in proxy.console("SHOW STATS") if r["stat"] == name))
