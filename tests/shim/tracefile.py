# SPDX-License-Identifier: BSD-2-Clause
#
# tracefile: read trace files from the bytes alone, knowing nothing but core/trace/layout.h.
#
# The tests of the engine read what it wrote through this, not through the tools, so that both sides
# of the file format are held to its description.

import glob
import os
import struct
from types import SimpleNamespace as Record

KINDS = {1: "open", 2: "data", 3: "result", 4: "close", 5: "stack", 6: "text", 7: "lost",
         8: "process", 9: "coverage", 10: "witness", 11: "fault"}
WAITING, EOF, ERROR = range(3)
CLOSED, SHUT, DUPED, CLOSE_UNSEEN, CLOSE_EXEC = range(5)
FORKED, BORN, EXECED, EXITED, SETUID, SECCOMP = range(6)
RX, TX = 0, 1
SERVER, CLIENT = 0, 1
ACCEPTED, CONNECTED, PAIRED, RECEIVED, INHERITED, FOUND = range(6)
OVERLAP, RAW, LATE, UNSEEN = 1, 2, 4, 8
FULL, PARTIAL, BLIND = range(3)
REASON = {"tls": 1, "io_uring": 2, "fdopen": 4, "unseen": 8, "disk": 16, "table": 32, "seccomp": 64,
          "http2": 128, "received": 256, "no-sockets": 512, "place": 1024, "lost": 2048}
LOST_FULL, LOST_RACE, LOST_HEADS, LOST_STACKS, LOST_TABLE = range(5)
ACTED, BEGAN, ENDED, SHADOWED, FAILED = range(5)
PHASES = ("accepted request-head request-body before-response response-head response-body idle"
          " upgraded frames closing").split()
PUBLISHED = 2
CLOSED_CURSOR = 1 << 63

HEADER = struct.Struct("<QII QQ QQQQ Q 16s Q II QQQ q IIII 512s 512s 256s")
HEADER_NAMES = ("magic version endian features file_size modules_off routes_off connections_off"
                " data_off half_size boot_id netns pid ppid start_ticks t_load t_created"
                " realtime_offset doors max_body max_payload options exe library note").split()
LIVE = struct.Struct("<II QQ Ii QQ QQ QQ QQQ Q II 8Q II")
LIVE_NAMES = ("coverage modules coverage_reasons t_end ended exit_code lost_events lost_bytes"
              " discarded_halves discarded_records opened closed exchanges attempts h2c_offers calls"
              " active_half keep_first").split()


def text(field):
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


