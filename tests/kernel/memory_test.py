"""What obitd itself needs, however large the core."""

import pathlib
import re

from harness import case, programs

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
    def test_core_of_4_gib(self):
        if available_memory() < 8 * GIB:
            self.skipTest("needs 8 GiB of free memory")
        self.server.start()
        self.lend_kernel("socket-request")
        self.crash(programs.CRASHER, "memory", 4096, "mixed", seconds=120)
        record = self.record()
        self.assertEqual(record["capture"]["outcome"], "full")
        self.assertGreater(record["capture"]["core_bytes"], 4 * GIB)
        peaks = [peak_resident(pid) for pid in self.server.processes()]
        print(f"peak memory: {', '.join(f'{peak / MIB:.1f}' for peak in peaks)} MiB; held for "
              f"{record['capture']['held_seconds']:.2f} s; stored in {record['capture']['stored_bytes'] / MIB:.0f} MiB")  # fmt: skip
        self.assertLessEqual(sum(peaks), 64 * MIB)


if __name__ == "__main__":
    case.main()
