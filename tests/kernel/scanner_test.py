"""A scanner that has to agree to every open of a file (fanotify), and does not, because it is slow or has crashed itself."""

import shutil
import signal

from harness import case, crash, programs, scanner, store

LIMITS = "[capture]\nprogress_timeout = 2\nqueue_timeout = 1\n[analysis]\nenabled = false\n"
# Seconds: for the facts (2.5), in the queue (1), in a capture without progress (2), and until one that does nothing is killed (5);
# and as much again for a machine that has other work.
HELD_MAX = 20
SLOW = 3
BESIDE = 10  # less than the scanner takes for all of five crashes, one after the other


class Scanning:
    def start(self, *arguments):
        try:
            self.scanner.start(*arguments)
        except OSError as error:
            self.skipTest(f"no scanner: {error}")

    def stopped(self, program=programs.CRASHER):
        """A program that runs already, and will die when it goes on."""
        process = crash.Running([program, "segv", "stop"])
        self.addCleanup(process.end)
        crash.await_stop(process)
        return process


@case.each_transport
class ScannerOfPrograms(Scanning):
    """It scans the folder where its own program lies, and that of the others who crash."""

    transport = None

    def setUp(self):
        super().setUp()
        self.server.configure(LIMITS)
        self.server.start()
        self.lend_kernel(self.transport)
        self.scanner = self.stack.enter_context(scanner.Scanner())
        self.crasher = shutil.copy(programs.CRASHER, self.scanner.folder)

    def test_it_crashes_itself(self):
        beside = self.stopped(self.crasher)
        self.start("crash")
        self.scanner.ask()
        dying = self.scanner.crash()
        beside.kill(signal.SIGCONT)
        self.assertTrue(self.crash(programs.CRASHER, "segv", seconds=HELD_MAX).dumped)  # of another mount
        for process in (dying, beside):
            self.assertNotEqual(process.reap(HELD_MAX).signal, 0)
        self.assertTrue(self.crash(programs.CRASHER, "segv", seconds=HELD_MAX).dumped)
        records = {record["process"]["pid"]: record for record in store.records(self.server.store, 4)}
        for pid in (dying.pid, beside.pid):
            self.assertLess(records[pid]["capture"]["held_seconds"], HELD_MAX)
        elsewhere = [record for pid, record in records.items() if pid not in (dying.pid, beside.pid)]
        for record in elsewhere:
            self.check_core(record, "crash_here")

    def test_it_is_slow(self):
        dying = [self.stopped(self.crasher) for _ in range(5)]
        self.start("slow", SLOW)
        for process in dying:
            process.kill(signal.SIGCONT)
        for _ in dying:
            self.assertTrue(self.crash(programs.CRASHER, "segv", seconds=BESIDE).dumped)  # of another mount
        for process in dying:
            self.assertNotEqual(process.reap(HELD_MAX).signal, 0)
        records = store.records(self.server.store, 2 * len(dying))
        scanned = {process.pid for process in dying}
        for record in records:
            self.assertLess(record["capture"]["held_seconds"], HELD_MAX)
            if record["process"]["pid"] not in scanned:
                self.check_core(record, "crash_here")
                self.assertLess(record["capture"]["held_seconds"], BESIDE)


class ScannerOfTheStore(Scanning, case.KernelCase):
    """It scans obitd's own folder: the store, its files, its log."""

    def setUp(self):
        super().setUp()
        self.server.configure(LIMITS)
        self.scanner = self.stack.enter_context(scanner.Scanner(self.directory))
        self.stack.callback(lambda: self.server.kill())
        self.server.start()
        self.lend_kernel("socket-request")

    def test_it_crashes_itself(self):
        self.start("crash")
        self.scanner.ask()
        dying = self.scanner.crash()
        self.assertNotEqual(dying.reap(HELD_MAX).signal, 0)
        self.assertTrue(self.crash(programs.CRASHER, "segv", seconds=HELD_MAX).dumped)
        records = store.records(self.server.store, 2)
        (own,) = [record for record in records if record["process"]["pid"] == dying.pid]
        self.assertLess(own["capture"]["held_seconds"], HELD_MAX)
        (other,) = [record for record in records if record is not own]
        self.check_core(other, "crash_here")

    def test_it_is_slow(self):
        dying = [self.stopped() for _ in range(8)]
        self.start("slow", SLOW)
        for process in dying:
            process.kill(signal.SIGCONT)
        for process in dying:
            self.assertNotEqual(process.reap(HELD_MAX).signal, 0)
        self.scanner.process.end()
        records = store.records(self.server.store, len(dying))
        self.assertEqual({record["process"]["pid"] for record in records}, {process.pid for process in dying})
        for record in records:
            self.assertLess(record["capture"]["held_seconds"], HELD_MAX)


if __name__ == "__main__":
    case.main()
