"""The base class of the tests against the running kernel, and the main function of every test file."""

import contextlib
import os
import subprocess
import sys
import unittest

from . import crash, kernel, programs, server, store, wait

SKIPPED = 77  # the exit code that ctest counts as skipped


class KernelCase(unittest.TestCase):
    """A test that crashes programs for real and looks at what obitd made of it."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root: it sets kernel.core_pattern")
        if not crash.allow_cores():
            self.skipTest("the hard limit of RLIMIT_CORE is lower than unlimited")
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.stack.enter_context(wait.limit(kernel.TEST_SECONDS, "end of the test"))
        self.directory = self.stack.enter_context(server.make_directory())
        self.server = server.Server(self.directory)
        self.stack.callback(self.end_server)
        self.log = kernel.Log()
        self.stack.callback(self.log.close)

    def end_server(self):
        """Ends the server that the test has then, and shows what it said: ctest prints it if the test fails."""
        self.server.kill()
        print(self.server.log(), end="")

    def lend_kernel(self, transport):
        """Points the kernel at the server until the test ends. The server need not run yet."""
        if not transport.startswith("pipe") and not has_sockets(transport):
            self.skipTest(f"Linux {os.uname().release} has no {transport} transport")
        self.lent = self.stack.enter_context(contextlib.ExitStack())
        self.lent.enter_context(kernel.settings({
            kernel.CORE_PATTERN: self.server.core_pattern(transport),
            kernel.CORE_PIPE_LIMIT: "0",
            kernel.SUID_DUMPABLE: "2",
        }))  # fmt: skip

    def give_kernel_back(self):
        """Before the test ends: for one that goes on long after the last crash began."""
        self.lent.close()

    def crash(self, *argv, seconds=60, **options):
        """Runs a program that must die of a signal."""
        death = crash.run(argv, seconds, **options)
        self.assertNotEqual(death.signal, 0, f"it did not crash: status {death.status:#x}, {death.output}")
        return death

    def require(self, *command, user=None):
        """Skips the test if this command fails: something that it stands for is not to be had, such as namespaces in a chroot."""
        tried = subprocess.run(command, user=user, group=user, cwd="/", capture_output=True, text=True, timeout=60)
        if tried.returncode != 0:
            self.skipTest(tried.stderr.strip())

    def record(self, seconds=60):
        """The only record of the store."""
        (record,) = store.records(self.server.store, seconds=seconds)
        return record

    def check_core(self, record, *functions, store_path=None):
        """A stored core must be whole, the same for everybody who unpacks it, and good enough for debuggers."""
        where = store_path or self.server.store
        capture = record["capture"]
        self.assertEqual(capture["outcome"], "full", capture)
        self.assertNotIn("reason", capture)
        core = store.dump(where, record, f"{self.directory}/core.{record['id']}")
        self.addCleanup(os.unlink, core)
        self.assertEqual(os.path.getsize(core), store.size_by_headers(core), "the core is not complete")
        self.assertEqual(os.path.getsize(core), capture["core_bytes"])
        stored = store.directory_of(where, record) / "core.zst"
        self.assertEqual(store.sha256_unpacked(stored), store.sha256_of(core), "zstd and obit unpack it differently")
        notes = subprocess.run(["eu-readelf", "-n", core], capture_output=True, timeout=60)
        self.assertEqual((notes.returncode, notes.stderr), (0, b""))
        trace = store.backtrace(where, record)
        for function in functions:
            self.assertIn(function, trace)


def has_sockets(transport):
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return release >= ((6, 17) if transport == "socket-request" else (6, 16))


def each_transport(base):
    """Class decorator: instead of the class, one KernelCase for each transport, which it has as `self.transport`."""
    module = sys.modules[base.__module__]
    for transport in server.TRANSPORTS:
        name = "".join(word.capitalize() for word in transport.split("-")) + base.__name__
        made = type(name, (base, KernelCase), {"transport": transport, "__module__": base.__module__})
        setattr(module, name, made)
    return base


def main():
    """`FILE --list` prints the names of the tests; `FILE NAME...` runs some, `FILE` all. Exits with SKIPPED if nothing ran."""
    if sys.argv[1:] == ["--list"]:
        for suite in unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]):
            for test in suite:
                print(test.id().removeprefix("__main__."))
        return
    for program in (programs.OBIT, programs.OBITD, programs.OBIT_ANALYZE, programs.OBIT_PIPE, programs.CRASHER, programs.MAPPER):
        if not program.exists():
            sys.exit(f"{program} is not built")
    result = unittest.main(exit=False, verbosity=2).result
    for test, reason in result.skipped:
        print(f"skipped: {test.id().removeprefix('__main__.')}: {reason}")
    if not result.wasSuccessful():
        sys.exit(1)
    if len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
