# SPDX-License-Identifier: BSD-2-Clause
"""Whatever the place of the trace is like, the server answers everybody, and the trace says so."""

import glob
import json
import os
import resource
import shutil
import stat
import subprocess
import tempfile
import unittest

import counter
from harness import LIB, preload_env, shakedown, skip

MANY = 3000  # exchanges; their records take more than a megabyte
NOBODY = 65534


# Mounts of its own for a child, with or without being root.
UNSHARE = ["unshare", "-m" if os.getuid() == 0 else "-rm"]


def can_mount():
    return subprocess.run(UNSHARE + ["mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


class DiskCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-disk-")
        self.addCleanup(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        os.chmod(self.dir, 0o755)
        self.trace = os.path.join(self.dir, "server.trace")
        self.env = preload_env(self.trace)
        self.env["LD_PRELOAD"] = shutil.copy(LIB, self.dir)

    def serve(self, exchanges=3, **options):
        """A server that lives until the test is over, after it answered so many upgrades."""
        server, port = counter.start(self.env, **options)
        self.addCleanup(counter.stop, server)
        for number in range(exchanges):
            self.assertTrue(counter.exchange(port, number), number)
        self.assertIsNone(server.poll())
        return server, port

    def report(self, trace):
        out = shakedown("report", trace, "--format", "json")
        self.assertEqual(out.returncode, 0, out.stderr)
        process, = json.loads(out.stdout)["processes"]
        return process


class Full(DiskCase):
    """The trace lies on a tmpfs that only the server and its children see."""

    def setUp(self):
        super().setUp()
        if not can_mount():
            skip("mount")

    def serve_on(self, mount_options, before="true", **options):
        place = os.path.join(self.dir, "small")
        os.mkdir(place)
        self.env["SHAKEDOWN_TRACE"] = os.path.join(place, "server.trace")
        preload = self.env.pop("LD_PRELOAD")
        server, port = self.serve(
            command=UNSHARE + ["sh", "-c",
                               'mount -t tmpfs -o "$1" none "$2" && cd "$2" && eval "$3" && '
                               'LD_PRELOAD="$4" exec "$5"', "sh", mount_options, place, before,
                               preload, counter.VICTIM], **options)
        return server, port, "/proc/%d/root%s" % (server.pid, self.env["SHAKEDOWN_TRACE"])

    def test_a_disk_that_fills_up_stops_the_recording_and_not_the_server(self):
        _, _, trace = self.serve_on("size=1m,mode=755", exchanges=MANY)
        process = self.report(trace)
        self.assertEqual(process["coverage"], "partial")
        self.assertIn("disk", process["coverage_reason"])
        self.assertGreater(process["lost"], 0)
        # What was recorded before is whole: the first exchanges, one after the other.
        paths = [x["path"] for x in process["exchanges"]]
        self.assertGreater(len(paths), 10)
        self.assertEqual(paths, ["/ws/%d" % i for i in range(len(paths))])

    def test_a_disk_that_was_full_before_does_not_hurt_the_server(self):
        self.serve_on("size=64k,mode=755", before="dd if=/dev/zero of=all bs=4k 2>/dev/null || true")

    def test_a_disk_with_room_for_a_few_pages_does_not_hurt_the_server(self):
        for pages in (1, 2, 3, 8):
            with self.subTest(pages=pages):
                self.serve_on("size=256k,mode=755",
                              before="dd if=/dev/zero of=most bs=4k count=%d 2>/dev/null" % (64 - pages))
                shutil.rmtree(os.path.join(self.dir, "small"))
                self.env = preload_env(self.trace)
                self.env["LD_PRELOAD"] = os.path.join(self.dir, os.path.basename(LIB))

    def test_a_disk_without_room_for_a_name_does_not_hurt_the_server(self):
        self.serve_on("size=1m,nr_inodes=1,mode=755")

    def test_a_read_only_disk_does_not_hurt_the_server(self):
        self.serve_on("ro,size=1m,mode=755")


class Limits(DiskCase):
    """Limits of the process that the trace runs into before the server does."""

    def serve_within(self, limit, most, exchanges=MANY):
        self.serve(exchanges, preexec_fn=lambda: resource.setrlimit(limit, (most, most)))

    def test_a_limit_on_the_size_of_files_does_not_kill_the_server(self):
        for most in (0, 4096, 1 << 20, 6 << 20):
            with self.subTest(most=most):
                self.serve_within(resource.RLIMIT_FSIZE, most)

    def test_a_limit_on_memory_does_not_hurt_the_server(self):
        self.serve_within(resource.RLIMIT_AS, 64 << 20)

    def test_a_limit_on_descriptors_does_not_hurt_the_server(self):
        self.serve_within(resource.RLIMIT_NOFILE, 5)


class Place(DiskCase):
    def test_the_trace_is_readable_by_its_owner_only_whatever_the_umask(self):
        self.serve(umask=0)
        path, = glob.glob(os.path.join(self.trace, "*.trace"))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.trace).st_mode), 0o700)

    def test_an_existing_folder_is_used_and_what_lies_in_it_is_kept(self):
        os.mkdir(self.trace)
        kept = os.path.join(self.trace, "1-1-1.trace")
        with open(kept, "w", encoding="ascii") as file:
            file.write("somebody's")
        self.serve()
        self.assertEqual(len(glob.glob(os.path.join(self.trace, "*.trace"))), 2)
        with open(kept, encoding="ascii") as file:
            self.assertEqual(file.read(), "somebody's")

    def test_a_folder_that_is_a_symbolic_link_is_followed_and_a_trace_is_never_written_over(self):
        target = os.path.join(self.dir, "elsewhere")
        os.mkdir(target)
        os.symlink(target, self.trace)
        self.serve()
        self.assertEqual(len(self.report(target)["exchanges"]), 3)

    def test_a_link_to_nowhere_does_not_hurt_the_server(self):
        os.symlink(os.path.join(self.dir, "nowhere", "at all"), self.trace)
        self.serve()

    def test_a_file_in_place_of_the_folder_does_not_hurt_the_server(self):
        with open(self.trace, "w", encoding="ascii") as file:
            file.write("no folder")
        self.serve()
        with open(self.trace, encoding="ascii") as file:
            self.assertEqual(file.read(), "no folder")

    def test_a_folder_that_may_not_be_written_to_does_not_hurt_the_server(self):
        os.mkdir(self.trace, 0o500)
        # Nobody need not be able to enter the folder of the checkout.
        command = [shutil.copy(counter.VICTIM, self.dir)]
        options = {"user": NOBODY, "group": NOBODY} if os.getuid() == 0 else {}
        self.serve(command=command, **options)
        self.assertEqual(os.listdir(self.trace), [])

    def test_a_missing_parent_does_not_hurt_the_server(self):
        self.env["SHAKEDOWN_TRACE"] = os.path.join(self.dir, "no", "such", "folder")
        self.serve()


if __name__ == "__main__":
    unittest.main()
