"""obit dump, gdb, lldb, import, rm: what happens to cores."""

import bz2
import contextlib
import gzip
import lzma
import os
import pathlib
import select
import subprocess

import support
from harness import case, programs, wait

MEMORY = bytes(range(1, 251)) * 4000 + bytes(1 << 20) + b"end"


class Import(support.CliCase):
    def test_unpacks_what_is_packed(self):
        core = support.make_core(memory=MEMORY)
        (self.folder / "plain").write_bytes(core)
        (self.folder / "a.zst").write_bytes(gzip.compress(core))  # the name does not matter
        (self.folder / "b").write_bytes(lzma.compress(core))
        for name, command in {"c": ["zstd", "-q"], "d": ["lz4", "-q"]}.items():
            packed = subprocess.run([*command, "-c", self.folder / "plain"], stdout=subprocess.PIPE, check=True)
            (self.folder / name).write_bytes(packed.stdout)
        self.run_obit("import", "plain", "a.zst", "b", "c", "d")
        records = self.records()
        self.assertEqual(len(records), 5)
        for record in records:
            self.assertEqual(record["capture"]["outcome"], "full")
            self.assertEqual(record["capture"]["method"], "import")
            self.run_obit("dump", record["id"], "-o", "out")
            self.assertEqual((self.folder / "out").read_bytes(), core)

    def test_goes_on_after_a_file_that_is_no_core(self):
        (self.folder / "text").write_text("no core")
        (self.folder / "other").write_bytes(bz2.compress(b"no core"))
        (self.folder / "core").write_bytes(support.make_core())
        out, err = self.run_obit("import", "absent", "text", "other", self.folder, "core", code=1)
        self.assertEqual(len(err.splitlines()), 4, err)
        self.assertEqual(len(out.splitlines()), 1)
        self.assertEqual(len(self.records()), 1)
        self.assertEqual(os.listdir(self.store / "incoming"), [])

    def test_a_truncated_core_is_kept_as_such(self):
        core = support.make_core(memory=MEMORY)
        (self.folder / "core").write_bytes(core[:100_000])
        self.run_obit("import", "core")
        (record,) = self.records()
        self.assertEqual(record["capture"]["outcome"], "truncated")
        self.assertEqual(record["capture"]["reason"], f"the file ends after 100000 of {len(core)} bytes")
        self.assertEqual(record["process"]["comm"], "imgproxy")

    def test_files_of_another_owner_of_the_store_stay_its(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        self.add()
        for path in (self.store, *self.store.rglob("*")):
            os.chown(path, 65534, 65534)
        (self.folder / "core").write_bytes(support.make_core())
        os.utime(self.folder / "core", (1_000_000_000, 1_000_000_000))  # a day that has no folder yet
        self.run_obit("import", "core")
        for path in self.store.rglob("*"):
            self.assertEqual(path.stat().st_uid, 65534, path)


class Dump(support.CliCase):
    def setUp(self):
        super().setUp()
        self.core = support.make_core(memory=MEMORY)
        self.record = self.add(memory=MEMORY)
        self.out = self.folder / "out"

    def test_a_file_is_sparse_and_private(self):
        os.umask(0)
        self.run_obit("dump", "-o", "out")
        self.assertEqual(self.out.read_bytes(), self.core)
        self.assertEqual(self.out.stat().st_mode & 0o777, 0o600)
        self.assertLess(self.out.stat().st_blocks * 512, len(self.core) - (900 << 10))

    def test_a_pipe_and_a_redirect_get_the_same(self):
        command = [programs.OBIT, "--store", self.store, "dump"]
        self.assertEqual(subprocess.run(command, capture_output=True, check=True).stdout, self.core)
        with open(self.out, "wb") as file:
            subprocess.run(command, stdout=file, check=True)
        self.assertEqual(self.out.read_bytes(), self.core)
        self.assertLess(self.out.stat().st_blocks * 512, len(self.core) - (900 << 10))

    def test_plain_zstd_unpacks_the_same(self):
        stored = self.directory_of(self.record) / "core.zst"
        self.assertEqual(subprocess.run(["zstd", "-dcq", stored], capture_output=True, check=True).stdout, self.core)

    def test_a_terminal_is_refused(self):
        code, got = support.on_terminal([programs.OBIT, "--store", self.store, "dump"], 80)
        self.assertEqual(code, 2)
        self.assertEqual(got, "obit: a core is no text for a terminal: use -o FILE, or a pipe\n")

    def test_an_existing_file_is_replaced_as_a_whole(self):
        self.out.write_text("before")
        self.run_obit("dump", "-o", "out")
        self.assertEqual(self.out.read_bytes(), self.core)
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "store"])

    def test_a_symlink_stays_one(self):
        (self.folder / "link").symlink_to("out")
        self.out.write_text("before")
        self.run_obit("dump", "-o", "link")
        self.assertTrue((self.folder / "link").is_symlink())
        self.assertEqual(self.out.read_bytes(), self.core)

    def test_what_is_no_file_is_written_to(self):
        os.mkfifo(self.out)
        with subprocess.Popen([programs.OBIT, "--store", self.store, "dump", "-o", self.out]) as running:
            self.assertEqual(self.out.read_bytes(), self.core)
        self.assertEqual(running.returncode, 0)

    def test_a_broken_core_leaves_no_file(self):
        stored = self.directory_of(self.record) / "core.zst"
        content = bytearray(stored.read_bytes())
        content[len(content) // 2] ^= 0xFF
        stored.write_bytes(content)
        self.out.write_text("before")
        self.run_obit("dump", "-o", "out", code=1)
        self.assertEqual(self.out.read_text(), "before")
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "store"])

    def test_an_event_has_no_core(self):
        def to_event(content):
            content["capture"].update(outcome="event", detail="event", reason="RLIMIT_CORE 0")
            content["files"] = {}

        self.edit_record(self.record, to_event)
        for verb in (["dump", "-o", "out"], ["gdb"]):
            _, err = self.run_obit(*verb, code=1)
            self.assertIn("has no core: only the event was kept (RLIMIT_CORE 0)", err)


