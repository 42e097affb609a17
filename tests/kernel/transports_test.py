"""Several transports and several programs on one store and one server."""

import shutil
import signal
import subprocess

from harness import case, crash, kernel, programs, server, store, wait


class OneStore(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.start()
        self.lend_kernel("socket-request")

    def switch_to(self, transport):
        kernel.CORE_PATTERN.write_text(self.server.core_pattern(transport))

    def test_all_transports_at_once(self):
        dying = []
        for transport in server.TRANSPORTS:
            self.switch_to(transport)
            dying.append(crash.Running([programs.CRASHER, "memory", 256, "mixed"]))
            # The pattern may change again as soon as the kernel has followed it.
            wait.until(lambda: len(self.begun()) == len(dying), "capture begun")
        for process in dying:
            self.assertTrue(process.reap().dumped)
        records = store.records(self.server.store, len(dying))
        self.assertEqual({record["capture"]["transport"] for record in records}, set(server.TRANSPORTS))
        for record in records:
            self.check_core(record, "crash_here")

    def begun(self):
        """The crashes that obitd has begun to write, or has written."""
        return store.begun(self.server.store) + store.crash_directories(self.server.store)

    def test_bash(self):
        self.switch_to("socket")
        self.assertTrue(self.crash("bash", "-c", "kill -SEGV $$").dumped)
        self.check_core(self.record(), "kill")

    def test_java(self):
        if not shutil.which("java"):
            self.skipTest("java is not installed")
        java = crash.java_ready()
        death = java.kill().reap()
        self.assertEqual((death.signal, death.dumped), (signal.SIGABRT, True), death.output)
        self.check_core(self.record(), "abort")

    def test_gdb(self):
        if b"python" not in subprocess.run(["gdb", "--configuration"], capture_output=True).stdout:
            self.skipTest("gdb has no python")
        self.switch_to("pipe")
        self.assertTrue(self.crash("gdb", "-nx", "-batch", "-ex", "python import ctypes; ctypes.string_at(0)").dumped)
        self.check_core(self.record(), "ffi_call")


if __name__ == "__main__":
    case.main()
