"""A program that is started again and again and crashes each time: a few crashes are kept, the others counted."""

import collections
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from harness import case, crash, programs, store, wait

LIMITS = "[crash_loop]\ncores = 3\nevents = 0\n[analysis]\nenabled = false\n"


class Limited:
    """Crash loops, on a server whose limits are small."""

    def start(self, limits=LIMITS):
        self.server.configure(limits, limits_loops=True)
        self.server.start()

    def loop(self, count, *more, program=programs.CRASHER, width=1, **options):
        parent = crash.run([program, "loop", count, width, *more], seconds=100, **options)
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
        self.crash(programs.CRASHER, "segv")
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


class Events(Limited, case.KernelCase):
    def test_cores_then_records_then_counts(self):
        self.start(LIMITS.replace("events = 0", "events = 2"))
        self.lend_kernel("socket-request")
        self.assertEqual(self.loop(20), 5, "a record without a core sets the flag as well")
        records = store.records(self.server.store, 5)
        self.assertEqual([record["capture"]["outcome"] for record in records], ["full"] * 3 + ["event"] * 2)
        self.assertRegex(records[-1]["capture"]["reason"], r"^a crash loop: this place of the program has had 3 cores, of \d+ bytes( and \d+ more for those under way)?; like [0-9a-f]{16}$")
        (repeats,) = self.repeats()
        self.assertEqual((repeats["id"], repeats["crashes"]), (records[2]["id"], 15), "beside the last one with a core")


