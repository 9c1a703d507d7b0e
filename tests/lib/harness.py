# SPDX-License-Identifier: BSD-2-Clause
#
# harness: what every test that starts a real process shares.
#
# 1. Nothing waits without a deadline, and nothing sleeps where an event can be awaited: a server is
#    ready when the kernel lists its listening socket, not when a probe connection got through.
# 2. Only processes started here are signalled, by their own pid or their own process group.
# 3. A failed test leaves the server's log and trace behind and prints the log.
# 4. A test is skipped only for a reason written down in tests/skips.txt.

import base64
import contextlib
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SHAKEDOWN_BUILD", os.path.join(ROOT, "build")))
# These two are the tests' own; the library would take them for misspelt settings and stay inactive.
for name in ("SHAKEDOWN_BUILD", "SHAKEDOWN_VARIANT"):
    os.environ.pop(name, None)
SHAKEDOWN = os.path.join(BUILD, "shakedown")
LIB = os.path.join(BUILD, "libshakedown.so")
SKIPS = os.path.join(ROOT, "tests", "skips.txt")

START_TIMEOUT = 30.0  # seconds until a server must listen
IO_TIMEOUT = 20.0  # seconds one client operation may take
STOP_TIMEOUT = 10.0  # seconds between SIGTERM and SIGKILL
EVENT_TIMEOUT = 20.0  # seconds until something expected must be in the report

SEVERITIES = ("info", "warning", "error", "critical")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


# ---- the small things --------------------------------------------------------------------------


def skip(row, detail=""):
    """Skip the running test because of the row of tests/skips.txt with this id.

    A reason nobody wrote down is a failure, not a skip.
    """
    reasons = skip_reasons()
    if row not in reasons:
        raise AssertionError("skip without a row in tests/skips.txt: %s %s" % (row, detail))
    raise unittest.SkipTest("%s: %s%s" % (row, reasons[row], " (%s)" % detail if detail else ""))


