"""What the tests of the command share: a store of cores that the test makes itself, and ways to run obit."""

import json
import os
import pathlib
import pty
import select
import struct
import subprocess
import tempfile
import unittest

from harness import programs

ENVIRONMENT = os.environ | {"TZ": "UTC", "TERM": "xterm"}
ENVIRONMENT.pop("NO_COLOR", None)

PAGE = 4096
MEMORY = 0x10000  # the address of what a core has


def make_core(pid=4711, comm="imgproxy", signal=11, memory=b"", exe=None, auxv=()):
    """An ELF core of x86-64 in the kernel's layout: header, program headers, notes, memory at MEMORY. `auxv` has pairs."""

    def note(kind, payload):
        payload += bytes(-len(payload) % 4)
        return struct.pack("<III8s", 5, len(payload), kind, b"CORE") + payload

    status = struct.pack("<iiih", signal, 0, 0, signal).ljust(32, b"\0") + struct.pack("<i", pid)
    info = struct.pack("<4bxxxxQIIiiii", 0, ord("R"), 0, 0, 0, 0, 0, pid, 1, pid, pid)
    info += comm.encode().ljust(16, b"\0") + f"{comm} --port 8080".encode().ljust(80, b"\0")
    notes = note(1, status.ljust(336, b"\0")) + note(3, info)
    if exe:  # NT_FILE, and AT_PHDR to say which of the files is the program
        notes += note(0x46494C45, struct.pack("<QQQQQ", 1, PAGE, 0x400000, 0x401000, 0) + exe.encode() + b"\0")
        auxv = ((3, 0x400040), *auxv)
    if auxv:
        notes += note(6, b"".join(struct.pack("<QQ", *pair) for pair in (*auxv, (0, 0))))
    begin = 64 + 2 * 56
    memory_at = (begin + len(notes) + PAGE - 1) // PAGE * PAGE
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    header += struct.pack("<IIQQQQQQ", 4, 0, begin, 0, 0, len(notes), 0, 4)
    header += struct.pack("<IIQQQQQQ", 1, 6, memory_at, MEMORY, 0, len(memory), len(memory), PAGE)
    return (header + notes).ljust(memory_at, b"\0") + memory


def make_frame(function=None, file=None, line=None, **members):
    """A frame of a stack; of module 0, unless that is said otherwise."""
    frame = {"pc": "0x401136", "found": "cfi", "module": 0, "module_offset": "0x1136"}
    frame |= {"function": function} if function else {}
    frame |= {"file": file, "line": line} if file else {}
    return frame | members


def make_report(crash_id, sentence="null pointer read at 0x18: the object in rdi is null", group="a71c0900b04d6e58", **members):
    """A report with the members in the order of docs/store-format.md; `members` replace those of the whole report."""
    frames = [make_frame("Cache::find(std::string const&) const", "/nowhere/src/cache.cc", 112, found="registers"),
              make_frame("Handler::lookup", "/nowhere/src/handler.cc", 77, inlined=True),
              make_frame("Handler::serve(Request const&)", "/nowhere/src/handler.cc", 61),
              make_frame("worker_main(void*)", "/nowhere/src/pool.cc", 19),
              make_frame("start_thread", module=1, module_offset="0x89134")]  # fmt: skip
    waiting = [make_frame("epoll_wait", module=1, module_offset="0x108e46", found="registers"),
               make_frame("worker_loop(Pool*)", "/nowhere/src/pool.cc", 40)]  # fmt: skip
    return {
        "schema": 1, "id": crash_id, "time": "2026-11-23T14:02:12.000000000Z", "seconds": 0.25,
        "cause": {"kind": "null-read", "sentence": sentence},
        "fingerprint": {"version": 2, "value": group, "frames": ["Cache::find", "Handler::serve"]},
        "crashed": {
            "instruction": {"address": "0x401136", "bytes": "488b4718", "text": "mov 0x18(%rdi),%rax"},
            "registers": [{"name": "rdi", "value": "0x0"}, {"name": "rsi", "value": "0x7f1c0400b2e0", "about": "heap"},
                          {"name": "rax", "value": "0x1"}],
            "memory": [{"label": "pc", "address": "0x401130", "bytes": "90" * 6 + "488b4718"}]},
        "threads": 17,
        "stacks": [{"tids": [4719], "frames": frames}, {"tids": list(range(4720, 4735)), "frames": waiting},
                   {"tids": [4735], "frames": [make_frame("clock_nanosleep", module=1), make_frame("Stats::run()")]}],
        "modules": [
            {"path": "/usr/bin/imgproxy", "build_id": "c0ffee" * 6 + "c0ff", "begin": "0x400000", "end": "0x402000",
             "package": "imgproxy 2.1-3", "symbols": "module", "lines": True},
            {"path": "/usr/lib/x86_64-linux-gnu/libc.so.6", "begin": "0x7f0000000000", "end": "0x7f0000200000",
             "package": "libc6 2.36-9", "symbols": "debug file"}],
        "mappings": [{"begin": "0x400000", "end": "0x402000", "access": "r-x", "name": "/usr/bin/imgproxy"}],
        "mappings_total": 1,
    } | members  # fmt: skip


