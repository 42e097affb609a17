"""Each kind of program dies once by each transport: there must be a record, and a core that debuggers understand."""

import os
import shutil
import signal
import subprocess
import tempfile

from harness import case, crash, programs, store, wait


@case.each_transport
class Programs:
    transport = None

    def setUp(self):
        super().setUp()
        self.server.start()
        self.lend_kernel(self.transport)

    def copy_of_crasher(self):
        """A copy that anybody may run. Not below /run, which tends to be mounted nosuid and noexec."""
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test."))
        os.chmod(folder, 0o755)
        return shutil.copy(programs.CRASHER, f"{folder}/copy")

    def check(self, death, *functions, signal_number=signal.SIGSEGV, dumped=True):
        """The only record must be of this death, and its core must lead to these functions."""
        self.assertEqual((death.signal, death.dumped), (signal_number, dumped))
        record = self.record()
        self.assertEqual(record["process"]["pid"], death.pid)
        self.check_record(record, *functions, signal_number=signal_number)
        return record

    def check_record(self, record, *functions, signal_number=signal.SIGSEGV):
        self.assertEqual(record["signal"]["number"], signal_number)
        self.assertEqual(record["signal"]["name"], signal.Signals(signal_number).name)
        self.assertEqual(record["capture"]["transport"], self.transport)
        self.check_core(record, *functions)

    def test_sleep(self):
        sleeper = crash.Running(["sleep", "1000"])
        wait.until(lambda: crash.state(sleeper.pid) == "S", "sleep asleep")
        record = self.check(sleeper.kill().reap(), "nanosleep")
        self.assertEqual(record["process"]["comm"], "sleep")
        self.assertEqual(record["signal"]["sender_pid"], os.getpid())

    def test_null_write(self):
        record = self.check(self.crash(programs.CRASHER, "segv"), "crash_here")
        self.assertEqual(record["signal"]["code_name"], "SEGV_MAPERR")
        self.assertEqual(record["signal"]["address"], "0x0")
        self.assertEqual(record["process"]["exe"], str(programs.CRASHER.resolve()))
        self.assertFalse(record["process"].get("privileged", False))

    def test_abort(self):
        self.check(self.crash(programs.CRASHER, "abort"), "crash_here_abort", signal_number=signal.SIGABRT)

    def test_fifty_threads(self):
        record = self.check(self.crash(programs.CRASHER, "threads", 50), "crash_in_thread", "crash_here")
        self.assertEqual(record["process"]["threads"], 50)
        self.assertNotEqual(record["thread"]["tid"], record["process"]["pid"], "a thread crashed that is not the leader")
        trace = store.backtrace(self.server.store, record, "info threads")
        self.assertEqual(trace.count("LWP"), 50 + trace.count("[New LWP") + trace.count("[Current thread"), trace)

    def test_python(self):
        for python in {"/usr/bin/python3", shutil.which("python3")}:
            with self.subTest(python):
                death = self.crash(python, "-c", "import ctypes; ctypes.string_at(0)")
                self.assertTrue(death.dumped)
                records = store.records(self.server.store, 1)
                self.check_record(records[0], "ffi_call", "_PyEval_EvalFrameDefault")
                store.obit(self.server.store, "rm", records[0]["id"])

    def test_node(self):
        if not shutil.which("node"):
            self.skipTest("node is not installed")
        self.check(self.crash("node", "-e", "process.abort()"), "abort", signal_number=signal.SIGABRT)

    def test_static_binary(self):
        self.check(self.crash(programs.CRASHERS / "crasher-static", "segv"), "crash_here")

    def test_i386_binary(self):
        crasher = programs.CRASHERS / "crasher-i386"
        if not crasher.exists():
            self.skipTest("the compiler builds no i386 programs")
        try:
            death = self.crash(crasher, "segv")
        except OSError as error:
            self.skipTest(f"this kernel runs no i386 programs: {error.strerror}")
        self.check(death, "crash_here")

    def test_other_namespaces(self):
        self.require("unshare", "--user", "true")
        parent = crash.run([programs.CRASHER, "namespaces"])
        self.assertEqual(parent.status, 0, f"the child dumped no core: {parent.output}")
        record = self.record()
        self.check_record(record, "crash_here")
        self.assertEqual(record["process"]["parent"], parent.pid)
        self.assertEqual(record["process"]["own_pid"], 1)
        for name, file in {"pid": "pid", "mount": "mnt", "network": "net", "user": "user"}.items():
            self.assertNotEqual(record["process"]["namespaces"][name], os.readlink(f"/proc/self/ns/{file}"))

    def test_vfork(self):
        """Its parent shares its memory, and stands still until it has died."""
        parent = crash.run([programs.CRASHER, "vfork"])
        self.assertEqual(parent.status, 0, f"the child dumped no core, or changed memory: {parent.output}")
        record = self.record()
        self.check_record(record, "crash_here", "CrashInVfork")
        self.assertEqual((record["process"]["parent"], record["process"]["comm"]), (parent.pid, "crasher"))

    def test_setuid(self):
        setuid = self.copy_of_crasher()
        if os.statvfs(setuid).f_flag & os.ST_NOSUID:
            self.skipTest("/var/tmp is mounted nosuid")
        owner, user = 1, 65534  # any two that are not root
        os.chown(setuid, owner, owner)
        os.chmod(setuid, 0o4755)
        record = self.check(self.crash(setuid, "segv", user=user), "crash_here")
        self.assertTrue(record["process"]["privileged"])
        self.assertEqual((record["process"]["uid"], record["process"]["euid"]), (user, owner))

    def test_deleted_program(self):
        copy = self.copy_of_crasher()
        record = self.check(self.crash(copy, "delete-exe"), "crash_here")
        self.assertFalse(os.path.exists(copy))
        self.assertTrue(record["process"]["exe_deleted"])
        self.assertEqual(record["files"]["exe"], "exe.zst")

    def test_eight_thousand_mappings(self):
        self.check(self.crash(programs.CRASHER, "mappings", 8000), "crash_here")

    def test_arguments_of_1_5_megabytes(self):
        arguments = ["x" * 100_000] * 15  # one alone may have 128 KiB
        record = self.check(self.crash(programs.CRASHER, "segv", *arguments), "crash_here")
        self.assertEqual(record["process"]["cmdline"][:2], [str(programs.CRASHER), "segv"])
        self.assertTrue(record["process"]["cmdline_truncated"])

    def test_core_limit_zero(self):
        death = self.crash(programs.CRASHER, "segv", core_limit=0)
        record = self.record()
        self.assertEqual(record["process"]["pid"], death.pid)
        self.assertEqual(record["process"]["core_limit"], 0)
        self.assertEqual((record["capture"]["detail"], record["capture"]["outcome"]), ("event", "event"))
        self.assertEqual(record["capture"]["reason"], "the process has RLIMIT_CORE 0: it asked for no core")
        self.assertEqual(record["capture"]["transport"], self.transport)
        self.assertNotIn("core", record["files"])
        files = {path.name for path in store.directory_of(self.server.store, record).iterdir()}
        self.assertEqual(files - {"report.json"}, {"commit.json", "crash.json"})
        if self.transport == "socket-request":  # by the others the kernel is not asked, and may have dumped or not
            self.assertTrue(death.dumped)

    def test_core_limit_below_a_page(self):
        # By the pipe the kernel itself refuses a limit of 1.
        limits = [100] if self.transport == "pipe" else [1, 100]
        for count, limit in enumerate(limits, start=1):
            self.crash(programs.CRASHER, "segv", core_limit=limit)
            record = store.records(self.server.store, count)[-1]
            self.assertEqual((record["process"]["core_limit"], record["capture"]["outcome"]), (limit, "event"))
            size = "1 byte" if limit == 1 else f"{limit} bytes"
            self.assertEqual(record["capture"]["reason"], f"RLIMIT_CORE is {size}: less than a page is no core")

    def test_a_core_ends_at_its_limit(self):
        for count, limit in enumerate((4096, 1 << 20), start=1):
            self.crash(programs.CRASHER, "memory", 64, core_limit=limit)
            capture = store.records(self.server.store, count)[-1]["capture"]
            self.assertEqual((capture["outcome"], capture["core_bytes"]), ("truncated", limit))
            self.assertEqual(capture["reason"], f"RLIMIT_CORE is {limit} bytes")
        self.crash(programs.CRASHER, "segv", core_limit=1 << 30)
        self.assertEqual(store.records(self.server.store, 3)[-1]["capture"]["outcome"], "full")

    def test_a_core_limit_within_a_hole(self):
        """The kernel sends nothing of it before it has walked through: that would take too long to wait for."""
        self.crash(programs.CRASHER, "reserve", 32, 3, "ends", core_limit=1 << 20)
        capture = self.record()["capture"]
        self.assertEqual((capture["method"], capture["outcome"], capture["core_bytes"]), ("direct", "truncated", 1 << 20))
        self.assertEqual(capture["reason"], f"RLIMIT_CORE is {1 << 20} bytes")

    def test_stored_core_is_whole_for_zstd(self):
        self.crash(programs.CRASHER, "memory", 64, "sparse")
        core = store.directory_of(self.server.store, self.record()) / "core.zst"
        subprocess.run(["zstd", "-tq", core], check=True)
        self.assertLess(core.stat().st_size, 4 << 20, "holes take room")


if __name__ == "__main__":
    case.main()
