"""Who may read a crash: its owner and root; of a privileged process root alone. As three users, by every path there is."""

import json
import os
import pathlib
import shutil
import subprocess

from harness import case, kernel, programs, store, wait

OWNER, OTHER = 61001, 61002

# A process that changes who it is, and then dies: how is its argument.
CHANGE = """
import ctypes, os, sys
how = sys.argv[1]
if how == "drop":  # for good, as a daemon of root does
    os.setgroups([]), os.setresgid(61001, 61001, 61001), os.setresuid(61001, 61001, 61001)
elif how == "drop-effective":
    os.seteuid(61001)
elif how == "raise":  # from what it kept of root
    os.setresuid(61001, 61001, 0), os.seteuid(0)
os.kill(os.getpid(), 11)
"""

# Opens everything below a folder, prints what it could read.
WALK = """
import os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in [".", *names]:
        path = os.path.join(folder, name)
        try:
            if name != ".":
                open(path, "rb").read(1)
                print(os.path.relpath(path, sys.argv[1]))
        except OSError:
            pass
"""


def with_ambient(capability):
    """The beginning of a command that the owner runs with a capability."""
    return ("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups", f"--inh-caps=+{capability}",
            f"--ambient-caps=+{capability}")  # fmt: skip


def run_as(user, *command):
    return subprocess.run([str(word) for word in command], user=user, group=user, extra_groups=[], cwd="/", capture_output=True,
                          stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=120,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TMPDIR": "/tmp"})  # fmt: skip


class AccessCase(case.KernelCase):
    transport = "socket-request"

    def setUp(self):
        super().setUp()
        self.crasher = shutil.copy(programs.CRASHER, self.directory)
        self.obit_program = shutil.copy(programs.OBIT, self.directory)
        for program in (self.crasher, self.obit_program):
            os.chmod(program, 0o755)
        self.server.start()
        self.lend_kernel(self.transport)

    def crash_and_analyse(self, *argv, **options):
        """Its record, with the report beside it."""
        self.crash(*argv, **options)
        record = self.record()
        report = store.directory_of(self.server.store, record) / "report.json"
        wait.until(report.exists, self.server.log)
        return record

    def obit_as(self, user, *arguments):
        return run_as(user, self.obit_program, "--store", self.server.store, *arguments)

    def readable_by(self, user):
        return run_as(user, "/usr/bin/python3", "-c", WALK, self.server.store).stdout.split()

    def check_closed_to(self, user, record):
        """Nothing of it by plain open, nothing by any verb."""
        self.assertEqual([path for path in self.readable_by(user) if "metrics" not in path], [])
        listed = self.obit_as(user, "list", "--json")
        self.assertEqual((listed.returncode, json.loads(listed.stdout)), (0, []))
        for verb in (["show"], ["dump", "-o", f"/tmp/obit-test-{user}"], ["gdb"], ["rm"], ["pin"], ["analyze"], ["groups"]):
            done = self.obit_as(user, *verb, *([] if verb == ["groups"] else [record["id"]]))
            text = done.stdout + done.stderr
            for word in ("crasher", "python3", record["process"]["exe"], "crash_here"):
                self.assertNotIn(word, text.replace(self.obit_program, ""), verb)
        self.assertTrue(store.directory_of(self.server.store, record).exists())

    def check_root_only(self, record):
        self.assertTrue(record["process"]["privileged"])
        for user in (OWNER, OTHER):
            self.check_closed_to(user, record)
        self.assertEqual(len(store.records(self.server.store)), 1)

    def check_owned(self, record):
        self.assertFalse(record["process"]["privileged"])
        self.assertIn("crasher", self.obit_as(OWNER, "list").stdout)
        self.check_closed_to(OTHER, record)


class PipeByPid(AccessCase):
    """A process that dumps into a pipe keeps its pid: it is known as well as by a pidfd."""

    transport = "pipe-by-pid"

    def test_owner(self):
        self.check_owned(self.crash_and_analyse(self.crasher, "segv", user=OWNER))

    def test_owner_of_one_whose_first_thread_has_left(self):
        self.check_owned(self.crash_and_analyse(self.crasher, "leave", user=OWNER))

    def test_setuid_program(self):
        os.chmod(self.crasher, 0o4755)
        self.check_root_only(self.crash_and_analyse(self.crasher, "segv", user=OWNER))

    def test_dropped_privileges(self):
        self.check_root_only(self.crash_and_analyse("/usr/bin/python3", "-c", CHANGE, "drop"))


class Access(AccessCase):
    def test_owner(self):
        record = self.crash_and_analyse(self.crasher, "segv", user=OWNER)
        self.assertFalse(record["process"]["privileged"])
        self.check_closed_to(OTHER, record)
        listed = json.loads(self.obit_as(OWNER, "list", "--json").stdout)
        self.assertEqual([crash["id"] for crash in listed], [record["id"]])
        self.assertIn("Null pointer write", self.obit_as(OWNER, "show").stdout)
        core = pathlib.Path(self.directory) / "core"
        os.chmod(self.directory, 0o777)
        self.assertEqual(self.obit_as(OWNER, "dump", "-o", core).returncode, 0)
        self.assertEqual(core.stat().st_size, store.size_by_headers(core))
        self.assertIn("crash_here", self.obit_as(OWNER, "gdb", "--", "-nx", "-batch", "-ex", "bt").stdout)

    def test_owner_of_one_whose_first_thread_has_left(self):
        self.check_owned(self.crash_and_analyse(self.crasher, "leave", user=OWNER))

    def test_list_of_a_user_has_only_theirs(self):
        for user in (OWNER, OTHER, 0):
            self.crash(self.crasher, "segv", user=user)
        store.records(self.server.store, 3)
        listed = self.obit_as(OWNER, "list")
        self.assertEqual((listed.returncode, listed.stderr), (0, ""))
        self.assertEqual(listed.stdout.count("crasher"), 1)
        self.assertIn("2 crashes of others", listed.stdout)

    def test_owner_pins_and_removes(self):
        record = self.crash_and_analyse(self.crasher, "segv", user=OWNER)
        self.assertEqual(self.obit_as(OWNER, "pin", record["id"]).returncode, 0)
        self.assertIn("pinned", store.obit(self.server.store, "list").stdout)
        self.assertNotEqual(self.obit_as(OWNER, "rm", record["id"]).returncode, 0)
        self.assertEqual(self.obit_as(OWNER, "unpin", record["id"]).returncode, 0)
        done = self.obit_as(OWNER, "rm", record["id"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(store.obit(self.server.store, "list").stdout.strip(), "No crashes.")
        self.assertEqual(self.obit_as(OWNER, "list").stdout.strip(), "No crashes.")
        self.crash(self.crasher, "abort", user=OWNER)  # goes on
        self.record()
        store.obit(self.server.store, "reindex")
        self.assertEqual(len(store.crash_directories(self.server.store)), 1, "the empty folder is taken away")

    def test_setuid_program(self):
        os.chmod(self.crasher, 0o4755)
        self.check_root_only(self.crash_and_analyse(self.crasher, "segv", user=OWNER))

    def test_setgid_program(self):
        os.chmod(self.crasher, 0o2755)
        self.check_root_only(self.crash_and_analyse(self.crasher, "segv", user=OWNER))

    def test_program_with_file_capabilities(self):
        subprocess.run(["setcap", "cap_net_raw+ep", self.crasher], check=True)
        self.check_root_only(self.crash_and_analyse(self.crasher, "segv", user=OWNER))

    def test_ambient_capabilities(self):
        """As a service manager gives them: neither AT_SECURE nor the dump mode tells."""
        self.check_root_only(self.crash_and_analyse(*with_ambient("net_raw"), self.crasher, "segv"))

    def test_capability_of_every_login(self):
        self.check_owned(self.crash_and_analyse(*with_ambient("wake_alarm"), self.crasher, "segv"))

    def test_capabilities_of_an_own_user_namespace(self):
        """Every user may have all of them there."""
        self.require("unshare", "--map-root-user", "true", user=OWNER)
        self.check_owned(self.crash_and_analyse("unshare", "--map-root-user", self.crasher, "segv", user=OWNER))

    def test_dropped_privileges(self):
        self.check_root_only(self.crash_and_analyse("/usr/bin/python3", "-c", CHANGE, "drop"))

    def test_dropped_effective_privileges(self):
        self.check_root_only(self.crash_and_analyse("/usr/bin/python3", "-c", CHANGE, "drop-effective"))

    def test_raised_privileges(self):
        self.check_root_only(self.crash_and_analyse("/usr/bin/python3", "-c", CHANGE, "raise"))

    def test_kernel_that_does_not_tell(self):
        """With fs.suid_dumpable 1 a process that dropped its privileges looks like any other."""
        with kernel.more_settings({kernel.SUID_DUMPABLE: "1"}):
            record = self.crash_and_analyse("/usr/bin/python3", "-c", CHANGE, "drop")
        self.check_root_only(record)

    def test_event_of_a_privileged_process(self):
        """Without a core nothing comes from its notes."""
        os.chmod(self.crasher, 0o4755)
        self.crash(self.crasher, "segv", user=OWNER, core_limit=0)
        record = self.record()
        self.assertEqual(record["capture"]["outcome"], "event")
        self.check_root_only(record)

    def test_hostile_owner(self):
        """What they put into the folder of their crash is neither followed nor believed, and hangs nobody."""
        record = self.crash_and_analyse(self.crasher, "segv", user=OWNER)
        folder = store.directory_of(self.server.store, record)
        run_as(OWNER, "/bin/sh", "-c", f"cd {folder} && rm core.zst report.json && ln -s /etc/shadow core.zst && mkfifo report.json")
        for verb in (["show"], ["dump", "-o", f"{self.directory}/out"], ["gdb", "--", "-batch"], ["analyze"], ["list"], ["reindex"]):
            done = store.obit(self.server.store, *verb, check=False)
            self.assertNotIn("root:", done.stdout + done.stderr)
        run_as(OWNER, "/bin/sh", "-c", f"cd {folder} && cp crash.json mine && sed -i s/crasher/forged/ mine && mv -f mine crash.json")
        listed = store.obit(self.server.store, "list", check=False)
        self.assertNotIn("forged", listed.stdout)
        self.assertIn("was not written by obit", store.obit(self.server.store, "show", record["id"], check=False).stderr)
        self.crash(self.crasher, "abort", user=OTHER)
        wait.until(lambda: len(store.crash_directories(self.server.store)) == 2, "the next crash")
        store.obit(self.server.store, "rm", record["id"])
        self.assertFalse(folder.exists())


if __name__ == "__main__":
    case.main()
