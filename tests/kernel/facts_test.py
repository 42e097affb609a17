"""What is said of a process is right, whatever process it is: one whose first thread has left, one with very many groups, one
whose program has no name, another name, or a name that is too long."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from harness import case, crash, programs, report, store

OWNER, OTHER = 61001, 61002

# Becomes an ordinary user in as many groups as the first argument says, and the program of the others.
JOIN = """
import os, sys
os.setgroups(range(1_000_000_000, 1_000_000_000 + int(sys.argv[1])))
os.setresgid(61001, 61001, 61001), os.setresuid(61001, 61001, 61001)
os.execv(sys.argv[2], sys.argv[2:])
"""

# Executes a program from a folder whose path is longer than PATH_MAX, the first argument.
DEEP = """
import os, sys
program = os.open(sys.argv[2], os.O_RDONLY)
os.chdir(sys.argv[1])
for _ in range(25):
    os.mkdir("d" * 200), os.chdir("d" * 200)
with open("crasher", "wb") as copy:
    copy.write(os.pread(program, 1 << 24, 0))
os.chmod("crasher", 0o755)
os.execv("./crasher", sys.argv[2:])
"""

# Executes a program that was copied to memory.
FROM_MEMORY = """
import os, sys
memory = os.memfd_create("in-memory")
with open(sys.argv[1], "rb") as program:
    os.write(memory, program.read())