class CliCase(unittest.TestCase):
    """A test with a folder and a store of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="obit-cli.")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = self.folder / "store"

    def run_obit(self, *arguments, code=0, store=True, **options):
        """Runs obit, which must end with `code`; returns its standard output and standard error."""
        program = programs.for_every_user(programs.OBIT) if options.get("user") else programs.OBIT
        command = [program, *(["--store", self.store] if store else []), *arguments]
        options = {"env": ENVIRONMENT, "stdin": subprocess.DEVNULL, "cwd": self.folder} | options
        done = subprocess.run(command, capture_output=True, timeout=120, **options)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}:\n{out}{err}")
        if code != 0:
            self.assert_one_line_each(err)
        return out, err

    def assert_one_line_each(self, err):
        """What goes wrong is told in whole lines that begin with the name of the program."""
        self.assertTrue(err.endswith("\n"), err)
        for line in err.splitlines():
            self.assertTrue(line.startswith("obit: "), err)

    def add(self, **core):
        """Takes a core into the store; returns its record."""
        known = {record["id"] for record in self.records()}
        path = self.folder / "core.to-import"
        path.write_bytes(make_core(**core))
        self.run_obit("import", path)
        path.unlink()
        (record,) = (record for record in self.records() if record["id"] not in known)
        return record

    def records(self):
        """All records, oldest first."""
        return json.loads(self.run_obit("list", "--json")[0]) if self.store.exists() else []

    def directory_of(self, record):
        (found,) = self.store.glob(f"crashes/*/{record['id']}")
        return found

    def add_report(self, record, **members):
        """Writes report.json into the folder of a crash, as an analysis does; returns it."""
        report = make_report(record["id"], **members)
        folder = self.directory_of(record)
        (folder / "report.json.new").write_text(json.dumps(report, indent=1) + "\n")
        (folder / "report.json.new").rename(folder / "report.json")
        os.utime(folder.parent)
        return report

    def edit_record(self, record, change):
        """Rewrites crash.json after change(record), as another writer of the format may."""
        path = self.directory_of(record) / "crash.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        self.run_obit("reindex")


def on_terminal(command, columns, environment=None, lines=50):
    """Runs a command on a terminal of that size; returns its exit code and what the terminal got."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            import fcntl, termios  # only the child sets the size: before the program asks for it

            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execvpe(command[0], [str(part) for part in command], ENVIRONMENT | (environment or {}))
        finally:
            os._exit(127)
    got = b""
    while True:
        if not select.select([terminal], [], [], 60)[0]:
            raise AssertionError(f"{command} says nothing more")
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not piece:
            break
        got += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), got.decode().replace("\r\n", "\n")
