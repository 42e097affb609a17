"""Programs of one user, or of two, crash without a core, each at another place, faster than the clerk records; and then somebody
else's does."""

import pathlib
import time

from harness import case, crash, look, programs, store, wait

USER, SECOND, OTHER = 61001, 61003, 61002
FILES, CRASHES = 256, 400
QUIET = 2  # seconds

# COUNT children, each at a place and under a name of its own, eight at a time, none of which asks for a core.
STORM = """
import ctypes, os, resource, sys
libc = ctypes.CDLL(None)
count, running, dead = int(sys.argv[1]), 0, 0
places = os.memfd_create("places")
os.write(places, b"\\xf4" * count)  # hlt, which only the kernel may: each is a crash site of its own
libc.mmap.restype = ctypes.c_void_p
code = libc.mmap(None, ctypes.c_size_t(count), 5, 2, places, ctypes.c_long(0))
def reap():
    global running, dead
    status = os.wait()[1]
    running -= 1
    dead += os.WIFSIGNALED(status)
for i in range(count):
    if running == 8:
        reap()
    running += 1
    if os.fork() == 0:
        libc.prctl(15, b"storm%d" % i, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CFUNCTYPE(None)(code + i)()
while running:
    reap()
print("dead", dead)
"""


def ticks(pid):
    """Processor time that it has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


class Crowd(case.KernelCase):
    def await_quiet(self, pid):
        """Until it has used no processor for a while."""
        last = [ticks(pid), time.monotonic()]

        def is_quiet():
            if (now := ticks(pid)) != last[0]:
                last[:] = [now, time.monotonic()]
            return time.monotonic() - last[1] >= QUIET

        wait.until(is_quiet, lambda: f"the manager sleeps: {look.at(pid)}")

    def storm(self, limits_loops=True, users=(USER,)):
        self.server.configure("[analysis]\nenabled = false\n", limits_loops)
        self.server.start(through=["prlimit", f"--nofile={FILES}:{FILES}", "--"])
        self.lend_kernel("socket-request")
        self.server.await_whole()
        workers = self.server.role("obitd-capture")
        (manager,) = self.server.role("obitd-manager")
        with self.server.paused("obitd-clerk"):
            share = CRASHES // len(users)
            storms = [crash.Running(["/usr/bin/python3", "-c", STORM, share], user=user) for user in users]
            for storm in storms:
                self.addCleanup(storm.end)
            for storm in storms:
                self.assertEqual(storm.reap(100).output, f"dead {share}\n")
            other = crash.run([programs.CRASHER, "segv"], user=OTHER)
        self.give_kernel_back()

        def accounted():
            return len(store.crash_directories(self.server.store)) + self.server.metrics().get("obit_crashes_lost_total", 0)

        wait.until(lambda: accounted() >= CRASHES + 1, lambda: f"{CRASHES + 1} crashes, recorded or lost: {accounted()}", 100)
        self.assertEqual(accounted(), CRASHES + 1)
        records = store.records(self.server.store, 1, at_least=True)
        (record,) = [record for record in records if record["process"]["uid"] == OTHER]
        self.assertEqual(record["process"]["pid"], other.pid)
        self.assertEqual(record["capture"]["outcome"], "full")
        self.check_core(record, "crash_here")
        named = [record for record in records if record["process"].get("comm", "").startswith("storm")]
        print(f"{len(records)} records, {len(named)} of them of the storm, with its names")
        self.assertEqual(workers, self.server.role("obitd-capture"), "no worker was killed")
        self.assertEqual([manager], self.server.role("obitd-manager"))
        self.await_quiet(manager)

    def test_of_a_user(self):
        self.storm()

    def test_of_two_users_at_once(self):
        self.storm(users=(USER, SECOND))

    def test_where_nobody_looks_for_loops(self):
        self.storm(limits_loops=False)


if __name__ == "__main__":
    case.main()