os.execve(memory, sys.argv[1:], os.environ)
"""


def python(code, *arguments):
    return [sys.executable, "-c", code, *arguments]


class Facts:
    """A server, and a copy of the crasher that anybody may run."""

    transport = "socket-request"

    def setUp(self):
        super().setUp()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test."))
        os.chmod(self.folder, 0o755)
        self.program = shutil.copy(programs.CRASHER, f"{self.folder}/crasher")
        self.server.start()
        self.lend_kernel(self.transport)

    def check_analysis(self, record):
        """obit-analyze has found the program, and gdb does."""
        said = report.of(self.server.store, record)
        self.assertIn("crash_here", [frame.get("function") for frame in said["stacks"][0]["frames"]], said["modules"])
        self.check_core(record, "crash_here")


@case.each_transport
class FirstThreadLeft(Facts):
    def test_all_is_known(self):
        death = self.crash(self.program, "leave", "--and more", user=OWNER, cwd=self.folder)
        self.assertEqual((death.signal, death.dumped), (signal.SIGSEGV, True))
        record = self.record()
        process, thread = record["process"], record["thread"]
        self.assertEqual(record["capture"]["method"], "direct", record["capture"])
        self.assertEqual((process["pid"], process["own_pid"], process["parent"]), (death.pid, death.pid, os.getpid()))
        self.assertEqual((process["comm"], thread["comm"]), ("crasher", "late"))
        self.assertNotEqual(thread["tid"], death.pid)
        self.assertEqual(process["exe"], self.program)
        self.assertNotIn("exe_deleted", process)
        self.assertNotIn("exe", record["files"])
        self.assertRegex(process["exe_build_id"], "^[0-9a-f]{40}$")
        self.assertEqual(process["cmdline"], [self.program, "leave", "--and more"])
        self.assertEqual((process["cwd"], process["root"]), (self.folder, "/"))
        self.assertEqual([process[name] for name in ("uid", "euid", "gid", "egid")], [OWNER] * 4)
        self.assertIs(process["privileged"], False)
        self.assertEqual(process["threads"], 2)
        self.assertGreater(process["resident_bytes"], 8 << 20)
        self.assertGreater(process["virtual_bytes"], process["resident_bytes"])
        self.assertEqual(process["core_limit"], "unlimited")
        self.assertEqual(process["cgroup"], pathlib.Path("/proc/self/cgroup").read_text().splitlines()[-1].split(":", 2)[2])
        for name, file in {"pid": "pid", "mount": "mnt", "network": "net", "user": "user"}.items():
            self.assertEqual(process["namespaces"][name], os.readlink(f"/proc/self/ns/{file}"))
        self.check_analysis(record)

    def test_deleted_program(self):
        self.crash(self.program, "leave", "delete-exe")
        record = self.record()
        self.assertEqual((record["process"]["exe"], record["process"]["exe_deleted"]), (self.program, True))
        self.assertEqual(record["files"]["exe"], "exe.zst")
        self.check_analysis(record)

    def test_setuid_program(self):
        os.chown(self.program, OTHER, OTHER)
        os.chmod(self.program, 0o4755)
        self.crash(self.program, "leave", user=OWNER)
        self.assertTrue(self.record()["process"]["privileged"])


class ManyGroups(Facts, case.KernelCase):
    def check(self, count):
        self.crash(*python(JOIN, count, self.program, "threads", 3))
        record = self.record()
        process = record["process"]
        self.assertIs(process["privileged"], False)
        self.assertEqual((process["uid"], process["gid"], process["threads"]), (OWNER, OWNER, 3))
        self.assertEqual(process["own_pid"], process["pid"])
        self.assertGreater(process["virtual_bytes"], process["resident_bytes"])
        shown = subprocess.run([shutil.copy(programs.OBIT, self.folder), "--store", self.server.store, "list"], user=OWNER,
                               group=OWNER, extra_groups=[], capture_output=True, text=True, timeout=60)  # fmt: skip
        self.assertIn("crasher", shown.stdout)

    def test_three_thousand(self):
        self.check(3000)

    def test_as_many_as_there_can_be(self):
        self.check(65536)


@case.each_transport
class NamesOfThreads(Facts):
    def check(self, *prefix):
        crash.run([*prefix, self.program, "threads", 6])
        record = self.record()
        self.assertEqual(sorted(record["thread_names"].values()), ["waiter 1", "waiter 2", "waiter 4", "waiter 5"])
        said = report.of(self.server.store, record)
        of = {tid: stack for stack in said["stacks"] for tid in map(str, stack["tids"])}
        for tid in record["thread_names"]:
            self.assertIn("WaitNamed", [frame.get("function") for frame in of[tid]["frames"]])
        self.assertRegex(store.obit(self.server.store, "show", "--all-threads").stdout, r'\b\d+ "waiter 2"')

    def test_here(self):
        self.check()

    def test_in_another_pid_namespace(self):
        self.check("unshare", "--pid", "--fork", "sh", "-c", '"$@"; exit 0', "sh")


class Names(Facts, case.KernelCase):
    def run_stopped(self, program=None, way="segv"):
        process = crash.Running([program or self.program, way, "stop"])
        crash.await_stop(process)
        return process

    def finish(self, process):
        death = process.kill(signal.SIGCONT).reap()
        self.assertTrue(death.dumped, death.output)
        return self.record()

    def check_kept(self, record, path, deleted=True, listed="crasher"):
        self.assertEqual(record["process"]["exe"], path)
        self.assertEqual(record["process"].get("exe_deleted", False), deleted)
        self.assertEqual(record["files"].get("exe"), "exe.zst")
        self.assertIn(listed, store.obit(self.server.store, "list").stdout)
        shown = store.obit(self.server.store, "show").stdout
        if len(path) < 1000:
            self.assertIn(path + (", deleted" if deleted else "") + ", a copy is kept", " ".join(shown.split()))
        self.check_analysis(record)

    def test_another_link_is_left(self):
        process = self.run_stopped()
        os.link(self.program, f"{self.folder}/other")
        os.unlink(self.program)
        self.check_kept(self.finish(process), self.program)

    def test_another_file_has_the_name(self):
        process = self.run_stopped()
        os.link(self.program, f"{self.folder}/other")
        shutil.copy("/bin/true", f"{self.folder}/new")
        os.rename(f"{self.folder}/new", self.program)
        self.check_kept(self.finish(process), self.program)

    def test_mounted_over(self):
        process = self.run_stopped()
        subprocess.run(["mount", "--bind", "/bin/true", self.program], check=True)
        self.stack.callback(subprocess.run, ["umount", self.program], check=True)
        self.check_kept(self.finish(process), self.program, deleted=False)

    def test_called_deleted(self):
        program = shutil.copy(self.program, f"{self.folder}/crasher (deleted)")
        record = self.finish(self.run_stopped(program))
        self.assertEqual(record["process"]["exe"], program)
        self.assertNotIn("exe_deleted", record["process"])
        self.assertNotIn("exe", record["files"])
        self.check_analysis(record)

    def test_in_memory(self):
        self.crash(*python(FROM_MEMORY, self.program, "segv"))
        record = self.record()
        self.check_kept(record, "/memfd:in-memory", listed="memfd:in-memory")

    def test_longer_than_can_be_read(self):
        self.crash(*python(DEEP, self.folder, self.program, "segv"))
        record = self.record()
        path = self.folder + ("/" + "d" * 200) * 25 + "/crasher"
        self.check_kept(record, path, deleted=False)
        self.assertEqual(record["process"]["too_long"], ["cwd"])
        self.assertNotIn("cwd", record["process"])
        self.assertRegex(store.obit(self.server.store, "show", "--record").stdout, "Folder +longer than obitd can read")

    def test_in_another_mount_namespace(self):
        """What has its path here is another file."""
        with subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo $$; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            shell = os.readlink(f"/proc/{int(other.stdout.readline())}/exe")
        if shell != os.path.realpath(shutil.which("sh")):
            self.skipTest("in a chroot, names of another mount namespace lead from the system's root")
        inside = f"{self.folder}/inside"
        os.mkdir(inside)
        shutil.move(self.program, inside)
        shutil.copy("/bin/true", self.program)
        self.crash("unshare", "--mount", "sh", "-c", f"mount --bind {inside} {self.folder} && exec {self.program} segv")
        self.check_kept(self.record(), self.program, deleted=False)

    def replace_after_crash(self):
        """gdb, told by obit of the crash of a program that another file has replaced since."""
        self.crash(self.program, "segv")
        record = self.record()
        self.assertNotIn("exe", record["files"])
        self.assertNotIn("is another", store.obit(self.server.store, "gdb", "--", "-batch").stderr)
        stat = os.stat(self.program)
        shutil.copy(self.program, f"{self.folder}/new")
        return stat, record

    def test_replaced_since(self):
        subprocess.run(["objcopy", "--remove-section", ".note.gnu.build-id", self.program], check=True)
        stat, record = self.replace_after_crash()
        self.assertNotIn("exe_build_id", record["process"])
        self.assertEqual(record["process"]["exe_file"],
                         {"inode": stat.st_ino, "bytes": stat.st_size, "modified": stat.st_mtime_ns})  # fmt: skip
        os.utime(f"{self.folder}/new", ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        os.rename(f"{self.folder}/new", self.program)  # the same but for its inode
        for debugger in ("gdb", "lldb"):
            said = store.obit(self.server.store, debugger, "--", "-batch", check=False).stderr
            self.assertIn(f"{self.program} is another file than the one that crashed", said)

    def test_replaced_since_by_another_build(self):
        self.replace_after_crash()
        shutil.copy("/bin/true", self.program)
        said = store.obit(self.server.store, "gdb", "--", "-batch").stderr
        self.assertIn(f"{self.program} is another build than the one that crashed", said)


if __name__ == "__main__":
    case.main()
