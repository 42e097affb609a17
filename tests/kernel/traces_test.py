"""Crashes without a core: they have the crashing thread's trace all the same, of a core that nobody ever finds."""

import os
import subprocess

from harness import case, programs, report, store, wait

SECRET = "not-for-any-disk-0123456789"


@case.each_transport
class Traces:
    def start(self, configuration="", limits_loops=False):
        self.server.configure(configuration, limits_loops)
        self.server.start()
        self.lend_kernel(self.transport)

    def check(self, record, *functions):
        """An event with a trace, and without anything else of its memory."""
        capture = record["capture"]
        self.assertEqual((capture["detail"], capture["outcome"], capture["method"]), ("event", "event", "none"))
        self.assertEqual((capture["core_bytes"], capture["stored_bytes"]), (0, 0))
        self.assertNotIn("core", record["files"])
        said = report.of(self.server.store, record)
        names = report.names(said["stacks"][0])
        for function in functions:
            self.assertIn(function, names)
        for key in ("registers", "memory", "environment"):
            self.assertFalse(said.get(key), key)
        files = sorted(path.name for path in store.directory_of(self.server.store, record).iterdir())
        self.assertEqual(files, ["commit.json", "crash.json", "report.json"])
        return said

    def test_core_limit_zero(self):
        self.start()
        death = self.crash(programs.CRASHER, "segv", core_limit=0, environment={**os.environ, "TOKEN": SECRET})
        record = self.record()
        said = self.check(record, "crash_here")
        self.assertEqual(said["cause"]["kind"], "null-write")
        if self.transport == "socket-request":
            self.assertTrue(death.dumped, "as of a core")
        shown = store.obit(self.server.store, "show", record["id"])
        self.assertIn("crash_here", shown.stdout)
        self.assertIn("Null pointer write: ", shown.stdout)
        self.assertNotIn("obit gdb", shown.stdout)
        done = store.obit(self.server.store, "dump", record["id"], "-o", f"{self.directory}/core", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("has no core: only the event was kept", done.stderr)
        self.assertEqual(self.server.stop(), 0)
        found = subprocess.run(["grep", "-rl", SECRET, self.server.store], capture_output=True, text=True)
        self.assertEqual(found.stdout, "")

    def test_it_is_of_the_group_of_those_with_a_core(self):
        self.start()
        self.crash(programs.CRASHER, "segv", core_limit=0)
        event = self.record()
        first = self.check(event, "crash_here")
        self.crash(programs.CRASHER, "segv")
        full = store.records(self.server.store, 2)[1]
        self.assertEqual(full["capture"]["outcome"], "full")
        self.assertEqual(report.of(self.server.store, full)["fingerprint"], first["fingerprint"])
        wait.until(lambda: "2" in store.obit(self.server.store, "groups").stdout.split(), "a group of two")

    def test_of_all_threads(self):
        self.start()
        self.crash(programs.CRASHER, "threads", 20, core_limit=0)
        said = self.check(self.record(), "crash_in_thread")
        self.assertEqual(sum(len(stack["tids"]) for stack in said["stacks"]), 20)

    def test_a_place_that_has_cores_needs_none(self):
        self.start("[crash_loop]\ncores = 1\nevents = 1\n", limits_loops=True)
        for _ in range(2):
            self.crash(programs.CRASHER, "segv")
        full, event = store.records(self.server.store, 2)
        report.of(self.server.store, full)
        self.crash(programs.CRASHER, "abort")  # and when that has its report, the event has none
        report.of(self.server.store, store.records(self.server.store, 3)[2])
        self.assertFalse((store.directory_of(self.server.store, event) / "report.json").exists())

    def test_they_can_be_configured_away(self):
        self.start("[capture]\ntraces = false\n")
        death = self.crash(programs.CRASHER, "segv", core_limit=0)
        event = self.record()
        if self.transport == "socket-request":
            self.assertTrue(death.dumped)
        self.crash(programs.CRASHER, "segv")
        report.of(self.server.store, store.records(self.server.store, 2)[1])
        files = sorted(path.name for path in store.directory_of(self.server.store, event).iterdir())
        self.assertEqual(files, ["commit.json", "crash.json"])


class Large(case.KernelCase):
    def test_a_process_of_a_terabyte_is_not_kept_for_it(self):
        """The kernel would walk through all of it before it noticed that nobody reads."""
        self.server.start()
        self.lend_kernel("socket-request")
        self.crash(programs.CRASHER, "reserve", 1024, 3, core_limit=0, seconds=10)
        event = self.record()
        self.assertEqual(event["capture"]["outcome"], "event")
        self.crash(programs.CRASHER, "segv")
        report.of(self.server.store, store.records(self.server.store, 2)[1])
        self.assertFalse((store.directory_of(self.server.store, event) / "report.json").exists())


if __name__ == "__main__":
    case.main()
