# SPDX-License-Identifier: BSD-2-Clause
#
# blame: the report names the middleware, its file and its line; never the helper everybody sends
# through, never the accept loop; and nobody where it cannot know.

import os
import shutil
import subprocess
import tempfile
import unittest

import victim
from harness import ROOT, Server, assert_primary, exchanges, free_port, handshake_bytes, report


def blamed(trace, spoil, *args):
    """(primary finding, its blame, its reason) of the attempt with that spoil."""
    x = next(x for x in exchanges(report(trace, *args)) if x["path"].endswith("spoil=" + spoil))
    finding = next(f for f in x["findings"] if f["primary"])
    return finding["id"], finding["blame"], finding["blame_reason"]


class Blame(unittest.TestCase):
    def is_blamed(self, trace, spoil, finding, function, line, *args):
        found, blame, reason = blamed(trace, spoil, *args)
        self.assertEqual(found, finding)
        self.assertIsNotNone(blame, reason)
        self.assertEqual(blame["function"], function, blame["frames"])
        self.assertEqual(os.path.basename(blame["file"]), "victim_early_answer.c")
        self.assertEqual(blame["line"], line)
        return blame, reason


REJECT = 'send_text(r->fd, "HTTP/1.1 401'
EARLY = 'send_text(r->fd, "HTTP/1.1 200 OK\\r\\nContent-Length: 0'
AFTER = 'send_text(r->fd, "HTTP/1.1 200 OK\\r\\nContent-Length: 2'
JSON = 'respond_json(r->fd,'
BODY = 'read_some(r->fd, body,'
WRONG = 'send_all(r->fd, answer,'


class WithAHealthyUpgrade(Blame):
    @classmethod
    def setUpClass(cls):
        cls.server = Server([victim.program(), "{port}"], free_port())
        cls.addClassCleanup(cls.server.stop)
        cls.server.start()
        victim.record(cls.server)
        cls.server.terminate()

    def check(self, spoil, finding, function, marker, *args):
        blame, reason = self.is_blamed(self.server.trace, spoil, finding, function,
                                       victim.line_of(marker), *args)
        self.assertIsNone(reason)
        functions = [f["function"] for f in blame["frames"]]
        self.assertIn("accept_loop", functions)
        self.assertLess(functions.index(function), functions.index("accept_loop"))
        return blame

    def test_the_middleware_that_refused(self):
        self.check("reject", "upgrade-rejected", "auth", REJECT)

    def test_the_middleware_that_answered_before_the_101(self):
        blame = self.check("early", "response-before-101", "auth", EARLY)
        self.assertIn("send_all", [f["function"] for f in blame["frames"]])

    def test_the_middleware_that_wrote_http_behind_the_101(self):
        self.check("after", "http-after-101", "metrics", AFTER)

    def test_a_helper_upon_the_helper_is_not_blamed_either(self):
        self.check("json", "http-after-101", "metrics", JSON)

    def test_the_handler_that_composed_a_wrong_101(self):
        self.check("wrong", "bad-accept", "upgrade", WRONG)

    def test_a_close_every_connection_ends_with_is_nobodys_fault(self):
        found, blame, reason = blamed(self.server.trace, "silent")
        self.assertEqual(found, "closed-without-response")
        self.assertIsNone(blame)
        self.assertIn("healthy", reason)


class WhileItHangs(Blame):
    def test_the_middleware_that_waits_for_a_body(self):
        with victim.serving() as server:
            victim.healthy(server)
            with server.client() as client:
                client.send(handshake_bytes("/ws?spoil=body"))
                # The limit is an option: nobody has to hang for five seconds here.
                args = ("--path", "*spoil=body", "--never-answered", "10ms")
                assert_primary(server.trace, "/ws", "premature-body-read", *args)
                self.is_blamed(server.trace, "body", "premature-body-read", "logger",
                               victim.line_of(BODY), *args)


class InAnotherProcess(Blame):
    def test_a_forking_server_is_compared_with_the_healthy_upgrade_of_another_child(self):
        with victim.serving(None, "fork") as server:
            victim.healthy(server)
            for how in ("after", "reject", "wrong"):
                victim.spoil(server, how)
            server.terminate()
            for how, finding, function, marker in (
                    ("after", "http-after-101", "metrics", AFTER),
                    ("reject", "upgrade-rejected", "auth", REJECT),
                    ("wrong", "bad-accept", "upgrade", WRONG)):
                _, reason = self.is_blamed(server.trace, how, finding, function, victim.line_of(marker))
                self.assertIsNone(reason)


class WithoutAHealthyUpgrade(Blame):
    def test_the_middleware_is_named_but_less_certain(self):
        for spoil, finding, function, marker in (("reject", "upgrade-rejected", "auth", REJECT),
                                                 ("json", "http-after-101", "metrics", JSON)):
            with victim.serving() as server:
                victim.spoil(server, spoil)
                server.terminate()
                _, reason = self.is_blamed(server.trace, spoil, finding, function,
                                           victim.line_of(marker))
                self.assertIn("less certain", reason)


