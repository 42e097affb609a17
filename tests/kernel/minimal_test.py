"""Minimal cores: of a process of any size, what shows the stacks of all threads as its full core does."""

import os
import re
import shutil
import subprocess

from harness import case, crash, programs, report, store

MINIMAL = '[capture]\ndetail = "minimal"\n'
MIB = 1 << 20
TRACE = ("set backtrace past-main on", "set width 0", "thread apply all bt", "info sharedlibrary")
# Which die without arguments, in a moment.
CAUSES = ("abort", "assert", "bad-alloc", "call-unmapped", "double-free", "execute-data", "fortify", "null-call", "null-read",
          "pure-virtual", "read-protected", "signal-handler", "stack-smashing", "threads-alike", "uncaught-error", "unmapped-read",
          "wild-call", "wild-read", "write-read-only")  # fmt: skip


def gdb(program, core, *commands):
    """What gdb says of a core file."""
    arguments = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(["gdb", "-nx", "-batch", *arguments, program, core], capture_output=True, text=True, errors="replace", timeout=120)
    return done.stdout.replace(str(core), "CORE") + done.stderr.replace(str(core), "CORE")


class Minimal(case.KernelCase):
    def setUp(self):
        super().setUp()
        if not shutil.which("gdb"):
            self.skipTest("there is no gdb")

    def start(self, configuration):
        self.server.configure(configuration)
        self.server.start()
        self.lend_kernel("socket-request")

    def check(self, record, method="direct"):
        """It is minimal, and says of what; all of it is there."""
        capture = record["capture"]
        self.assertEqual((capture["detail"], capture["outcome"], capture["method"]), ("minimal", "minimal", method), capture)
        self.assertNotIn("reason", capture)
        self.assertGreater(capture["full_bytes"], capture["core_bytes"])
        self.assertEqual(capture["promised_bytes"], capture["core_bytes"])
        core = store.dump(self.server.store, record, f"{self.directory}/core.{record['id']}")
        self.assertEqual(os.path.getsize(core), store.size_by_headers(core))
        return core

    def test_threads_of_a_large_process(self):
        self.start(MINIMAL)
        self.crash(programs.CRASHER, "threads", 100)
        record = self.record()
        core = self.check(record)
        self.assertLess(record["capture"]["stored_bytes"], MIB)
        trace = gdb(programs.CRASHER, core, *TRACE)
        self.assertEqual(len(re.findall(r"^Thread \d+ ", trace, re.M)), 100, trace)
        self.assertIn("crash_in_thread", trace)
        self.assertNotIn("Backtrace stopped", trace)
        said = report.of(self.server.store, record)
        self.assertEqual(sum(len(stack["tids"]) for stack in said["stacks"]), 100)
        for stack in said["stacks"]:
            self.assertNotIn("left out", stack.get("end", ""), stack)

    def test_left_out_memory_is_not_zero(self):
        self.start(MINIMAL)
        self.crash(programs.CRASHER, "memory", 64, "random")
        record = self.record()
        core = self.check(record)
        said = report.of(self.server.store, record)
        large = next(m for m in said["mappings"] if report.number(m["end"]) - report.number(m["begin"]) >= 64 * MIB)
        self.assertIn("Cannot access memory", gdb(programs.CRASHER, core, f"x/x {large['begin']} + 0x100000"))
        self.assertIn("crash_here", gdb(programs.CRASHER, core, "bt"))

    def test_memory_that_is_not_to_be_dumped(self):
        """MADV_DONTDUMP: it leaves no trace, whatever points to it."""
        self.start(MINIMAL)
        self.crash(programs.MAPPER, "dont-dump")
        core = self.check(self.record())
        self.assertRegex(gdb(programs.MAPPER, core, "p excluded"), r"\$1 = 0x[0-9a-f]+")
        self.assertIn("Cannot access memory", gdb(programs.MAPPER, core, "x/x excluded"))

    def test_by_stream(self):
        self.start(MINIMAL + "direct = false\n")
        self.crash(programs.CRASHER, "memory", 64, "random")
        record = self.record()
        core = self.check(record, "stream")
        self.assertLess(record["capture"]["core_bytes"], 16 * MIB)
        trace = gdb(programs.CRASHER, core, *TRACE)
        self.assertIn("crash_here", trace)
        self.assertIn("libc.so", trace)

    def test_a_small_core_is_kept_whole(self):
        self.start(MINIMAL)
        self.crash(programs.CAUSES / "O2-no-frame-pointers-pie/null-read")
        self.check_core(self.record())

    def test_of_a_process_that_asked_for_no_core(self):
        self.start('[capture]\ncore_limit_zero = "minimal"\n')
        self.crash(programs.CRASHER, "memory", 64, "random", core_limit=0)
        self.check(self.record())

    def test_core_limit(self):
        """A limit makes it smaller."""
        self.start(MINIMAL)
        limit = 300 * 1024
        self.crash(programs.CRASHER, "threads", 50, core_limit=limit)
        record = self.record()
        self.check(record)
        self.assertLessEqual(record["capture"]["core_bytes"], limit)

    def compare(self, record):
        """A full core, and the minimal one that is made of it: the same for gdb, and for obit."""
        full = store.dump(self.server.store, record, f"{self.directory}/full")
        minimal = f"{self.directory}/minimal"
        store.obit(self.server.store, "dump", record["id"], "--minimal", "-o", minimal)
        self.assertLess(os.path.getsize(minimal), os.path.getsize(full))
        self.assertEqual(os.path.getsize(minimal), store.size_by_headers(minimal))
        program = record["process"]["exe"]
        self.assertEqual(gdb(program, minimal, *TRACE), gdb(program, full, *TRACE))
        analysed = f"{self.directory}/analysed"
        shutil.rmtree(analysed, ignore_errors=True)
        for core in (full, minimal):
            store.obit(analysed, "import", core)
        store.obit(analysed, "analyze", "--all")
        said = {one["capture"]["outcome"]: report.of(analysed, one) for one in store.records(analysed, 2)}
        for stack in (stack for one in said.values() for stack in one["stacks"]):
            stack.pop("end", None)
        for key in ("cause", "stacks", "fingerprint"):
            self.assertEqual(said["minimal"].get(key), said["full"].get(key), key)
        self.assertEqual([(m["begin"], m["end"], m["access"]) for m in said["minimal"]["mappings"]],
                         [(m["begin"], m["end"], m["access"]) for m in said["full"]["mappings"]])  # fmt: skip

    def compare_crashes(self, *commands):
        self.start("")
        for command in commands:
            self.assertTrue(crash.run(command).dumped, command)
        for record in store.records(self.server.store, len(commands)):
            with self.subTest(record["process"]["exe"]):
                self.compare(record)

    def test_same_as_full_of_each_cause(self):
        self.compare_crashes(*([programs.for_every_user(programs.CAUSES / "O2-no-frame-pointers-pie" / cause)] for cause in CAUSES))

    def test_same_as_full_of_threads(self):
        self.compare_crashes([programs.CRASHER, "threads", 20], [programs.CRASHERS / "crasher-static", "threads", 5])

    def test_same_as_full_of_a_stack_overflow(self):
        program = programs.for_every_user(programs.CAUSES / "O2-no-frame-pointers-pie/stack-overflow")
        self.compare_crashes(["sh", "-c", 'ulimit -s 200 && exec "$0"', program])

    def test_same_as_full_of_python(self):
        self.compare_crashes(["/usr/bin/python3", "-c", "import ctypes, json; json.loads('[1]', object_hook=0, parse_int=lambda _: ctypes.string_at(0))"])


if __name__ == "__main__":
    case.main()
