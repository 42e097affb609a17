"""Deaths of many runtimes, and what is right to say of each: a table that is tried, and that docs/diagnosis.md shows."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Program:
    """How a program of this folder is built."""

    source: str
    command: tuple  # without source and output
    libraries: tuple = ()
    packages: tuple = ()  # of pkg-config

    def build(self, folder, name):
        """Its path; None where the compiler or a library is missing."""
        if not shutil.which(self.command[0]):
            return None
        more = []
        for package in self.packages:
            found = subprocess.run(["pkg-config", "--cflags", "--libs", package], capture_output=True, text=True)
            if found.returncode != 0:
                return None
            more += found.stdout.split()
        path = folder / name
        made = subprocess.run([*self.command, "-o", path, HERE / self.source, *self.libraries, *more],
                              capture_output=True, text=True, env=os.environ | {"GOCACHE": str(folder / "go-cache"), "GOFLAGS": "-mod=mod"})  # fmt: skip
        if made.returncode != 0:
            raise AssertionError(f"{self.source} cannot be built as {name}:\n{made.stderr}")
        return path


C = ("gcc", "-std=gnu11", "-O2", "-g", "-w", "-pthread")
CXX = ("g++", "-std=c++20", "-O2", "-g", "-w", "-pthread")
CLANG = ("clang++-19", "-std=c++20", "-O1", "-g", "-w", "-pthread")
UNOPTIMISED, STRIPPED, STATIC = ("-O0", "-fno-omit-frame-pointer"), ("-s",), ("-static", "-s")
PROGRAMS = {
    "faults": Program("faults.c", C),
    "faults-O0": Program("faults.c", C + UNOPTIMISED),
    "faults-static": Program("faults.c", C + STATIC),
    "arithmetic": Program("arithmetic.c", C, ("-lm",)),
    "arithmetic-O0": Program("arithmetic.c", C + UNOPTIMISED, ("-lm",)),
    "stacks": Program("stacks.c", C + ("-fno-optimize-sibling-calls",)),
    "stacks-stripped": Program("stacks.c", C + STRIPPED + ("-fno-optimize-sibling-calls", "-fno-asynchronous-unwind-tables")),
    "stacks-static": Program("stacks.c", C + STATIC + ("-fno-optimize-sibling-calls",)),
    "signals": Program("signals.c", C + ("-fno-optimize-sibling-calls",)),
    "signals-static": Program("signals.c", C + STATIC + ("-fno-optimize-sibling-calls",)),
    "aborts": Program("aborts.c", C + ("-D_FORTIFY_SOURCE=2", "-fstack-protector-all")),
    "aborts-musl": Program("aborts.c", ("musl-gcc", "-O2", "-g", "-w", "-static", "-include", str(HERE / "musl.h"))),
    "aborts-jemalloc": Program("aborts.c", C, ("-ljemalloc",)),
    "aborts-tcmalloc": Program("aborts.c", C, ("-ltcmalloc",)),
    "exceptions": Program("exceptions.cc", CXX + ("-fno-devirtualize",)),
    "exceptions-static": Program("exceptions.cc", CXX + ("-static",)),
    "exceptions-libcxx": Program("exceptions.cc", CLANG + ("-stdlib=libc++",)),
    "checks": Program("checks.cc", CXX + ("-D_GLIBCXX_ASSERTIONS",)),
    "checks-libcxx": Program("checks.cc", CLANG + ("-stdlib=libc++", "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_DEBUG")),
    "checks-asan": Program("checks.cc", CXX + ("-O1", "-fsanitize=address")),
    "checks-ubsan": Program("checks.cc", CXX + ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")),
    "checks-trap": Program("checks.cc", CLANG + ("-fsanitize=undefined", "-fsanitize-trap=all")),
    "glib": Program("glib.c", C, (), ("glib-2.0",)),
    "glog": Program("glog.cc", CXX, (), ("libglog",)),
    "qt": Program("qt.cc", CXX + ("-fPIC",), (), ("Qt5Core",)),
    "rust": Program("rust.rs", ("rustc", "-O", "-g")),
    "rust-abort": Program("rust.rs", ("rustc", "-O", "-g", "-C", "panic=abort")),
    "rust-stripped": Program("rust.rs", ("rustc", "-O", "-C", "strip=symbols")),
    "go": Program("deaths.go", ("go", "build")),
    "fortran": Program("null.f90", ("gfortran", "-O0", "-g", "-w")),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Death:
    runtime: str
    command: tuple  # a program of PROGRAMS and its way, or the words of a command
    right: str  # a pattern of "KIND: SENTENCE" as a whole
    environment: tuple = ()
    how: str = ""  # "quit": somebody types Ctrl-\; "segv", "abrt": is sent that signal once it waits

    @property
    def name(self):
        return " ".join(self.command)


def of(runtime, program, deaths, environment=()):
    return [Death(runtime, (program, way), right, environment) for way, right in deaths.items()]


# The runtimes that are there where tools/install-deps was run.
INSTALLED = {"C", "C, not optimised", "C, static", "C, stripped", "C++", "C++, static", "C++, checked", "AddressSanitizer",
             "UndefinedBehaviorSanitizer", "traps of clang", "Rust", "Rust, panic=abort", "Rust, stripped", "Python", "node",
             "Perl", "bash"}  # fmt: skip
FAULTS = {
    "null-read": "null-read: null pointer read: r.. is null",
    "null-write": "null-write: null pointer write: r.. is null",
    "null-member": "null-read: null pointer read at 0x18: r.. is null",
    "null-array": "(null-read: null pointer read|unmapped-read: read of unmapped memory) at 0x17d78400.*",
    "null-call": "null-call: null pointer called",
    "null-member-call": "null-read: null pointer read at 0x20: r.. is null",
    "null-string": "null-read: null pointer read: r.. is null",
    "null-copy": "null-write: null pointer write: r.. is null",
    "null-rep": "null-write: null pointer write: rdi is null",
    "unmapped-read": "unmapped-read: read of unmapped memory at 0x[0-9a-f]+123",
    "unmapped-write": "unmapped-write: write to unmapped memory at 0x[0-9a-f]+123",
    "past-the-end": "unmapped-write: write to unmapped memory at 0x[0-9a-f]+000",
    "unmapped-call": "execute-non-executable: call of unmapped memory at 0x[0-9a-f]+123",
    "wild-read": "wild-pointer: read through a wild pointer in r..: 0x4141414141414141",
    "wild-write": "wild-pointer: write through a wild pointer in r..: 0xdeadbeefdeadbeef",
    "wild-call": "wild-pointer: call through a wild pointer.*: 0x4242424242424242",
    "wild-return": "wild-pointer: return to a wild address: 0x4343434343434343.*",
    "wild-stack-pointer": "wild-pointer: .*(rsp|stack pointer).*0x4444444444444440.*",
    "unmapped-stack-pointer": ".*(stack pointer|rsp|unmapped memory at 0xffff8).*",
    "no-access-read": "read-protected: read of protected memory at 0x[0-9a-f]+005",
    "no-access-write": "read-protected: write to protected memory at 0x[0-9a-f]+005",
    "write-constant": r"write-read-only: write to read-only memory at 0x[0-9a-f]+ \(.*faults.*\)",
    "write-code": r"write-read-only: write to read-only memory at 0x[0-9a-f]+ \(.*faults.*\)",
    "write-literal": r"write-read-only: write to read-only memory at 0x[0-9a-f]+ \(.*faults.*\)",
    "write-read-only-file": r"write-read-only: write to read-only memory at 0x[0-9a-f]+007 \(.*faults.*\)",
    "call-stack": r"execute-non-executable: execution of non-executable memory at 0x[0-9a-f]+ \(\[stack\]\)",
    "call-heap": r"execute-non-executable: execution of non-executable memory at 0x[0-9a-f]+ \(\[heap\]\)",
    "call-data": r"execute-non-executable: execution of non-executable memory at 0x[0-9a-f]+ \(.*faults.*\)",
    "misaligned-load": "misaligned: misaligned read at 0x[0-9a-f]+1, not a multiple of 16: movaps.*",
    "misaligned-store": "misaligned: misaligned write at 0x[0-9a-f]+8, not a multiple of 16: movdqa.*",
    "misaligned-stack": "misaligned: misaligned write at 0x[0-9a-f]+8, not a multiple of 16: movaps.*",
    "protection-key-write": "protection-key: write to memory that a protection key forbids at .*",
    "protection-key-read": "protection-key: read of memory that a protection key forbids at .*",
    "breakpoint": "trap: breakpoint.*",
    "built-in-trap": r"trap: deliberate trap \(ud2\).*",
    "ud1": "(trap|sanitizer-trap): .*(trap|ud1).*",
    "halt": "privileged-instruction: privileged instruction: hlt.*",
    "interrupts-off": "privileged-instruction: privileged instruction: cli.*",
    "port": "privileged-instruction: privileged instruction: in.*",
    "overflow-interrupt": r"trap: deliberate trap \(int \$4\)",
    "descriptor-table": "privileged-instruction: privileged instruction: lgdt.*",
    "model-register": "privileged-instruction: privileged instruction: rdmsr.*",
    "bad-opcode": "illegal-instruction: illegal instruction: .*06.*",
    "bad-lock": "illegal-instruction: illegal instruction.*",
    "single-step": "trap: .*",
}
# These files have no name any more: nobody knows how long they were.
ENDS = "bus-error: bus error at .*: the file ends before its mapping does, or its file system is full"
ARITHMETIC = {
    **dict.fromkeys(("by-zero", "by-zero-in-memory", "unsigned-by-zero", "long-by-zero"), "divide-by-zero: integer division by zero"),
    **dict.fromkeys(("least-by-minus-one", "least-by-minus-one-in-memory", "long-least-by-minus-one"),
                    "division-overflow: integer overflow in a division.*-1.*"),
    **dict.fromkeys(("quotient-too-big", "quotient-too-big-in-memory", "byte-quotient-too-big"),
                    "division-overflow: integer overflow in a division.*"),
    "float-by-zero": "arithmetic: floating-point division by zero",
    "float-overflow": "arithmetic: floating-point overflow",
    "float-underflow": "arithmetic: floating-point underflow",
    "float-invalid": "arithmetic: invalid floating-point operation",
    "x87-by-zero": "arithmetic: floating-point division by zero",
    **dict.fromkeys(("file-cut", "file-empty", "memory-file-cut"), ENDS), "file-system-full": ENDS,
    "named-file-cut": "truncated-file: mapped file is shorter than its mapping: .*/cut",
    "named-file-system-full": "no-file-space: no space left.*/full",
    "no-huge-page": "no-huge-page: no huge page.*",
    "alignment-check": "(misaligned|bus-error): .*0x[0-9a-f]+.*",
    "hardware": "hardware-memory: the hardware lost memory at 0x7f1234567000.*",
}  # fmt: skip
STACKS = {
    "plain": r"stack-overflow: stack overflow: [\d,]+ calls deep in recurse",
    "mutual": r"stack-overflow: stack overflow: .*(odd|even).*",
    "irregular": "stack-overflow: stack overflow: .*(left|right).*",
    "large-frames": r"stack-overflow: stack overflow: \d+ calls deep in large_frame",
    "huge-local": "stack-overflow: stack overflow in huge_local.*",
    "huge-alloca": "stack-overflow: stack overflow in huge_alloca.*",
    "alloca-calls": r"stack-overflow: stack overflow: [\d,]+ calls deep in use_alloca",
    "variable-array": "stack-overflow: stack overflow in variable_array.*",
    "thread": r"stack-overflow: stack overflow: [\d,]+ calls deep in recurse",
    "tiny-thread": r"stack-overflow: stack overflow: [\d,]+ calls deep in recurse",
    "thread-local-array": "stack-overflow: stack overflow in huge_local.*",
    "handler-without-stack": r"stack-overflow: stack overflow: [\d,]+ calls deep in recurse",
    "handler-aborts": r"stack-overflow: stack overflow: [\d,]+ calls deep in recurse",
    "handler-raises": r"stack-overflow: stack overflow: [\d,]+ calls deep in recurse",
    "in-handler": "(stack-overflow: stack overflow: .*recurse|null-write: null pointer write.*)",
    "through-library": "stack-overflow: stack overflow: .*compare.*",
    "guard-of-another": "(read-protected|unmapped-write): write to .* memory at .*",
    "below-the-stack": "unmapped-write: write to unmapped memory at .*",
}
NAMELESS = {way: "stack-overflow: stack overflow.*" for way in STACKS if way not in ("in-handler", "guard-of-another", "below-the-stack")}
CAUGHT = "null-write: null pointer write at 0x18.*"
SIGNALS = {
    "aborts": "abort: abort called in aborts",
    "raises": "(abort: abort called in raises|killed: killed itself with SIGABRT.*)",
    "kills-itself": "killed: killed itself with SIGABRT.*",
    "kills-itself-segv": "killed: killed itself with SIGSEGV.*",
    "raises-fpe": "killed: killed itself with SIGFPE.*",
    "raises-trap": "killed: killed itself with SIGTRAP.*",
    "queues": "killed: killed (itself with|by) SIGABRT.*",
    "by-thread": "killed: (probably: )?killed by SIGABRT from another thread.*",
    "aborts-in-thread": "abort: abort called in abort_in_thread",
    "by-child": r"killed: killed by SIGABRT from process \d+ .*",
    "by-timer": "killed: killed by SIGABRT from a timer.*",
    "by-timer-segv": "killed: killed by SIGSEGV from a timer.*",
    "watchdog": "killed: killed by SIGABRT from a timer.*",
    "cpu-limit": "cpu-limit: CPU time limit exceeded",
    "file-size-limit": "file-size-limit: file size limit exceeded",
    "forbidden-call": r"bad-system-call: forbidden system call getppid \(110\)",
    "trapped-call": r"bad-system-call: forbidden system call sysinfo \(99\)",
    "handler-aborts": CAUGHT,
    "handler-aborts-on-its-stack": CAUGHT,
    "handler-raises": CAUGHT,
    "handler-raises-on-its-stack": CAUGHT,
    "handler-kills": CAUGHT,
    "handler-returns": CAUGHT,
    "handler-of-division": "divide-by-zero: integer division by zero.*",
    "handler-of-illegal": "trap: deliberate trap.*",
    "handler-of-bus": ENDS,
    "handlers-in-a-row": CAUGHT,
    "after-a-jump": "abort: abort called in after_a_jump",
    "handler-of-an-abort": "abort: abort called in handler_of_an_abort",
    "handler-in-thread": CAUGHT,
    "handler-forwards": CAUGHT,
    "alarm-aborts": "abort: abort called in give_up",
    "plain-alarm-asserts": "assert: assertion failed: .*the deadline has passed.*",
    "abort-in-alarm-caught": "abort: abort called in give_up",
    "child-aborts": "abort: abort called in give_up",
    "alarm-dies": "abort: abort called in die",
    "handler-of-its-own-signal": "abort: abort called in give_up",
    "handler-of-its-own-kill": "abort: abort called in die",
}
ABORTS = {
    "plain": "abort: abort called in plain",
    "assertion": 'assert: assertion failed: one == 2 && "two is expected"',
    "assertion-of-call": "(assert|abort): .*No such file or directory.*",
    "freed-twice": r"heap-corruption: heap corruption: (double free or corruption|free\(\): double free detected).*",
    "freed-twice-small": r"heap-corruption: heap corruption: free\(\): double free detected in tcache 2",
    "freed-inside": r"heap-corruption: heap corruption: free\(\): invalid (pointer|size)",
    "freed-stack": r"heap-corruption: heap corruption: (free\(\): invalid (pointer|size)|munmap_chunk\(\): invalid pointer)",
    "reallocated-wild": r"heap-corruption: heap corruption: realloc\(\): invalid .*",
    "heap-overrun": r"heap-corruption: heap corruption: .*",
    "top-overrun": r"heap-corruption: heap corruption: malloc\(\): corrupted top size",
    "stack-smashed": "stack-smashing: stack smashing detected in stack_smashed",
    "copied-too-much": "fortify: buffer overflow detected in copied_too_much",
    "text-too-long": "fortify: buffer overflow detected in text_too_long",
    "printed-too-much": "fortify: buffer overflow detected in printed_too_much",
    "percent-n": "fortify: %n in writable segment(s)? detected in percent_n",
    "through-own-helper": "abort: abort called in (own_die|through_own_helper).*",
}
THROWN = {
    "runtime-error": "std::runtime_error: disk on fire",
    "logic-error": "std::logic_error: two is one",
    "out-of-range": "std::out_of_range: .*(10|vector).*",
    "number": "int: 42",
    "literal": "char const\\*: just text",
    "string": "std::.*string.*: a string that is long enough to be allocated",
    "short-string": "std::.*string.*: short",
    "own": ".*Own: of its own",
    "with-text": ".*WithText(:|, which holds:) kept by itself, in a string of its own",
    "plain": ".*Plain",
    "both": ".*Both: of two bases",
    "virtual-base": ".*Virtual: virtual base",
    "virtual-text": ".*VirtualText: text of a virtual base",
    "system-error": "std::.*system_error: open the door: No such file or directory",
    "no-such-file": "std::.*filesystem_error(: .*No such file or directory.*)?",
    "bad-function": "std::.*bad_function_call",
    "bad-optional": "std::bad_optional_access",
    "bad-variant": "std::bad_variant_access",
    "bad-any": "std::bad_any_cast",
    "bad-number": "std::invalid_argument: stoi.*",
    "nested": "(std::.*[Nn]ested.*|std::runtime_error): outer",
    "rethrown": "std::runtime_error: thrown again",
    "by-future": "std::runtime_error: in the other thread",
    "by-promise": "std::out_of_range: promised",
    "in-thread": "std::runtime_error: in a thread",
    "through-noexcept": "std::runtime_error: through noexcept \\(an exception left a noexcept function\\)",
    "in-destructor": "std::runtime_error: in a destructor \\(an exception left a noexcept function\\)",
    "two-at-once": "std::runtime_error: the (first|second) one",
}
EXCEPTIONS = {
    **{way: f"uncaught-exception: (probably: )?uncaught exception {right}" for way, right in THROWN.items()},
    "no-memory": "out-of-memory: out of memory: uncaught std::bad_alloc.*",
    "terminates": "(terminate|abort): std::terminate called.*",
    "nothing-to-throw": "(terminate|abort): std::terminate called.*",
    "joinable": "(terminate|abort): std::terminate called.*joinable.*",
    "pure-virtual": "pure-virtual-call: pure virtual method called",
    "caught-before": r"abort: abort called in (\(anonymous namespace\)::)?caught_before",
}
GLIBCXX = {
    "vector-index": "assert: assertion failed: __n < this->size\\(\\)",
    "empty-back": "assert: assertion failed: !this->empty\\(\\)",
    "empty-optional": "assert: assertion failed: this->_M_is_engaged\\(\\)",
    "string-index": "assert: assertion failed: __pos <= size\\(\\)",
    "null-unique": "assert: assertion failed: get\\(\\) != pointer\\(\\)",
}
LIBCXX = {way: "(assert: assertion failed: .*|runtime-fatal: libc\\+\\+.*|trap: .*)" for way in GLIBCXX if way != "null-unique"}
ASAN = {
    "heap-overflow": "sanitizer-report: AddressSanitizer: heap-buffer-overflow.*",
    "use-after-free": "sanitizer-report: AddressSanitizer: heap-use-after-free.*",
    "stack-overflow": "sanitizer-report: AddressSanitizer: stack-buffer-overflow.*",
    "freed-twice": "sanitizer-report: AddressSanitizer: .*double-free.*",
}
UBSAN = dict.fromkeys(("signed-overflow", "shifted-too-far", "array-index", "null-reference", "by-zero", "misaligned", "unreachable"),
                      "(sanitizer-report|abort): .*(anitizer|runtime error).*")  # fmt: skip
TRAPS = dict.fromkeys(("signed-overflow", "shifted-too-far", "array-index", "null-reference", "by-zero", "misaligned", "unreachable",
                       "bad-bool"), "sanitizer-trap: a check of the sanitizer failed.*")  # fmt: skip
GLIB = {
    "error": "runtime-fatal: GLib.*: the key colour is not set",
    "assertion": "(assert|runtime-fatal): .*zero == 1.*",
    "assertion-of-numbers": "(assert|runtime-fatal): .*zero == 7.*",
    "not-reached": "(assert|runtime-fatal): .*should not be reached.*",
    "fatal-critical": "(assert|runtime-fatal): .*zero == 1.*",
    "fatal-warning": "runtime-fatal: GLib.*no such colour: 7",
    "no-memory": "(out-of-memory|runtime-fatal): .*failed to allocate.*",
}
GLOG = {
    "check": "assert: assertion failed: .*== 2 numbers are broken",
    "check-equal": r"assert: assertion failed: .* == 2 \(1 vs. 2\) unequal",
    "fatal": "runtime-fatal: .*no way to go on, code 7",
    "not-null": "(assert|runtime-fatal): .*(Must be non NULL|non-null).*",
}
QT = {
    "fatal": "runtime-fatal: Qt.*no display named 7",
    "assertion": "(assert|runtime-fatal): .*HIDE\\(1\\) == 2.*|.*ASSERT.*",
    "assertion-with-words": "(assert|runtime-fatal): .*one is not two.*",
}
RUST = {
    "index": "rust-panic: panic: index out of bounds: the len is 3 but the index is 10",
    "slice": "rust-panic: panic: .*byte index 3 is not a char boundary.*",
    "unwrap-none": "rust-panic: panic: called `Option::unwrap\\(\\)` on a `None` value",
    "expect-error": 'rust-panic: panic: the key: "no such key"',
    "panics": "rust-panic: panic: it broke: code 7",
    "asserts": "rust-panic: panic: assertion `left == right` failed.*",
    "by-zero": "rust-panic: panic: attempt to divide by zero",
    "borrowed-twice": "rust-panic: panic: .*already (mutably )?borrowed.*",
}
RUST_ENDS = {
    "nested": "rust-panic: panic.*",
    "aborts": "abort: abort called in .*aborts.*",
    "null": "(null-write: null pointer write: r.. is null|rust-panic: .*null pointer.*)",
    "overflow": "stack-overflow: stack overflow.*recurse.*",
    "overflow-in-thread": "stack-overflow: stack overflow.*recurse.*",
    "no-memory": "(out-of-memory: out of memory|rust-panic: panic: .*(capacity|memory)).*",
    "through-c": "rust-panic: panic.*",
}
GO = {
    "nil": ".*(nil|null) (pointer )?(dereference|read at 0x18).*",
    "index": "go-panic: Go panic: .*index out of range \\[10\\] with length 3",
    "slice": "go-panic: Go panic: .*slice bounds out of range.*",
    "by-zero": "(go-panic: Go panic: .*integer divide by zero|divide-by-zero: .*)",
    "nil-map": "go-panic: Go panic: .*assignment to entry in nil map",
    "nil-function": ".*(nil|null) pointer.*",
    "panics": "go-panic: Go panic: the disk is on fire",
    "error": "go-panic: Go panic.*",
    "own-error": "go-panic: Go panic.*",
    "formatted": "go-panic: Go panic: code 7",
    "conversion": "go-panic: Go panic: .*",
    "closed": "go-panic: Go panic: close of closed channel",
    "deadlock": "go-panic: Go .*: all goroutines are asleep - deadlock!",
    "unlocked": "go-panic: Go .*: sync: unlock of unlocked mutex",
    "overflow": "(go-panic: Go .*: stack overflow|stack-overflow: .*)",
    "wild": "(unmapped-read: read of unmapped memory at 0x123456789000.*|go-panic: .*)",
    "again": "go-panic: Go panic.*",
    "in-goroutine": "go-panic: Go panic: in another goroutine",
    "quit": "killed: killed itself with SIGABRT from a signal handler.*",
    "abort": "killed: killed itself with SIGABRT.*",
    "no-memory": "(go-panic: Go .*|out-of-memory: .*)",
}
PYTHON = {
    "import ctypes; ctypes.string_at(0)": "null-read: null pointer read.*",
    "import faulthandler, ctypes; faulthandler.enable(); ctypes.string_at(8)": "null-read: null pointer read at 0x8.*",
    "import os; os.abort()": "abort: abort called.*",
    "import ctypes; ctypes.pythonapi.Py_FatalError(b'no way to go on')": "runtime-fatal: .*no way to go on",
    "import os; os.kill(os.getpid(), 11)": "killed: killed itself with SIGSEGV.*",
    "import faulthandler, os; faulthandler.enable(); os.abort()": "abort: abort called.*",
    "import faulthandler, os; faulthandler.enable(); os.kill(os.getpid(), 8)": "killed: killed itself with SIGFPE.*",
    "import sys; sys.setrecursionlimit(10**7); A = type('A', (), {'__repr__': lambda a: repr(a)}); repr(A())": "stack-overflow: stack overflow.*",
}
DEATHS = [
    *of("C", "faults", FAULTS),
    *of("C, not optimised", "faults-O0", {way: FAULTS[way] for way in list(FAULTS)[:12]}),
    *of("C, static", "faults-static", {way: FAULTS[way] for way in ("null-write", "wild-call", "misaligned-load", "built-in-trap")}),
    *of("C", "arithmetic", ARITHMETIC),
    *of("C, not optimised", "arithmetic-O0", {way: ARITHMETIC[way] for way in ("by-zero", "long-by-zero", "least-by-minus-one")}),
    *of("C", "stacks", STACKS),
    *of("C, stripped", "stacks-stripped", NAMELESS),
    *of("C, static", "stacks-static", {way: NAMELESS[way] for way in ("plain", "huge-local", "thread", "handler-aborts")}),
    *of("C", "signals", SIGNALS),
    *of("C, static", "signals-static", {"handler-raises": CAUGHT, "handler-aborts": CAUGHT, "by-timer": SIGNALS["by-timer"]}),
    *of("C", "aborts", ABORTS),
    *of("musl", "aborts-musl", {"plain": "abort: abort called in plain", "assertion": ABORTS["assertion"],
                                "through-own-helper": ABORTS["through-own-helper"]}),
    *of("jemalloc", "aborts-jemalloc", {"plain": "abort: abort called in plain"}),
    *of("tcmalloc", "aborts-tcmalloc", {"freed-stack": "(abort|heap-corruption|runtime-fatal): .*"}),
    *of("C++", "exceptions", EXCEPTIONS),
    *of("C++, static", "exceptions-static", {way: EXCEPTIONS[way] for way in ("runtime-error", "own", "number", "in-thread")}),
    *of("C++, libc++", "exceptions-libcxx", {way: right.replace("std::", "std::(__1::)?") for way, right in EXCEPTIONS.items()
                                             if way not in ("pure-virtual", "joinable", "bad-number", "no-such-file")}),
    *of("C++, checked", "checks", GLIBCXX),
    *of("C++, libc++", "checks-libcxx", LIBCXX),
    *of("AddressSanitizer", "checks-asan", ASAN, (("ASAN_OPTIONS", "abort_on_error=1:disable_coredump=0"),)),
    *of("UndefinedBehaviorSanitizer", "checks-ubsan", UBSAN, (("UBSAN_OPTIONS", "abort_on_error=1"),)),
    *of("traps of clang", "checks-trap", TRAPS),
    *of("GLib", "glib", GLIB),
    *of("glog", "glog", GLOG),
    *of("Qt", "qt", QT),
    *of("Rust, panic=abort", "rust-abort", RUST),
    *of("Rust", "rust", RUST_ENDS),
    *of("Rust, stripped", "rust-stripped", {"overflow": "stack-overflow: stack overflow.*"}),
    *of("Go", "go", GO, (("GOTRACEBACK", "crash"),)),
    *[Death("Python", ("python3", "-c", code), right) for code, right in PYTHON.items()],
    Death("node", ("node", "-e", "process.abort()"), "abort: abort called.*"),
    Death("node", ("node", "--max-old-space-size=20", "-e", "let a = []; for (;;) a.push(new Array(1000).fill(1))"),
          "(out-of-memory|runtime-fatal): .*heap.*"),
    Death("node", ("node", "--abort-on-uncaught-exception", "-e", "throw new Error('no such key')"),
          "(runtime-fatal|abort|trap|uncaught-exception): .*"),
    Death("Java", ("java", "-XX:+CrashOnOutOfMemoryError", "-Xmx16m", "-XX:ErrorFile=/dev/null", "OutOfMemory.java"),
          "(out-of-memory|runtime-fatal): .*(OutOfMemory|memory).*"),
    Death("Java", ("java", "-XX:ErrorFile=/dev/null", "Crash.java"), "null-write: null pointer write.*"),
    Death("Ruby", ("ruby", "-e", "require 'fiddle'; Fiddle::Pointer.new(8)[0, 4]"), "null-read: null pointer read at 0x8.*"),
    Death("Ruby", ("ruby", "-e", "Process.kill(:ABRT, $$); sleep"), "killed: killed itself with SIGABRT.*"),
    Death("PHP", ("php", "-n", "-r", "function f($n) { return f($n + 1) + 1; } class A { function __toString() { return '' . new A; } } echo new A;"),
          "stack-overflow: stack overflow.*"),
    Death("Perl", ("perl", "-e", 'unpack "p", pack "Q", 8'), "null-read: null pointer read at 0x8.*"),
    Death("Perl", ("perl", "-e", "kill ABRT => $$; sleep"), "killed: killed itself with SIGABRT.*"),
    Death("OCaml", ("ocaml", "segv.ml"), "(unmapped-read|null-read|wild-pointer|null-write|unmapped-write): .*"),
    Death("Erlang", ("erl", "-noshell", "-eval", "erlang:halt(abort)."), "(abort: abort called|runtime-fatal: ).*"),
    Death("Fortran", ("fortran", "null"), "null-(read|write): null pointer.*"),
    Death("bash", ("bash", "-c", "kill -SEGV $$"), "killed: killed itself with SIGSEGV.*"),
    Death("redis", ("redis", "DEBUG SEGFAULT"), "(write-read-only|null-write|unmapped-write|read-protected): .*"),
    Death("redis", ("redis", "DEBUG PANIC"), "runtime-fatal: .*(anic|DEBUG).*"),
    Death("redis", ("redis", "DEBUG ASSERT"), "(assert|runtime-fatal): .*1 == 2.*"),
]  # fmt: skip