class CrashLoops(Limited, case.KernelCase):
    def setUp(self):
        super().setUp()
        self.start()
        self.lend_kernel("socket-request")

    def kept(self):
        return len(store.crash_directories(self.server.store))

    def test_a_storm_at_one_site_is_no_exception(self):
        storm = crash.Running([programs.CRASHER, "storm", 200, "stop"])
        os.waitid(os.P_PID, storm.pid, os.WSTOPPED | os.WNOWAIT)
        storm.kill(signal.SIGCONT)
        self.assertEqual(storm.reap().output, "reaped 200 dumped 3\n")
        store.records(self.server.store, 3)
        self.assertEqual(sum(repeats["crashes"] for repeats in self.repeats()), 197)
        self.assertEqual(self.kept(), 3)

    def test_a_storm_of_many_programs_is_recorded_whole(self):
        names = [shutil.copy(programs.CRASHER, f"{self.directory}/crasher{number}") for number in range(30)]
        storm = [crash.Running([name, "segv"]) for name in names]
        for process in storm:
            self.assertTrue(process.reap().dumped)
        self.assertEqual({record["capture"]["outcome"] for record in store.records(self.server.store, 30)}, {"full"})
        self.assertEqual(self.repeats(), [])

    def test_another_name_does_not_evade_it(self):
        """Eight names have cores of their own; the others share the first one's."""
        for number in range(30):
            self.crash(programs.CRASHER, "named", f"name{number}")
        for number in range(3):
            self.crash(programs.CRASHER, "named", f"name{number}")
        records = store.records(self.server.store, 8 + 2 + 2)
        self.assertEqual({record["process"]["comm"] for record in records}, {f"name{number}" for number in range(10)})
        self.assertEqual(sum(repeats["crashes"] for repeats in self.repeats()), 33 - 12)

    def test_places_that_end_in_one_abort_each_have_their_cores(self):
        self.assertEqual(self.loop(60, "abort", width=4), 6)
        records = store.records(self.server.store, 6)
        for record in records:
            store.obit(self.server.store, "analyze", record["id"])
        stacks = [store.obit(self.server.store, "show", record["id"]).stdout for record in records]
        for name in ("crash_here_first", "crash_here_second"):
            self.assertEqual(sum(f"  {name}  " in stack for stack in stacks), 3, stacks)
        self.assertEqual(sorted(repeats["crashes"] for repeats in self.repeats()), [27, 27])

    def test_what_is_kept_is_known_to_the_next_server_and_manager(self):
        self.crash(programs.CRASHER, "segv")
        self.loop(5)
        (manager,) = self.server.role("obitd-manager")
        os.kill(manager, signal.SIGKILL)
        wait.until(lambda: self.server.role("obitd-manager") not in ([], [manager]), "another manager")
        self.loop(5)
        self.server.kill()
        self.server.start()
        self.loop(5)
        store.records(self.server.store, 3)
        (repeats,) = self.repeats()
        self.assertEqual(repeats["crashes"], 13)
        self.assertEqual(self.kept(), 3)

    def test_other_sites_are_not_concerned(self):
        self.crash(programs.CRASHER, "segv")
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
        self.crash(*reading)
        for _ in range(3):
            self.crash(*reading)
        store.records(self.server.store, 3)
        self.crash(*writing)
        store.records(self.server.store, 4)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [1])

    def test_threads_that_are_not_the_leader_have_a_site_too(self):
        self.crash(programs.CRASHER, "threads", 10)
        for _ in range(4):
            self.crash(programs.CRASHER, "threads", 10)
        store.records(self.server.store, 3)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_those_whose_first_thread_has_left_have_a_site_too(self):
        self.crash(programs.CRASHER, "leave")
        for _ in range(4):
            self.crash(programs.CRASHER, "leave")
        store.records(self.server.store, 3)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_those_that_want_no_core_take_nothing_from_the_others(self):
        self.crash(programs.CRASHER, "segv", core_limit=0)
        for _ in range(4):
            self.crash(programs.CRASHER, "segv", core_limit=0)
        self.crash(programs.CRASHER, "segv")
        records = store.records(self.server.store, 4)
        self.assertEqual([record["capture"]["outcome"] for record in records], ["event"] * 3 + ["full"])
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_a_loop_hides_no_crash_of_the_same_program_with_more_rights(self):
        program = shutil.copy(programs.CRASHER, f"{self.directory}/crasher")
        self.crash(program, "segv", user=61001)
        for _ in range(4):
            self.crash(program, "segv", user=61001)
        store.records(self.server.store, 3)
        os.chmod(program, 0o4755)
        self.crash(program, "segv", user=61001)
        self.assertTrue(store.records(self.server.store, 4)[-1]["process"]["privileged"])
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])

    def test_when_what_was_kept_is_removed_the_next_one_is_recorded(self):
        self.crash(programs.CRASHER, "segv")
        self.loop(3)
        store.records(self.server.store, 3)
        for record in store.records(self.server.store, 3):
            store.obit(self.server.store, "rm", record["id"])
        self.loop(1)
        self.server.wait_for_log("which is not in the store, were counted")
        self.crash(programs.CRASHER, "segv")
        (record,) = store.records(self.server.store, 1)
        self.assertEqual(record["capture"]["outcome"], "event", "it has had its cores")

    def test_its_owner_cannot_hold_up_the_counts(self):
        self.crash(programs.CRASHER, "segv", user=61001)
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
        self.crash(programs.CRASHER, "segv")
        self.loop(5)
        counted = lambda: [json.loads(file.read_text())["crashes"]
                           for file in pathlib.Path(self.server.store).glob("crashes/*/*/repeats.json")]  # fmt: skip
        wait.until(lambda: counted() == [3], counted)
        self.loop(5)
        wait.until(lambda: counted() == [8], counted)
        self.server.wait_for_log(": a crash loop: 3 of them are kept, the others are counted, for 36")
        self.assertEqual(self.server.log().count("a crash loop"), 1)
        wait.until(lambda: "obit_crashes_repeated_total 8\n" in (self.server.store / "metrics.prom").read_text(), "the metric")

    def test_a_count_is_its_owners_to_read(self):
        argv = [programs.CRASHER, "segv"]
        self.crash(*argv, user=61001)
        for _ in range(4):
            self.crash(*argv, user=61001)
        store.records(self.server.store, 3)
        self.assertEqual([repeats["crashes"] for repeats in self.repeats()], [2])
        for user, expected in ((61001, "2 more of crasher"), (61002, "No crashes of yours")):
            listed = subprocess.run([programs.for_every_user(programs.OBIT), "--store", self.server.store, "list"], user=user,
                                    group=user, extra_groups=[], capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
            self.assertIn(expected, listed.stdout)



class LoopsBesideOthers(Limited, case.KernelCase):
    """With the limits that nobody has set. OBIT_LOOPS is how often each program dies."""

    TIMES = int(os.environ.get("OBIT_LOOPS", "400"))

    def setUp(self):
        super().setUp()
        self.start("")
        self.lend_kernel("socket-request")

    def copies(self, name, count):
        return [shutil.copy(programs.CRASHER, f"{self.directory}/{name}{number}") for number in range(count)]

    def account(self):
        """Of each program: crashes that were kept or counted, cores, and their bytes. The server has stopped then."""
        self.give_kernel_back()
        self.assertEqual(self.server.stop(), 0)
        crashes, cores, stored = collections.Counter(), collections.Counter(), collections.Counter()
        for folder in store.crash_directories(self.server.store):
            record = json.loads((folder / "crash.json").read_text())
            name = record["process"]["comm"]
            crashes[name] += 1
            if (folder / "repeats.json").exists():
                crashes[name] += json.loads((folder / "repeats.json").read_text())["crashes"]
            if record["capture"]["outcome"] != "event":
                cores[name] += 1
                stored[name] += record["capture"]["stored_bytes"]
        return crashes, cores, stored

    def test_five_loops_at_once(self):
        others = self.copies("other", 3)
        running = [crash.Running([looper, "loop", self.TIMES, 4]) for looper in self.copies("looper", 5)]
        for other in others:
            self.crash(other, "segv")
        for one in running:
            one.reap(150)
        crashes, cores, stored = self.account()
        self.assertEqual(crashes, dict.fromkeys((f"looper{n}" for n in range(5)), self.TIMES) | {f"other{n}": 1 for n in range(3)})
        self.assertEqual(cores, dict.fromkeys((f"looper{n}" for n in range(5)), 4) | {f"other{n}": 1 for n in range(3)})
        self.assertLessEqual(max(stored.values()), 50 << 20)

    def test_a_storm_of_a_hundred_programs_is_recorded_whole(self):
        running = [crash.Running([program, "storm", 4]) for program in self.copies("storm", 100)]
        for one in running:
            one.reap(150)
        crashes, cores, _ = self.account()
        self.assertEqual(crashes, {f"storm{n}": 4 for n in range(100)})
        self.assertEqual(set(cores), set(crashes))  # where too many wait, less is kept of each

if __name__ == "__main__":
    case.main()
