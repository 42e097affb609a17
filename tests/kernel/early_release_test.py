"""A large process is gone before its memory is read, and its core is the same as if it had been held; where others would be harmed by
that, it is held. OBIT_KEEPER_KILLS is how often who keeps memory is killed."""

import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from harness import case, crash, impostor, kernel, programs, server, store, wait

MIB = 1 << 20
KILLS = int(os.environ.get("OBIT_KEEPER_KILLS", "20"))
QUIET = "[analysis]\nenabled = false\n"
VERIFY = QUIET + "[capture]\nverify = true\n"
USERFAULTFD = pathlib.Path("/dev/userfaultfd")
NR_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")

# A Python program that has 64 MiB, does what stands in its place, and dies.
PROGRAM = """import ctypes, fcntl, mmap, os, socket, struct, sys, threading
ballast = bytearray(64 << 20)
for at in range(0, len(ballast), 1 << 20): ballast[at : at + (1 << 20)] = os.urandom(1 << 20)
libc = ctypes.CDLL(None, use_errno=True)
%s
sys.stdout.flush()
ctypes.string_at(0)
"""


def available():
    (found,) = re.findall(r"^MemAvailable:\s+(\d+) kB$", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return int(found) << 10


@contextlib.contextmanager
def memory_cgroup(limit):
    """The folder of a cgroup, of version 1 or 2, that may take so many bytes."""
    for parent, file in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        cgroup = pathlib.Path("/sys/fs/cgroup", parent, f"obit-test.{os.getpid()}")
        with contextlib.suppress(OSError):
            cgroup.mkdir()
            if (cgroup / file).exists():
                break
            cgroup.rmdir()
    else:
        raise unittest.SkipTest("no cgroup with a limit of memory can be made")
    try:
        (cgroup / file).write_text(str(limit))
        yield cgroup
    finally:
        wait.until(lambda: not (cgroup / "cgroup.procs").read_text(), "nobody in the cgroup")
        cgroup.rmdir()


class Case(case.KernelCase):
    def setUp(self):
        super().setUp()
        if not USERFAULTFD.exists():
            self.skipTest("this kernel has no /dev/userfaultfd")

    def start(self, config=QUIET, transport="socket-request", **options):
        self.server.configure(config)
        self.server.start(**options)
        self.lend_kernel(transport)

    def kept(self, record=None):
        record = record or self.record()
        capture = record["capture"]
        self.assertIn("kept_because", capture, capture)
        self.assertNotIn("held_because", capture)
        self.assertEqual((capture["outcome"], capture["method"]), ("full", "direct"), capture)
        self.assertGreater(capture["copied_seconds"], capture["held_seconds"])
        return record

    def held(self, why, record=None):
        record = record or self.record()
        capture = record["capture"]
        self.assertRegex(capture.get("held_because", ""), why, capture)
        self.assertNotIn("copied_seconds", capture)
        self.assertEqual(capture["outcome"], "full", capture)
        return record

    def python(self, does="", **options):
        death = crash.run([sys.executable, "-c", PROGRAM % does], **options)
        self.assertEqual((death.signal, death.dumped), (signal.SIGSEGV, True), death.output)
        return death


class Same(Case):
    """What is stored is what the kernel sent before the process went."""

    def verified(self):
        record = self.kept()
        verified = record["capture"]["verified"]
        self.assertEqual((verified["different_bytes"], verified["differences"]), (0, []), record["capture"])
        self.assertGreater(verified["bytes"], 32 * MIB)
        store.obit(self.server.store, "rm", record["id"])
        return record

    def test_each_transport(self):
        self.start(VERIFY)
        for transport in server.TRANSPORTS:
            with self.subTest(transport):
                kernel.CORE_PATTERN.write_text(self.server.core_pattern(transport))
                self.assertTrue(self.crash(programs.CRASHER, "memory", 64, "mixed").dumped)
                self.check_core(self.kept(), "crash_here")
                self.verified()

    def test_threads(self):
        self.start(VERIFY)
        self.assertTrue(self.crash(programs.CRASHER, "threads", 30, 64).dumped)
        self.check_core(self.kept(), "crash_in_thread")
        self.verified()

    def test_static_program(self):
        self.start(VERIFY)
        self.assertTrue(self.crash(programs.CRASHERS / "crasher-static", "memory", 64, "mixed").dumped)
        self.verified()

    def test_python_with_threads(self):
        self.start(VERIFY)
        self.python("for _ in range(8): threading.Thread(target=threading.Event().wait, daemon=True).start()")
        self.verified()

    def test_node(self):
        self.require("node", "--version")
        self.start(VERIFY)
        self.assertTrue(self.crash("node", "-e", "let a = []; for (let i = 0; i < 1e6; ++i) a.push({i}); process.abort()").dumped)
        self.verified()

    def test_shared_memory_that_a_peer_goes_on_writing(self):
        """The child writes as soon as the parent is gone."""
        self.start()
        death = self.python(
            "shared = mmap.mmap(-1, 1 << 20); shared[:4] = b'then'\n"
            "parent = os.getpid()\n"
            "if os.fork() == 0:\n"
            "    while os.getppid() == parent: pass\n"
            "    shared[:4] = b'late'\n"
            "    os.close(1)\n"
            "    while True: shared[:4] = b'late'\n"
            "print(hex(ctypes.addressof(ctypes.c_char.from_buffer(shared))))")
        address = int(death.output.split()[0], 16)
        try:
            record = self.kept()
        finally:
            subprocess.run(["pkill", "-9", "-f", "shared = mmap.mmap"], check=False, timeout=60)
        self.assertIn('"then"', store.backtrace(self.server.store, record, f"x/s {address}"))

    def test_robust_mutexes(self):
        """The kernel marks the mutexes that a thread dies with."""
        self.start(VERIFY)
        self.python(
            "attribute, mutex = (ctypes.c_char * 64)(), (ctypes.c_char * 64)()\n"
            "libc.pthread_mutexattr_init(attribute)\n"
            "libc.pthread_mutexattr_setrobust(attribute, 1)\n"
            "assert libc.pthread_mutex_init(mutex, attribute) == 0 and libc.pthread_mutex_lock(mutex) == 0")
        self.verified()


class Harm(Case):
    """Each reason to hold, by what would come of it otherwise: whoever comes next finds everything free."""

    def setUp(self):
        super().setUp()
        self.start()
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="obit-test.")))

    def test_a_lock_on_a_mapped_file(self):
        path = self.folder / "lock"
        path.write_bytes(bytes(4096))
        self.python(f"file = open('{path}', 'r+b'); fcntl.flock(file, fcntl.LOCK_EX); mapped = mmap.mmap(file.fileno(), 4096)")
        with open(path, "rb") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.held("is mapped and locked")

    def test_a_lock_on_a_file_that_is_not_mapped(self):
        path = self.folder / "lock"
        path.touch()
        self.python(f"file = open('{path}', 'r+b'); fcntl.flock(file, fcntl.LOCK_EX)")
        with open(path, "rb") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.kept()

    def test_a_port_that_is_listened_on(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.python(f"server = socket.create_server(('127.0.0.1', {port}))")
        with socket.create_server(("127.0.0.1", port)):
            pass
        self.kept()

    def test_memory_of_system_v(self):
        death = self.python(
            "id = libc.shmget(0x0b17, 4096, 0o1600); libc.shmat.restype = ctypes.c_void_p\n"
            "assert libc.shmat(id, None, 0) != ctypes.c_void_p(-1).value; print(id)")
        attached = {line.split()[1]: line.split()[6] for line in pathlib.Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
        number = death.output.split()[0]
        subprocess.run(["ipcrm", "-m", number], check=True, timeout=60)
        self.assertEqual(attached[number], "0")
        self.held("System V")

    def test_huge_pages(self):
        self.stack.enter_context(kernel.more_settings({NR_HUGEPAGES: "4"}))
        self.python("pages = mmap.mmap(-1, 4 << 20, flags=0x40022); pages[0] = pages[2 << 20] = 1")
        (free,) = re.findall(r"^HugePages_Free:\s+(\d+)$", pathlib.Path("/proc/meminfo").read_text(), re.M)
        self.assertEqual(free, "4")
        self.held("huge pages")

    def test_a_child_with_the_same_memory(self):
        self.python("stack = ctypes.create_string_buffer(1 << 16)\n"
                    "child = libc.clone(ctypes.cast(libc.pause, ctypes.c_void_p), ctypes.c_void_p(ctypes.addressof(stack) + 65520),"
                    " 0x100, None); assert child > 0; print(child)")  # fmt: skip
        record = self.held("has the same memory")
        subprocess.run(["kill", "-9", re.search(r"process (\d+)", record["capture"]["held_because"])[1]], check=True, timeout=60)

    def test_a_cgroup_without_room_for_it_twice(self):
        cgroup = self.stack.enter_context(memory_cgroup(120 * MIB))
        script = PROGRAM.replace("import ctypes, fcntl", f"open('{cgroup}/cgroup.procs', 'w').write('0')\nimport ctypes, fcntl", 1)
        for _ in range(2):
            death = crash.run([sys.executable, "-c", script % ""])
            self.assertEqual(death.signal, signal.SIGSEGV, "it was killed for want of memory")
        for record in store.records(self.server.store, 2):
            self.held("its cgroup may take only", record)

    def test_when_told(self):
        self.server.kill()
        self.server.configure(QUIET + '[capture]\nearly_release = "never"\n')
        self.server.start()
        self.python()
        self.held("early_release says never")

    def test_by_a_rule(self):
        self.server.kill()
        self.server.configure(QUIET + '[[rule]]\nname = "python*"\nearly_release = "never"\n')
        self.server.start()
        self.python()
        self.held("early_release says never")

    def test_without_the_device(self):
        self.server.kill()
        hidden = "mount --bind /dev/null /dev/userfaultfd && exec \"$@\""
        self.require("unshare", "-m", "true")
        self.server.start(through=("unshare", "-m", "--propagation", "private", "/bin/sh", "-c", hidden, "sh"))
        self.python()
        self.held("userfaultfd")


class Ends(Case):
    """Whatever becomes of who keeps the memory, it is let go, and there is at least a minimal core."""

    def setUp(self):
        super().setUp()
        self.chance = random.Random(19)

    def keeper(self):
        """The worker that keeps memory now, by pid."""
        for pid in self.server.role("obitd-capture"):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000":
                    return pid
        return None

    def minimal(self, why, record=None):
        record = record or self.record()
        capture = record["capture"]
        self.assertEqual((capture["outcome"], capture["detail"]), ("minimal", "full"), capture)
        self.assertRegex(capture["reason"], why)
        self.assertIn("crash_here", store.backtrace(self.server.store, record))
        return record

    def begin(self, mib):
        """A process of that size that is gone, whose memory is kept."""
        self.pid = self.crash(programs.CRASHER, "memory", mib, "random").pid
        return wait.until(self.keeper, "a worker that keeps memory")

    def test_the_keeper_is_killed(self):
        self.start()
        os.kill(self.begin(384), signal.SIGKILL)
        self.minimal("the capture worker died of SIGKILL")

    def test_the_keeper_is_stopped(self):
        self.start()
        keeper = self.begin(384)
        os.kill(keeper, signal.SIGSTOP)
        self.minimal("did not go on")
        wait.until(lambda: crash.state(keeper) == "gone", "the end of who was stopped")

    def test_the_time_is_over(self):
        self.start(QUIET + "[capture]\nkeep_timeout = 1\n")
        self.begin(2048)
        self.minimal("kept long enough|kept longer than")

    def test_the_disk_is_full(self):
        where = pathlib.Path(self.stack.enter_context(server.make_directory("/var/tmp")))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "tmpfs", where], check=True, timeout=60)
        self.stack.callback(subprocess.run, ["umount", "-l", where], timeout=60)
        self.stack.callback(lambda: self.server.kill())
        self.server = server.Server(self.directory, store=where / "store")
        self.start()
        self.crash(programs.CRASHER, "memory", 384, "random")
        record = self.minimal("No space left on device")
        self.assertIn("kept_because", record["capture"])

    def test_memory_is_asked_back(self):
        self.start()
        keeper = self.begin(384)
        os.kill(keeper, signal.SIGSTOP)
        (kept,) = wait.until(lambda: json.loads(self.obit("status", "--json"))["kept_memory"], "what is kept")
        self.assertEqual(kept["pid"], self.pid)
        self.assertIn(f"obit release {kept['id']}", self.obit("status"))
        self.assertIn("let go", self.obit("release", kept["id"][:4], "--pipe-socket", str(self.server.pipe_socket)))
        self.minimal("obit release")
        self.assertEqual(json.loads(self.obit("status", "--json"))["kept_memory"], [])

    def test_the_system_goes_to_sleep(self):
        """What systemd-sleep(8) calls then; of another server than that of the system."""
        self.start()
        os.kill(self.begin(384), signal.SIGSTOP)
        hook = pathlib.Path(programs.ROOT / "packaging/systemd/sleep.in").read_text()
        command = f"{programs.OBIT} --store {self.server.store} release --pipe-socket {self.server.pipe_socket}"
        script = hook.replace("@CMAKE_INSTALL_FULL_BINDIR@/obit release", command)
        self.assertNotEqual(script, hook)
        subprocess.run(["/bin/sh", "-c", script, "sh", "post"], check=True, timeout=60)
        self.assertTrue(self.keeper())
        subprocess.run(["/bin/sh", "-c", script, "sh", "pre"], check=True, timeout=60)
        self.minimal("obit release")

    def obit(self, *arguments):
        return store.obit(self.server.store, *arguments).stdout

    def test_manager_and_supervisor_are_killed(self):
        """Who keeps memory ends with its capture, or with the supervisor, and nothing is left."""
        self.start()
        before = available()
        self.begin(384)
        os.kill(self.server.role("obitd-manager")[0], signal.SIGKILL)
        store.records(self.server.store, 1)
        self.begin(384)
        processes = self.server.processes()
        self.server.process.kill()
        self.server.wait()
        wait.until(lambda: all(crash.state(pid) == "gone" for pid in processes), "the end of all of obitd")
        wait.until(lambda: available() > before - 128 * MIB, "the memory back")
        self.server.start()
        for record in store.records(self.server.store, 2):
            self.assertIn(record["capture"]["outcome"], ("full", "minimal"), record["capture"])

    def test_obitd_stops(self):
        self.start()
        self.begin(384)
        self.server.stop()
        self.minimal("obitd was stopping")

    def test_seats_are_free_meanwhile(self):
        self.start(QUIET + "[capture]\nslots = 1\n")
        keeper = self.begin(384)
        os.kill(keeper, signal.SIGSTOP)
        self.crash(programs.CRASHER, "segv")
        store.records(self.server.store, 1)
        os.kill(keeper, signal.SIGCONT)
        for record in store.records(self.server.store, 2):
            self.assertEqual(record["capture"]["outcome"], "full", record["capture"])

    def test_no_memory_is_left_behind(self):
        self.start()
        before = available()
        for _ in range(KILLS):
            keeper = self.begin(64)
            time.sleep(self.chance.random() * 0.1)  # decides only where the kill falls
            with contextlib.suppress(ProcessLookupError):
                os.kill(keeper, signal.SIGKILL)
            wait.until(lambda: crash.state(keeper) == "gone", "the end of who keeps it")
        records = store.records(self.server.store, KILLS)
        outcomes = [record["capture"]["outcome"] for record in records]
        print(f"{outcomes.count('minimal')} of {KILLS} kills came in the middle")
        self.assertIn("minimal", outcomes)
        for capture in (record["capture"] for record in records if record["capture"]["outcome"] not in ("full", "minimal")):
            # All of it was there but the zeros at its end, and that is more than a minimal core has.
            self.assertEqual(capture["outcome"], "truncated", capture)
            self.assertGreaterEqual(capture["core_bytes"], capture["promised_bytes"] - 4096, capture)
        wait.until(lambda: available() > before - 256 * MIB, lambda: f"the memory back: {before}, {available()}")

    def test_fifty_at_once(self):
        self.start()
        processes = [crash.Running([programs.CRASHER, "memory", 40, "mixed"]) for _ in range(50)]
        for process in processes:
            self.assertTrue(process.reap().dumped)
        records = store.records(self.server.store, 50)
        for record in records:
            self.assertEqual(record["capture"]["outcome"], "full", record["capture"])
        kept = [record for record in records if "kept_because" in record["capture"]]
        self.assertTrue(kept)
        print(f"{len(kept)} of 50 were kept")

    def test_the_pid_is_anothers_meanwhile(self):
        """Facts of the new process are in no record of the old one."""
        self.start()
        keeper = self.begin(384)
        os.kill(keeper, signal.SIGSTOP)
        other = impostor.Impostor(self.pid)
        self.addCleanup(other.end)
        os.kill(keeper, signal.SIGCONT)
        record = self.kept()
        self.assertEqual(record["process"]["pid"], self.pid)
        self.assertNotIn(impostor.SECRET, json.dumps(record))
        core = store.dump(self.server.store, record, f"{self.directory}/core")
        self.assertNotIn(impostor.SECRET.encode(), pathlib.Path(core).read_bytes())


if __name__ == "__main__":
    case.main()
