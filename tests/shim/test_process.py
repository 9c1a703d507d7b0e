# SPDX-License-Identifier: BSD-2-Clause
"""Whatever a process does with its life, it behaves as without the shim and stays watched."""

import glob
import os
import shutil
import tempfile
import unittest

import harness
import programs
from harness import LIB


def life(cc="gcc"):
    return programs.build("life.c", "-lpthread", "-Wno-unused-result", cc=cc, name="life-" + cc)


def nothing(name):
    """A library of that name with nothing in it."""
    return programs.build("nothing.c", "-shared", "-nostdlib", name=name)


class LifeCase(unittest.TestCase):
    maxDiff = None
    cc = "gcc"

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-life-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        self.trace = os.path.join(self.dir, "trace")

    def run_life(self, *args, preload=(LIB,), **env):
        if preload:
            env = {"SHAKEDOWN_TRACE": self.trace, **env}
        done = programs.run(life(self.cc), *args, env=programs.environment(*preload, **env), cwd=self.dir)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout


class Watched(LifeCase):
    """Each scenario prints the same as without the shim, and its upgrade is in the report."""

    def check(self, scenario, *paths, coverage="full"):
        bare = self.run_life(scenario, preload=())
        self.assertEqual(self.run_life(scenario), bare)
        for path in paths or ("/" + scenario,):
            harness.assert_healthy(self.trace, path)
        states = {p["coverage"] for p in harness.report(self.trace)["processes"] if p["exchanges"]}
        self.assertEqual(states, {coverage})

    def test_a_plain_server(self):
        self.check("plain")

    def test_what_a_vfork_child_closes_is_still_open_in_its_parent(self):
        self.check("vfork")

    def test_what_a_memory_sharing_clone_closes_is_still_open_in_its_parent(self):
        self.check("clone")

    def test_what_the_child_of_a_clone_by_number_closes_is_still_open_in_its_parent(self):
        self.check("numbered-clone")

    def test_posix_spawn_in_the_middle_of_an_exchange(self):
        self.check("spawn")

    def test_popen_in_the_middle_of_an_exchange(self):
        self.check("popen")

    def test_system_in_the_middle_of_an_exchange(self):
        self.check("system")

    def test_a_daemon_that_forked_twice_is_watched(self):
        self.check("daemon")

    def test_a_child_that_answers_what_its_parent_accepted_is_watched(self):
        self.run_life("fork")
        self.assertTrue(harness.exchanges(harness.report(self.trace), "/fork"))

    def test_a_connection_that_came_in_a_message_is_watched(self):
        self.assertEqual(self.run_life("received"), self.run_life("received", preload=()))
        self.assertTrue(harness.exchanges(harness.report(self.trace), "/received"))

    def test_a_thread_cancelled_inside_each_blocking_call_leaves_the_connection_usable(self):
        self.check("cancel")

    def test_a_signal_handler_that_writes_to_the_connection_being_read(self):
        self.check("signal")

    def test_a_server_that_gives_up_its_rights_after_it_listens(self):
        self.check("setuid")

    def test_a_forked_worker_that_gives_up_its_rights(self):
        self.check("worker")

    def test_a_forked_worker_that_gives_up_its_rights_before_any_call_we_see(self):
        self.check("silent")

    def test_connections_closed_by_ranges_make_room_for_the_next(self):
        self.check("range", "/range-0", "/range-1", "/range-2", "/range-3")


class WithoutDlsym(LifeCase):
    def test_an_old_glibc_without_libdl_is_watched_all_the_same(self):
        library = programs.library_without_dlsym()
        bare = self.run_life("cancel", preload=())
        self.assertEqual(self.run_life("cancel", preload=[library]), bare)
        harness.assert_healthy(self.trace, "/cancel")
        lines = self.run_life("exec", "execve", "show", preload=[library]).splitlines()
        self.assertIn("LD_PRELOAD=" + library, lines)


