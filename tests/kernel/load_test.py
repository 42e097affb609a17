"""What is kept where something is short: room on the disk, or workers for many crashes at once. OBIT_LOAD has MiB of the disk, MiB
of each process, and how many crash there."""

import os
import pathlib
import signal
import subprocess

from harness import case, crash, programs, report, server, store, wait

MIB = 1 << 20
ENOUGH = '[analysis]\nenabled = false\n[retention]\nsize = "off"\nfree = "15%"\n'


class SmallDisk(case.KernelCase):
    """A file system that the cores of all crashes would fill many times."""

    SIZE, EACH, CRASHES = (int(number) for number in os.environ.get("OBIT_LOAD", "512 100 16").split())
    AT_ONCE = 4

    def setUp(self):
        super().setUp()
        self.disk = pathlib.Path(self.stack.enter_context(server.make_directory("/var/tmp")))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}m,mode=755", "tmpfs", self.disk]
        subprocess.run(mount, check=True, timeout=60)
        self.stack.callback(subprocess.run, ["umount", "-l", self.disk], timeout=60)
        self.stack.callback(lambda: self.server.kill())
        self.server = server.Server(self.directory, store=self.disk / "store")
        self.server.configure(ENOUGH)
        self.server.start()
        self.lend_kernel("socket-request")

    def free(self):
        status = os.statvfs(self.disk)
        return status.f_bavail * status.f_frsize

    def check(self, record):
        """It is full, or says why not; and it is not the disk that said so."""
        capture = record["capture"]
        self.assertNotIn("No space left", capture.get("reason", ""), capture)
        if capture["detail"] == "full":
            self.assertEqual(capture["outcome"], "full", capture)
            self.assertNotIn("lowered", capture)
            return
        self.assertIn(capture["lowered"], ("disk", "queue"), capture)
        self.assertTrue(capture["lowered_reason"])
        self.assertEqual(capture["outcome"], capture["detail"], capture)

    def test_many_crashes(self):
        least = self.free()
        for _ in range(self.CRASHES // self.AT_ONCE):
            running = [crash.Running([programs.CRASHER, "memory", self.EACH, "random"]) for _ in range(self.AT_ONCE)]
            for process in running:
                self.addCleanup(process.end)
            for process in running:
                process.reap(60)
                least = min(least, self.free())
        records = store.records(self.server.store, self.CRASHES)
        for record in records:
            self.check(record)
        details = [record["capture"]["detail"] for record in records]
        self.assertIn("full", details)
        self.assertIn("minimal", details)
        keep = self.SIZE * MIB * 15 // 100
        wait.until(lambda: self.free() >= keep, lambda: f"{self.free()} bytes are free", 60)
        print(f"\n{self.CRASHES} crashes of {self.EACH} MiB on {self.SIZE} MiB: {details.count('full')} full, "
              f"{details.count('minimal')} minimal, {details.count('event')} events; {least / MIB:.0f} MiB were free at least, "
              f"{self.free() / MIB:.0f} MiB afterwards")  # fmt: skip

    def fill(self, left):
        with open(self.disk / "filler", "ab", buffering=0) as filler:
            while self.free() > left:
                filler.write(bytes(min(1 << 20, self.free() - left)))

    def test_others_have_filled_it(self):
        self.fill(max(self.SIZE * MIB // 100, 8 * MIB))
        self.crash(programs.CRASHER, "segv")  # after which obitd knows
        store.records(self.server.store, 1)
        self.crash(programs.CRASHER, "memory", self.EACH, "random")
        record = store.records(self.server.store, 2)[1]
        self.check(record)
        self.assertEqual(record["capture"]["detail"], "minimal")
        self.assertEqual(record["capture"]["lowered"], "disk")
        self.fill(1 * MIB)
        self.crash(programs.CRASHER, "segv")
        store.records(self.server.store, 3)
        self.crash(programs.CRASHER, "memory", self.EACH, "random")
        record = store.records(self.server.store, 4)[3]
        self.check(record)
        self.assertEqual(record["capture"]["detail"], "event")
        shown = store.obit(self.server.store, "show", record["id"]).stdout
        self.assertIn("even a minimal one may take", shown)
        (self.disk / "filler").unlink()
        self.crash(programs.CRASHER, "segv")
        store.records(self.server.store, 5)
        self.crash(programs.CRASHER, "segv")
        self.assertEqual(store.records(self.server.store, 6)[5]["capture"]["detail"], "full")

    def test_an_event_has_its_trace(self):
        """That is in memory: only the report of it needs room."""
        self.assertEqual(self.server.stop(), 0)
        self.server.configure(ENOUGH.replace("enabled = false", "enabled = true"))
        self.server.start()
        self.fill(1 * MIB)
        self.crash(programs.CRASHER, "segv")  # after which obitd knows
        store.records(self.server.store, 1)
        self.crash(programs.CRASHER, "abort")
        record = store.records(self.server.store, 2)[1]
        self.check(record)
        self.assertEqual((record["capture"]["detail"], record["capture"]["lowered"]), ("event", "disk"))
        self.assertEqual(report.of(self.server.store, record)["cause"]["kind"], "abort")
        self.assertNotIn("core", record["files"])


class ManyAtOnce(case.KernelCase):
    """More memory than can be captured in time waits for workers."""

    CRASHES, EACH = 60, 200

    def test_no_loss(self):
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
        if available < (self.CRASHES * self.EACH + 2048) * MIB:
            self.skipTest(f"{available / MIB:.0f} MiB of memory are available for {self.CRASHES} processes of {self.EACH} MiB")
        self.stack.callback(lambda: self.server.kill())
        self.server.configure("[analysis]\nenabled = false\n")
        self.server.start()
        self.lend_kernel("socket-request")
        running = [crash.Running([programs.CRASHER, "memory", self.EACH, "random", "stop"]) for _ in range(self.CRASHES)]
        for process in running:
            self.addCleanup(process.end)
        for process in running:
            crash.await_stop(process)
        for process in running:
            process.kill(signal.SIGCONT)
        for process in running:
            self.assertTrue(process.reap(120).dumped)
        records = store.records(self.server.store, self.CRASHES)
        count = {}
        for record in records:
            capture = record["capture"]
            if capture["detail"] == "full":
                self.assertEqual(capture["outcome"], "full", capture)
            else:
                self.assertIn(capture["lowered"], ("queue", "memory"), capture)
                self.assertEqual(capture["outcome"], capture["detail"], capture)
            key = (capture["detail"], capture.get("lowered", ""))
            count[key] = count.get(key, 0) + 1
        self.assertNotIn("crash not recorded", self.server.log())
        self.assertTrue(all(capture != "failed" for capture in (record["capture"]["outcome"] for record in records)))
        longest = max(record["capture"]["held_seconds"] for record in records)
        print(f"\n{self.CRASHES} crashes of {self.EACH} MiB at once: {count}, the longest was held {longest:.1f} s")


if __name__ == "__main__":
    case.main()
