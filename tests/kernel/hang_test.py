"""A user whose crashed processes lead into a file system that he serves himself and that answers no more. He holds up no crash
but his own, and those no longer than the deadlines of obitd say."""

import contextlib
import signal

from harness import case, crash, fuse, programs, silent, store, wait

USER, SECOND, OTHER = 61001, 61002, 61003

LIMITS = "[capture]\nprogress_timeout = 2\nqueue_timeout = 1\n[analysis]\nenabled = false\n"
# Seconds. His own: the facts (2.5), the queue (1), a capture without progress (2), five looks at who does not go (5), and as much
# again for a machine that has other work. Another's: what an idle server needs, and the same addition.
OWN, BESIDE = 20, 10
OWN_MANY = 60  # of a user's forty some at a time are looked at
MANY = 40

SEATS = {"obitd-manager": 1, "obitd-inspect": 4, "obitd-capture": 4, "obitd-pump": 4, "obitd-clerk": 1}

# Dies with a page of a file for its arguments. Not the first page of it: the kernel looks into that for an ELF header, itself.
ARGUMENTS = """
import ctypes, mmap, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
begin = int(open("/proc/self/stat").read().rpartition(")")[2].split()[45])
file = os.open(sys.argv[1], os.O_RDONLY)
fixed = 0x10
page = libc.mmap(begin & ~4095, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE | fixed, file, 4096 * 64)
if page == ctypes.c_void_p(-1).value:
    sys.exit("mmap over the arguments")
os.close(file)
os.kill(os.getpid(), signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSEGV)
"""


class Hanging:
    def setUp(self):
        super().setUp()
        self.ended = contextlib.ExitStack()
        self.addCleanup(self.ended.close)

    def begin(self, transport="socket-request"):
        self.server.configure(LIMITS)
        self.server.start()
        self.lend_kernel(transport)

    def mount(self, user=USER, stack=None):
        """A user's file system, until the test ends."""
        files = {"crasher": programs.CRASHER.read_bytes(), "data": bytes(1 << 20)}
        try:
            return (stack or self.stack).enter_context(silent.Mount(user, files))
        except OSError as error:
            self.skipTest(f"no file system of a user's own: {error}")

    def stopped(self, mount, *argv, **options):
        """A program of the user, which will die when it goes on."""
        process = crash.Running(mount.inside(*argv, **options))
        self.ended.callback(process.end)
        self.ended.callback(mount.__exit__, None, None, None)  # first: without it a process that hangs in it cannot end
        wait.until(lambda: crash.state(process.pid) in "TZ", "program stopped")
        self.assertEqual(crash.state(process.pid), "T", process.output())
        return process

    def crash_beside(self, count=1):
        """Crashes of somebody who has nothing to do with it."""
        for _ in range(count):
            self.assertTrue(self.crash(programs.CRASHER, "segv", user=OTHER, seconds=BESIDE).dumped)

    def check_others(self, records, count):
        """They are recorded as always."""
        others = [record for record in records if record["process"].get("uid") == OTHER]
        self.assertEqual(len(others), count)
        for record in others:
            self.assertEqual(record["capture"]["outcome"], "full", record["capture"])
            self.assertLess(record["capture"]["held_seconds"], BESIDE)
            self.assertTrue(record["process"]["exe"])
        self.check_core(others[0], "crash_here")
        self.check_core(others[-1], "crash_here")

    def check_one(self, mount, process, silent_on=(fuse.OPEN, fuse.READ, fuse.FLUSH)):
        """One crash of the user, and another's beside it, and one after it."""
        mount.silence(*silent_on)
        process.kill(signal.SIGCONT)
        self.crash_beside()
        self.assertNotEqual(process.reap(OWN).signal, 0)
        self.crash_beside()
        records = store.records(self.server.store, 3)
        (own,) = [record for record in records if record["process"].get("uid") == USER]
        self.assertEqual(own["process"]["pid"], process.pid)
        self.assertLess(own["capture"]["held_seconds"], OWN)
        if own["capture"]["outcome"] != "full":
            self.assertTrue(own["capture"]["reason"])
        self.check_others(records, 2)

    def check_many(self, *mounts):
        """A storm of forty in each, and crashes of another while they last."""
        storms = [self.stopped(mount, mount.overlay / "crasher", "storm", MANY, "stop") for mount in mounts]
        for mount, storm in zip(mounts, storms):
            mount.silence(fuse.OPEN, fuse.READ, fuse.FLUSH)
            storm.kill(signal.SIGCONT)
        self.crash_beside(5)
        for storm in storms:
            self.assertRegex(storm.reap(OWN_MANY).output, rf"^reaped {MANY} dumped \d+\n$")
        self.crash_beside(5)
        records = store.records(self.server.store, len(mounts) * MANY + 10)
        for record in records:
            self.assertLess(record["capture"]["held_seconds"], OWN_MANY)
        self.check_others(records, 10)


