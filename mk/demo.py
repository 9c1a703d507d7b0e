# SPDX-License-Identifier: BSD-2-Clause
#
# demo: nginx in front of a small C server, both started with `shakedown run`.  One upgrade
# passes, one is spoiled by a middleware of the C server; the report names its line.

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import harness  # noqa: E402 (found through the line above)

PLACE = os.path.join("build", "demo")
APP = os.path.join("build", "release", "tests", "programs", "victim_early_answer")
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or "/usr/sbin/nginx"

CONFIG = """
daemon off;
pid {dir}/nginx.pid;
error_log stderr warn;
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
        location / {
            proxy_pass http://127.0.0.1:%d;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}
"""


def say(text):
    print(text, flush=True)


def started(name, command, port, **options):
    trace = os.path.join(PLACE, name + ".trace")
    server = harness.Server(command, port, shim="run", trace=trace, cwd=ROOT, **options)
    say("$ build/shakedown run -o %s -- %s" % (trace, " ".join(server.cmd)))
    return server


def healthy(port):
    with harness.Client(port) as client:
        head = client.ws_open("/ws")
        client.echo(b"ahoy")
        client.ws_close()
        say("GET /ws               %d, then one message there and back" % head.status)


def spoiled(port):
    with harness.Client(port) as client:
        head = client.ws_open("/ws?spoil=after")
        first = client.recv_exactly(15)
        say("GET /ws?spoil=after   %d, then instead of a frame: %r" % (head.status, first.decode()))


def main():
    os.chdir(ROOT)
    shutil.rmtree(PLACE, ignore_errors=True)
    os.makedirs(PLACE)
    port, front = harness.free_port(), harness.free_port()
    with started("app", [APP, "{port}"], port), \
            started("nginx", [NGINX, "-p", "{dir}", "-e", "stderr", "-c", "{dir}/nginx.conf"],
                    front, files={"nginx.conf": CONFIG % port}):
        say("")
        healthy(front)
        spoiled(front)
    report = ["build/shakedown", "report", os.path.join(PLACE, "app.trace")]
    say("\n$ " + " ".join(report))
    status = subprocess.run(report, check=False).returncode
    say("\nThe same as nginx saw it:  build/shakedown report %s\n"
        "What each finding means:   build/shakedown explain" % os.path.join(PLACE, "nginx.trace"))
    return status


sys.exit(main())
