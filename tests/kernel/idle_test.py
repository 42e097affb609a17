"""obitd with nothing to do: it sleeps until something comes but for a look at the core pattern now and then, and needs little memory."""

import pathlib
import re

from harness import case, programs, wait

IDLE_MAX = 12 << 20  # bytes, of all its processes: 8.8 MiB with the libraries of Debian 12, 10.1 with those of 13

# How a process waits: the number of the system call, and where it has its time-out, if any.
EPOLL_WAIT, RECVMSG = 232, 47
TIMEOUT_ARGUMENT = {EPOLL_WAIT: 3, RECVMSG: None}


# Seconds that it sleeps at least: two wakeups a minute are allowed.
SLEEP_MIN = 30


def sleeps_long(pid):
    """True if it waits for something without a time-out, in a system call that has none, with no timer that ends soon."""
    words = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()
    if words[0] == "running" or int(words[0]) not in TIMEOUT_ARGUMENT:
        return False
    argument = TIMEOUT_ARGUMENT[int(words[0])]
    if argument is not None and int(words[1 + argument], 16) & 0xFFFFFFFF != 0xFFFFFFFF:  # an int, in a register of 64 bits
        return False
    timers = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir()]
    left = [(int(seconds), int(ns)) for text in timers for seconds, ns in re.findall(r"^it_value: \((\d+), (\d+)\)", text, re.M)]
    return all(timer == (0, 0) or timer[0] >= SLEEP_MIN for timer in left)


def proportional_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss: +(\d+) kB", text, re.M)[1]) * 1024


class Idle(case.KernelCase):
    def check_idle(self):
        # A timer that was set soon before has its whole time left: one that is always short never has.
        wait.until(lambda: all(sleeps_long(pid) for pid in self.server.processes()), "every process sleeps long", 100)
        memory = sum(proportional_bytes(pid) for pid in self.server.processes())
        print(f"{memory / (1 << 20):.1f} MiB, ", end="")
        self.assertLess(memory, IDLE_MAX)

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