class Debug(support.CliCase):
    """obit gdb and lldb, with a debugger that writes down how it was called."""

    def setUp(self):
        super().setUp()
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.environment = support.ENVIRONMENT | {"PATH": f"{self.bin}:{os.environ['PATH']}", "TMPDIR": str(self.folder)}

    def fake(self, name):
        """A debugger that prints its arguments, and the beginning of each file among them."""
        script = self.bin / name
        script.write_text("""#!/bin/sh
for argument; do
  printf '%s\\n' "$argument"
  file=${argument#--core=}
  case $file in /*) printf 'begins: '; /usr/bin/od -An -c -N 16 "$file";; esac
done
""")
        script.chmod(0o755)

    def debug(self, *arguments, code=0):
        return self.run_obit(*arguments, code=code, env=self.environment)

    def test_gdb_gets_program_core_and_arguments(self):
        self.fake("gdb")
        self.add(exe="/bin/true")
        out, err = self.debug("gdb", "--", "-batch", "-ex", "bt")
        lines = out.splitlines()
        self.assertEqual(lines[0], "/bin/true")
        self.assertRegex(lines[2], r"^--core=/proc/\d+/fd/\d+$")
        self.assertIn("E   L   F", lines[3])
        self.assertEqual(lines[4:], ["-batch", "-ex", "bt"])
        self.assertEqual(err, "")

    def test_lldb_gets_them_in_its_way(self):
        self.fake("lldb")
        self.add(exe="/bin/true")
        lines = self.debug("lldb", "imgproxy", "--", "--batch")[0].splitlines()
        self.assertEqual(lines[:2], ["--file", "/bin/true"])
        self.assertEqual(lines[3], "--core")
        self.assertRegex(lines[4], r"^/proc/\d+/fd/\d+$")
        self.assertEqual(lines[-1], "--batch")

    def test_lldb_of_a_version_will_do(self):
        self.fake("lldb-28")
        self.environment["PATH"] = str(self.bin)
        self.add(exe="/bin/true")
        self.assertIn("--core", self.debug("lldb")[0])

    def test_a_program_that_is_not_here_is_told(self):
        self.fake("gdb")
        self.add(exe="/opt/absent")
        out, err = self.debug("gdb")
        self.assertEqual(err, "obit: /opt/absent is not here: only the core is opened\n")
        self.assertTrue(out.startswith("--core="))

    def test_another_build_of_the_program_is_told(self):
        self.fake("gdb")
        record = self.add(exe="/bin/true")
        self.edit_record(record, lambda content: content["process"].update(exe_build_id="00" * 20))
        self.assertIn("/bin/true is another build than the one that crashed", self.debug("gdb")[1])

    def test_the_kept_copy_of_the_program_is_preferred(self):
        self.fake("gdb")
        record = self.add(exe="/bin/true")
        core = self.directory_of(record) / "core.zst"
        (self.directory_of(record) / "exe.zst").write_bytes(core.read_bytes())
        self.edit_record(record, lambda content: content["files"].update(exe="exe.zst"))
        self.assertRegex(self.debug("gdb")[0].splitlines()[0], r"^/proc/\d+/fd/\d+$")

    def test_the_root_of_the_process_becomes_the_sysroot(self):
        self.fake("gdb")
        record = self.add(exe="/bin/true")
        self.edit_record(record, lambda content: content["process"].update(root=str(self.folder)))
        self.assertEqual(self.debug("gdb")[0].splitlines()[:2], ["-iex", f"set sysroot {self.folder}"])
        evil = self.folder / "a\nshell true"
        evil.mkdir()
        self.edit_record(record, lambda content: content["process"].update(root=str(evil)))
        self.assertNotIn("sysroot", self.debug("gdb")[0])

    def test_no_debugger(self):
        self.add(exe="/bin/true")
        self.environment["PATH"] = str(self.bin)
        self.assertEqual(self.debug("gdb", code=1)[1], "obit: gdb is not installed, or not in PATH\n")

    def test_gdb_itself_reads_it_and_nothing_is_left(self):
        out, _ = self.run_gdb()
        self.assertIn("nanosleep", out)
        self.assertEqual(sorted(os.listdir(self.folder)), ["bin", "store"])

    def run_gdb(self):
        """A core of a sleeping process, made by gdb, imported, and opened again."""
        sleeper = subprocess.Popen(["/bin/sleep", "1000"])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        asleep = pathlib.Path(f"/proc/{sleeper.pid}/syscall")
        wait.until(lambda: asleep.read_text().startswith(("230 ", "35 ", "115 ")), "sleep sleeps", 30)
        core = self.folder / "core"
        subprocess.run(["gdb", "-nx", "-batch", "-p", str(sleeper.pid), "-ex", f"gcore {core}"], check=True,
                       capture_output=True, timeout=60)  # fmt: skip
        self.run_obit("import", core)
        core.unlink()
        return self.debug("gdb", str(sleeper.pid), "--", "-nx", "-batch", "-ex", "bt")


