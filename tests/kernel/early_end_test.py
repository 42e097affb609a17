"""A core that ends before it is complete, for want of room, of time, or of its writer: what is kept then shows the stacks of all threads,
as a minimal core does."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

from harness import case, crash, disk, programs, report, server, store, wait

THREADS, MIB = 20, 1024
ROOM = "96m"  # of a disk: less than the memory of the process
CONFIG = '[capture]\nearly_release = "never"\nprogress_timeout = 3\nqueue_timeout = 1\n'


class EarlyEnd(case.KernelCase):
    def setUp(self):
        super().setUp()
        if not shutil.which("gdb"):
            self.skipTest("there is no gdb")

    def start(self, where=None, config=CONFIG):
        if where is not None:
            self.server = server.Server(self.directory, store=pathlib.Path(where) / "store")
        self.server.configure(config)
        self.server.start()
        self.lend_kernel("socket-request")

    def small_disk(self):
        where = pathlib.Path(self.stack.enter_context(server.make_directory("/var/tmp")))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "tmpfs", where], check=True, timeout=60)
        self.stack.callback(subprocess.run, ["umount", "-l", where], timeout=60)
        self.stack.callback(lambda: self.server.kill())
        return where

    def slow_disk(self):
        try:
            slow = self.stack.enter_context(disk.Disk())
        except (OSError, subprocess.SubprocessError) as error:
            self.skipTest(f"no disk to slow down: {error}")
        self.stack.callback(lambda: self.server.kill())
        self.stack.callback(slow.go_on)
        return slow

    def begin(self, mib=MIB):
        process = crash.Running([programs.CRASHER, "threads", THREADS, mib, "stop"])
        self.addCleanup(process.end)
        crash.await_stop(process)
        process.kill(signal.SIGCONT)
        return process

    def minimal_is_taken(self):
        """There is a minimal core beside one that is being written."""
        return [one for one in store.incoming_cores(self.server.store)
                if store.size_of(one) > 1 << 20 and store.size_of(one.with_name("minimal.zst")) > 0]  # fmt: skip

    def check(self, record, why):
        capture = record["capture"]
        self.assertEqual((capture["detail"], capture["outcome"], capture["method"]), ("full", "minimal", "direct"), capture)
        self.assertRegex(capture["reason"], why)
        self.assertGreater(capture["full_bytes"], capture["core_bytes"])
        self.assertEqual(capture["promised_bytes"], capture["core_bytes"])
        self.assertLess(capture["stored_bytes"], 8 << 20)
        folder = store.directory_of(self.server.store, record)
        self.assertFalse((folder / "minimal.zst").exists())
        self.assertEqual((folder / "core.zst").stat().st_size, capture["stored_bytes"])
        core = store.dump(self.server.store, record, f"{self.directory}/core.{record['id']}")
        self.assertEqual(os.path.getsize(core), store.size_by_headers(core))
        self.assertEqual(os.path.getsize(core), capture["core_bytes"])
        done = subprocess.run(["gdb", "-nx", "-batch", "-ex", "set width 0", "-ex", "thread apply all bt", programs.CRASHER, core],
                              capture_output=True, text=True, errors="replace", timeout=120)  # fmt: skip
        trace = done.stdout + done.stderr
        self.assertEqual(len(re.findall(r"^Thread \d+ ", trace, re.M)), THREADS, trace)
        self.assertIn("crash_in_thread", trace)
        self.assertNotIn("Backtrace stopped", trace)
        said = report.of(self.server.store, record)
        self.assertEqual(sum(len(stack["tids"]) for stack in said["stacks"]), THREADS)
        for stack in said["stacks"]:
            self.assertNotIn("end", stack)
        shown = store.obit(self.server.store, "show", record["id"]).stdout
        self.assertIn("crash_in_thread", shown)
        self.assertIn("minimal: ", shown)
        self.assertRegex(shown, why)

    def test_a_full_disk(self):
        self.start(self.small_disk())
        self.begin().reap()
        self.check(self.record(), "No space left on device")
        self.crash(programs.CRASHER, "segv")
        self.assertEqual(store.records(self.server.store, 2)[-1]["capture"]["outcome"], "full")

    def test_a_full_core_that_fits(self):
        self.start(config=CONFIG + "[analysis]\nenabled = false\n")
        self.begin(64).reap()
        record = self.record()
        self.check_core(record, "crash_in_thread")
        self.assertEqual(os.listdir(store.directory_of(self.server.store, record)).count("minimal.zst"), 0)

    def test_a_disk_that_stands(self):
        """The process goes free at its deadline, and what was there first is its core."""
        slow = self.slow_disk()
        self.start(slow.folder)
        slow.slow_down(8 << 20)
        process = self.begin(96)
        wait.until(self.minimal_is_taken, "the core begun")
        slow.stop()
        slow.await_waiting()
        process.reap()
        slow.go_on()
        self.check(self.record(), ".")

    def test_the_worker_is_killed(self):
        slow = self.slow_disk()
        self.start(slow.folder)
        slow.slow_down(8 << 20)
        process = self.begin(96)
        wait.until(self.minimal_is_taken, "the core begun")
        # Not the others: one of them completes what it leaves, at once.
        (worker,) = (pid for pid in self.server.role("obitd-capture") if self.reads_memory(pid))
        os.kill(worker, signal.SIGKILL)
        process.reap()
        slow.slow_down(None)
        self.check(self.record(), ".")

    @staticmethod
    def reads_memory(pid):
        """It has the memory of a crashed process open."""
        open_files = pathlib.Path(f"/proc/{pid}/fd")
        return any(re.fullmatch(r"/proc/\d+/mem", os.readlink(file)) for file in open_files.iterdir())

    def test_obitd_is_killed(self):
        slow = self.slow_disk()
        self.start(slow.folder)
        slow.slow_down(8 << 20)
        process = self.begin(96)
        wait.until(self.minimal_is_taken, "the core begun")
        self.server.process.kill()
        self.server.wait()
        process.reap()
        slow.slow_down(None)
        self.server.start()
        self.check(self.record(), ".")


if __name__ == "__main__":
    case.main()
