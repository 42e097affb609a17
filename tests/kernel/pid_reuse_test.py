"""A pid is given to another process while obitd looks at a crash (CVE-2025-4598, CVE-2025-5054): they must not be mixed up.

The kernel gives out the pid after /proc/sys/kernel/ns_last_pid next, so a test need not wait for a chance.
"""

import os
import pathlib
import shutil
import signal
import subprocess

from harness import case, crash, programs, store, wait

LAST_PID = pathlib.Path("/proc/sys/kernel/ns_last_pid")
USER = 61001
SECRET = "the-secret-of-another-process"


class Impostor:
    """A process of root under a pid of choice, with a secret in its arguments and its memory."""

    def __init__(self, pid):
        def take():
            LAST_PID.write_text(str(pid - 1))
            self.process = subprocess.Popen(["/bin/sh", "-c", "read line", SECRET], stdin=subprocess.PIPE)
            if self.process.pid == pid:
                return True
            self.end()
            return False

        wait.until(take, f"pid {pid} for another process")

    def end(self):
        self.process.kill()
        self.process.communicate()


@case.each_transport
class PidReuse:
    def setUp(self):
        super().setUp()
        self.server.configure("[capture]\nslots = 1\n")
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

    def replace(self, victim):
        victim.kill(signal.SIGKILL)
        victim.reap()
        impostor = Impostor(victim.pid)
        self.stack.callback(impostor.end)

    def check_nothing_is_mixed(self, records):
        for record in records:
            self.assertNotIn(SECRET, str(record))
            self.assertNotEqual(record["process"].get("uid"), 0)
            self.assertNotEqual(record["process"]["comm"], "sh")
            core = store.directory_of(self.server.store, record) / "core.zst"
            if core.exists():
                plain = subprocess.run(["zstd", "-dc", core], capture_output=True).stdout
                self.assertNotIn(SECRET.encode(), plain)

    def test_before_inspection(self):
        self.start()
        os.kill(self.server.process.pid, signal.SIGSTOP)
        victim = self.die_early()
        self.replace(victim)
        os.kill(self.server.process.pid, signal.SIGCONT)
        record = self.record()
        self.check_nothing_is_mixed([record])
        self.assertEqual(record["process"]["pid"], victim.pid)
        self.assertIn(record["capture"]["outcome"], ("failed", "truncated"))

    def test_before_capture(self):
        """It was inspected; its memory is to be opened when a worker is free."""
        self.start()
        (worker,) = [pid for pid in self.server.processes() if comm(pid) == "obitd-capture"]
        os.kill(worker, signal.SIGSTOP)
        first = crash.Running([self.crasher, "segv"], user=USER)
        incoming = pathlib.Path(self.server.store) / "incoming"
        wait.until(lambda: len(list(incoming.iterdir())) == 1, "the first crash")
        victim = self.die_early()
        wait.until(lambda: len(list(incoming.iterdir())) == 2, "the second crash")
        self.replace(victim)
        os.kill(worker, signal.SIGCONT)
        self.assertTrue(first.reap().dumped)
        records = store.records(self.server.store, 2)
        self.check_nothing_is_mixed(records)
        (of_victim,) = [record for record in records if record["process"]["pid"] == victim.pid]
        self.assertEqual(of_victim["process"]["uid"], USER)
        self.assertNotEqual(of_victim["capture"]["outcome"], "full")


def comm(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


if __name__ == "__main__":
    case.main()
