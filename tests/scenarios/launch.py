# SPDX-License-Identifier: BSD-2-Clause
#
# launch: become nginx or Apache with a configuration of its own.  The catalogue gives every case a
# fresh port on the command line, and these two take theirs from a file.
#
#     launch.py nginx|apache FOLDER PORT BACKEND
#
# FOLDER is writable and stays the caller's; BACKEND is the port of a WebSocket server.

import os
import sys
import tempfile

NGINX = """
daemon off;
%(user)s
worker_processes 1;
pid %(dir)s/nginx.pid;
error_log stderr crit;
events {}
http {
    access_log off;
    client_body_temp_path %(dir)s/body;
    proxy_temp_path %(dir)s/proxy;
    fastcgi_temp_path %(dir)s/fastcgi;
    uwsgi_temp_path %(dir)s/uwsgi;
    scgi_temp_path %(dir)s/scgi;
    server {
        listen 127.0.0.1:%(port)s;
        root %(dir)s;
        location = /page { return 200 "a page"; }
        location / {
            proxy_pass http://127.0.0.1:%(backend)s;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}
"""

APACHE = """
ServerRoot %(dir)s
DefaultRuntimeDir %(dir)s
PidFile %(dir)s/httpd.pid
ServerName localhost
Listen 127.0.0.1:%(port)s
ErrorLog /dev/stderr
LogLevel crit
Mutex file:%(dir)s default
%(user)s
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule proxy_wstunnel_module /usr/lib/apache2/modules/mod_proxy_wstunnel.so
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
MinSpareThreads 1
MaxSpareThreads 16
DocumentRoot %(dir)s
ProxyPass / ws://127.0.0.1:%(backend)s/
"""

# what, the line that gives up root, and the command
SERVERS = {
    "nginx": (NGINX, "user nobody nogroup;",
              ["/usr/sbin/nginx", "-p", "%(dir)s", "-c", "%(file)s", "-e", "stderr"]),
    "apache": (APACHE, "User nobody\nGroup nogroup",
               ["/usr/sbin/apache2", "-DFOREGROUND", "-f", "%(file)s"]),
}


def main(name, folder, port, backend):
    text, user, command = SERVERS[name]
    here = tempfile.mkdtemp(prefix=name + "-", dir=folder)
    os.chmod(here, 0o755)
    words = {"dir": here, "port": port, "backend": backend, "file": os.path.join(here, "config"),
             "user": user if os.geteuid() == 0 else ""}
    with open(words["file"], "w", encoding="utf-8") as config:
        config.write(text % words)
    command = [word % words for word in command]
    os.execv(command[0], command)


main(*sys.argv[1:])
