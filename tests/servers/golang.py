# SPDX-License-Identifier: BSD-2-Clause
#
# golang: which Go toolchains there are, and programs built with them, once per run of the tests.
#
# Debian's own Go builds with Debian's packages and no network.  A newer one takes modules from the
# proxy its owner configured.  What is built lands in build/go/TOOLCHAIN/SHAPE/NAME.

import fcntl
import functools
import os
import re
import shutil
import subprocess

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(os.path.realpath(harness.BUILD), "go")
DEBIAN_GO = "/usr/lib/go-1.19/bin/go"
DEBIAN_PATH = "/usr/share/gocode"
NEWEST_AT_LEAST = 25  # what the modules of the test servers ask for

# Ways to link the same program. static and stripped load no libraries; in pie the loader runs, but
# the thread pointer is Go's.
SHAPES = {
    "cgo": ({"CGO_ENABLED": "1"}, ()),
    "static": ({"CGO_ENABLED": "0"}, ()),
    "stripped": ({"CGO_ENABLED": "0"}, ("-ldflags=-s -w",)),
    "pie": ({"CGO_ENABLED": "0"}, ("-buildmode=pie",)),
    "external": ({"CGO_ENABLED": "1"},
                 ("-tags=netgo,osusergo", "-ldflags=-linkmode external -extldflags -static")),
    "race": ({"CGO_ENABLED": "1"}, ("-race",)),
}
DYNAMIC = ("cgo", "pie", "race")

# Toolchains between Debian's and the newest, taken from the module proxy.
BETWEEN = ("go1.20.14", "go1.21.13", "go1.22.12", "go1.23.12", "go1.24.13", "go1.25.7")

UNREACHABLE = re.compile(r"dial tcp|no such host|i/o timeout|connection refused|TLS handshake|"
                         r"x509:|module lookup disabled|proxyconnect|network is unreachable")


def version_of(go):
    """(1, 19) for that toolchain, None when it does not run."""
    try:
        text = subprocess.run([go, "env", "GOVERSION"], stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
    except OSError:
        return None
    found = re.match(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


@functools.lru_cache(None)
def newest():
    """The newest toolchain that is installed; skips aloud when it is too old for the modules."""
    for go in (shutil.which("go"), "/usr/local/go/bin/go"):
        version = version_of(go) if go else None
        if version and version >= (1, NEWEST_AT_LEAST):
            return go
    return None


def toolchain(name):
    """The go command called "debian" or "newest", or a version as GOTOOLCHAIN takes it."""
    if name == "debian":
        if not os.path.exists(DEBIAN_GO):
            raise AssertionError("golang-1.19-go is missing: make deps installs it")
        return DEBIAN_GO, {"GO111MODULE": "off", "GOPATH": DEBIAN_PATH, "GOFLAGS": "",
                           "GOTOOLCHAIN": "local"}
    go = newest()
    if not go:
        harness.skip("no-new-go")
    return go, {"GOFLAGS": "-mod=mod" if name != "newest" else "",
                "GOTOOLCHAIN": "local" if name == "newest" else name}


def run_go(go, args, env, cwd):
    done = subprocess.run([go, *args], cwd=cwd, env={**os.environ, **env}, check=False, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=900)
    if done.returncode and UNREACHABLE.search(done.stdout):
        harness.skip("go-proxy", UNREACHABLE.search(done.stdout)[0])
    if done.returncode:
        raise AssertionError("go %s in %s:\n%s" % (" ".join(args), cwd, done.stdout[-4000:]))
    return done.stdout


@functools.lru_cache(None)
def build(folder, name, which="newest", shape="static"):
    """Path of the program made of tests/servers/go/FOLDER.

    which  "debian", "newest", or a toolchain's name such as "go1.22.12"
    shape  a row of SHAPES
    """
    go, env = toolchain(which)
    shape_env, flags = SHAPES[shape]
    out = os.path.join(OUT, which, shape, name)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out + ".lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run_go(go, ["build", *flags, "-o", out, "."], {**env, **shape_env},
               os.path.join(HERE, "go", folder))
    return out


def door(shape):
    """How a program of that shape is started by the tests: preloaded, or by `shakedown run`."""
    return True if shape in DYNAMIC else "run"
