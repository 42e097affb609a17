"""obitd with nothing to do: it sleeps until something comes but for a look at the core pattern now and then, and needs little memory."""

import pathlib
import re
import subprocess
import sys

from harness import case, look, programs, wait

IDLE_MAX = 16 << 20  # bytes, of all its processes

# How a process waits: the number of the system call, and which argument is its time-out, if any: a number of which -1 is none, or
# a pointer of which 0 is none.
READ, POLL, RECVFROM, RECVMSG, EPOLL_WAIT, WAITID, PPOLL, EPOLL_PWAIT, EPOLL_PWAIT2 = 0, 7, 45, 47, 232, 247, 271, 281, 441
NUMBER = {POLL: 2, EPOLL_WAIT: 3, EPOLL_PWAIT: 3}
POINTER = {PPOLL: 2, EPOLL_PWAIT2: 3}
NO_TIMEOUT = {READ, RECVFROM, RECVMSG, WAITID}


# Seconds that it sleeps at least: two wakeups a minute are allowed.
SLEEP_MIN = 30


def sleeps_long(pid):
    """True if it waits for something without a time-out, in a system call that has none, with no timer that ends soon."""
    words = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()
    if words[0] == "running":
        return False
    call, arguments = int(words[0]), [int(word, 16) for word in words[1:7]]
    if call in NUMBER and arguments[NUMBER[call]] & 0xFFFFFFFF != 0xFFFFFFFF:  # an int, in a register of 64 bits
        return False
    if call in POINTER and arguments[POINTER[call]] != 0:
        return False
    if call not in NUMBER and call not in POINTER and call not in NO_TIMEOUT:
        return False
    timers = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir()]
    left = [(int(seconds), int(ns)) for text in timers for seconds, ns in re.findall(r"^it_value: \((\d+), (\d+)\)", text, re.M)]
    return all(timer == (0, 0) or timer[0] >= SLEEP_MIN for timer in left)


def locked_bytes(pid):
    return int(re.search(r"^VmLck:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]) * 1024


def may_lock():
    """True if root can lift the limit of locked memory here: not in many containers."""
    unlimited = "import resource as r; r.setrlimit(r.RLIMIT_MEMLOCK, (r.RLIM_INFINITY, r.RLIM_INFINITY))"
    return subprocess.run([sys.executable, "-c", unlimited], stderr=subprocess.DEVNULL).returncode == 0


class Idle(case.KernelCase):
    def check_idle(self):
        # A timer that was set soon before has its whole time left: one that is always short never has.
        wait.until(lambda: all(sleeps_long(pid) for pid in self.server.processes()), "every process sleeps long", 100)
        of_each = [(look.comm(pid), look.proportional_bytes(pid)) for pid in self.server.processes()]
        memory = sum(count for _, count in of_each)
        print(", ".join(f"{name} {count / (1 << 20):.2f}" for name, count in of_each), f"all {memory / (1 << 20):.1f} MiB, ", end="")
        self.assertLess(memory, IDLE_MAX)
        locked = {look.comm(pid) for pid in self.server.processes() if locked_bytes(pid) > 0}
        if may_lock():
            self.assertEqual(locked, {"obitd", "obitd-manager"})
        else:
            self.assertEqual(self.server.log().count("where memory is short crashes may wait for a disk"), 1)

    def test_from_the_start(self):
        self.server.start()
        self.check_idle()

    def test_after_crashes(self):
        self.server.start()
        self.lend_kernel("socket-request")
        for arguments in (("threads", "20"), ("memory", "64", "mixed")):
            self.crash(programs.CRASHER, *arguments)
        folders = pathlib.Path(self.server.store)
        wait.until(lambda: len(list(folders.glob("crashes/*/*/report.json"))) == 2, "both analyses")
        self.check_idle()


if __name__ == "__main__":
    case.main()
