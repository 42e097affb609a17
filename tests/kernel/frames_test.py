"""The stacks that obit finds, against those of gdb: the same functions in the same order, for each thread of each program."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from harness import case, crash, programs, report, store, wait

AGREEMENT = 0.99  # of the frames of a program
SIGNAL_FRAME = "<signal handler called>"
UNPRIVILEGED = 1  # daemon: PostgreSQL does not run as root, and wants a user that has a name

# Programs of tests/crashers/causes that die without arguments, but not compared:
NOT_COMPARED = {
    "handler-without-cfi": "gdb takes what the handler returns to for a function like any other; see its own test",
    "jit": "gdb takes a saved frame pointer for the caller of code that has no symbols",
    "stack-overflow": "gdb needs minutes for 75,000 frames; compared with a small stack",
    "stack-overflow-caught": "likewise",
    "stack-overflow-irregular": "likewise",
    "stack-overflow-mutual": "likewise",
    "stack-overflow-thread": "likewise",
    "wait": "it waits to be killed",
    **dict.fromkeys(("bad-system-call", "raise", "memfd-library", "replaced-library", "smashed-stack", "truncated-file", "no-space"), "wants an argument"),
    **dict.fromkeys(("address-sanitizer", "undefined-sanitizer"), "it exits, unless its options say otherwise"),
}


# Programs that nobody wrote for obit, each as it waits for its input: killed there, they have stacks of all sorts. Some machine
# may lack some of them.
WAITING = (
    "cat", "bash", "dash", "perl -e <STDIN>", "python3 -c input()", "gdb -nx -q", "tar xf -", "sort", "grep x", "sed p", "mawk 1",
    "xz -c", "zstd -c", "gzip -c", "bzip2 -c", "make -f -", "cpp", "as", "tee", "wc", "base64", "sha256sum", "od", "head", "c++filt",
    "addr2line -e /bin/true", "node -", "openssl enc -base64", "git hash-object --stdin", "clang-19 -xc -fsyntax-only -",
    "clang-format-19", "ed", "ruby -", "php", "lua5.4 -", "sqlite3", "bc", "less -", "erl", "ocaml",
    "m4", "cmp - /bin/true", "comm - /dev/null", "join - /dev/null", "cut -f1", "tr a b", "uniq", "nl", "fold", "split", "tac", "expand",
    "dc", "xargs", "patch", "diff - /bin/true", "sh", "zsh", "fish", "tclsh", "guile", "gnuplot", "ghci", "julia", "R --no-save",
)  # fmt: skip
WAITING_MIN = 20  # of them are needed for a judgement
WAITING_AGREEMENT = 0.995  # of all their frames together
# read, poll, select, pselect6, ppoll, epoll_wait, epoll_pwait, futex, wait4: what a program waits in
# (arch/x86/entry/syscalls/syscall_64.tbl)
WAITS = {"61", "0", "7", "23", "270", "271", "232", "281", "202"}


# Walks the stacks as `thread apply all bt` does, and says of what kind each frame is.
WALK = """
import json
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame = gdb.newest_frame()
    while frame is not None:
        place = frame.find_sal()
        file = place.symtab.filename if place.symtab else ""
        kind = {gdb.SIGTRAMP_FRAME: "signal", gdb.TAILCALL_FRAME: "tail call"}.get(frame.type(), "")
        print("FRAME", json.dumps([thread.ptid[1], kind, frame.pc(), frame.name() or "", file, place.line]))
        try:
            frame = frame.older()
        except gdb.error:
            break