class Exec(LifeCase):
    """A new image is watched although the program handed it an environment without us."""

    WAYS = ("execve", "execveat", "fexecve", "execvpe", "execle", "execv", "execvp", "execl",
            "execlp", "posix_spawn", "posix_spawnp", "vfork", "number", "number-at")

    def test_the_new_image_keeps_its_environment_and_gets_ours(self):
        for way in self.WAYS:
            with self.subTest(way):
                lines = self.run_life("exec", way, "show").splitlines()
                self.assertEqual(lines[:2], [way + " mapped 1", "KEPT=1"])
                self.assertEqual(sorted(v for v in lines[2:] if not v.startswith("PATH=")),
                                 ["LD_PRELOAD=" + LIB, "SHAKEDOWN_TRACE=" + self.trace])

    def test_without_the_shim_it_gets_nothing(self):
        lines = self.run_life("exec", "execve", "show", preload=()).splitlines()
        self.assertEqual(lines, ["execve mapped 0", "KEPT=1"])

    def test_a_shim_that_is_off_leaves_the_environment_alone(self):
        lines = self.run_life("exec", "execve", "show", SHAKEDOWN="off").splitlines()
        self.assertEqual(lines, ["execve mapped 0", "KEPT=1"])

    def test_the_new_image_is_in_the_report(self):
        for way in ("execle", "posix_spawn", "number"):
            with self.subTest(way):
                self.run_life("exec", way, "plain")
                harness.assert_healthy(self.trace, "/" + way)

    def test_a_failing_exec_leaks_nothing(self):
        """Repeated failure would otherwise fill the address space."""
        program = programs.build("exec_fails.c")
        done = programs.run(program, env=programs.environment(LIB, SHAKEDOWN_TRACE=self.trace))
        self.assertEqual((done.returncode, done.stdout), (0, "the same mappings\n"), done.stderr)

    def large(self, *args, wrap=()):
        program = programs.build("exec_large.c", cc=self.cc, name="exec_large-" + self.cc)
        done = programs.run(*wrap, program, *args, cwd=self.dir,
                            env=programs.environment(LIB, SHAKEDOWN_TRACE=self.trace))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_a_thousand_vfork_children_with_many_variables_leave_nothing_in_their_parent(self):
        self.assertEqual(self.large("leave"), "the same mappings\n")

    def test_a_list_of_variables_that_is_not_there_is_the_kernels_to_refuse(self):
        self.assertEqual(self.large("broken"), "EFAULT\n")

    def test_a_path_or_arguments_that_are_not_there_are_the_kernels_to_refuse(self):
        program = programs.build("exec_pointers.c", cc=self.cc, name="exec_pointers-" + self.cc)
        done = programs.run(program, env=programs.environment(LIB, SHAKEDOWN_TRACE=self.trace))
        self.assertEqual((done.returncode, done.stdout), (0, "EFAULT\n"), done.stderr)

    def test_an_exec_asks_the_kernel_little_however_many_the_variables(self):
        """Sixty kilobytes of strings, thirty of list: not a call for each of the 4,000."""
        log = os.path.join(self.dir, "calls")
        self.large("become", wrap=["strace", "-E", "LD_PRELOAD=" + LIB, "-o", log])
        with open(log, encoding="utf-8") as lines:
            calls = [line for line in lines]
        at = [i for i, line in enumerate(calls) if line.startswith("execve(")]
        self.assertLess(at[1], 400, "calls before the second image")

    def preload_after(self, asked):
        lines = self.run_life("preload", asked).splitlines()
        self.assertEqual(lines[0], " mapped 1")
        return next(v for v in lines if v.startswith("LD_PRELOAD="))[len("LD_PRELOAD="):]

    def test_our_entry_goes_in_front_of_what_the_program_asked_for(self):
        a, b = nothing("liba.so"), nothing("libb.so")
        self.assertEqual(self.preload_after(a), LIB + ":" + a)
        self.assertEqual(self.preload_after(a + " " + b), LIB + ":" + a + " " + b)
        self.assertEqual(self.preload_after(""), LIB)

    def test_our_entry_stays_where_it_is_when_it_is_there(self):
        other = nothing("liba.so")
        for asked in (LIB, other + ":" + LIB, LIB + ":" + other, other + " " + LIB):
            self.assertEqual(self.preload_after(asked), asked)

    def test_our_entry_goes_behind_a_sanitizers_runtime(self):
        runtime, other = nothing("libasan.so.8"), nothing("libother.so")
        self.assertEqual(self.preload_after(runtime), runtime + ":" + LIB)
        self.assertEqual(self.preload_after(runtime + ":" + other), ":".join([runtime, LIB, other]))


class End(LifeCase):
    def ended(self, how):
        trace = os.path.join(self.dir, "end-" + how)
        programs.run(life(self.cc), "end", how, cwd=self.dir,
                     env=programs.environment(LIB, SHAKEDOWN_TRACE=trace))
        files = glob.glob(os.path.join(trace, "*.trace"))
        self.assertEqual(len(files), 1)
        return programs.run(programs.build("ended.c"), files[0]).stdout.strip()

    def test_every_orderly_end_is_in_the_trace_with_its_status(self):
        for how in ("exit", "_exit", "_Exit", "quick_exit", "number", "return"):
            with self.subTest(how):
                self.assertEqual(self.ended(how), "ended 61")

    def test_a_killed_process_did_not_end_in_order(self):
        self.assertEqual(self.ended("kill"), "open")


class Place(LifeCase):
    def test_a_relative_trace_is_relative_to_where_the_process_started(self):
        self.run_life("elsewhere", SHAKEDOWN_TRACE="here")
        self.assertTrue(glob.glob(os.path.join(self.dir, "here", "*.trace")))
        harness.assert_healthy(os.path.join(self.dir, "here"), "/elsewhere")

    def test_a_relative_entry_in_ld_preload_works_from_any_folder(self):
        os.symlink(LIB, os.path.join(self.dir, "libshakedown.so"))
        lines = self.run_life("exec", "execve", "show", preload=["./libshakedown.so"]).splitlines()
        self.assertIn("LD_PRELOAD=" + os.path.join(self.dir, "libshakedown.so"), lines)

    def test_a_name_found_by_the_search_path_is_carried_on_as_a_path(self):
        lines = self.run_life("exec", "execve", "show", preload=["libshakedown.so"],
                              LD_LIBRARY_PATH=os.path.dirname(LIB)).splitlines()
        self.assertEqual(lines[0], "execve mapped 1")

    def test_a_wrong_setting_costs_one_line_and_nothing_else(self):
        bare = self.run_life("plain", preload=())
        env = programs.environment(LIB, SHAKEDOWN_MAX_TRACE="many", SHAKEDOWN_TRACE=self.trace)
        done = programs.run(life(self.cc), "plain", env=env, cwd=self.dir)
        self.assertEqual((done.returncode, done.stdout), (0, bare))
        self.assertRegex(done.stderr, r"\Ashakedown: SHAKEDOWN_MAX_TRACE=many [^\n]+\n\Z")
        self.assertFalse(os.path.exists(self.trace))

    def test_quiet_means_quiet(self):
        done = programs.run(life(self.cc), "plain", cwd=self.dir, env=programs.environment(
            LIB, SHAKEDOWN_MAX_TRACE="many", SHAKEDOWN_QUIET="1"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
