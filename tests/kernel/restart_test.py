"""obitd restarted again and again while programs crash, as a service is, with a socket that outlives it: none is lost."""

import re

from harness import case, crash, programs, server, store, wait

CRASHES, AT_ONCE, RESTARTS = 200, 50, 3


class Restart(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.configure("[analysis]\nenabled = false\n")
        self.sockets = server.Sockets(self.server)
        self.stack.callback(self.sockets.close)

    def start(self):
        self.server.start(**self.sockets.options())

    def check(self, transport):
        self.start()
        self.lend_kernel(transport)
        parent = crash.Running([programs.CRASHER, "loop", CRASHES, AT_ONCE])
        self.addCleanup(parent.end)
        for number in range(1, RESTARTS + 1):
            # Each time when some more crashes have been recorded, and others wait.
            enough = number * CRASHES // (2 * RESTARTS)
            wait.until(lambda: len(store.crash_directories(self.server.store)) >= enough, f"{enough} records")
            self.assertEqual(self.server.stop(), 0)
            self.start()
        self.assertEqual(parent.reap(100).output, f"reaped {CRASHES} dumped {CRASHES}\n")
        records = store.records(self.server.store, CRASHES, seconds=60)
        self.assertEqual({record["capture"]["outcome"] for record in records}, {"full"})
        self.assertEqual(len({record["process"]["pid"] for record in records}), CRASHES)
        self.check_core(records[-1], "crash_here")
        self.assertEqual([line for line in self.log.lines() if re.search("coredump:", line)], [])

    def test_requests(self):
        self.check("socket-request")

    def test_cores(self):
        self.check("socket")


if __name__ == "__main__":
    case.main()