class OtherCompilers(Blame):
    def check(self, *command):
        with tempfile.TemporaryDirectory(prefix="shakedown-blame-") as place:
            binary = os.path.join(place, "server")
            subprocess.run([*command, "-g", "-D_GNU_SOURCE", victim.SOURCE, "-o", binary], check=True)
            with victim.serving(binary) as server:
                victim.healthy(server)
                for how in ("reject", "json", "wrong"):
                    victim.spoil(server, how)
                server.terminate()
                self.is_blamed(server.trace, "reject", "upgrade-rejected", "auth", victim.line_of(REJECT))
                self.is_blamed(server.trace, "json", "http-after-101", "metrics", victim.line_of(JSON))
                self.is_blamed(server.trace, "wrong", "bad-accept", "upgrade", victim.line_of(WRONG))

    def test_clang(self):
        self.check("clang", "-O2", "-fomit-frame-pointer")

    def test_link_time_optimisation(self):
        self.check("gcc", "-O3", "-flto", "-fomit-frame-pointer")

    def test_no_optimisation(self):
        self.check("gcc", "-O0")


class WithoutSymbols(Blame):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-blame-")
        self.addCleanup(shutil.rmtree, self.dir)

    def record(self, binary, spoil="reject"):
        with victim.serving(binary) as server:
            victim.healthy(server)
            victim.spoil(server, spoil)
            server.terminate()
            return blamed(server.trace, spoil)

    def test_a_stripped_server_is_blamed_by_module_and_offset(self):
        binary = victim.strip(os.path.join(self.dir, "bare"), "--strip-all")
        _, blame, reason = self.record(binary)
        self.assertIsNotNone(blame, reason)
        self.assertIsNone(blame["function"])
        self.assertEqual(blame["module"], "bare")
        # The offset is what addr2line wants: in the unstripped twin it is the middleware's.
        named = subprocess.run(["addr2line", "-f", "-e", victim.program(), hex(blame["offset"])],
                               stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        self.assertIn(named[0], ("auth", "send_text"), named)
        self.assertIn("victim_early_answer.c:", named[1])

    def test_a_symbol_table_without_debug_information_still_names_the_function(self):
        _, blame, reason = self.record(victim.strip(os.path.join(self.dir, "nodebug"), "--strip-debug"))
        self.assertIsNotNone(blame, reason)
        self.assertEqual(blame["function"], "auth")
        self.assertIsNone(blame["file"])

    def test_a_server_that_was_rebuilt_since_is_not_named_wrongly(self):
        binary = os.path.join(self.dir, "server")
        subprocess.run(["cp", victim.program(), binary], check=True)
        with victim.serving(binary) as server:
            victim.spoil(server, "reject")
            server.terminate()
            os.unlink(binary)
            subprocess.run(["gcc", "-O1", "-g", "-Wl,--build-id", "-DREBUILT", victim.SOURCE, "-o", binary],
                           check=True)
            _, blame, reason = blamed(server.trace, "reject")
        self.assertIsNone(blame, "a name from another build")
        self.assertIn("build id", reason)


class Libraries(Blame):
    def test_a_callback_is_blamed_and_the_library_around_it_is_not(self):
        source = os.path.join(ROOT, "tests", "servers", "lws", "server.c")
        with tempfile.TemporaryDirectory(prefix="shakedown-blame-") as place:
            binary = os.path.join(place, "server")
            subprocess.run(["gcc", "-O2", "-g", source, "-o", binary, "-lwebsockets"], check=True)
            with Server([binary, "{port}"], free_port()) as server:
                victim.healthy(server)
                for path in ("/forbidden", "/hangup"):
                    with server.client() as client:
                        client.ws_handshake(path)
                        client.recv_until_close()
                refused = assert_primary(server.trace, "/forbidden", "upgrade-rejected")
                hung_up = assert_primary(server.trace, "/hangup", "closed-right-after-101")
        blame = refused["findings"][0]["blame"]
        self.assertEqual(os.path.basename(blame["file"]), "server.c")
        self.assertNotEqual(blame["function"], "main")
        # The callback only asked for the close; the library does it after the callback returned.
        self.assertIsNone(hung_up["findings"][0]["blame"])
        self.assertRegex(hung_up["findings"][0]["blame_reason"], "done by libwebsockets")


class Interpreters(Blame):
    def test_cpython_is_not_blamed_and_the_reason_says_so(self):
        python = "/usr/bin/python3"
        with Server([python, "-m", "http.server", "--bind", "127.0.0.1", "{port}"], free_port(),
                    cwd=tempfile.gettempdir()) as server:
            with server.client() as client:
                client.ws_handshake("/nothing-here")
            x = assert_primary(server.trace, "/nothing-here", "upgrade-rejected")
        finding = next(f for f in x["findings"] if f["primary"])
        self.assertIsNone(finding["blame"])
        self.assertRegex(finding["blame_reason"], "frames of CPython cannot be named yet")


if __name__ == "__main__":
    unittest.main()
