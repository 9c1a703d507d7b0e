# SPDX-License-Identifier: BSD-2-Clause
"""What of the bytes is recorded, and what is not."""

import json
import random
import socket
import unittest

import harness
import tracefile
from engine import PLAIN, REQUEST, EngineCase, client_frame, read_all, until_end

ONE = "c, _ = s.accept()\n"


class Bytes(EngineCase):
    def test_plain_exchanges_are_counted_and_nothing_of_them_is_recorded(self):
        self.start(ONE + "for i in range(3):\n    head(c)\n    c.sendall(OK)\nc.close()\n")
        c = self.connect()
        for _ in range(3):
            c.sendall(PLAIN.replace(b"/plain", b"/plain?token=abcdefgh"))
            read_all(c, 40)
        t = self.end()
        self.assertEqual([r.kind for r in t.records if r.kind in ("open", "data", "close")], [])
        self.assertEqual([(r.path, r.count, r.status_class[2]) for r in t.routes], [("/plain", 3, 3)])
        self.assertEqual((t.routes[0].rx, t.routes[0].tx), (3 * len(PLAIN + b"?token=abcdefgh"), 3 * 40))
        self.assertEqual(sum(t.routes[0].bucket), 3)
        self.assertEqual((t.header.exchanges, t.header.attempts, t.header.opened, t.header.closed),
                         (3, 0, 1, 1))

    def test_an_answer_that_ends_with_the_connection_is_counted(self):
        self.start(ONE + "head(c)\nc.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n' + b'x' * 100)\nc.sendall(b'y' * 100)\n"
                   "c.close()\n")
        c = self.connect()
        c.sendall(PLAIN)
        until_end(c)
        t = self.end()
        self.assertEqual([(r.path, r.count, r.tx) for r in t.routes], [("/plain", 1, 219)])

    def test_an_upgrade_is_recorded_byte_for_byte_up_to_the_switch(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\nhead(c)\n")
        c = self.connect()
        c.sendall(REQUEST)
        answer = read_all(c, 129)
        c.close()
        t = self.end()
        (conn,) = t.conns()
        self.assertEqual(t.stream(conn, tracefile.RX), REQUEST)
        self.assertEqual(t.stream(conn, tracefile.TX), answer)
        (opened,) = t.of("open")
        self.assertEqual((opened.role, opened.origin), (tracefile.SERVER, tracefile.ACCEPTED))
        self.assertEqual(opened.peer_ip[:4], b"\x7f\0\0\1")
        self.assertNotEqual(opened.cookie, 0)

    def test_of_frames_only_the_headers_are_recorded(self):
        secret = b"do-not-record-me" * 4
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\nfor i in range(4):\n"
                   "    c.sendmsg([bytes([0x81, 64]), c.recv(70)[:0] + b'do-not-record-me' * 4])\n")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 129)
        for _ in range(4):
            c.sendall(client_frame(1, secret, b"\0\0\0\0"))
            read_all(c, 66)
        t = self.end()
        rx = t.of("data", dir=tracefile.RX)[1:]
        tx = t.of("data", dir=tracefile.TX)[1:]
        self.assertEqual([(r.moved, r.bytes) for r in rx], 4 * [(70, b"\x81\xc0\0\0\0\0")])
        self.assertEqual([(r.moved, r.bytes) for r in tx], 4 * [(66, b"\x81\x40")])
        self.assertEqual([r.off for r in rx], [len(REQUEST) + 70 * i for i in range(4)])
        self.assertNotIn(b"do-not-record-me", self.raw())

    def test_frames_that_span_calls_and_share_calls_keep_their_headers(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\n" + "say(len(c.recv(65536)))\n" * 3)
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 129)
        one, many = client_frame(2, b"x" * 100), client_frame(1, b"y") * 9
        for part in (one[:3], one[3:50], one[50:] + many):
            c.sendall(part)
            self.hear()
        t = self.end()
        rx = t.of("data", dir=tracefile.RX)[1:]
        self.assertEqual(b"".join(r.bytes for r in rx), one[:6] + 9 * b"\x81\x81\1\2\3\4")
        self.assertEqual(sum(r.moved for r in rx), len(one + many))
        at = len(REQUEST)
        for r in rx:
            self.assertEqual(r.off, at)
            at += r.moved

    def test_frames_whole_and_split_in_any_mix_of_calls_keep_all_their_headers(self):
        dice = random.Random(7)
        frames = [client_frame(dice.choice((1, 2, 9, 10)), b"p" * dice.choice((0, 1, 5, 90)))
                  for _ in range(400)]
        headers = b"".join(f[:6] for f in frames)
        stream, at, parts = b"".join(frames), 0, []
        while at < len(stream):
            ends = dice.random() < 0.7  # most calls carry whole frames, as most do
            n = next(e for e in self.ends(frames) if e > at) - at if ends else dice.randrange(1, 40)
            parts.append(stream[at:at + n])
            at += len(parts[-1])
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\nb = bytearray(300)\nfor i in range(%d):\n"
                   "    say(len(c.recv(300)) if i %% 3 else c.recvmsg_into([b])[0])\n"
                   "c.sendall(b'\\x81\\x01a')\nc.sendall(b'HTTP/1.1 400 no')\nc.recv(99)\n" % len(parts))
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 129)
        for part in parts:
            c.sendall(part)
            self.assertEqual(int(self.hear()), len(part))
        c.sendall(b"\x03\x00 no frame")
        t = self.end()
        rx = t.of("data", dir=tracefile.RX)[1:]
        self.assertEqual([r.moved for r in rx], [len(p) for p in parts] + [11])
        self.assertEqual(b"".join(r.bytes for r in rx), headers + b"\x03\x00 no frame")
        self.assertEqual([r.bytes for r in t.of("data", dir=tracefile.TX)[1:]],
                         [b"\x81\x01", b"HTTP/1.1 400 no"])

    @staticmethod
    def ends(frames):
        at = 0
        for f in frames:
            at += len(f)
            yield at

    def test_as_much_payload_is_recorded_as_was_asked_for(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\nc.sendall(b'\\x82\\x08ABCDEFGH')\nc.recv(99)\n",
                   SHAKEDOWN_PAYLOAD="4")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 139)
        c.sendall(client_frame(2, b"ijklmnop", b"\0\0\0\0"))
        t = self.end()
        self.assertEqual(t.of("data", dir=tracefile.TX)[-1].bytes, b"\x82\x08ABCD")
        self.assertEqual(t.of("data", dir=tracefile.RX)[-1].bytes, b"\x82\x88\0\0\0\0ijkl")

    def test_the_reason_of_a_close_frame_is_recorded(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\nc.sendall(b'\\x81\\x01a')\nc.recv(7)\n"
                   "c.sendall(b'\\x88\\x07\\x03\\xf0going')\nc.recv(99)\n")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 132)
        c.sendall(client_frame(1, b"b"))
        read_all(c, 9)
        c.sendall(client_frame(8, b"\x03\xe8"))
        t = self.end()
        self.assertEqual(t.of("data", dir=tracefile.TX)[-1].bytes, b"\x88\x07\x03\xf0going")
        self.assertEqual(t.of("data", dir=tracefile.RX)[-1].bytes, client_frame(8, b"\x03\xe8"))

    def test_what_is_no_frame_is_recorded_up_to_64_bytes_with_its_stack(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\n"
                   "c.sendall(b'HTTP/1.1 400 Bad Request\\r\\nContent-Length: 0\\r\\n' + b'x' * 99)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        last = t.of("data", dir=tracefile.TX)[-1]
        self.assertEqual(len(last.bytes), 64)
        self.assertTrue(last.bytes.startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn(last.stack, {r.id for r in t.of("stack")})

    def test_a_head_in_pieces_is_recorded_with_the_time_of_each_piece(self):
        self.start(ONE + "c.recv(9)\nsay(1)\nc.recv(7)\nsay(2)\nhead(c)\nc.sendall(SWITCH)\n")
        c = self.connect()
        c.sendall(REQUEST[:9])
        self.hear()
        c.sendall(REQUEST[9:16])
        self.hear()
        c.sendall(REQUEST[16:])
        until_end(c)
        t = self.end()
        rx = t.of("data", dir=tracefile.RX)
        self.assertEqual([r.moved for r in rx], [9, 7, len(REQUEST) - 16])
        self.assertEqual([r.flags & tracefile.LATE for r in rx], [tracefile.LATE, tracefile.LATE, 0])
        self.assertEqual(b"".join(r.bytes for r in rx), REQUEST)
        self.assertEqual([r.off for r in rx], [0, 9, 16])
        self.assertLess(rx[0].t, rx[1].t)
        self.assertLess(rx[1].t, rx[2].t)

    def test_every_split_of_a_request_leaves_the_same_bytes(self):
        n = len(REQUEST)
        self.start("for i in range(%d):\n    c, _ = s.accept()\n    c.recv(i + 1)\n    say(i)\n"
                   "    c.recv(65536)\n    c.sendall(SWITCH)\n    c.close()\n" % (n - 1))
        for i in range(n - 1):
            c = self.connect()
            c.sendall(REQUEST[:i + 1])
            self.hear()
            c.sendall(REQUEST[i + 1:])
            until_end(c)
            c.close()
        t = self.end()
        self.assertEqual(len(t.conns()), n - 1)
        for conn in t.conns():
            self.assertEqual(t.stream(conn, tracefile.RX), REQUEST)

    def test_a_head_that_never_ends_survives_a_kill_once_it_asks_for_an_upgrade(self):
        self.start(ONE + "c.recv(99)\nsay(1)\nc.recv(99)\nsay(2)\ngo()\n")
        c = self.connect()
        c.sendall(REQUEST[:20])
        self.hear()
        c.sendall(REQUEST[20:60])
        self.hear()
        t = self.kill()
        self.assertEqual(t.stream(t.conns()[0], tracefile.RX), REQUEST[:60])
        (row,) = t.connections
        self.assertEqual(row.off[tracefile.RX], 60)

    def test_a_plain_head_that_never_ends_is_not_recorded(self):
        self.start(ONE + "c.recv(99)\nsay(1)\nc.recv(99)\nc.close()\n")
        c = self.connect()
        c.sendall(PLAIN[:20])
        self.hear()
        c.close()
        t = self.end()
        self.assertEqual(t.conns(), [])

    def test_the_body_of_a_refusal_is_recorded_up_to_the_limit(self):
        self.start(ONE + "head(c)\nc.sendall(b'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 9000\\r\\n\\r\\n'"
                   " + b'n' * 4000)\nc.sendall(b'o' * 5000)\n", SHAKEDOWN_BODY="4K")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        tx = t.of("data", dir=tracefile.TX)
        self.assertEqual(len(b"".join(r.bytes for r in tx).split(b"\r\n\r\n", 1)[1]), 4096)
        self.assertEqual(sum(r.moved for r in tx) - len(tx[0].bytes.split(b"\r\n\r\n")[0]) - 4, 9000)

    def test_after_a_refusal_the_connection_is_counted_again(self):
        self.start(ONE + "head(c)\nc.sendall(REFUSE)\nhead(c)\nc.sendall(OK)\nhead(c)\nc.sendall(SWITCH)\n")
        c = self.connect()
        c.sendall(REQUEST)
        refusal = read_all(c, 47)
        c.sendall(PLAIN)
        read_all(c, 40)
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        (conn,) = t.conns()
        self.assertEqual(t.stream(conn, tracefile.RX), REQUEST + REQUEST)
        self.assertTrue(t.stream(conn, tracefile.TX).startswith(refusal + b"HTTP/1.1 101"))
        self.assertEqual([(r.path, r.count) for r in t.routes], [("/plain", 1)])
        self.assertEqual((t.header.exchanges, t.header.attempts), (3, 2))
        self.assertEqual(t.of("data", dir=tracefile.RX)[1].off, len(REQUEST + PLAIN))

    def test_a_second_answer_after_a_refusal_is_recorded(self):
        self.start(ONE + "head(c)\nc.sendall(REFUSE)\nc.sendall(OK)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        second = t.of("data", dir=tracefile.TX)[-1]
        self.assertTrue(second.bytes.startswith(b"HTTP/1.1 200 OK\r\n"), second)
        self.assertNotEqual(second.stack, 0)

    def test_the_answer_to_an_earlier_pipelined_request_is_not_taken_for_the_attempts(self):
        self.start(ONE + "c.recv(65536)\nc.sendall(OK)\nc.sendall(SWITCH)\n")
        c = self.connect()
        c.sendall(PLAIN + REQUEST)
        until_end(c)
        t = self.end()
        (conn,) = t.conns()
        self.assertEqual(t.stream(conn, tracefile.RX), REQUEST)
        self.assertTrue(t.stream(conn, tracefile.TX).startswith(b"HTTP/1.1 101"))
        self.assertEqual(t.of("data", dir=tracefile.RX)[0].off, len(PLAIN))
        self.assertEqual(t.of("data", dir=tracefile.TX)[0].off, 40)

    def test_bytes_before_the_answer_are_recorded(self):
        early = client_frame(1, b"early") + client_frame(2, b"again")
        self.start(ONE + "c.recv(65536)\nc.sendall(SWITCH)\nc.recv(99)\n")
        c = self.connect()
        c.sendall(REQUEST + early)
        read_all(c, 129)
        c.sendall(client_frame(1, b"later"))
        t = self.end()
        rx = t.of("data", dir=tracefile.RX)
        self.assertEqual(rx[0].bytes, REQUEST + early)
        self.assertEqual(rx[1].bytes, client_frame(1, b"later")[:6])

    def test_what_a_server_says_before_it_is_asked_is_recorded_with_the_attempt(self):
        self.start(ONE + "c.sendall(b'\\x81\\x05hello' + b'x' * 99)\nsay(1)\nhead(c)\nc.sendall(SWITCH)\n")
        c = self.connect()
        self.hear()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        (conn,) = t.conns()
        first, second = t.of("data", conn, dir=tracefile.TX)
        self.assertEqual((first.off, first.moved, first.flags), (0, 106, tracefile.LATE))
        self.assertEqual(first.bytes, b"\x81\x05hello" + b"x" * 57)
        self.assertEqual(second.off, 106)
        self.assertEqual(t.stream(conn, tracefile.RX), REQUEST)

    def test_an_h2c_offer_is_counted_only(self):
        self.start(ONE + "head(c)\nc.sendall(OK)\n")
        c = self.connect()
        c.sendall(b"GET /h2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                  b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
        until_end(c)
        t = self.end()
        self.assertEqual((t.header.h2c_offers, t.header.attempts), (1, 0))
        self.assertEqual(t.conns(), [])

    def test_everything_is_recorded_when_asked(self):
        self.start(ONE + "head(c)\nc.sendall(OK)\nhead(c)\nc.sendall(OK)\n", SHAKEDOWN_ALL="on")
        c = self.connect()
        c.sendall(PLAIN)
        answer = read_all(c, 40)
        c.sendall(PLAIN)
        read_all(c, 40)
        t = self.end()
        (conn,) = t.conns()
        self.assertEqual(t.stream(conn, tracefile.RX), 2 * PLAIN)
        self.assertEqual(t.stream(conn, tracefile.TX), 2 * answer)

    def test_a_process_that_upgrades_as_a_client_is_recorded_too(self):
        self.start("import threading\n"
                   "def serve():\n"
                   "    c, _ = s.accept()\n    head(c)\n    c.sendall(SWITCH)\n    c.close()\n"
                   "t = threading.Thread(target=serve)\nt.start()\n"
                   "c = socket.create_connection(s.getsockname())\n"
                   "c.sendall(%r)\nhead(c)\nt.join()\n" % REQUEST)
        t = self.end()
        roles = {r.role: r.conn for r in t.of("open")}
        client = roles[tracefile.CLIENT]
        self.assertEqual(t.stream(client, tracefile.TX), REQUEST)
        self.assertTrue(t.stream(client, tracefile.RX).startswith(b"HTTP/1.1 101"))
        server = roles[tracefile.SERVER]
        self.assertEqual(t.stream(server, tracefile.RX), REQUEST)

    def test_peeked_bytes_are_not_counted_twice(self):
        self.start(ONE + "c.recv(99, socket.MSG_PEEK)\nhead(c)\nc.sendall(SWITCH)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual(t.stream(t.conns()[0], tracefile.RX), REQUEST)

    def test_several_buffers_and_messages_of_one_call_are_one_run_of_bytes(self):
        self.start(ONE + "b = [bytearray(10), bytearray(1000)]\nc.recvmsg_into(b)\n"
                   "c.sendmsg([SWITCH[:7], SWITCH[7:50], b'', SWITCH[50:]])\n")
        c = self.connect()
        c.sendall(REQUEST)
        answer = until_end(c)
        t = self.end()
        (conn,) = t.conns()
        self.assertEqual(t.of("data", conn, dir=tracefile.RX)[0].bytes, REQUEST)
        self.assertEqual(t.of("data", conn, dir=tracefile.TX)[0].bytes, answer)

    def test_bytes_sent_from_a_file_are_told_as_unseen(self):
        self.start(ONE + "head(c)\nf = open('body', 'w+b')\nf.write(b'x' * 500)\nf.flush()\n"
                   "c.sendall(b'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 500\\r\\n\\r\\n')\n"
                   "os.sendfile(c.fileno(), f.fileno(), 0, 500)\nhead(c)\nc.sendall(OK)\n")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 547)
        c.sendall(PLAIN)
        until_end(c)
        t = self.end()
        last = t.of("data", dir=tracefile.TX)[-1]
        self.assertEqual((last.moved, last.segments, last.flags), (500, [], tracefile.UNSEEN))
        self.assertEqual([(r.path, r.count) for r in t.routes], [("/plain", 1)])


class Secrets(EngineCase):
    REQUEST = (b"GET /ws?access_token=topsecret1&x=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
               b"Connection: Upgrade\r\nCookie: sid=topsecret2\r\nAuthorization: Bearer topsecret3\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    CODE = ("c, _ = s.accept()\n%shead(c)\n"
            "c.sendall(b'HTTP/1.1 401 No\\r\\nSet-Cookie: t=topsecret4\\r\\nContent-Length: 21\\r\\n\\r\\n"
            "password=\"topsecret5\"\\n')\n"
            "sys.stderr.write('token=topsecret6 refused\\n')\nsys.stderr.flush()\n")

    def test_secrets_never_reach_the_disk(self):
        self.start(self.CODE % "")
        c = self.connect()
        c.sendall(self.REQUEST)
        until_end(c)
        t = self.end()
        self.assertNotIn(b"topsecret", self.raw())
        self.assertEqual(len(t.stream(t.conns()[0], tracefile.RX)), len(self.REQUEST))

    def test_nor_do_secrets_that_came_in_pieces(self):
        self.start(self.CODE % "for i in range(80):\n    c.recv(1)\n")
        c = self.connect()
        c.sendall(self.REQUEST)
        until_end(c)
        self.end()
        self.assertNotIn(b"topsecret", self.raw())

    def test_secrets_are_recorded_when_asked_for(self):
        self.start(self.CODE % "", SHAKEDOWN_NO_REDACT="1")
        c = self.connect()
        c.sendall(self.REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual(t.stream(t.conns()[0], tracefile.RX), self.REQUEST)
        self.assertIn(b"topsecret4", self.raw())


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)


class Reported(EngineCase):
    """What becomes of such bytes in the report."""

    def report(self):
        self.end()
        (process,) = harness.report(self.trace)["processes"]
        return process

    @staticmethod
    def exchanges(trace):
        said = harness.shakedown("report", trace, "--all", "--format", "json").stdout
        return [(x["path"], x["status"]) for x in harness.exchanges(json.loads(said))]

    def serve(self, *requests, **env):
        """One connection for each."""
        self.start("for i in range(%d):\n    " % len(requests) + ONE + "    d = c.recv(999)\n"
                   "    c.sendall(SWITCH if d[:1] == b'G' else b'what?')\n    c.close()\n", **env)
        for one in requests:
            with self.connect() as c:
                c.sendall(one)
                until_end(c)
        return self.report()

    def test_one_stray_tls_hello_spoils_its_own_connection_only(self):
        process = self.serve(REQUEST, HELLO, REQUEST, REQUEST)
        self.assertEqual((process["coverage"], process["coverage_reason"]), ("full", None))
        self.assertEqual((process["counts"]["tls_connections"], process["counts"]["connections"]),
                         (1, 4))
        self.assertEqual(process["findings"], [])
        self.assertIn("1 of 4 connections were TLS", harness.shakedown("report", self.trace).stdout)

    def test_a_server_that_speaks_tls_is_watched_in_part(self):
        process = self.serve(HELLO, REQUEST, HELLO)
        self.assertEqual(process["coverage"], "partial")
        self.assertTrue(process["coverage_reason"].startswith("tls: "))

    def test_frames_left_behind_a_refusal_are_no_exchange_of_their_own(self):
        frames = client_frame(1, b"hello") + client_frame(8, b"\3\xe8")
        for early in (True, False):
            with self.subTest(early=early):
                self.start(ONE + "head(c)\nc.sendall(REFUSE)\nc.recv(999)\nc.close()\n", SHAKEDOWN_ALL="1",
                           SHAKEDOWN_TRACE=self.trace + str(early))
                c = self.connect()
                c.sendall(REQUEST + frames if early else REQUEST)
                if not early:
                    read_all(c, 45)
                    c.sendall(frames)
                c.shutdown(socket.SHUT_WR)
                until_end(c)
                self.child.wait()
                self.assertEqual(self.exchanges(self.trace + str(early)), [("/ws", 403)])

    def test_a_next_request_behind_a_refusal_is_an_exchange_of_its_own(self):
        self.start(ONE + "head(c)\nc.sendall(REFUSE)\nhead(c)\nc.sendall(OK)\nc.close()\n", SHAKEDOWN_ALL="1")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 45)
        c.sendall(PLAIN)
        until_end(c)
        self.end()
        self.assertEqual(self.exchanges(self.trace), [("/ws", 403), ("/plain", 200)])


if __name__ == "__main__":
    unittest.main()
