"""obit run by root on a store whose user is hostile, and on crashes whose owners are."""

import contextlib
import copy
import json
import os
import re
import resource
import shutil
import sqlite3
import struct
import subprocess
import zlib

import support
from harness import bounded, case, fuse, programs

USER, OWNER = 61000, 61001
# Whatever could move a cursor, hide text or begin a line of its own.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EVIL = "e\x1b[2J\x9b\x7f\r\n\u202evil"
VERBS = (("list",), ("list", "--json"), ("groups",), ("groups", "--json"), ("show",), ("show", "--json"),
         ("show", "--all-threads", "--registers", "--modules", "--maps", "--env", "--record"),
         ("status",), ("status", "--json"), ("list", "nothing"), ("reindex",), ("pin", "@1"), ("unpin", "@1"))  # fmt: skip


def journal_naming(file):
    """A rollback journal whose "super-journal" is any file: SQLite deletes it after the journal was played back."""
    magic, name = bytes.fromhex("d9d505f920a163d7"), os.fsencode(file)
    journal = (magic + struct.pack(">5I", 0, 0, 1, 512, 4096)).ljust(512, b"\0")
    return journal + struct.pack(">I", 0x40000000 // 4096 + 1) + name + struct.pack(">2I", len(name), sum(name)) + magic


def leaves(value, path=()):
    """Where in JSON the strings are."""
    if isinstance(value, str):
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(inner, (*path, key))


def replaced(value, path, by):
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = by
    return value


def library_list(names, program):
    """Memory with the dynamic loader's list of libraries, and the auxiliary vector that leads there: by `program`, or by headers."""
    memory = bytearray(2 * support.PAGE)
    at = support.MEMORY + support.PAGE

    def put(address, *words):
        struct.pack_into(f"<{len(words)}Q", memory, address - support.MEMORY, *words)

    if program:
        entry, dynamic, debug = dynamic_section(program)
        moved = support.MEMORY - dynamic // support.PAGE * support.PAGE
        put(dynamic + moved + debug, 21, at)
        auxv = [(9, entry + moved)]
    else:
        put(support.MEMORY, 2 | 4 << 32, 0, support.MEMORY + 0x100, 0, 32, 32, 8)
        put(support.MEMORY + 0x100, 21, at)
        auxv = [(3, support.MEMORY), (4, 56), (5, 1)]
    put(at, 1, at + 0x100)
    for i in range(len(names) + 1):  # the first one is the program
        this = at + 0x100 + i * 0x40
        put(this, 0x1000 * i, at + 0x800 + i * 0x100, 0, this + 0x40 if i < len(names) else 0, this - 0x40 if i else 0)
    for i, name in enumerate(names, 1):
        begin = support.PAGE + 0x800 + i * 0x100
        memory[begin : begin + len(name)] = name
    return bytes(memory), auxv


def dynamic_section(program):
    """What a program's file says: where it is entered, the address of its dynamic section, and where DT_DEBUG is in that."""
    with open(program, "rb") as file:
        data = file.read()
    entry, headers = struct.unpack_from("<QQ", data, 24)
    (count,) = struct.unpack_from("<H", data, 56)
    segments = (struct.unpack_from("<IIQQQQQQ", data, headers + i * 56) for i in range(count))
    ((offset, address, size),) = ((offset, address, size) for kind, _, offset, address, _, size, _, _ in segments if kind == 2)
    (debug,) = (i for i in range(0, size, 16) if struct.unpack_from("<Q", data, offset + i) == (21,))
    return entry, address, debug


def own_vdso():
    """The vdso of this process; empty if there is none."""
    with open("/proc/self/maps") as maps:
        ranges = [line.split()[0] for line in maps if line.endswith("[vdso]\n")]
    if not ranges:
        return b""
    begin, end = (int(address, 16) for address in ranges[0].split("-"))
    with open("/proc/self/mem", "rb") as memory:
        memory.seek(begin)
        return memory.read(end - begin)


class HostileCase(support.CliCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root: it works in the store of another user")
        super().setUp()
        os.chmod(self.folder, 0o755)

    def give_away(self):
        """The store becomes another user's, as it is obit's."""
        for path in (self.store, *self.store.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)

    def run_any(self, *arguments):
        """Runs obit, which may fail, but neither hang nor be killed; returns all that it said."""
        done = subprocess.run([programs.OBIT, "--store", self.store, *arguments], env=support.ENVIRONMENT,
                              stdin=subprocess.DEVNULL, cwd=self.folder, capture_output=True, timeout=60)  # fmt: skip
        self.assertIn(done.returncode, (0, 1, 2, 3, 4), (arguments, done))
        return done.stdout.decode() + done.stderr.decode()


class Index(HostileCase):
    def test_no_row_leads_out_of_the_store(self):
        record = self.add()
        victim = self.folder / record["id"]
        (victim / "kept").mkdir(parents=True)
        shutil.copy(self.directory_of(record) / "crash.json", victim)
        self.run_obit("list")
        self.give_away()
        for verb in (*VERBS, ("dump", "@1", "-o", "dumped"), ("rm", "@1")):
            with contextlib.closing(sqlite3.connect(self.store / "index.db")) as index, index:
                index.execute("UPDATE OR REPLACE crashes SET day = '../..'")
            os.chown(self.store / "index.db", USER, USER)
            self.run_any(*verb)
            self.assertEqual(sorted(os.listdir(victim)), ["crash.json", "kept"], verb)
        self.assertEqual(self.records(), [], "the crash itself is removed")

    def test_nothing_beside_it_is_acted_by(self):
        self.add()
        self.run_obit("list")
        self.give_away()
        victim = self.folder / "victim"
        victim.write_text("kept")
        for verb in (*VERBS, ("dump", "@1", "-o", "dumped"), ("import", "core"), ("analyze", "@1")):
            (self.folder / "core").write_bytes(support.make_core())
            beside = self.store / "index.db-journal"
            beside.write_bytes(journal_naming(victim))
            self.run_any(*verb)
            self.assertEqual(victim.read_text(), "kept", verb)
            beside.unlink(missing_ok=True)
            os.mkfifo(beside)
            self.run_any(*verb)
            beside.unlink(missing_ok=True)


class Text(HostileCase):
    def check_verbs(self, where, verbs=VERBS):
        for verb in verbs:
            self.assertNotRegex(self.run_any(*verb), UNSAFE, (where, verb))

    def test_no_text_of_a_record_is_printed_as_it_is(self):
        record = self.add(exe="/bin/true")
        path = self.directory_of(record) / "crash.json"
        whole = json.loads(path.read_text())
        whole["process"] |= {"cwd": "/", "root": "/", "cgroup": "/x", "cmdline": ["a", "b"], "too_long": ["exe"]}
        whole["thread"] = {"tid": 5, "comm": "worker"}
        whole["capture"] |= {"reason": "because", "stream_reason": "because", "exe_reason": "because"}
        for where in leaves(whole):
            path.write_text(json.dumps(replaced(whole, where, EVIL)))
            (self.store / "index.db").unlink(missing_ok=True)
            self.check_verbs(where, VERBS if where[0] == "process" else VERBS[:10])

    def test_no_text_of_a_report_is_printed_as_it_is(self):
        record = self.add()
        whole = self.add_report(record)
        for where in leaves(whole):
            path = self.directory_of(record) / "report.json"
            path.write_text(json.dumps(replaced(whole, where, EVIL)))
            (self.store / "index.db").unlink(missing_ok=True)
            self.check_verbs(where, VERBS[:7])

    def test_no_name_in_a_crash_is_printed_as_it_is(self):
        for evil in ("folder\x1b[2J", "\u202e\n"):
            record = self.add()
            self.give_away()
            (self.directory_of(record) / evil / "inner").mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "none", self.directory_of(record) / evil], check=True)
            self.addCleanup(self.unmount, evil)
            said = self.run_any("rm", record["id"])
            self.assertNotRegex(said, UNSAFE)
            self.assertIn("removed", said)
            self.assertIn("what is left is not obit's", said)

    def unmount(self, name):
        for path in (*self.store.glob(f"incoming/*/{name}"), *self.store.glob(f"crashes/*/*/{name}")):
            fuse.libc.umount2(bytes(path), fuse.MNT_DETACH)

    def test_gdb_gets_no_name_that_it_would_print_as_it_is(self):
        self.add(comm="a\x1b[31mb\x07", exe=f"/tmp/{EVIL}")
        said = self.run_any("gdb", "--", "-nx", "-batch", "-ex", "info proc mappings")
        self.assertIn("Core was generated by `a?[31mb? --port 8080'", said)
        self.assertNotRegex(said, UNSAFE)
        core = self.run_obit("dump", "-o", "core") and (self.folder / "core").read_bytes()
        self.assertIn(b"a\x1b[31mb\x07", core, "a dump is the core as it was")

    def test_gdb_gets_no_name_of_a_library_that_it_would_print_as_it_is(self):
        names = [b"/nowhere/e\x1b[2J\x9b\x7f\r.so", "/nowhere/\u202e\u0085é.so".encode()]
        for exe, command in ((None, ("-ex", "info sharedlibrary")), ("/bin/true", ()), ("/bin/true", ("-ex", "info sharedlibrary"))):
            with self.subTest(exe=exe, command=command):
                memory, auxv = library_list(names, exe)
                self.add(exe=exe, memory=memory, auxv=auxv)
                self.assertIn(names[0], self.run_gdb_alone(exe, command), "gdb does print them")
                said = self.run_any("gdb", "--", "-nx", "-batch", *command)
                self.assertIn("/nowhere/e?[2J???.so", said)
                self.assertNotRegex(said, UNSAFE)

    def run_gdb_alone(self, exe, command):
        """What gdb says of the core as it is."""
        core = self.folder / "core"
        core.unlink(missing_ok=True)
        self.run_obit("dump", "-o", core)
        command = ["gdb", "-nx", "-batch", *command, f"--core={core}", *([exe] if exe else [])]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).stderr

    def test_gdb_gets_no_vdso_whose_names_it_would_print_as_they_are(self):
        vdso = own_vdso()
        at = vdso.find(b"__vdso_gettimeofday\0")
        if at < 0:
            self.skipTest("there is no vdso with that function")
        for name in (b"__vdso_gettimeofday", b"e\x1b[2J\x9b\x7f\r", b"e__fU1b"):
            memory = vdso.replace(b"__vdso_gettimeofday\0", name.ljust(20, b"\0"))
            self.add(memory=memory, auxv=((33, support.MEMORY),))
            said = self.run_any("gdb", "--", "-nx", "-batch", "-ex", "info functions")
            self.assertNotRegex(said, UNSAFE)
            self.assertEqual("clock_gettime" in said, name.startswith(b"__vdso"), "the kernel's is not hidden")

    def test_debuggers_get_no_path_that_is_more_than_one(self):
        record = self.add(exe="/bin/true")
        tools = self.folder / "bin"
        tools.mkdir()
        for name in ("gdb", "lldb"):
            (tools / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
            (tools / name).chmod(0o755)
        for odd in ('a"b', "a`b", "a\\b", "a\nb", "a\x1b", "a'b"):
            path = self.folder / odd
            path.mkdir()
            self.edit_record(record, lambda content: content["process"].update(root=str(path), exe=f"{path}/program"))
            (path / "program").write_text("")
            for debugger in ("gdb", "lldb"):
                said, _ = self.run_obit(debugger, env=support.ENVIRONMENT | {"PATH": f"{tools}:{os.environ['PATH']}"})
                self.assertNotIn(str(self.folder), said)


class Removal(HostileCase):
    def test_root_removes_what_the_owner_nested(self):
        record = self.add(memory=b"x" * 100_000)
        self.give_away()
        folder = self.directory_of(record)
        os.chown(folder, USER, USER)
        deep = folder / "/".join(["private"] * 40)
        deep.mkdir(parents=True)
        for path in (deep, *list(deep.parents)[:39]):
            (path / "file").write_text("x")
            os.chown(path, OWNER, OWNER)
            os.chmod(path, 0o700)
        self.assertIn("removed", self.run_obit("rm", record["id"])[0])
        self.assertEqual(self.records(), [])
        self.assertEqual(os.listdir(self.store / "incoming"), [])


class Import(HostileCase):
    def test_the_file_does_not_say_how_much_memory_is_taken(self):
        (self.folder / "core").write_bytes(support.make_core(memory=os.urandom(1 << 20) * 8))
        subprocess.run(["xz", "-T1", "-0", "core"], cwd=self.folder, check=True)
        packed = bytearray((self.folder / "core.xz").read_bytes())
        size = (packed[12] + 1) * 4 - 4
        packed[16] = 36  # 1 GiB
        packed[12 + size : 16 + size] = struct.pack("<I", zlib.crc32(packed[12 : 12 + size]))
        (self.folder / "core.xz").write_bytes(packed)

        def limit():  # of addresses: what is asked for, not what is touched
            if not bounded.SANITIZED:
                resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

        _, err = self.run_obit("import", "core.xz", code=1, preexec_fn=limit)
        self.assertRegex(err, r"to unpack it takes \d+ MiB of memory")


if __name__ == "__main__":
    case.main()
