"""What obitd's processes may do, and what becomes of crashes where it may do less."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from harness import case, crash, programs, report, store, wait

KEPT = 1 << 2 | 1 << 5 | 1 << 19 | 1 << 40  # CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE
KILL = 1 << 5
OWNER = 61001  # of crashes
SERVER = 61009  # runs obitd where that is not started as root


def status(pid):
    """The lines of /proc/PID/status."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


class Rights(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.crasher = shutil.copy(programs.CRASHER, self.directory)  # where every user may execute it
        os.chmod(self.crasher, 0o755)

    def start_with(self, *without):
        """Starts obitd as root that lacks these capabilities."""
        sets = ",".join(f"-{name}" for name in without)
        self.server.start(through=["setpriv", f"--bounding-set={sets}"] if without else [])
        self.lend_kernel("socket-request")

    def start_as_user(self, *capabilities):
        """Starts obitd as a service manager does: as its user, with ambient capabilities."""
        runtime = self.server.directory / "runtime"
        for folder in (runtime, self.server.store):
            folder.mkdir()
            os.chown(folder, SERVER, SERVER)
        self.server.socket, self.server.pipe_socket = runtime / "coredump.socket", runtime / "pipe.socket"
        sets = ",".join(f"+{name}" for name in capabilities)
        given = [f"--inh-caps={sets}", f"--ambient-caps={sets}"] if capabilities else []
        self.server.start(through=["setpriv", f"--reuid={SERVER}", f"--regid={SERVER}", "--clear-groups", *given])
        self.lend_kernel("socket-request")

    def crash_of(self, user, *way):
        death = self.crash(self.crasher, *(way or ("threads", "3")), user=user)
        self.assertTrue(death.dumped)
        record = self.record()
        self.check_core(record, "crash_here")
        self.assertEqual((record["process"]["uid"], record["process"]["comm"]), (user, "crasher"))
        self.assertEqual(record["signal"]["name"], "SIGSEGV")
        return record["capture"]

    def test_each_process_has_what_it_needs(self):
        self.start_with()
        try:
            user = str(pwd.getpwnam("obit").pw_uid)
        except KeyError:
            user = "0"
        # They are forked before they give up what they do not need: obitd is ready a moment earlier.
        wait.until(lambda: all(status(pid)["Seccomp"] == "2" for pid in self.server.processes()), "all confined")
        kept = {"obitd": (0, KEPT), "obitd-manager": (KILL, KILL), "obitd-inspect": (KEPT & ~KILL, KEPT & ~KILL)}
        names = set()
        for pid in self.server.processes():
            now = status(pid)
            names.add(now["Name"])
            self.assertEqual(now["Uid"].split(), [user] * 4)
            self.assertEqual(now["NoNewPrivs"], "1")
            self.assertEqual(now["CapInh"], now["CapAmb"], "0" * 16)
            self.assertEqual(int(now["CapBnd"], 16), 0, now["Name"])
            self.assertEqual((int(now["CapEff"], 16), int(now["CapPrm"], 16)), kept.get(now["Name"], (0, 0)), now["Name"])
            self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0, "it is dumpable")
        self.assertEqual(names, {*kept, "obitd-capture", "obitd-pump", "obitd-clerk", "obitd-launch"})

    def test_with_both(self):
        self.start_with()
        capture = self.crash_of(OWNER)
        self.assertEqual((capture["method"], capture.get("stream_reason")), ("direct", None))
        self.assertNotIn("CAP_", self.server.log())

    def test_without_reading_others_files(self):
        self.start_with("dac_read_search")
        self.assertIn("without CAP_DAC_READ_SEARCH: cores", self.server.log())
        capture = self.crash_of(OWNER)
        self.assertEqual(capture["method"], "stream")
        self.assertIn("Permission denied", capture["stream_reason"])

    def test_without_looking_into_others(self):
        self.start_with("sys_ptrace")
        self.assertIn("without CAP_SYS_PTRACE: cores", self.server.log())
        capture = self.crash_of(OWNER)
        self.assertEqual(capture["method"], "stream")
        self.assertIn("Permission denied", capture["stream_reason"])

    def test_without_either(self):
        self.start_with("sys_ptrace", "dac_read_search", "kill", "checkpoint_restore")
        self.assertIn("without CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE, CAP_KILL: ", self.server.log())
        self.assertEqual(self.crash_of(OWNER)["method"], "stream")

    def test_started_as_its_user(self):
        self.start_as_user("sys_ptrace", "dac_read_search", "kill", "checkpoint_restore")
        self.assertEqual(self.crash_of(OWNER)["method"], "direct")
        self.assertEqual(self.server.stop(), 0)
        self.assertFalse(self.server.socket.exists())

    def test_started_as_its_user_with_nothing(self):
        self.start_as_user()
        self.assertEqual(self.crash_of(OWNER)["method"], "stream")

    def test_first_thread_that_has_left(self):
        self.start_as_user("sys_ptrace", "dac_read_search", "kill", "checkpoint_restore")
        self.assertEqual(self.crash_of(OWNER, "leave")["method"], "direct")
        self.assertEqual(self.record()["process"]["exe"], self.crasher)

    def test_first_thread_that_has_left_with_nothing(self):
        self.start_as_user()
        self.assertEqual(self.crash_of(OWNER, "leave")["method"], "stream")

    def test_unreadable_program(self):
        """One that only its owner may read: the manager opens it for the worker."""
        self.start_with()
        os.chown(self.crasher, OWNER, OWNER)
        os.chmod(self.crasher, 0o700)
        running = crash.Running([self.crasher, "segv", "stop"], user=OWNER)
        crash.await_stop(running)
        os.unlink(self.crasher)
        running.kill(18)
        self.assertTrue(running.reap().dumped)
        record = self.record()
        self.assertEqual(record["files"]["exe"], "exe.zst")
        self.check_core(record, "crash_here")

    def test_program_in_a_closed_folder(self):
        """It is reachable for gdb of its owner: no copy of it is kept."""
        self.start_with()
        home = self.server.directory / "home"
        home.mkdir(mode=0o700)
        os.chown(home, OWNER, OWNER)
        self.crasher = shutil.copy(self.crasher, home)
        self.crash_of(OWNER)
        self.assertNotIn("exe", self.record()["files"])

    def test_program_in_a_folder_of_root(self):
        """Nobody else has ever gone there: the kernel cannot tell from its caches alone whether one may."""
        self.start_with()
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test.") as folder:
            os.chmod(folder, 0o755)
            self.crasher = shutil.copy(self.crasher, folder)
            os.sync()
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("2")  # what it knows of folders and files
            self.crash_of(0)
        self.assertNotIn("exe", self.record()["files"])

    def make_home(self):
        """A folder that is closed to obitd, with the program in it."""
        home = self.server.directory / "home"
        home.mkdir(mode=0o700)
        self.crasher = shutil.copy(self.crasher, home)

    def functions(self, record):
        return [frame.get("function") for frame in report.of(self.server.store, record)["stacks"][0]["frames"]]

    def test_analysis_of_a_program_in_a_private_home(self):
        self.make_home()
        self.start_as_user("sys_ptrace", "dac_read_search", "kill", "checkpoint_restore")
        self.crash_of(0)
        record = self.record()
        said = self.functions(record)
        self.assertIn("crash_here", said)
        self.assertNotIn("sudo", store.obit(self.server.store, "show").stdout)
        store.obit(self.server.store, "analyze", record["id"])
        self.assertEqual(self.functions(record), said)

    def test_analysis_that_may_not_read_a_private_home(self):
        self.make_home()
        self.start_as_user("sys_ptrace", "kill")
        self.crash_of(0)
        self.check_hint(self.record())

    def test_debug_file_in_a_private_home(self):
        """The kernel tells what was mapped, and that it is not."""
        self.make_home()
        debug = f"{self.crasher}.debug"
        for words in (["--only-keep-debug", self.crasher, debug], ["--strip-all", f"--add-gnu-debuglink={debug}", self.crasher]):
            subprocess.run(["objcopy", *words], check=True)
        self.start_as_user("sys_ptrace", "dac_read_search", "kill", "checkpoint_restore")
        self.crash(self.crasher, "segv")
        self.check_hint(self.record())

    def check_hint(self, record):
        """The page says what obitd could not read, and which command can: it does."""
        self.assertNotIn("crash_here", self.functions(record))
        shown = " ".join(store.obit(self.server.store, "show").stdout.split())
        self.assertIn(f"open {self.crasher}", shown)
        self.assertIn("Permission denied", shown)
        self.assertIn(f"sudo obit --store {self.server.store} analyze {record['id'][:8]}", shown)
        store.obit(self.server.store, "analyze", record["id"])
        self.assertIn("crash_here", self.functions(record))
        self.assertNotIn("sudo", store.obit(self.server.store, "show").stdout)

    def test_refuses_the_store_of_another(self):
        self.server.store.mkdir()
        os.chown(self.server.store, OWNER, OWNER)
        with self.assertRaisesRegex(AssertionError, f"belongs to uid {OWNER}"):
            self.server.start()

    def test_refuses_a_store_that_it_cannot_reach(self):
        """Root reaches it. Who opens it later, again and again, has no right to."""
        self.server.store.mkdir()
        self.server.directory.chmod(0o700)
        with self.assertRaisesRegex(AssertionError, r"a folder above it is closed to uid \d+.*chmod o\+x"):
            self.server.start()

    def test_without_the_user(self):
        """Its name is looked up in the user database: in a mount namespace there can be another."""
        self.require("unshare", "--mount", "true")
        users = self.server.directory / "passwd"
        users.write_text("root:x:0:0::/root:/bin/sh\n")
        self.server.start(through=["unshare", "--mount", "sh", "-c", f'mount --bind {users} /etc/passwd && exec "$@"', "sh"])
        self.assertIn("there is no user obit", self.server.log())
        self.assertIn("no hook is run: obitd is root", self.server.log())
        manager, *_ = self.server.processes()
        self.assertEqual(int(status(manager)["CapPrm"], 16), KEPT)
        self.assertEqual(status(manager)["Uid"].split(), ["0"] * 4)
        self.lend_kernel("socket-request")
        self.assertEqual(self.crash_of(OWNER)["method"], "direct")


if __name__ == "__main__":
    case.main()
