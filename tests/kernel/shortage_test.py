"""Many crashes at once on a server that may open few files: it lets them wait, says so, and loses none without a word."""

import contextlib
import pathlib
import re
import subprocess

from harness import case, crash, programs, server, store, wait

FILES, CRASHES = 256, 600


@case.each_transport
class Shortage:
    transport = None

    def test_of_descriptors(self):
        self.server.configure("[analysis]\nenabled = false\n")
        self.server.start(through=["prlimit", f"--nofile={FILES}:{FILES}", "--"])
        self.lend_kernel(self.transport)
        parent = crash.run([programs.CRASHER, "storm", CRASHES], seconds=120)
        self.assertRegex(parent.output, rf"^reaped {CRASHES} dumped \d+\n$")
        self.give_kernel_back()

        def accounted():
            return len(store.crash_directories(self.server.store)) + self.server.metrics().get("obit_crashes_lost_total", 0)

        wait.until(lambda: accounted() >= CRASHES, lambda: f"{CRASHES} crashes, recorded or counted lost: {accounted()}", 60)
        self.assertEqual(accounted(), CRASHES)
        self.server.wait_for_log("descriptors")
        self.assertNotIn("not of the kernel", self.server.log())
        self.assertEqual(self.server.metrics().get("obit_refused_peers_total", 0), 0)
        records = store.records(self.server.store, 1, at_least=True)
        print(f"{len(records)} records, {CRASHES - len(records)} counted lost")
        self.assertEqual(len({record["process"]["pid"] for record in records}), len(records))
        self.check_core([record for record in records if record["capture"]["outcome"] == "full"][-1], "crash_here")
        complaints = [line for line in self.log.lines() if re.search("coredump:|obit-pipe", line)
                      and "Unsafe core_pattern" not in line]  # said of the pattern as it was set
        self.assertEqual(complaints, [])


class FullDisk(case.KernelCase):
    """A disk without a free byte: each crash gets its record, by the room that the store has set aside."""

    CRASHES = 12

    def setUp(self):
        super().setUp()
        self.disk = pathlib.Path(self.stack.enter_context(server.make_directory("/var/tmp")))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", self.disk], check=True, timeout=60)
        self.stack.callback(subprocess.run, ["umount", "-l", self.disk], timeout=60)
        self.stack.callback(lambda: self.server.kill())
        self.server = server.Server(self.directory, store=self.disk / "store")
        self.server.configure("[analysis]\nenabled = false\n")
        self.server.start()

    def fill(self):
        with open(self.disk / "filler", "ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"\1" * size)

    def test_has_room_for_records(self):
        self.lend_kernel("socket-request")
        self.fill()
        for _ in range(self.CRASHES):
            self.crash(programs.CRASHER, "memory", 8, "random")
        records = store.records(self.server.store, self.CRASHES)
        self.assertLess((self.server.store / "reserve").stat().st_size, 4 << 20)
        for record in records:
            self.assertIn("space", record["capture"]["reason"], record["capture"])
        (self.disk / "filler").unlink()
        self.crash(programs.CRASHER, "segv")
        records = store.records(self.server.store, self.CRASHES + 1)
        self.assertEqual(max(records, key=lambda record: record["number"])["capture"]["outcome"], "full")
        wait.until(lambda: (self.server.store / "reserve").stat().st_size == 4 << 20, "the reserve there again")


if __name__ == "__main__":
    case.main()