@case.each_transport
class HangingProgram(Hanging):
    transport = None

    def setUp(self):
        super().setUp()
        self.begin(self.transport)

    def test_one(self):
        mount = self.mount()
        self.check_one(mount, self.stopped(mount, mount.overlay / "crasher", "segv", "stop"))

    def test_forty_at_once(self):
        self.check_many(self.mount())


class HangingFiles(Hanging, case.KernelCase):
    """What else of a process leads into a file system, and what else does not answer."""

    def setUp(self):
        super().setUp()
        self.begin()
        self.crasher = programs.for_every_user(programs.CRASHER)

    def test_nobody_is_left_behind(self):
        """Once the file system is gone, so are those who waited for it; every seat is taken by one that works."""
        with contextlib.ExitStack() as stack:
            mount = self.mount(stack=stack)
            self.check_one(mount, self.stopped(mount, mount.overlay / "crasher", "segv", "stop"))
        count = lambda: {name: len(self.server.role(name)) for name in SEATS}  # fmt: skip
        wait.until(lambda: count() == SEATS, lambda: f"{SEATS}; there are {count()}", 30)
        self.crash_beside(8)
        self.check_others(store.records(self.server.store, 11)[3:], 8)

    def test_program_without_overlay(self):
        mount = self.mount()
        self.check_one(mount, self.stopped(mount, mount.fuse / "crasher", "segv", "stop"))

    def test_program_and_no_answer_to_anything(self):
        mount = self.mount()
        self.check_one(mount, self.stopped(mount, mount.overlay / "crasher", "segv", "stop"), silent_on=())

    def test_working_folder(self):
        mount = self.mount()
        self.check_one(mount, self.stopped(mount, self.crasher, "segv", "stop", cwd=mount.overlay), silent_on=())

    def test_mapped_file(self):
        mount = self.mount()
        self.check_one(mount, self.stopped(mount, self.crasher, "untouched", mount.overlay / "data", "stop"))

    def test_mapped_file_that_is_dumped(self):
        """The kernel itself has to read it for the core."""
        mount = self.mount()
        command = ["/bin/sh", "-c", 'echo 0x37 > /proc/self/coredump_filter; exec "$@"', "sh", self.crasher, "untouched",
                   mount.overlay / "data", "stop"]  # fmt: skip
        process = self.stopped(mount, *command, known=["crasher"])
        mount.silence(fuse.OPEN, fuse.READ, fuse.FLUSH)
        process.kill(signal.SIGCONT)
        self.crash_beside()
        # Its own dump waits in the kernel, where nothing ends it: obit is through with it all the same.
        records = store.records(self.server.store, 2)
        self.crash_beside()
        mount.__exit__(None, None, None)
        self.assertNotEqual(process.reap(OWN).signal, 0)
        (own,) = [record for record in records if record["process"].get("uid") == USER]
        self.assertLess(own["capture"]["held_seconds"], OWN)
        self.assertTrue(own["capture"]["reason"])

    def test_arguments(self):
        """The kernel itself reads them for the core, and so does whoever looks at the command line."""
        mount = self.mount()
        process = self.stopped(mount, "/usr/bin/python3", "-c", ARGUMENTS, mount.overlay / "data", known=["crasher"])
        self.check_one(mount, process)

    def test_forty_of_each_of_two_users(self):
        self.check_many(self.mount(), self.mount(SECOND))


if __name__ == "__main__":
    case.main()