def skip_reasons():
    """The rows of tests/skips.txt, `id: reason`; # starts a comment line."""
    rows = {}
    with open(SKIPS, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                row, _, reason = line.partition(":")
                rows[row.strip()] = reason.strip()
    return rows


def free_port():
    """A loopback TCP port nobody listens on at this moment.

    Below the range from which the kernel serves connecting clients, so that no test running beside
    this one takes it by accident.
    """
    while True:
        port = random.randrange(10240, 32768)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


class NotInTime(AssertionError):
    """What should have become true did not, within the deadline."""


def wait_for(predicate, what="the condition", timeout=EVENT_TIMEOUT):
    """Call predicate until it returns something true, and return that.

    For what cannot be awaited.
    """
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NotInTime("%s did not come true within %g s" % (what, timeout))
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def have_program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def preload_env(trace, env=None):
    """The environment of a process under a bare LD_PRELOAD, recording to the folder trace."""
    result = dict(os.environ if env is None else env)
    before = result.get("LD_PRELOAD")
    result["LD_PRELOAD"] = LIB + (":" + before if before else "")
    result["SHAKEDOWN_TRACE"] = trace
    return result


def shakedown(*args, timeout=120, **options):
    """Run the command and return the finished process with text in stdout and stderr."""
    return subprocess.run([SHAKEDOWN, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout, check=False,
                          **options)


# ---- processes ---------------------------------------------------------------------------------


def descendants(pid):
    """pid and everything below it, as far as /proc tells."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open("/proc/%s/stat" % name, "rb") as stat:
                    parent = int(stat.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(children.get(one, ()))
    return found


def socket_inodes(pids):
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir("/proc/%d/fd" % pid):
                with contextlib.suppress(OSError):
                    link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
                    if link.startswith("socket:["):
                        inodes.add(link[8:-1])
    return inodes


def tcp_rows():
    """(local port, remote port, state as the kernel writes it, inode) of every TCP socket."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            with open(table, encoding="ascii") as lines:
                next(lines)
                for line in lines:
                    f = line.split()
                    yield (int(f[1].rpartition(":")[2], 16), int(f[2].rpartition(":")[2], 16),
                           f[3], f[9])


def is_listening(pid, port):
    """Does pid, or a process below it, listen on the port?"""
    inodes = {inode for local, _, state, inode in tcp_rows() if local == port and state == "0A"}
    return bool(inodes) and bool(inodes & socket_inodes(descendants(pid)))


class Server:
    """A process that listens on a port.

    cmd    list of words
    shim   True: LD_PRELOAD; "run": under `shakedown run -o`; False: bare
    trace  the folder of the trace; a fresh one below `dir` when not given
    env    variables added to the environment
    files  {name: text} written into `dir` first; in text, cmd and env {dir} and {port} are replaced
    ports  further ports that must be listening before the server counts as ready

    As a context manager it stops the server at the end and keeps and prints the log when the body
    failed.  start() and stop(failed=...) do the same for setUpClass and addClassCleanup.
    """

    def __init__(self, cmd, port, shim=True, trace=None, env=None, cwd=None, ports=(),
                 stop_signal=signal.SIGTERM, files=None):
        self.port, self.ports, self.shim = port, (port, *ports), shim
        self.dir = tempfile.mkdtemp(prefix="shakedown-test-")
        # nginx and Apache give up root: what they serve and where they log must be reachable.
        os.chmod(self.dir, 0o755)
        self.trace = trace or os.path.join(self.dir, "server.trace")
        self.log = os.path.join(self.dir, "log")
        self.cmd = [self.fill_in(str(word)) for word in cmd]
        for name, text in (files or {}).items():
            with open(os.path.join(self.dir, name), "w", encoding="utf-8") as file:
                file.write(self.fill_in(text))
        self.extra_env = {name: self.fill_in(value) for name, value in (env or {}).items()}
        self.cwd, self.stop_signal = cwd, stop_signal
        self.failed = False
        self.process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop(failed=True)
            raise

    def __exit__(self, kind, *_):
        self.stop(failed=kind is not None and not issubclass(kind, unittest.SkipTest))

    def fill_in(self, text):
        return text.replace("{port}", str(self.port)).replace("{dir}", self.dir)

    @property
    def pid(self):
        return self.process.pid

    @property
    def returncode(self):
        return self.process.returncode

    def start(self):
        env, cmd = {**os.environ, **self.extra_env}, self.cmd
        if self.shim == "run":
            cmd = [SHAKEDOWN, "run", "-o", self.trace, "--", *cmd]
        elif self.shim:
            env = preload_env(self.trace, env)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, cwd=self.cwd, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT
        while not all(is_listening(self.pid, port) for port in self.ports):
            if self.process.poll() is not None:
                raise self.start_error("exited with status %d before it listened" % self.returncode)
            if time.monotonic() > deadline:
                raise self.start_error("does not listen on %s" % (self.ports,))
            time.sleep(0.01)
        return self

    def start_error(self, what):
        return AssertionError("%s: %s\n%s" % (" ".join(self.cmd), what, self.log_text()))

    def log_text(self, most=8000):
        with contextlib.suppress(OSError):
            with open(self.log, "rb") as log:
                return log.read()[-most:].decode("utf-8", "backslashreplace")
        return ""

    def client(self, **options):
        return Client(self.port, **options)

    def report(self, *args):
        return report(self.trace, *args)

    def wait_finding(self, finding, *args, timeout=EVENT_TIMEOUT):
        """Wait until the report has this finding anywhere; returns the finding."""
        def found():
            return next((f for f in findings(self.report(*args)) if f["id"] == finding), None)

        return wait_for(found, "the finding %s" % finding, timeout)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self, how=None):
        """Signal the server and wait until it is gone; returns its status."""
        if self.is_running():
            self.process.send_signal(self.stop_signal if how is None else how)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill_group()
            self.process.wait(STOP_TIMEOUT)
        self.kill_group()
        # Children died behind the parent's back: the port tells when they are gone.
        wait_for(lambda: not self.inodes_listening(), "the end of %s" % self.cmd[0], STOP_TIMEOUT)
        return self.returncode

    def inodes_listening(self):
        return [row for row in tcp_rows() if row[0] in self.ports and row[2] == "0A"]

    def kill_group(self):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self, failed=False):
        if self.process is not None:
            self.terminate()
        if failed or self.failed:
            print("---- %s: log, kept with the trace in %s\n%s----"
                  % (" ".join(self.cmd), self.dir, self.log_text()), file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


class ServerCase(unittest.TestCase):
    """A test class with servers that live as long as the class; a failed test prints their logs.

    A subclass calls cls.serve(...) in setUpClass.
    """

    servers = ()

    @classmethod
    def serve(cls, *args, **options):
        server = Server(*args, **options)
        cls.servers = (*cls.servers, server)
        cls.addClassCleanup(server.stop)
        try:
            return server.start()
        except BaseException:
            server.failed = True
            raise

    def __init__(self, name="runTest"):
        super().__init__(name)
        method = getattr(self, name)

        @functools.wraps(method)
        def noting_failure():
            try:
                return method()
            except unittest.SkipTest:
                raise
            except BaseException:
                for server in self.servers:
                    server.failed = True
                raise

        setattr(self, name, noting_failure)


# ---- the report --------------------------------------------------------------------------------


def report(trace, *args):
    """What `shakedown report` says about a trace, parsed."""
    done = shakedown("report", trace, "--format", "json", *args)
    if done.returncode not in (0, 1):
        raise AssertionError("shakedown report %s: status %d\n%s"
                             % (trace, done.returncode, done.stderr))
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise AssertionError("report is not JSON: %s\n%s" % (error, done.stdout[:2000])) from error


def exchanges(rep, path=None, role=None):
    """All exchanges of a report, of one path and role when given; the query does not count."""
    return [x for p in rep["processes"] for x in p["exchanges"]
            if (path is None or (x.get("path") or "").partition("?")[0] == path)
            and (role is None or x.get("role") == role)]


def findings(rep):
    """All findings of a report, of processes and of exchanges."""
    for p in rep["processes"]:
        yield from p["findings"]
        for x in p["exchanges"]:
            yield from x["findings"]


def attempt(rep, path, role="server"):
    """The one exchange of that path; None when there is none."""
    found = exchanges(rep, path, role)
    if len(found) > 1:
        raise AssertionError("%d exchanges have the path %s" % (len(found), path))
    return found[0] if found else None


def primary(exchange):
    """The id of the primary finding, None for an exchange without findings."""
    found = [f["id"] for f in exchange["findings"] if f["primary"]]
    if len(found) > 1:
        raise AssertionError("more than one primary finding: %s" % found)
    return found[0] if found else None


def at_least(exchange, severity):
    """Ids of the findings of at least this severity."""
    least = SEVERITIES.index(severity)
    return [f["id"] for f in exchange["findings"] if SEVERITIES.index(f["severity"]) >= least]


def describe(exchange):
    """An exchange as a failure message shows it."""
    if exchange is None:
        return "no such exchange"
    return "%s %s %s -> %s %s; findings: %s" % (
        exchange.get("role"), exchange.get("method"), exchange.get("path"), exchange.get("status"),
        exchange.get("outcome"),
        "; ".join("%s%s (%s) %s" % ("*" if f["primary"] else "", f["id"], f["severity"],
                                    f["message"]) for f in exchange["findings"]) or "none")


def assert_primary(trace, path, finding, *args, role="server", status=None,
                   timeout=EVENT_TIMEOUT):
    """The attempt of that path has this primary finding, or one of them, within the timeout.

    Polls, because a client can see an answer before the server's process has recorded it; with
    status until that answer is recorded, too.
    Returns the exchange.
    """
    wanted = (finding,) if isinstance(finding, str) else finding
    last = None

    def found():
        nonlocal last
        last = attempt(report(trace, "--path", path, *args), path, role)
        if last is None or primary(last) not in wanted:
            return None
        return last if status is None or last["status"] == status else None

    try:
        return wait_for(found, timeout=timeout)
    except NotInTime:
        raise AssertionError("%s: expected the primary finding %s, the report says: %s"
                             % (path, " or ".join(wanted), describe(last))) from None


def assert_healthy(trace, path, *args, role="server", outcome="upgraded", timeout=EVENT_TIMEOUT):
    """The attempt of that path reached the outcome and nothing of at least warning was found.

    Returns the exchange.
    """
    last = None

    def settled():
        nonlocal last
        last = attempt(report(trace, "--path", path, *args), path, role)
        return last if last is not None and last["outcome"] == outcome else None

    try:
        exchange = wait_for(settled, timeout=timeout)
    except NotInTime:
        raise AssertionError("%s: expected the outcome %s, the report says: %s"
                             % (path, outcome, describe(last))) from None
    if at_least(exchange, "warning"):
        raise AssertionError("%s should be healthy, the report says: %s"
                             % (path, describe(exchange)))
    return exchange


# ---- a raw client ------------------------------------------------------------------------------


class Head:
    """A response head: status, reason, fields as (name, value) in order, raw bytes."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        status, _, self.reason = rest.partition(" ")
        self.version, self.status = version, int(status)
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                self.fields.append((name.strip(), value.strip()))

    def get(self, name):
        """All values of a field joined by commas; None when it is absent."""
        values = [v for n, v in self.fields if n.lower() == name.lower()]
        return ", ".join(values) if values else None


class Frame:
    def __init__(self, first, masked, payload):
        self.fin, self.rsv, self.opcode = bool(first & 0x80), (first >> 4) & 7, first & 15
        self.masked, self.payload = masked, payload

    def __repr__(self):
        return "Frame(opcode=%d fin=%s rsv=%d %r)" % (self.opcode, self.fin, self.rsv,
                                                      self.payload[:60])


def accept_of(key):
    """The Sec-WebSocket-Accept value that answers a key: RFC 6455 section 4.2.2."""
    return base64.b64encode(hashlib.sha1(key.encode("latin-1") + GUID).digest()).decode()


def frame_bytes(opcode, payload=b"", fin=True, mask=True, rsv=0):
    """One WebSocket frame: RFC 6455 section 5.2."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    flag, n = (0x80 if mask else 0), len(payload)
    if n < 126:
        head = struct.pack("!BB", first, flag | n)
    elif n < 65536:
        head = struct.pack("!BBH", first, flag | 126, n)
    else:
        head = struct.pack("!BBQ", first, flag | 127, n)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(b ^ key[i & 3] for i, b in enumerate(payload))


def request_bytes(path="/", headers=(), method="GET", version="HTTP/1.1", host="127.0.0.1"):
    """A request head; headers are (name, value) pairs."""
    lines = ["%s %s %s" % (method, path, version), "Host: %s" % host]
    lines += ["%s: %s" % pair for pair in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def new_key():
    """A Sec-WebSocket-Key: 16 random bytes for every connection, as RFC 6455 section 4.1 asks."""
    return base64.b64encode(os.urandom(16)).decode()


def handshake_bytes(path="/", headers=(), key=None, without=(), version="13", host="127.0.0.1"):
    """A WebSocket opening handshake; `without` names fields to leave out, headers are added."""
    key = new_key() if key is None else key
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", key),
              ("Sec-WebSocket-Version", version)]
    out = {name.lower() for name in without}
    return request_bytes(path, [f for f in fields if f[0].lower() not in out] + list(headers),
                         host=host)


class Client:
    """One loopback TCP connection, byte by byte under the test's control, with deadlines."""

    def __init__(self, port, host="127.0.0.1", timeout=IO_TIMEOUT):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.key = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        """Our own port: the server's peer port."""
        return self.sock.getsockname()[1]

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        """Take what has arrived; False at the end of the stream.  A reset is an end here."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def take(self, n):
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def recv_exactly(self, n):
        while len(self.buffer) < n:
            if not self.fill():
                raise EOFError("the server closed after %d of %d bytes: %r"
                               % (len(self.buffer), n, self.buffer[:200]))
        return self.take(n)

    def recv_head(self):
        """The next response head."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                raise EOFError("the server closed inside the head: %r" % self.buffer[:400])
        return Head(self.take(self.buffer.index(b"\r\n\r\n") + 4))

    def recv_response(self):
        """The next response with a Content-Length: (head, body)."""
        head = self.recv_head()
        return head, self.recv_exactly(int(head.get("Content-Length") or 0))

    def recv_until_close(self):
        """Everything up to the end of the stream."""
        while self.fill():
            pass
        return self.take(len(self.buffer))

    def request(self, path="/", headers=(), **options):
        self.send(request_bytes(path, headers, **options))
        return self.recv_head()

    def ws_handshake(self, path="/", headers=(), key=None, **options):
        """Send an opening handshake and return the head that answers it, whatever it says."""
        self.key = new_key() if key is None else key
        self.send(handshake_bytes(path, headers, self.key, **options))
        return self.recv_head()

    def ws_open(self, path="/", headers=(), **options):
        """An opening handshake that must succeed."""
        head = self.ws_handshake(path, headers, **options)
        if head.status != 101:
            raise AssertionError("%s: expected 101, got %r" % (path, head.raw))
        if head.get("Sec-WebSocket-Accept") != accept_of(self.key):
            raise AssertionError("%s: wrong Sec-WebSocket-Accept: %r" % (path, head.raw))
        return head

    def send_frame(self, opcode, payload=b"", **options):
        self.send(frame_bytes(opcode, payload, **options))

    def recv_frame(self):
        first, second = self.recv_exactly(2)
        n = second & 0x7F
        if n == 126:
            n = struct.unpack("!H", self.recv_exactly(2))[0]
        elif n == 127:
            n = struct.unpack("!Q", self.recv_exactly(8))[0]
        key = self.recv_exactly(4) if second & 0x80 else b"\0\0\0\0"
        payload = self.recv_exactly(n)
        payload = bytes(b ^ key[i & 3] for i, b in enumerate(payload))
        return Frame(first, bool(second & 0x80), payload)

    def recv_data(self):
        """The payload of the next text or binary frame."""
        while True:
            frame = self.recv_frame()
            if frame.opcode in (1, 2):
                return frame.payload
            if frame.opcode == 8:
                raise EOFError("the server sent a Close frame: %r" % frame.payload)

    def echo(self, text=b"hello"):
        """Send a text frame and expect it back."""
        self.send_frame(1, text)
        answer = self.recv_data()
        if answer != text:
            raise AssertionError("expected the echo of %r, got %r" % (text, answer))

    def ws_close(self, code=1000):
        """The closing handshake, then the end of the stream."""
        self.send_frame(8, struct.pack("!H", code))
        while self.recv_frame().opcode != 8:
            pass
        self.recv_until_close()
        self.close()

    def finish(self):
        """Send our FIN and keep reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()