class Trace:
    """One trace file, read at this moment."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.size = os.fstat(f.fileno()).st_size
            head = f.read(4096)
            self.header = Record(**dict(zip(HEADER_NAMES, HEADER.unpack_from(head))))
            live = LIVE.unpack_from(head, HEADER.size)
            for name, value in zip(LIVE_NAMES, live):
                setattr(self.header, name, value)
            self.halves = [live[18:22], live[22:26]]
            for name in ("exe", "library", "note"):
                setattr(self.header, name, text(getattr(self.header, name)))
            self.records = []
            order = sorted((0, 1), key=lambda i: self.halves[i][1])
            for half in order:
                cursor, sequence = self.halves[half][0] & ~CLOSED_CURSOR, self.halves[half][1]
                if sequence:
                    f.seek(self.header.data_off + half * self.header.half_size)
                    self._walk(f.read(min(cursor, self.header.half_size)), half)
            f.seek(self.header.modules_off)
            self.modules = [self._module(f.read(256)) for _ in range(self.header.modules)]
            f.seek(self.header.routes_off)
            self.routes = [r for r in (self._route(f.read(256)) for _ in range(256)) if r.used]
            f.seek(self.header.connections_off)
            self.connections = [c for c in (self._row(f.read(64)) for _ in range(4096)) if c.id]

    # ---- tables ----

    @staticmethod
    def _module(b):
        start, end, off = struct.unpack_from("<QQQ", b)
        return Record(start=start, end=end, off=off, build_id=b[24:24 + b[44]].hex(),
                      path=text(b[48:]))

    @staticmethod
    def _route(b):
        n, rx, tx, method, used = struct.unpack_from("<QQQBB", b)
        return Record(count=n, rx=rx, tx=tx, method=method, used=used,
                      status_class=list(b[26:32]), path=text(b[32:144]),
                      bucket=struct.unpack_from("<28I", b, 144))

    @staticmethod
    def _row(b):
        cookie, t_open, t_last, rx, tx, cid, fd, role, phase, flags = struct.unpack_from(
            "<QQQQQIIBBB", b)
        return Record(cookie=cookie, t_open=t_open, t_last=t_last, off=(rx, tx), id=cid, fd=fd,
                      role=role, phase=phase, flags=flags)

    # ---- records ----

    def _walk(self, b, half):
        at = 0
        while at + 8 <= len(b):
            word, kind, flags = struct.unpack_from("<IHH", b, at)
            size = word & ~7
            if not word:
                at += 8
                continue
            if word & 7 == PUBLISHED:
                r = getattr(self, "_" + KINDS[kind])(b[at:at + size])
                r.kind, r.flags, r.half = KINDS[kind], flags, half
                self.records.append(r)
            at += size

    @staticmethod
    def _open(b):
        t, cookie, stack, conn, tid, fd, listener, call, role, origin, inherited = (
            struct.unpack_from("<QQQIIIIHBBI", b, 8))
        family, port = struct.unpack_from("<HH", b, 56)
        return Record(t=t, cookie=cookie, stack=stack, conn=conn, tid=tid, fd=fd, listener=listener,
                      call=call, role=role, origin=origin, inherited_from=inherited,
                      peer_family=family, peer_port=port, peer_ip=b[60:76])

    @staticmethod
    def _fault(b):
        t, stack, off, unit, key, drawn, value, conn, tid, rule, call, way, phase, _, what, legal = (
            struct.unpack_from("<QQQQQQqIIIHBBBBB", b, 8))
        return Record(t=t, stack=stack, off=off, unit=unit, conn_key=key, drawn=drawn, value=value,
                      conn=conn, tid=tid, rule_id=rule, call=call, dir=way, phase=PHASES[phase],
                      what=what, legal=legal, rule=text(b[88:120]), fault=text(b[120:136]))

    @staticmethod
    def _data(b):
        t, off, stack, conn, tid, moved, call, d, segments = struct.unpack_from(
            "<QQQIIIHBB", b, 8)
        at, segs, padding = 48, [], b""
        for _ in range(segments):
            rel, n = struct.unpack_from("<II", b, at)
            segs.append((rel, b[at + 8:at + 8 + n]))
            padding += b[at + 8 + n:at + 8 + (n + 7 & ~7)]
            at += 8 + (n + 7 & ~7)
        return Record(t=t, off=off, stack=stack, conn=conn, tid=tid, moved=moved, call=call, dir=d,
                      segments=segs, bytes=b"".join(s for _, s in segs), padding=padding)

    @staticmethod
    def _result(b):
        t, stack, conn, tid, err, call, d, what = struct.unpack_from("<QQIIiHBB", b, 8)
        return Record(t=t, stack=stack, conn=conn, tid=tid, err=err, call=call, dir=d, what=what)

    @staticmethod
    def _close(b):
        t, stack, conn, tid, fd, unread, call, what, how, left = struct.unpack_from(
            "<QQIIIIHBBI", b, 8)
        return Record(t=t, stack=stack, conn=conn, tid=tid, fd=fd, unread=unread, call=call,
                      what=what, how=how, left=left)

    @staticmethod
    def _stack(b):
        (sid,) = struct.unpack_from("<Q", b, 8)
        reg = struct.unpack_from("<18Q", b, 16)
        words, kept = struct.unpack_from("<II", b, 160)
        maps = (words + 63) // 64
        bitmap = struct.unpack_from("<%dQ" % maps, b, 168)
        values = list(struct.unpack_from("<%dQ" % kept, b, 168 + 8 * maps))
        word = [0] * words
        for i in range(words):
            if bitmap[i // 64] >> i % 64 & 1:
                word[i] = values.pop(0)
        return Record(id=sid, reg=reg, word=word, kept=kept)

    @staticmethod
    def _text(b):
        t, conn, tid, n, fd = struct.unpack_from("<QIIIH", b, 8)
        return Record(t=t, conn=conn, tid=tid, fd=fd, bytes=b[32:32 + n])

    @staticmethod
    def _lost(b):
        t, events, lost, why = struct.unpack_from("<QQQI", b, 8)
        return Record(t=t, events=events, lost=lost, why=why)

    @staticmethod
    def _process(b):
        t, arg, tid, what, n = struct.unpack_from("<QqIII", b, 8)
        return Record(t=t, arg=arg, tid=tid, what=what, text=b[40:40 + n].decode())

    @staticmethod
    def _witness(b):
        t, stack, task, goid, first, second, conn, tid, witness = struct.unpack_from(
            "<QQQQQQIIH", b, 8)
        return Record(t=t, stack=stack, task=task, goid=goid, arg=(first, second), conn=conn,
                      tid=tid, witness=witness)

    @staticmethod
    def _coverage(b):
        t, reasons, state, conn = struct.unpack_from("<QQII", b, 8)
        return Record(t=t, reasons=reasons, state=state, conn=conn)

    # ---- questions ----

    def of(self, kind, conn=None, **want):
        """Records of that kind, of that connection, with these values."""
        return [r for r in self.records
                if r.kind == kind and (conn is None or r.conn == conn)
                and all(getattr(r, k) == v for k, v in want.items())]

    def stream(self, conn, direction):
        """The recorded bytes of one direction, holes left out, by offset."""
        return b"".join(r.bytes for r in sorted(self.of("data", conn, dir=direction),
                                                key=lambda r: r.off))

    def conns(self):
        return sorted({r.conn for r in self.of("open")})


def load(folder):
    """Every trace of a folder, by pid."""
    return sorted((Trace(p) for p in glob.glob(os.path.join(folder, "*.trace"))),
                  key=lambda t: (t.header.pid, t.header.t_created))


if __name__ == "__main__":
    import sys

    for trace in load(sys.argv[1]):
        h = trace.header
        print(h.pid, h.exe, h.library, "coverage", h.coverage, hex(h.coverage_reasons), "opened",
              h.opened, "closed", h.closed, "exchanges", h.exchanges, "attempts", h.attempts,
              "calls", h.calls, "lost", h.lost_events, "ended", h.ended, h.exit_code)
        for r in trace.routes:
            print("  route", r.method, r.path, r.count, r.rx, r.tx, r.status_class)
        for r in trace.connections:
            print("  row", r)
        for r in trace.records:
            if r.kind == "stack":
                print("  stack", hex(r.id), len(r.word), r.kept)
            else:
                print("  ", r)
