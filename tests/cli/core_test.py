"""obit dump, gdb, lldb, import, rm: what happens to cores."""

import bz2
import contextlib
import fcntl
import gzip
import json
import lzma
import os
import pathlib
import random
import select
import shutil
import struct
import subprocess
import termios

import support
from harness import case, programs, wait


def waiting_bytes(pipe):
    """How much a pipe holds."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


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
        _, err = self.run_obit("import", "core")
        self.assertIn("the file ends after 100000 of", err)
        (record,) = self.records()
        self.assertEqual(record["capture"]["outcome"], "truncated")
        self.assertEqual(record["capture"]["reason"], f"the file ends after 100000 of {len(core)} bytes")
        self.assertEqual(record["process"]["comm"], "imgproxy")

    def test_a_damaged_core_is_said_to_be_one(self):
        packed = bytearray(gzip.compress(support.make_core(memory=MEMORY)))
        packed[-8] ^= 1  # of the checksum
        (self.folder / "core").write_bytes(packed)
        _, err = self.run_obit("import", "core")
        self.assertRegex(err, r"all \d+ bytes are there, but not as they were packed")
        (record,) = self.records()
        self.assertEqual(record["capture"]["outcome"], "truncated")

    def test_no_name_in_a_core_makes_a_record_that_cannot_be_read(self):
        (self.folder / "core").write_bytes(support.make_core(exe="/" + "\1" * 1_000_000))
        self.run_obit("import", "core")
        (record,) = self.records()
        self.assertEqual(record["process"]["too_long"], ["exe"])
        self.run_obit("list")

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


    def test_what_is_no_core_makes_no_store(self):
        (self.folder / "text").write_text("some words of text\n" * 76)
        (self.folder / "empty").write_bytes(b"")
        subprocess.run(["tar", "-cf", "tar", "text"], cwd=self.folder, check=True)
        (self.folder / "packed").write_bytes(gzip.compress(b"some words of text"))
        (self.folder / "cut").write_bytes(support.make_core()[:100])
        cases = {"text": "it is text, not a core", "empty": "it is empty", "tar": "it is a tar archive", "packed": "it is text",
                 "cut": "ends within its program headers", "/bin/true": "it is a program", "/bin": "it is a folder",
                 "absent": "No such file"}  # fmt: skip
        for name, said in cases.items():
            with self.subTest(name):
                _, err = self.run_obit("import", name, code=1)
                self.assertIn(said, err)
                self.assertIn(name, err)
                self.assertEqual(len(err.splitlines()), 1, err)
                self.assertFalse(self.store.exists())
        command = f"cat text | {programs.OBIT} --store deep/er/store import /dev/stdin"
        self.assertEqual(subprocess.run(["/bin/sh", "-c", command], cwd=self.folder, capture_output=True).returncode, 1)
        self.assertFalse((self.folder / "deep").exists())
        (self.folder / "there").mkdir()
        self.run_obit("--store", "there", "import", "text", store=False, code=1)
        self.assertEqual(os.listdir(self.folder / "there"), [])
        (self.folder / "core").write_bytes(support.make_core())
        self.run_obit("import", "text", "core", code=1)
        self.assertEqual(len(self.records()), 1)
        self.run_obit("import", "text", code=1)
        self.assertEqual(os.listdir(self.store / "incoming"), [])
        self.assertEqual(len(self.records()), 1)


class OldHoles(support.CliCase):
    """Cores with a hole that obit before 0.2 stored as longer than it was."""

    GIB, HOLE = 1 << 30, (2 << 30) - 4096

    def setUp(self):
        super().setUp()
        core = bytearray(support.make_core())
        self.begin = len(core)
        size = self.HOLE + 4096
        struct.pack_into("<QQ", core, 64 + 56 + 32, size, size)  # of the segment: in the file, and in memory
        with open(self.folder / "core", "wb") as file:
            file.write(core)
            file.truncate(self.begin + self.HOLE)
            file.seek(0, os.SEEK_END)
            file.write(b"e" * 4096)
        self.run_obit("import", "core")
        (self.record,) = self.records()
        self.stored = self.directory_of(self.record) / "core.zst"
        content = bytearray(self.stored.read_bytes())
        frames, = struct.unpack_from("<I", content, len(content) - 9)
        self.table_at = len(content) - 9 - 8 * frames
        at = 0
        for i in range(frames):
            stored, plain = struct.unpack_from("<II", content, self.table_at + 8 * i)
            if self.GIB - (128 << 10) < plain < self.GIB:
                content[at : at + stored] = content[at - stored : at]  # the frame of the GiB before
                break
            at += stored
        else:
            self.fail("there is no such hole")
        self.stored.write_bytes(content)

    def test_one_is_read_right(self):
        self.run_obit("dump", "-o", "out")
        self.assertEqual(subprocess.run(["cmp", "core", "out"], cwd=self.folder).returncode, 0)
        self.run_obit("analyze")
        report = json.loads((self.stored.parent / "report.json").read_text())
        self.assertNotIn("stored core", report.get("failure", ""))

    def test_one_that_was_recovered_is_refused(self):
        def as_recovered(content):
            content["capture"].update(method="direct", transport="socket", core_bytes=self.begin + self.HOLE + 8192)

        self.edit_record(self.record, as_recovered)
        for verb in (["dump", "-o", "out"], ["gdb"], ["analyze"]):
            _, err = self.run_obit(*verb, code=1)
            self.assertIn("its core cannot be read", err)
            self.assertIn("shifted", err)
        self.assertFalse((self.folder / "out").exists())
        self.run_obit("show")


class NotCompleted(support.CliCase):
    """Cores as obitd keeps them that no worker could complete."""

    FRAME = 256 << 10

    def setUp(self):
        super().setUp()
        memory = random.Random(1).randbytes(4 * self.FRAME)
        self.core = support.make_core(memory=memory)
        self.record = self.add(memory=memory)
        self.stored = self.directory_of(self.record) / "core.zst"

    def cut(self, size):
        os.truncate(self.stored, size)

        def unknown(content):
            content["capture"].update(outcome="truncated", core_bytes=0, stored_bytes=size, reason="killed, twice")

        self.edit_record(self.record, unknown)

    def test_one_is_read_as_far_as_it_goes(self):
        self.cut(2 * self.FRAME + 50_000)  # within the third frame
        out, _ = self.run_obit("list")
        self.assertIn("truncated", out)
        self.assertNotIn("truncated 0 B", out)
        out, _ = self.run_obit("show")
        self.assertIn("as stored", out)
        _, err = self.run_obit("dump", "-o", "out")
        self.assertIn("has no seek table", err)
        self.assertEqual((self.folder / "out").read_bytes(), self.core[: 2 * self.FRAME])
        self.run_obit("analyze", "--all")
        report = json.loads((self.stored.parent / "report.json").read_text())
        self.assertNotIn("seek table", report.get("failure", ""))

    def test_one_without_a_whole_frame(self):
        self.cut(50_000)
        for verb in (["dump", "-o", "out"], ["gdb"]):
            _, err = self.run_obit(*verb, code=1)
            self.assertIn("no seek table", err)
        self.assertFalse((self.folder / "out").exists())
        self.run_obit("show")


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

    def through_pipe_that_does_not_block(self, *arguments):
        """What a slow reader gets that made the pipe non-blocking, as node does with its children's."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writer, False)
        process = subprocess.Popen([programs.OBIT, "--store", self.store, *arguments], stdout=writer, stderr=subprocess.PIPE)
        filled = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
        with os.fdopen(writer, "wb", closefd=True):
            wait.until(lambda: process.poll() is not None or waiting_bytes(reader) >= filled, "a full pipe, or an end")
        with os.fdopen(reader, "rb") as file:
            got = file.read()
        _, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (0, b""))
        return got

    def test_a_pipe_that_does_not_block_gets_all(self):
        self.assertEqual(self.through_pipe_that_does_not_block("dump"), self.core)

    def test_so_does_one_for_a_list(self):
        for _ in range(7):  # of each 2 to the 7th copies: more than a pipe holds
            for record in self.records():
                copy = f"{random.getrandbits(64):016x}"
                shutil.copytree(self.directory_of(record), self.directory_of(record).parent / copy)
                self.edit_copy(record, copy)
        listed = self.through_pipe_that_does_not_block("list", "--json")
        self.assertEqual(len(json.loads(listed)), 128)

    def edit_copy(self, record, copy):
        path = self.directory_of(record).parent / copy / "crash.json"
        path.write_text(path.read_text().replace(record["id"], copy))

    def test_a_file_that_cannot_be_so_long_is_told(self):
        with open(self.folder / "core", "wb") as file:
            core = bytearray(support.make_core())
            struct.pack_into("<QQ", core, 64 + 56 + 32, 5 << 30, 5 << 30)
            file.write(core)
            file.truncate(len(core) + (5 << 30))
        self.run_obit("import", "core")
        size = len(core) + (5 << 30)
        for target in (["-o", "out"], [">out"]):
            command = f'ulimit -f 1000000; {programs.OBIT} --store {self.store} dump @1 {" ".join(target)}'
            done = subprocess.run(["/bin/sh", "-c", command], cwd=self.folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(f"it is 5.0 GiB ({size} bytes), and no file may be so long here", done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertFalse(self.out.exists() and self.out.stat().st_size > 0)
            self.out.unlink(missing_ok=True)

    def test_a_disk_without_room_is_told(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount a small disk")
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("it may not mount")
        try:
            _, err = self.run_obit("dump", "-o", "disk/core", code=1)
            self.assertIn(f"({len(self.core)} bytes), and there is no room for it", err)
            self.assertEqual(os.listdir(disk), [])
        finally:
            subprocess.run(["umount", disk], check=True)

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


class Minimal(support.CliCase):
    def test_is_made_of_a_full_core_and_known_as_what_it_is(self):
        core = support.make_core(memory=MEMORY)
        (self.folder / "core").write_bytes(core)
        self.run_obit("import", "core")
        self.run_obit("dump", "--minimal", "-o", "minimal")
        minimal = (self.folder / "minimal").read_bytes()
        self.assertEqual(minimal[:4], b"\x7fELF")
        self.assertLess(len(minimal), 8192)  # its thread has no stack
        self.run_obit("import", "minimal")
        records = self.records()
        self.assertEqual({record["capture"]["outcome"] for record in records}, {"full", "minimal"})
        (found,) = (record for record in records if record["capture"]["outcome"] == "minimal")
        self.assertEqual(found["process"]["comm"], "imgproxy")
        for arguments in ([], ["--minimal"]):
            self.run_obit("dump", found["id"], *arguments, "-o", "again")
            self.assertEqual((self.folder / "again").read_bytes(), minimal)

    def test_of_a_core_that_ends_early(self):
        """It is made of what there is, and that is said."""
        core = support.make_core(memory=MEMORY)
        (self.folder / "core").write_bytes(core[:-len(MEMORY) // 2])
        self.run_obit("import", "core")
        _, err = self.run_obit("dump", "--minimal", "-o", "minimal")
        self.assertIn("ends early: what it lacks is left out", err)
        self.assertEqual((self.folder / "minimal").read_bytes()[:4], b"\x7fELF")

    def test_needs_the_head(self):
        (self.folder / "core").write_bytes(support.make_core(memory=MEMORY)[:200])
        self.run_obit("import", "core")
        _, err = self.run_obit("dump", "--minimal", "-o", "minimal", code=1)
        self.assertIn("it ends before the memory of its process", err)
        self.assertFalse((self.folder / "minimal").exists())


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

    def test_a_program_of_another_class_is_told(self):
        self.fake("gdb")
        program = self.folder / "program"
        program.write_bytes(b"\x7fELF\1\1\1".ljust(52, b"\0"))
        self.add(exe=str(program))
        out, err = self.debug("gdb")
        self.assertIn(f"obit: {program} is 32-bit, the core is not: only the core is opened\n", err)
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