class Remove(support.CliCase):
    def test_removes_what_was_named(self):
        first, second = self.add(pid=1), self.add(pid=2)
        out, _ = self.run_obit("rm", first["id"][:8])
        self.assertRegex(out, rf"^removed {first['id'][:8]} imgproxy, .* freed\n$")
        self.assertEqual([record["id"] for record in self.records()], [second["id"]])

    def test_removes_nothing_unless_all_is_clear(self):
        self.add(pid=1), self.add(pid=2)
        self.run_obit("rm", "@1", "absent", code=3)
        self.run_obit("rm", "@1", "imgproxy", code=4)  # there are two of it
        self.assertEqual(len(self.records()), 2)

    def test_the_same_twice_is_once(self):
        self.add(pid=1), self.add(pid=2)
        self.run_obit("rm", "@1", "2")
        self.assertEqual([record["process"]["pid"] for record in self.records()], [1])


class Progress(support.CliCase):
    def test_is_drawn_on_a_terminal_only_and_wiped(self):
        """A pipe that is read slowly makes a dump slow."""
        self.add(memory=MEMORY)
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        main, terminal = os.openpty()
        with subprocess.Popen([programs.OBIT, "--store", self.store, "dump", "-o", fifo], stderr=terminal,
                              env=support.ENVIRONMENT) as running:  # fmt: skip
            os.close(terminal)
            with open(fifo, "rb") as file:
                file.read(70_000)  # it has begun, and stands still at a full pipe
                select.select([main], [], [], 1.2)  # what is quicker than a second has no bar
                file.read()
            running.wait()
        drawn = b""
        with contextlib.suppress(OSError):
            while piece := os.read(main, 65536):
                drawn += piece
        self.assertIn(b"unpacking core.zst  [", drawn)
        self.assertTrue(drawn.endswith(b"\r\x1b[K"), drawn)
        self.assertEqual(self.run_obit("dump", "-o", "out")[1], "")


class Killed(support.CliCase):
    def test_a_dump_that_is_killed_leaves_all_or_nothing(self):
        """The file has no name before it is complete: true at whatever moment the signal comes."""
        self.add(memory=MEMORY * 20)
        out = self.folder / "out"
        for _ in range(10):
            running = subprocess.Popen([programs.OBIT, "--store", self.store, "dump", "-o", out])
            wait.until(lambda: len(os.listdir(f"/proc/{running.pid}/fd")) > 4 or running.poll() is not None, "it opens files")
            running.kill()
            running.wait()
            self.assertLessEqual(set(os.listdir(self.folder)), {"store", "out"})
            if out.exists():
                self.assertEqual(out.read_bytes(), support.make_core(memory=MEMORY * 20))
                out.unlink()


if __name__ == "__main__":
    case.main()
