"""A process that was released ends by itself: its parent sees what it died of, however long its end takes.

The kernel does not notice that nobody reads any more before it has something to write. Until then it walks through the holes
of the memory that it had to dump.
"""

import signal
import time

from harness import case, crash, programs, store

PATIENCE = 5  # seconds that obitd gives to a process that does nothing


class Release(case.KernelCase):
    def setUp(self):
        super().setUp()
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
        gib = 32
        begun = time.monotonic()
        self.check(self.released(gib, 1))
        return self.released(min(max(int(gib * seconds / (time.monotonic() - begun)), gib), 8192), 2)

    def test_of_one_that_takes_long(self):
        self.check(self.released_for(3 * PATIENCE))

    def test_of_one_that_takes_long_without_the_server(self):
        process = self.released_for(PATIENCE)
        self.assertEqual(self.server.stop(), 0)
        self.assertNotIn(crash.state(process.pid), ("Z", "gone"), "it ended too early for this test")
        self.check(process)


if __name__ == "__main__":
    case.main()