"""
SETTINGS = ("set backtrace past-main on", "set width 0")


@dataclasses.dataclass(frozen=True)
class Frame:
    name: str  # bare; "" if it has none
    pc: int
    file: str = ""
    line: int = 0
    code: str = ""  # the program or library that holds it; only of ours

    def __str__(self):
        return f"{self.name or hex(self.pc)}{' at ' if self.file else ''}{self.file}{f':{self.line}' if self.line else ''}"


# Different names of one address: gdb shows one, obit may know another.
ALIASES = re.compile(r"^(_*GI_+|_*libc_|_+)|(_impl|_cancel|_nocancel|_?(sse|avx|evex|erms)\w*)$")


def frames_of_gdb(text):
    """{tid: frames} of what WALK printed. Not those that gdb deduces of tail calls: the stack holds nothing of them."""
    threads = {}
    for line in text.splitlines():
        if line.startswith("FRAME "):
            tid, kind, pc, name, file, number = json.loads(line.removeprefix("FRAME "))
            frames = threads.setdefault(tid, [])
            if kind == "signal":
                frames.append(Frame(SIGNAL_FRAME, pc))
            elif kind != "tail call":
                frames.append(Frame(report.bare(name), pc, os.path.basename(file), number))
    return threads


def frames_of_report(said):
    """{tid: frames}, recursions written out."""
    threads = {}
    for stack in said["stacks"]:
        whole = report.unfolded(stack)
        frames = []
        for i, frame in enumerate(whole):
            handler = i + 1 < len(whole) and whole[i + 1].get("interrupted")
            name = SIGNAL_FRAME if handler else report.bare(frame.get("function"))
            frames.append(Frame(name, report.number(frame["pc"]), os.path.basename(frame.get("file", "")), frame.get("line", 0),
                                report.path_of(said, frame)))  # fmt: skip
        threads.update(dict.fromkeys(stack["tids"], frames))
    return threads


def same_function(theirs, ours):
    """Names for one function; where gdb has no name, the same place."""
    if not theirs.name:
        return theirs.pc == ours.pc
    # As the linker knows what Rust's runtime is called by; gdb shows where it is written.
    if ours.name.startswith("__rustc::") or ours.name == "rust_begin_unwind":
        return theirs.file == ours.file
    if theirs.name.startswith("core::ops::function::FnOnce::"):  # by the trait; Rust's name says of which type: <fn() as FnOnce>
        return theirs.name.rpartition("::")[2] == ours.name.rpartition("::")[2]
    if "{impl#" in theirs.name:  # gdb numbers the blocks that Rust's names show the types of
        return theirs.name.split("::")[-1] == ours.name.split("::")[-1]
    return theirs.name == ours.name or ALIASES.sub("", theirs.name) == ALIASES.sub("", ours.name)


def same_line(theirs, ours):
    """None if only one side knows it, or gdb names the header whose code this once was, without a call of it."""
    if not theirs.line or not ours.line or (theirs.file.endswith(".h") and not ours.file.endswith(".h")):
        return None
    return (theirs.file, theirs.line) == (ours.file, ours.line)


def aligned(theirs, ours):
    """Pairs of frames, None where one side has no counterpart, so that as few as possible differ."""
    head = 0
    while head < min(len(theirs), len(ours)) and same_function(theirs[head], ours[head]):
        head += 1
    first, second = theirs[head:], ours[head:]
    # cost[i][j]: how many differ at least of first[i:] and second[j:]
    cost = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first), -1, -1):
        for j in range(len(second), -1, -1):
            if i == len(first) or j == len(second):
                cost[i][j] = len(first) - i + len(second) - j
            else:
                pair = cost[i + 1][j + 1] + (not same_function(first[i], second[j]))
                cost[i][j] = min(pair, cost[i + 1][j] + 1, cost[i][j + 1] + 1)
    pairs, i, j = list(zip(theirs[:head], ours[:head])), 0, 0
    while i < len(first) or j < len(second):
        if i < len(first) and j < len(second) and \
                cost[i][j] == cost[i + 1][j + 1] + (not same_function(first[i], second[j])):  # fmt: skip
            pairs.append((first[i], second[j]))
            i, j = i + 1, j + 1
        elif i < len(first) and cost[i][j] == cost[i + 1][j] + 1:
            pairs.append((first[i], None))
            i += 1
        else:
            pairs.append((None, second[j]))
            j += 1
    return pairs


class Comparison:
    """Counts, and shows what differs."""

    def __init__(self):
        self.frames = self.same = self.lines = self.same_lines = 0
        self.text = []

    def add(self, title, theirs, ours, holds_code):
        # What a just-in-time compiler makes has no call frame information: gdb guesses what comes behind it. Functions that it
        # names must be in the report; but that may know more.
        guessed = next((i for i, frame in enumerate(theirs) if not frame.name and not holds_code(frame.pc)), len(theirs))
        guesses = guessed < len(theirs)
        theirs = theirs[:guessed] + [frame for frame in theirs[guessed:] if frame.name]
        rows, seen, differs = [], 0, False
        for their, our in aligned(theirs, ours):
            if their is None and guesses and seen >= guessed:
                continue
            seen += their is not None
            agree = their is not None and our is not None and same_function(their, our)
            lines_agree = same_line(their, our) if agree else None
            self.frames += 1
            self.same += agree
            self.lines += lines_agree is not None
            self.same_lines += lines_agree is True
            mark = " " if agree and lines_agree is not False else "!"
            differs = differs or mark == "!"
            rows.append(f"  {mark} {str(their or '-'):70} {our or '-'}")
        if differs:
            self.text += [f"{title}:", *rows]

    def __str__(self):
        return "\n".join([f"{self.same} of {self.frames} frames are the same, {self.same_lines} of {self.lines} lines", *self.text])


class Frames(case.KernelCase):
    def setUp(self):
        super().setUp()
        probe = shutil.which("gdb") and subprocess.run(["gdb", "-nx", "-batch", "-ex", "python print(6 * 7)"],
                                                       capture_output=True, text=True)  # fmt: skip
        if not probe or probe.stdout.strip() != "42":
            self.skipTest("there is no gdb with Python")
        self.walk = pathlib.Path(self.directory) / "walk.py"
        self.walk.write_text(WALK)
        self.server.configure("analysis.slots = 2\n")
        self.server.start()
        self.lend_kernel("socket-request")

    def gdb(self, record):
        """What gdb says of a core, by WALK."""
        arguments = [word for command in SETTINGS for word in ("-ex", command)]
        return store.obit(self.server.store, "gdb", record["id"], "--", "-nx", "-batch", *arguments, "-x", self.walk).stdout

    def compare_one(self, record):
        said = report.of(self.server.store, record)
        theirs, ours = frames_of_gdb(self.gdb(record)), frames_of_report(said)
        code = [(report.number(mapping["begin"]), report.number(mapping["end"])) for mapping in said["mappings"]
                if "x" in mapping["access"] and mapping.get("name")]  # fmt: skip
        comparison = Comparison()
        self.assertEqual(set(theirs), set(ours), "other threads")
        for tid in theirs:
            comparison.add(f"{record['process']['comm']}, thread {tid}", theirs[tid], ours[tid],
                           lambda pc: any(begin <= pc < end for begin, end in code))  # fmt: skip
        return comparison

    def compare(self, at_least=3):
        """All crashes of the store."""
        records = store.records(self.server.store, at_least=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            comparisons = list(pool.map(self.compare_one, records))
        for record, comparison in zip(records, comparisons):
            with self.subTest(record["process"]["exe"]):
                print(f"{record['process']['comm']}: {comparison}")
                self.assertGreaterEqual(comparison.frames, at_least, comparison)
                self.assertGreaterEqual(comparison.same, comparison.frames * AGREEMENT, comparison)
                self.assertGreaterEqual(comparison.same_lines, comparison.lines * AGREEMENT, comparison)

    def check_causes(self, variant):
        chosen = [path for path in (programs.CAUSES / variant).iterdir() if path.name not in NOT_COMPARED]
        self.assertGreater(len(chosen), 5)
        for program in chosen:
            self.assertTrue(crash.run([programs.for_every_user(program)]).dumped, program)
        store.records(self.server.store, len(chosen))
        self.compare()

    def test_crashers_as_built_to_debug(self):
        self.check_causes("O0-frame-pointers-pie")

    def test_crashers_as_packaged(self):
        self.check_causes("O2-no-frame-pointers-pie")

    def test_static_crashers(self):
        self.check_causes("O2-no-frame-pointers-static")

    def test_handler_without_call_frame_information(self):
        chosen = sorted(programs.CAUSES.glob("O*-pie/handler-without-cfi"))
        for program in chosen:
            self.assertTrue(crash.run([programs.for_every_user(program)]).dumped, program)
        for record in store.records(self.server.store, len(chosen)):
            (frames,) = frames_of_report(report.of(self.server.store, record)).values()
            self.assertEqual([frame.name for frame in frames][:6], ["on_trap", SIGNAL_FRAME, "work", "handle", "serve", "main"])

    def test_recursions(self):
        names = ("stack-overflow", "stack-overflow-mutual")
        commands = [["sh", "-c", 'ulimit -s 200 && exec "$0"', programs.for_every_user(program)]
                    for name in names for program in programs.CAUSES.glob(f"O?-*/{name}")]  # fmt: skip
        for command in commands:
            self.assertTrue(crash.run(command).dumped, command)
        store.records(self.server.store, len(commands))
        self.compare(at_least=1000)

    def check_rust(self, mangling):
        if not (programs.CAUSES / mangling).exists():
            self.skipTest("there was no rustc to build with")
        for name in ("rust-panic", "rust-index", "rust-message"):
            self.assertTrue(crash.run([programs.for_every_user(programs.CAUSES / mangling / name)]).dumped)
        store.records(self.server.store, 3)
        self.compare()

    def test_rust_legacy_names(self):
        self.check_rust("rust-legacy")

    def test_rust_v0_names(self):
        self.check_rust("rust-v0")

    def test_a_hundred_threads(self):
        self.crash(programs.CRASHER, "threads", 100)
        self.compare(at_least=400)

    def check_program(self, *argv, number=signal.SIGSEGV, at_least=5):
        if not shutil.which(argv[0]):
            self.skipTest(f"{argv[0]} is not installed")
        self.assertEqual(self.crash(*argv).signal, number)
        self.compare(at_least)

    def test_python(self):
        for python in {"/usr/bin/python3", shutil.which("python3")}:
            with self.subTest(python):
                self.check_program(python, "-c", "import ctypes, json; json.loads('[1]', object_hook=0, parse_int=lambda _: ctypes.string_at(0))")

    def test_node(self):
        self.check_program("node", "-e", "process.abort()", number=signal.SIGABRT)

    def test_bash(self):
        self.check_program("bash", "-c", "f() { kill -SEGV $$; }; f")

    def test_gdb(self):
        """While it waits for its shell, not on its way out of vfork(2), which has the stack of the shell as well."""
        command = "shell until grep -q 'State:.S' /proc/$PPID/status; do :; done; kill -XCPU $PPID"
        self.check_program("gdb", "-nx", "-batch", "-ex", command, number=signal.SIGXCPU)

    def test_java(self):
        if not shutil.which("java"):
            self.skipTest("java is not installed")
        self.assertTrue(crash.java_ready().kill().reap().dumped)
        self.compare(at_least=50)

    def test_programs_that_wait_for_input(self):
        chosen = {command.split()[0]: command.split() for command in WAITING if shutil.which(command.split()[0])}
        waiting = {}
        for name, argv in chosen.items():
            process = crash.Running(argv, stdin=subprocess.PIPE, cwd=self.directory)
            self.stack.callback(process.end)
            wait.until(lambda: self.waits(process.pid) or self.has_ended(process.pid), f"{name} to wait")
            if not self.has_ended(process.pid) and self.deadly(process.pid):
                waiting[name] = process
        self.assertGreaterEqual(len(waiting), WAITING_MIN, sorted(waiting))
        for process in waiting.values():
            self.assertTrue(process.kill(self.deadly(process.pid)).reap().dumped)
        frames = same = 0
        text = []
        for record in store.records(self.server.store, len(waiting)):
            comparison = self.compare_one(record)
            frames, same = frames + comparison.frames, same + comparison.same
            text.append(f"{record['process']['comm']}: {comparison}")
        print("\n".join(text), f"{same} of {frames} frames of {len(waiting)} programs", sep="\n")
        self.assertGreaterEqual(same, frames * WAITING_AGREEMENT, "\n".join(text))

    @staticmethod
    def waits(pid):
        """It is in a system call of WAITS, and was a moment ago."""
        try:
            calls = {pathlib.Path(f"/proc/{pid}/syscall").read_text() for _ in range(3)}
        except (FileNotFoundError, ProcessLookupError):
            return False
        return len(calls) == 1 and calls.pop().split()[0] in WAITS

    @staticmethod
    def deadly(pid):
        """A signal of which it dumps core: some programs catch one or the other, or, as clang does, all. None: there is none."""
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        masks = [int(mask, 16) for mask in re.findall(r"^Sig(?:Cgt|Ign|Blk):\s+(\w+)$", status, re.M)]
        deadly = (signal.SIGSEGV, signal.SIGXCPU, signal.SIGSYS, signal.SIGTRAP, signal.SIGFPE)
        return next((number for number in deadly if not any(mask >> (number - 1) & 1 for mask in masks)), None)

    @staticmethod
    def has_ended(pid):
        return crash.state(pid) in ("Z", "gone")

    def test_postgres(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            self.skipTest("PostgreSQL is not installed")
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test."))
        os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        made = crash.run([found[-1], "--no-sync", "--auth=trust", "--pgdata", f"{folder}/data"], user=UNPRIVILEGED, cwd=folder)
        self.assertEqual(made.status, 0, made.output)
        postgres = found[-1].with_name("postgres")
        backend = crash.Running([postgres, "--single", "-D", f"{folder}/data", "postgres"], user=UNPRIVILEGED, cwd=folder,
                                stdin=subprocess.PIPE)  # fmt: skip
        wait.until(lambda: "backend>" in backend.output(), lambda: f"a prompt of PostgreSQL: {backend.output()}")
        self.assertTrue(backend.kill().reap().dumped)
        self.compare(at_least=6)


if __name__ == "__main__":
    case.main()
