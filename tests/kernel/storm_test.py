"""Many crashes at the same moment: none may be lost, refused or left hanging."""

import re

from harness import case, crash, programs, store

CRASHES = 300


@case.each_transport
class Storm:
    transport = None

    def test_every_crash_has_a_record(self):
        self.server.start()
        self.lend_kernel(self.transport)
        parent = crash.run([programs.CRASHER, "storm", CRASHES], seconds=100)
        self.assertEqual(parent.output, f"reaped {CRASHES} dumped {CRASHES}\n")
        records = store.records(self.server.store, CRASHES, seconds=100)
        self.assertEqual(len({record["process"]["pid"] for record in records}), CRASHES)
        self.assertEqual({record["process"]["parent"] for record in records}, {parent.pid})
        self.assertEqual({record["capture"]["outcome"] for record in records}, {"full"})
        for record in records[:: CRASHES // 3]:
            self.check_core(record, "crash_here")
        complaints = [line for line in self.log.lines() if re.search("coredump:|obit-pipe|queue full|refused", line)]
        self.assertEqual(complaints, [])


if __name__ == "__main__":
    case.main()
