# SPDX-License-Identifier: BSD-2-Clause
#
# nginx: answering by itself, and as a reverse proxy with and without upgrade forwarding.  Its
# master starts as root where it can, so that the workers are processes that gave up their rights.

import os
import unittest

from apps import UpgradeCase, python_command
from harness import (ServerCase, at_least, assert_healthy, assert_primary, attempt, exchanges,
                     free_port, handshake_bytes, request_bytes, wait_for)

CONFIG = """
daemon off;
%(user)s
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr info;
events {}
http {
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {
        listen 127.0.0.1:{port};
        root {dir};
        location = /page { return 200 "a page"; }
        location = /live { return 308 /live/; }
        location = /gone { return 404; }
        location = /file.txt { }
        location = /draining { return 503; }
        %(locations)s
    }
}
"""

PROXY = """
        # What nginx does unless it is told: HTTP/1.0, Connection: close, no Upgrade.
        location /stripped/ { proxy_pass http://127.0.0.1:%(app)d; }
        # HTTP/1.1 with the Upgrade field, but nobody forwards Connection.
        location /half/ {
            proxy_pass http://127.0.0.1:%(app)d;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
        }
        location /forwarded/ {
            proxy_pass http://127.0.0.1:%(app)d;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
        location /idle/ {
            proxy_pass http://127.0.0.1:%(app)d;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_read_timeout 1s;
        }
        location /down/ {
            proxy_pass http://127.0.0.1:%(nobody)d;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
"""


def nginx_files(locations=""):
    # Without root nginx warns about a user line and goes on.
    user = "user nobody nogroup;" if os.geteuid() == 0 else ""
    return {"nginx.conf": CONFIG % {"user": user, "locations": locations}, "file.txt": "a file\n"}


def nginx_command():
    return ["/usr/sbin/nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf", "-e", "stderr"]


class Nginx(UpgradeCase):
    """nginx answers by itself."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve(nginx_command(), free_port(), files=nginx_files())

    def test_a_page_answered_to_a_handshake_ignores_the_upgrade(self):
        self.refused("/page", 200, "upgrade-ignored-2xx")

    def test_a_file_answered_to_a_handshake_ignores_the_upgrade(self):
        self.refused("/file.txt", 200, "upgrade-ignored-2xx")

    def test_a_redirect_to_the_path_with_a_slash_names_the_slash(self):
        exchange = self.refused("/live", 308, "upgrade-redirected")
        self.assertIn("/live/", exchange["findings"][0]["message"])

    def test_an_unknown_path_is_a_rejection(self):
        self.refused("/gone", 404, "upgrade-rejected")

    def test_a_draining_server_is_a_failure(self):
        self.refused("/draining", 503, "upgrade-failed-5xx")

    def test_the_workers_are_watched_after_they_gave_up_root(self):
        self.refused("/nowhere", 404, "upgrade-rejected")
        processes = self.server.report()["processes"]
        worker = [p for p in processes if p["exchanges"]]
        self.assertEqual(len(worker), 1)
        self.assertNotEqual(worker[0]["pid"], self.server.pid)
        self.assertEqual(worker[0]["coverage"], "full")

    def test_ordinary_requests_are_counted_and_not_recorded(self):
        with self.server.client() as client:
            for _ in range(3):
                client.send(request_bytes("/file.txt?ordinary"))
                self.assertEqual(client.recv_response()[1], b"a file\n")
        paths = [x["path"] for x in exchanges(self.server.report())]
        self.assertNotIn("/file.txt?ordinary", paths)


class NginxUnderRun(ServerCase):
    """The same, started with `shakedown run`."""

    def test_a_spoiled_upgrade_is_found_and_the_status_is_the_servers(self):
        server = self.serve(nginx_command(), free_port(), shim="run", files=nginx_files())
        with server.client() as client:
            self.assertEqual(client.ws_handshake("/gone").status, 404)
        assert_primary(server.trace, "/gone", "upgrade-rejected")
        self.assertEqual(server.terminate(), 0)


class NginxProxy(ServerCase):
    """nginx in front of a Python application, both watched."""

    @classmethod
    def setUpClass(cls):
        app = free_port()
        cls.app = cls.serve(python_command("ws.py", "{port}"), app)
        locations = PROXY % {"app": app, "nobody": free_port()}
        cls.proxy = cls.serve(nginx_command(), free_port(), files=nginx_files(locations))

    def test_a_forwarded_upgrade_is_healthy_on_all_three_legs(self):
        with self.proxy.client() as client:
            client.ws_open("/forwarded/chat")
            client.echo()
            client.ws_close()
        assert_healthy(self.proxy.trace, "/forwarded/chat")
        assert_healthy(self.proxy.trace, "/forwarded/chat", role="client")
        assert_healthy(self.app.trace, "/forwarded/chat")

    def test_an_upgrade_stripped_by_the_defaults_is_blamed_on_the_proxy(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/stripped/chat").status, 400)
        exchange = assert_primary(self.app.trace, "/stripped/chat", "req-upgrade-stripped")
        self.assertIn("1.0", exchange["findings"][0]["message"])

    def test_an_upgrade_without_its_connection_token_is_blamed_on_the_proxy(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/half/chat").status, 426)
        assert_primary(self.app.trace, "/half/chat", "req-upgrade-stripped")

    def test_a_refusal_of_the_application_is_a_rejection_on_both_sides(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/forwarded/unknown", version="12").status, 400)
        assert_primary(self.app.trace, "/forwarded/unknown", "version-negotiation")
        assert_primary(self.proxy.trace, "/forwarded/unknown", "version-negotiation")

    def test_a_dead_upstream_is_a_failure(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/down/chat").status, 502)
        assert_primary(self.proxy.trace, "/down/chat", "upgrade-failed-5xx")

    def test_an_early_frame_is_kept_by_nginx_and_reported_as_the_clients_fault(self):
        with self.proxy.client() as client:
            client.send(handshake_bytes("/forwarded/early") + b"\x81\x82\0\0\0\0hi")
            self.assertEqual(client.recv_head().status, 101)
            self.assertEqual(client.recv_data(), b"hi")
            client.ws_close()
        exchange = assert_primary(self.proxy.trace, "/forwarded/early", "early-client-data")
        self.assertEqual(at_least(exchange, "error"), [])

    def test_silent_websockets_cut_at_the_same_age_are_an_idle_timeout(self):
        for path in ("/idle/a", "/idle/b"):
            with self.proxy.client() as client:
                client.ws_open(path)
                client.echo()
                self.assertEqual(client.recv_until_close(), b"")
        for path in ("/idle/a", "/idle/b"):
            assert_primary(self.proxy.trace, path, "idle-timeout-close")

    def test_the_application_behind_sees_a_peer_that_left_without_a_close_frame(self):
        with self.proxy.client() as client:
            client.ws_open("/idle/seen-from-behind")
            client.echo()
            client.recv_until_close()
        wait_for(lambda: attempt(self.app.report(), "/idle/seen-from-behind"))
        self.assertNotIn("idle-timeout-close",
                         str(attempt(self.app.report(), "/idle/seen-from-behind")["findings"]))


if __name__ == "__main__":
    unittest.main()
