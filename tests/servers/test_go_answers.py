# SPDX-License-Identifier: BSD-2-Clause
#
# net/http reads ahead on another thread while a handler answers.  Whatever the two do to each other,
# no answer may be missing from the trace.

import collections
import threading
import unittest

import golang
from harness import ServerCase, exchanges, free_port, handshake_bytes, wait_for

CLIENTS, ROUNDS = 4, 300


class AnswerCase:
    """The plain server; subclasses say how it is linked."""

    shape = "static"

    @classmethod
    def setUpClass(cls):
        app = golang.build("plain", "plain", "newest", cls.shape)
        cls.server = cls.serve([app, "127.0.0.1:{port}"], free_port(),
                               shim=golang.door(cls.shape))

    def ask(self, failed):
        try:
            for _ in range(ROUNDS):
                with self.server.client() as client:
                    client.send(handshake_bytes("/refused/ws"))
                    self.assertEqual(client.recv_response()[0].status, 401)
                with self.server.client() as client:
                    client.ws_open("/ws/")
        except Exception as error:  # pylint: disable=broad-except
            failed.append(error)

    def test_every_answer_is_in_the_trace(self):
        failed = []
        clients = [threading.Thread(target=self.ask, args=(failed,)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual(failed, [])
        every = CLIENTS * ROUNDS
        expected = {("/refused/ws", "refused", 401): every, ("/ws/", "upgraded", 101): every}

        def settled():
            report = self.server.report()
            seen = collections.Counter((x["path"], x["outcome"], x["status"])
                                       for x in exchanges(report))
            moving = any(outcome == "pending" for _, outcome, _ in seen)
            return (report, seen) if sum(seen.values()) == 2 * every and not moving else None

        report, seen = wait_for(settled, "all exchanges")
        self.assertEqual(dict(seen), expected)
        self.assertEqual({f["id"] for x in exchanges(report) for f in x["findings"]
                          if f["primary"]}, {"upgrade-rejected"})
        self.assertEqual([p["coverage"] for p in report["processes"]], ["full"])


class Static(AnswerCase, ServerCase):
    """Through the injected door."""


class Cgo(AnswerCase, ServerCase):
    """Through the preloaded one."""

    shape = "cgo"


if __name__ == "__main__":
    unittest.main()
