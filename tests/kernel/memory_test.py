"""What obitd itself needs, however large the core."""

import pathlib
import re
import signal

from harness import case, crash, programs, store

GIB = 1 << 30
MIB = 1 << 20


def peak_resident(pid):
    """Bytes, counted where they are: pages shared by several processes count in each."""
    (kib,) = re.findall(r"^VmHWM:\s+(\d+) kB$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(kib) * 1024


def available_memory():
    (kib,) = re.findall(r"^MemAvailable:\s+(\d+) kB$", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return int(kib) * 1024


class PeakMemory(case.KernelCase):
    def setUp(self):
        super().setUp()
        if available_memory() < 8 * GIB:
            self.skipTest("needs 8 GiB of free memory")
        self.server.start()
        self.lend_kernel("socket-request")

    def check_peak(self, records):
        for record in records:
            self.assertEqual(record["capture"]["outcome"], "full")
        peaks = [peak_resident(pid) for pid in self.server.processes()]
        print(f"peak memory: {', '.join(f'{peak / MIB:.1f}' for peak in peaks)} MiB")
        self.assertLessEqual(sum(peaks), 64 * MIB)

    def test_core_of_4_gib(self):
        self.crash(programs.CRASHER, "memory", 4096, "mixed", seconds=120)
        record = self.record()
        self.assertGreater(record["capture"]["core_bytes"], 4 * GIB)
        self.check_peak([record])

    def test_four_captures_at_once(self):
        dying = [crash.Running([programs.CRASHER, "memory", 1024, "mixed", "stop"]) for _ in range(4)]
        for process in dying:
            crash.await_stop(process)
        for process in dying:
            process.kill(signal.SIGCONT)
        for process in dying:
            self.assertTrue(process.reap(120).dumped)
        self.check_peak(store.records(self.server.store, 4))

    def test_64_gib_of_nothing(self):
        self.crash(programs.CRASHER, "hole", 64, 100, seconds=120)
        record = self.record()
        self.assertGreater(record["capture"]["core_bytes"], 64 * GIB)
        self.assertLess(record["capture"]["stored_bytes"], 100 * MIB, "holes are not stored")
        self.check_peak([record])


if __name__ == "__main__":
    case.main()
