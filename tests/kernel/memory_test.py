"""What obitd itself needs, however large the core."""

import contextlib
import pathlib
import re
import signal

from harness import case, crash, look, programs, store

GIB = 1 << 30
MIB = 1 << 20


def kib(pid, file, name):
    text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.M)
    if found is None:
        raise ProcessLookupError(f"process {pid} has no memory: it has ended")
    return int(found[1])


def peak(pid):
    """Bytes. Pages of files (the program and its libraries) count once, however many processes have mapped them. None: the
    process has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        shared_elsewhere = kib(pid, "status", "RssFile") - kib(pid, "smaps_rollup", "Pss_File")
        return (kib(pid, "status", "VmHWM") - shared_elsewhere) * 1024


def available_memory():
    (found,) = re.findall(r"^MemAvailable:\s+(\d+) kB$", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return int(found) * 1024


class PeakMemory(case.KernelCase):
    def setUp(self):
        super().setUp()
        if available_memory() < 8 * GIB:
            self.skipTest("needs 8 GiB of free memory")

    def start(self, environment=None):
        self.server.start(environment)
        self.lend_kernel("socket-request")

    def check_peak(self, records, outcome="full"):
        for record in records:
            self.assertEqual(record["capture"]["outcome"], outcome)
        names = {pid: look.comm(pid) for pid in self.server.processes()}
        # An analysis, a program of its own, may have begun after the first of several captures, or not.
        peaks = {pid: peak(pid) for pid, name in names.items() if name != "obit-analyze"}
        found = {pid: bytes for pid, bytes in peaks.items() if bytes is not None}
        print(f"peak memory: {', '.join(f'{names[pid]} {bytes / MIB:.1f}' for pid, bytes in found.items())} MiB")
        self.assertLessEqual(sum(found.values()), 64 * MIB)

    def test_core_of_4_gib(self):
        self.start()
        self.crash(programs.CRASHER, "memory", 4096, "mixed", seconds=120)
        record = self.record()
        self.assertGreater(record["capture"]["core_bytes"], 4 * GIB)
        self.check_peak([record])

    def check_four_captures(self, *arguments, outcome="full"):
        dying = [crash.Running([programs.CRASHER, *arguments, "stop"]) for _ in range(4)]
        for process in dying:
            crash.await_stop(process)
        for process in dying:
            process.kill(signal.SIGCONT)
        for process in dying:
            self.assertTrue(process.reap(120).dumped)
        self.check_peak(store.records(self.server.store, 4), outcome)

    def test_four_captures_at_once(self):
        self.start()
        self.check_four_captures("memory", 1024, "mixed")

    def test_four_captures_at_once_on_many_processors(self):
        """What does not compress needs the most memory: the frames are as large as what is in them."""
        self.start({"LD_PRELOAD": str(programs.MANY_PROCESSORS)})
        self.check_four_captures("memory", 96, "random")

    def test_four_minimal_captures_at_once(self):
        """Each reads MiB of stacks before it compresses any of them."""
        self.server.configure('[capture]\ndetail = "minimal"\n')
        self.start()
        self.check_four_captures("threads", 400, 64, outcome="minimal")

    def test_64_gib_of_nothing(self):
        self.start()
        self.crash(programs.CRASHER, "hole", 64, 100, seconds=120)
        record = self.record()
        self.assertGreater(record["capture"]["core_bytes"], 64 * GIB)
        self.assertLess(record["capture"]["stored_bytes"], 100 * MIB, "holes are not stored")
        self.check_peak([record])


if __name__ == "__main__":
    case.main()
