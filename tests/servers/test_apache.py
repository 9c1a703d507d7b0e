# SPDX-License-Identifier: BSD-2-Clause
#
# Apache httpd in front of a Python application, both watched: mod_proxy without upgrade forwarding,
# mod_proxy_wstunnel, and the upgrade parameter of mod_proxy_http.

import os
import unittest

from apps import python_command
from harness import ServerCase, assert_healthy, assert_primary, free_port

CONFIG = """
ServerRoot {dir}
DefaultRuntimeDir {dir}
PidFile {dir}/httpd.pid
ServerName localhost
Listen 127.0.0.1:{port}
ErrorLog {dir}/log
LogLevel warn
Mutex file:{dir} default
%(user)s
LoadModule mpm_%(mpm)s_module /usr/lib/apache2/modules/mod_mpm_%(mpm)s.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule proxy_wstunnel_module /usr/lib/apache2/modules/mod_proxy_wstunnel.so
StartServers 1
DocumentRoot {dir}
Redirect permanent /moved /live/chat
RedirectMatch 403 ^/forbidden
ProxyPass /live/ ws://127.0.0.1:%(app)d/live/
ProxyPass /upgrade/ http://127.0.0.1:%(app)d/upgrade/ upgrade=websocket
ProxyPass /stripped/ http://127.0.0.1:%(app)d/stripped/
ProxyPass /down/ ws://127.0.0.1:%(nobody)d/down/
"""


class Apache:
    mpm = None

    @classmethod
    def setUpClass(cls):
        app = free_port()
        cls.app = cls.serve(python_command("ws.py", "{port}"), app)
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        config = CONFIG % {"user": user, "mpm": cls.mpm, "app": app, "nobody": free_port()}
        cls.proxy = cls.serve(["/usr/sbin/apache2", "-DFOREGROUND", "-f", "{dir}/httpd.conf"],
                              free_port(), files={"httpd.conf": config})

    def test_an_upgrade_stripped_by_mod_proxy_is_blamed_on_the_proxy(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/stripped/chat").status, 426)
        assert_primary(self.app.trace, "/stripped/chat", "req-upgrade-stripped")

    def test_a_tunnel_of_mod_proxy_wstunnel_is_healthy_on_all_three_legs(self):
        with self.proxy.client() as client:
            client.ws_open("/live/chat")
            client.echo()
            client.ws_close()
        assert_healthy(self.app.trace, "/live/chat")
        assert_healthy(self.proxy.trace, "/live/chat")
        assert_healthy(self.proxy.trace, "/live/chat", role="client")

    def test_the_upgrade_parameter_of_mod_proxy_http_is_healthy(self):
        with self.proxy.client() as client:
            client.ws_open("/upgrade/chat")
            client.echo()
            client.ws_close()
        assert_healthy(self.app.trace, "/upgrade/chat")
        assert_healthy(self.proxy.trace, "/upgrade/chat")

    def test_a_redirect_is_found(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/moved").status, 301)
        assert_primary(self.proxy.trace, "/moved", "upgrade-redirected")

    def test_a_forbidden_path_is_a_rejection(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/forbidden").status, 403)
        assert_primary(self.proxy.trace, "/forbidden", "upgrade-rejected")

    def test_a_dead_upstream_is_a_failure(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/down/chat").status, 503)
        assert_primary(self.proxy.trace, "/down/chat", "upgrade-failed-5xx")


class ApacheEvent(Apache, ServerCase):
    mpm = "event"


class ApachePrefork(Apache, ServerCase):
    mpm = "prefork"


if __name__ == "__main__":
    unittest.main()
