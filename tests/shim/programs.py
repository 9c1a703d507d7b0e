# SPDX-License-Identifier: BSD-2-Clause
#
# programs: compiles the C sources of this folder, and reads calls.def with the compiler's own
# preprocessor, so that no second parser can disagree with it.

import atexit
import functools
import os
import re
import shutil
import subprocess
import tempfile

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 60


@functools.lru_cache(maxsize=None)
def folder():
    path = tempfile.mkdtemp(prefix="shakedown-shim-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.lru_cache(maxsize=None)
def build(source, *flags, cc="gcc", name=None):
    """Compile tests/shim/SOURCE and return the path of the result."""
    path = os.path.join(folder(), name or os.path.splitext(source)[0])
    command = [cc, "-std=gnu11", "-g", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-I" + harness.ROOT,
               os.path.join(HERE, source), "-o", path, *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=TIMEOUT, check=False)
    if done.returncode != 0:
        raise AssertionError("%s\n%s" % (" ".join(command), done.stdout))
    return path


def environment(*preload, **more):
    """This process's environment with these libraries preloaded and nothing else of ours."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("SHAKEDOWN") and k not in ("LD_PRELOAD", "LD_DEBUG")}
    if preload:
        env["LD_PRELOAD"] = ":".join(preload)
    env.update(more)
    return env


def run(*command, env=None, timeout=TIMEOUT, **options):
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout,
                          check=False, **options)


@functools.lru_cache(maxsize=None)
def library_without_dlsym():
    """The library as it is in a process that has no dlsym (glibc before 2.34 without libdl)."""
    with open(harness.LIB, "rb") as file:
        data = file.read()
    if data.count(b"\0dlsym\0") < 1:
        raise AssertionError("the library does not import dlsym")
    path = os.path.join(folder(), "bare")
    os.makedirs(path, exist_ok=True)
    path = os.path.join(path, "libshakedown.so")
    with open(path, "wb") as file:
        file.write(data.replace(b"\0dlsym\0", b"\0dlsyX\0"))
    return path


class Row:
    """One CALL or VARIANT. For a call, row is its own name and klass is ''."""

    def __init__(self, kind, name, row, klass, body, nr, op, shape, ret, params):
        self.kind, self.name, self.row, self.klass, self.body = kind, name, row, klass, body
        self.nr, self.op, self.shape, self.ret, self.params = int(nr), op, shape, ret, params

    @property
    def exported(self):
        return self.body != "NUM"


READER = r"""
#include <sys/syscall.h>
#define CALL(id, nr, op, shape, body, ret, params, args) \
    CALL; #id; #id; ; #body; nr; #op; #shape; #ret; #params!
#define VARIANT(name, id, klass, body, ret, params, args, words) \
    VARIANT; #name; #id; #klass; #body; -1; ; ; #ret; #params!
"""


@functools.lru_cache(maxsize=None)
def rows():
    # The lines of calls.def, stringified by the preprocessor: #x needs a macro, hence the quotes.
    text = READER.replace("#include <sys/syscall.h>\n", "")
    source = "#include <sys/syscall.h>\n" + text + '#include "shim/engine/calls.def"\n'
    done = subprocess.run(["gcc", "-E", "-P", "-I" + harness.ROOT, "-x", "c", "-"], input=source,
                          stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True)
    found = []
    for line in done.stdout.replace("\n", " ").split("!"):
        if line.strip():
            fields = [f.strip().strip('"') for f in line.split(";")]
            found.append(Row(*fields))
    calls = {r.name: r for r in found if r.kind == "CALL"}
    for r in found:
        if r.kind == "VARIANT":
            r.op, r.shape = calls[r.row].op, calls[r.row].shape
    return found


def exported():
    return {r.name for r in rows() if r.exported}


def symbols(path, *flags):
    """Lines of nm -D as (address, type, name, version)."""
    done = run("nm", "-D", *flags, path)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    found = []
    for line in done.stdout.splitlines():
        m = re.match(r"^([0-9a-f]*)\s+(\S)\s+([^@\s]+)(@*\S*)$", line)
        if m:
            found.append((m[1], m[2], m[3], m[4]))
    return found


@functools.lru_cache(maxsize=None)
def libc_path():
    for line in run("ldd", "/bin/sh").stdout.splitlines():
        if "libc.so.6" in line:
            return line.split()[2]
    raise AssertionError("no libc.so.6 behind /bin/sh")


@functools.lru_cache(maxsize=None)
def libc_symbols():
    """name -> address of every function glibc exports under its current version."""
    return {name: address for address, kind, name, version in
            symbols(libc_path(), "--defined-only") if kind in "TtWwi" and version.startswith("@@")}
