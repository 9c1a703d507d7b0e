# SPDX-License-Identifier: BSD-2-Clause
#
# rustlang: the Rust server, built once per run of the tests for a target.  A copy of the crate below
# build/ is built, and its lock file is written there: exact versions stand in Cargo.toml.

import fcntl
import functools
import os
import re
import shutil
import subprocess

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(os.path.realpath(harness.BUILD), "rust")
GLIBC, MUSL = "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"
AT_LEAST = (1, 85)  # what the crates ask for

# What cargo prints when there is no way to the registry of crates.
UNREACHABLE = re.compile(r"[Cc]ould ?n.t (?:resolve|connect)|Could not resolve|Failed to connect|"
                         r"Timeout was reached|Connection (?:refused|reset)|SSL (?:peer )?certificate|"
                         r"network failure|can't be used without networking")


def output_of(*command, **options):
    """(status, text) of a command; status None when there is no such program."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=600, check=False, **options)
    except FileNotFoundError:
        return None, ""
    return done.returncode, done.stdout


def require(target):
    """Skip aloud unless the toolchain is new enough and has that target."""
    found = re.search(r"(\d+)\.(\d+)", output_of("cargo", "--version")[1])
    if not found or tuple(map(int, found.groups())) < AT_LEAST:
        harness.skip("rust", "cargo %s" % (found[0] if found else "is not installed"))
    libraries = output_of("rustc", "--print", "target-libdir", "--target", target)[1].strip()
    if not os.path.isdir(libraries):
        harness.skip("rust", "no target %s" % target)


@functools.lru_cache(None)
def build(target=GLIBC):
    """Path of the program made of tests/servers/rust for that target."""
    require(target)
    crate = os.path.join(OUT, "crate")
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copytree(os.path.join(HERE, "rust"), crate, dirs_exist_ok=True)
        status, text = output_of("cargo", "build", "--quiet", "--release", "--target", target,
                                 "--target-dir", OUT, cwd=crate)
    if status and UNREACHABLE.search(text):
        harness.skip("rust", UNREACHABLE.search(text)[0])
    if status:
        raise AssertionError("cargo build --target %s:\n%s" % (target, text[-4000:]))
    return os.path.join(OUT, target, "release", "echo")
