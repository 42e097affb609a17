"""A process that was released ends by itself: its parent sees what it died of, however long its end takes.

The kernel does not notice that nobody reads any more before it has something to write. Until then it walks through the holes
of the memory that it had to dump.
"""

import signal
import time

from harness import case, crash, programs, store

PATIENCE = 5  # seconds that obitd gives to a process that does nothing
GIB_MAX = 64 << 10  # half of the addresses that a process has
TRIES = 5


class Release(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.configure("server.stop_timeout = 1\n")  # a stop waits so long for a process to end
        self.server.start()

    def released(self, gib, count):
        """A process that has a hole of that size and was let go. The kernel is given back to the others at once."""
        self.lend_kernel("socket-request")
        process = crash.Running([programs.CRASHER, "reserve", gib, 1])
        record = store.records(self.server.store, count)[-1]
        self.give_kernel_back()
        self.assertEqual(record["capture"]["method"], "direct")
        return process

    def check(self, process):
        death = process.reap(150)
        self.assertEqual((death.signal, death.dumped), (signal.SIGSEGV, True))
        self.assertNotIn("SIGKILL", self.server.log())

    def released_for(self, seconds):
        """One whose end takes about so long on this machine."""
        gib, count, took = 32, 1, 0
        while took < 1 and gib <= GIB_MAX:  # what the end of a process takes beside its walk is then little
            process = self.released(gib, count)
            begun = time.monotonic()
            self.check(process)
            took = time.monotonic() - begun
            gib, count = gib * 4, count + 1
        self.gib = min(max(int(gib / 4 * seconds / took), 32), GIB_MAX)
        return self.released(self.gib, count)

    def test_of_one_that_takes_long(self):
        self.check(self.released_for(2 * PATIENCE))

    def test_of_one_that_takes_long_without_the_server(self):
        process = self.released_for(3 * PATIENCE)
        for _ in range(TRIES):
            self.assertEqual(self.server.stop(), 0)
            lives = crash.state(process.pid) not in ("Z", "gone")
            self.check(process)
            if lives:
                return
            # It ended before the server did: the machine is busy, or walks faster than it did a moment ago.
            self.server.start()
            self.gib = min(self.gib * 4, GIB_MAX)
            process = self.released(self.gib, len(store.crash_directories(self.server.store)) + 1)
        self.skipTest(f"this machine walks through {self.gib} GiB faster than obitd stops")


if __name__ == "__main__":
    case.main()
