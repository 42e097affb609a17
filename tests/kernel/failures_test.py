"""What goes wrong around a crash: whatever it is, the crashed process is freed and the record says so."""

import os
import signal
import subprocess

from harness import case, crash, programs, server, store, wait


@case.each_transport
class Failures:
    transport = None

    def in_mid_capture(self, mib=1024):
        """A process whose core is being written."""
        process = crash.Running([programs.CRASHER, "memory", mib, "mixed"])
        wait.until(lambda: store.incoming_cores(self.server.store), "core begun")
        return process

    def test_server_killed(self):
        self.server.start()
        self.lend_kernel(self.transport)
        self.crash(programs.CRASHER, "segv")
        before = self.record()
        process = self.in_mid_capture()
        workers = self.server.processes()
        self.server.process.kill()
        death = process.reap(20)
        self.assertEqual(death.signal, signal.SIGSEGV)
        self.server.wait()
        self.assertEqual(len(store.crash_directories(self.server.store)), 1, "the kill came too late")
        wait.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "end of the workers")

        self.server.start()
        first, second = store.records(self.server.store, 2)
        self.assertEqual(first, before)
        self.check_core(first, "crash_here")
        self.assertEqual(second["process"]["pid"], death.pid)
        self.assertIn(second["capture"]["outcome"], ("minimal", "truncated"))
        self.assertTrue(second["capture"]["reason"])
        self.assertGreater(second["capture"]["core_bytes"], 0)
        core = store.directory_of(self.server.store, second) / "core.zst"
        subprocess.run(["zstd", "-tq", core], check=True)
        self.assertEqual(store.begun(self.server.store), [])

        self.crash(programs.CRASHER, "abort")  # and it goes on
        self.check_core(store.records(self.server.store, 3)[2], "crash_here_abort")

    def test_disk_full(self):
        mount = f"{self.directory}/small"
        os.mkdir(mount)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount], check=True)
        self.stack.callback(subprocess.run, ["umount", "-l", mount], check=True)
        self.server = server.Server(self.directory, store=f"{mount}/store").start()
        self.lend_kernel(self.transport)
        death = self.crash(programs.CRASHER, "memory", 200, "random", seconds=30)
        self.assertTrue(death.dumped)
        record = self.record()
        self.assertEqual(record["capture"]["outcome"], "minimal")
        self.assertIn("No space left on device", record["capture"]["reason"])
        self.assertGreater(record["capture"]["full_bytes"], 200 << 20)
        self.assertIn("crash_here", store.backtrace(self.server.store, record))
        subprocess.run(["zstd", "-tq", store.directory_of(self.server.store, record) / "core.zst"], check=True)

        store.obit(self.server.store, "rm", record["id"])
        self.crash(programs.CRASHER, "abort")
        self.check_core(self.record(), "crash_here_abort")

    def test_server_stopped_in_mid_capture(self):
        """The process is held; memory that is kept is let go (early_release_test.py)."""
        self.server.configure('[capture]\nearly_release = "never"\n')
        self.server.start()
        self.lend_kernel(self.transport)
        process = self.in_mid_capture(mib=512)
        self.assertEqual(self.server.stop(), 0)
        death = process.reap(5)
        self.assertTrue(death.dumped)
        self.check_core(self.record(), "crash_here")

    def test_no_server(self):
        self.lend_kernel(self.transport)
        death = self.crash(programs.CRASHER, "segv", seconds=20)
        self.assertEqual(death.signal, signal.SIGSEGV)
        if self.transport == "pipe":
            complaint = "obit-pipe"
        else:
            complaint = f"coredump: {death.pid}"
            self.assertFalse(death.dumped)
        wait.until(lambda: any(complaint in line for line in self.log.lines()),
                   lambda: f"{complaint} in the kernel log: {self.log.lines()}")  # fmt: skip

    def test_server_crashes(self):
        """Its own dump would wait for it to answer: so it must not be dumpable."""
        self.server.start()
        self.lend_kernel(self.transport)
        self.server.process.send_signal(signal.SIGSEGV)
        self.assertEqual(self.server.wait(20), -signal.SIGSEGV)

    def test_worker_crashes(self):
        self.server.start()
        self.lend_kernel(self.transport)
        process = self.in_mid_capture()
        (worker,) = [pid for pid in self.server.processes()[1:] if store.writes_a_core(pid)]
        os.kill(worker, signal.SIGSEGV)
        self.assertEqual(process.reap(20).signal, signal.SIGSEGV)
        record = self.record()
        self.assertIn(record["capture"]["outcome"], ("minimal", "truncated"))
        self.assertIn("SIGSEGV", record["capture"]["reason"])
        self.crash(programs.CRASHER, "abort")  # by a worker that took its place
        self.check_core(store.records(self.server.store, 2)[1], "crash_here_abort")


if __name__ == "__main__":
    case.main()
