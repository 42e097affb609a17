"""A program that is started again and again and crashes each time: a few crashes are kept, the others counted."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from harness import case, crash, programs, store, wait

LIMITS = "[crash_loop]\ncrashes = 3\nstorm = 0\n[analysis]\nenabled = false\n"
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds: the clock of a process' start


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Limited:
    """Crash loops, on a server whose limits are small."""

    def start(self, limits=LIMITS):
        self.server.configure(limits, limits_loops=True)
        self.server.start()

    def end_of_storm(self):
        """The first crash of a site is recorded. What starts from here on is no storm any more."""
        store.records(self.server.store, 1)
        now = boottime()
        wait.until(lambda: boottime() > now + 2 * TICK, "the next tick of the clock")

    def begin(self, *argv, **options):
        self.crash(*argv, **options)
        self.end_of_storm()

    def loop(self, count, program=programs.CRASHER, **options):
        parent = crash.run([program, "loop", count, 1], seconds=60, **options)
        return int(re.match(rf"reaped {count} dumped (\d+)$", parent.output)[1])

    def repeats(self):
        """All that was counted, once the server has stopped."""
        self.assertEqual(self.server.stop(), 0)
        files = pathlib.Path(self.server.store).glob("crashes/*/*/repeats.json")
        return [json.loads(file.read_text()) for file in files]


@case.each_transport
class CrashLoop(Limited):
    transport = None

    def test_is_counted(self):
        self.start()
        self.lend_kernel(self.transport)
        self.begin(programs.CRASHER, "segv")
        dumped = self.loop(50)
        records = store.records(self.server.store, 3)
        (repeats,) = self.repeats()
        self.assertEqual(len(store.records(self.server.store, 3)), 3)
        self.assertEqual((repeats["id"], repeats["crashes"]), (records[-1]["id"], 48))
        self.assertLess(repeats["first"], repeats["last"])
        if self.transport == "socket-request":
            self.assertEqual(dumped, 2, "who is only counted has dumped no core")
        for record in records:
            self.check_core(record, "crash_here")
        self.assertIn("48 more of crasher were counted, not kept (crash loop).", store.obit(self.server.store, "list").stdout)
        self.assertRegex(store.obit(self.server.store, "show").stdout, r"Repeats +48 more until ")


class CrashLoops(Limited, case.KernelCase):
    def setUp(self):
        super().setUp()
        self.start()
        self.lend_kernel("socket-request")

    def kept(self):
        return len(store.crash_directories(self.server.store))

    def test_what_runs_already_is_a_storm(self):
        storm = crash.Running([programs.CRASHER, "storm", 30, "stop"])
        os.waitid(os.P_PID, storm.pid, os.WSTOPPED | os.WNOWAIT)
        self.begin(programs.CRASHER, "segv")
        self.loop(10)
        storm.kill(signal.SIGCONT)
        self.assertEqual(storm.reap().output, "reaped 30 dumped 30\n")
        store.records(self.server.store, 33)
        self.assertEqual(sum(repeats["crashes"] for repeats in self.repeats()), 8)
        self.assertEqual(self.kept(), 33)

    def test_other_sites_are_not_concerned(self):
        self.begin(programs.CRASHER, "segv")
        self.assertEqual(self.loop(10), 2)
        self.crash(programs.CRASHER, "abort")  # another place of the program
        self.crash(programs.CRASHER, "segv", user=65534)  # another user
        shutil.copy(programs.CRASHER, f"{self.directory}/crasher")  # another program
        self.crash(f"{self.directory}/crasher", "segv")
        sleeping = crash.Running(["sleep", "1000"])
        sleeping.kill()
        sleeping.reap()
        store.records(self.server.store, 7)
        self.crash(programs.CRASHER, "segv")
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [9])
        self.assertEqual(self.kept(), 7)

    def test_places_of_one_module_are_told_apart(self):
        reading = "python3", "-c", "import ctypes; ctypes.string_at(0)"  # in strlen(3) of the C library
        writing = "python3", "-c", "import ctypes; ctypes.memset(0, 1, 1000)"  # in memset(3)
        self.begin(*reading)
        for _ in range(3):
            self.crash(*reading)
        store.records(self.server.store, 3)
        self.crash(*writing)
        store.records(self.server.store, 4)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [1])

    def test_threads_that_are_not_the_leader_have_a_site_too(self):
        self.begin(programs.CRASHER, "threads", 10)
        for _ in range(4):
            self.crash(programs.CRASHER, "threads", 10)
        store.records(self.server.store, 3)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_those_whose_first_thread_has_left_have_a_site_too(self):
        self.begin(programs.CRASHER, "leave")
        for _ in range(4):
            self.crash(programs.CRASHER, "leave")
        store.records(self.server.store, 3)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_those_that_want_no_core_take_nothing_from_the_others(self):
        self.crash(programs.CRASHER, "segv", core_limit=0)
        self.end_of_storm()
        for _ in range(4):
            self.crash(programs.CRASHER, "segv", core_limit=0)
        self.crash(programs.CRASHER, "segv")
        records = store.records(self.server.store, 4)
        self.assertEqual([record["capture"]["outcome"] for record in records], ["event"] * 3 + ["full"])
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_a_loop_hides_no_crash_of_the_same_program_with_more_rights(self):
        program = shutil.copy(programs.CRASHER, f"{self.directory}/crasher")
        self.begin(program, "segv", user=61001)
        for _ in range(4):
            self.crash(program, "segv", user=61001)
        store.records(self.server.store, 3)
        os.chmod(program, 0o4755)
        self.crash(program, "segv", user=61001)
        self.assertTrue(store.records(self.server.store, 4)[-1]["process"]["privileged"])
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_when_what_was_kept_is_removed_the_next_one_is_kept(self):
        self.begin(programs.CRASHER, "segv")
        self.loop(3)
        store.records(self.server.store, 3)
        for record in store.records(self.server.store, 3):
            store.obit(self.server.store, "rm", record["id"])
        self.loop(1)
        self.server.wait_for_log("which is gone, were counted: the next one is kept")
        self.crash(programs.CRASHER, "segv")
        store.records(self.server.store, 1)

    def test_its_owner_cannot_hold_up_the_counts(self):
        self.begin(programs.CRASHER, "segv", user=61001)
        for _ in range(3):
            self.crash(programs.CRASHER, "segv", user=61001)
        kept = store.directory_of(self.server.store, store.records(self.server.store, 3)[-1])
        folder = os.open(kept, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.crash(programs.CRASHER, "segv", user=61001)
        wait.until(lambda: (kept / "repeats.json").exists() and json.loads((kept / "repeats.json").read_text())["crashes"] == 2,
                   "the count of a crash whose folder is locked")  # fmt: skip

    def test_counts_last_while_the_server_lives(self):
        self.begin(programs.CRASHER, "segv")
        self.loop(5)
        counted = lambda: [json.loads(file.read_text())["crashes"]
                           for file in pathlib.Path(self.server.store).glob("crashes/*/*/repeats.json")]  # fmt: skip
        wait.until(lambda: counted() == [3], counted)
        self.loop(5)
        wait.until(lambda: counted() == [8], counted)
        self.server.wait_for_log("a crash loop: from now on one each 3600 s is kept, the others are counted")
        self.assertEqual(self.server.log().count("a crash loop"), 1)
        wait.until(lambda: "obit_crashes_repeated_total 8\n" in (self.server.store / "metrics.prom").read_text(), "the metric")

    def test_a_count_is_its_owners_to_read(self):
        argv = [programs.CRASHER, "segv"]
        self.begin(*argv, user=61001)
        for _ in range(4):
            self.crash(*argv, user=61001)
        store.records(self.server.store, 3)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])
        for user, expected in ((61001, "2 more of crasher"), (61002, "No crashes of yours")):
            listed = subprocess.run([programs.for_every_user(programs.OBIT), "--store", self.server.store, "list"], user=user,
                                    group=user, extra_groups=[], capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
            self.assertIn(expected, listed.stdout)


if __name__ == "__main__":
    case.main()
