"""A pid is given to another process while obitd looks at a crash (CVE-2025-4598, CVE-2025-5054): they must not be mixed up.

The kernel gives out the pid after /proc/sys/kernel/ns_last_pid next, so a test need not wait for a chance.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess

from harness import case, crash, impostor, programs, store, wait

USER = 61001


@case.each_transport
class PidReuse:
    def setUp(self):
        super().setUp()
        self.server.configure("[capture]\nslots = 1\nqueue_timeout = 30\n")
        self.crasher = shutil.copy(programs.CRASHER, self.directory)
        os.chmod(self.crasher, 0o755)

    def start(self):
        self.server.start()
        self.lend_kernel(self.transport)

    def die_early(self):
        """A crash that is over, by SIGKILL, before anybody has looked; another process has its pid then."""
        victim = crash.Running([self.crasher, "threads", "2"], user=USER)
        wait.until(lambda: "CoreDumping:\t1" in pathlib.Path(f"/proc/{victim.pid}/status").read_text(), "crash")
        return victim

    def inspected(self, crashes):
        """A crash at which an inspector has looked."""
        looks = self.looks()
        victim = crashes()
        wait.until(lambda: self.looks() > looks, "an inspector's look")
        wait.until(lambda: all(crash.state(pid) == "S" for pid in self.server.role("obitd-inspect")), "the end of it")
        return victim

    def looks(self):
        """A number that grows with each question that inspectors have answered."""
        texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.server.role("obitd-inspect")]
        return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1]) for text in texts)

    def replace(self, victim):
        victim.kill(signal.SIGKILL)
        victim.reap()
        other = impostor.Impostor(victim.pid)
        self.stack.callback(other.end)

    def check_nothing_is_mixed(self, records):
        for record in records:
            self.assertNotIn(impostor.SECRET, str(record))
            self.assertNotEqual(record["process"].get("uid"), 0)
            self.assertNotEqual(record["process"]["comm"], "sh")
            core = store.directory_of(self.server.store, record) / "core.zst"
            if core.exists():
                plain = subprocess.run(["zstd", "-dc", core], capture_output=True).stdout
                self.assertNotIn(impostor.SECRET.encode(), plain)

    def test_before_inspection(self):
        self.start()
        with self.server.paused("obitd-manager"):
            victim = self.die_early()
            self.replace(victim)
        record = self.record()
        self.check_nothing_is_mixed([record])
        self.assertEqual(record["process"]["pid"], victim.pid)
        self.assertIn(record["capture"]["outcome"], ("failed", "truncated"))

    def test_before_capture(self):
        """It was inspected; its memory is to be opened when a worker is free."""
        self.start()
        with self.server.paused("obitd-capture"):
            first = self.inspected(lambda: crash.Running([self.crasher, "segv"], user=USER))
            victim = self.inspected(self.die_early)
            self.replace(victim)
        self.assertTrue(first.reap().dumped)
        records = store.records(self.server.store, 2)
        self.check_nothing_is_mixed(records)
        (of_victim,) = [record for record in records if record["process"]["pid"] == victim.pid]
        self.assertEqual(of_victim["process"]["uid"], USER)
        self.assertNotEqual(of_victim["capture"]["outcome"], "full")


if __name__ == "__main__":
    case.main()
