"""A process that has the pid which another one had.

The kernel gives out the pid after /proc/sys/kernel/ns_last_pid next, so a test need not wait for a chance.
"""

import pathlib
import subprocess

from . import wait

LAST_PID = pathlib.Path("/proc/sys/kernel/ns_last_pid")
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
