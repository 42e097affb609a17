"""What the analysis says of each cause of death: kind, sentence, message, the line that died, the stacks.

The programs are those of tests/crashers/causes, each in the variants in which it is built."""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from harness import case, crash, programs, report, store, wait

CALLERS = ["handle", "serve", "main"]
NOBODY = 65534
# Where the stacks of threads begin: of the first one, and of the others.
BEGINNINGS = {"_start", "clone3", "__clone3", "clone", "__clone", "__GI___clone3"}


def variants_of(name, pattern="O?-*"):
    found = sorted(programs.CAUSES.glob(f"{pattern}/{name}"))
    if not found:
        raise AssertionError(f"no variant of {name} is built")
    return found


def source_of(program):
    (source,) = (path for path in programs.CAUSES_SOURCE.glob(f"{program.name}.*"))
    return source


def line_of(source, mark="dies here"):
    """The number of the line that a comment marks."""
    (line,) = (number for number, text in enumerate(source.read_text().splitlines(), 1) if f"// {mark}" in text)
    return line


@dataclasses.dataclass
class Died:
    """A program that died, and what obit made of it."""

    program: pathlib.Path
    death: crash.Death
    record: dict
    report: dict

    def __str__(self):
        return f"{self.program.parent.name}/{self.program.name}"

    @property
    def stack(self):
        return self.report["stacks"][0]

    @property
    def names(self):
        return report.names(self.stack)

    def frame(self, name):
        """The innermost frame of a function."""
        return self.stack["frames"][self.names.index(name)]


class CauseCase(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.configure("analysis.slots = 2\n")  # all variants of a program die at the same time
        self.server.start()
        self.lend_kernel("socket-request")
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test."))
        os.chmod(self.folder, 0o755)
        self.crashed = 0

    def analyzed(self, *running, number=signal.SIGSEGV):
        """What became of programs, pairs of path and Running, that die now: in their order."""
        deaths = [(pathlib.Path(program), process.reap()) for program, process in running]
        for program, death in deaths:
            self.assertEqual((death.signal, death.dumped), (number, True), f"{program}: {death.status:#x} {death.output}")
        self.crashed += len(deaths)
        records = {record["process"]["pid"]: record for record in store.records(self.server.store, self.crashed)}
        died = []
        for program, death in deaths:
            record = records[death.pid]
            died.append(Died(program, death, record, report.of(self.server.store, record)))
        return died

    def die(self, name, *arguments, pattern="O?-*", number=signal.SIGSEGV, **options):
        """All variants of a program die at the same time; what became of them."""
        running = [(program, crash.Running([program, *arguments], **options)) for program in variants_of(name, pattern)]
        return self.analyzed(*running, number=number)

    def copy(self, program):
        """A copy of a program, to be changed or removed."""
        copied = pathlib.Path(self.folder) / f"{program.parent.name}.{program.name}"
        return pathlib.Path(shutil.copy(program, copied))

    def check_cause(self, died, kind, sentence, message=None):
        """`sentence` is text with {address}, {register}, ... for what differs from run to run; `message` is a pattern."""
        said = died.report
        self.assertNotIn("failure", said)
        self.assertEqual(said["id"], died.record["id"])
        cause = said["cause"]
        self.assertEqual(cause["kind"], kind, cause)
        if callable(sentence):
            sentence = sentence(died)
        self.assertEqual(cause["sentence"], sentence)
        if message is not None:
            self.assertRegex(cause.get("message", ""), message)

    def check_stack(self, died, *functions, source=None, line=None, stack=None):
        """The innermost frame of the program's own must be that of functions[0], on the marked line; it was called through
        the others; nothing is missing up to the beginning of the thread."""
        source = source or source_of(died.program)
        stack = stack or died.stack
        self.assertEqual(stack["frames"][0]["found"], "registers")
        own = [i for i, frame in enumerate(stack["frames"]) if is_of(frame, source)]
        self.assertTrue(own, f"no frame is of {source.name}: {report.names(stack)}")
        names = report.names(stack)
        self.assertEqual(names[own[0] : own[0] + len(functions)], list(functions), names)
        dying = stack["frames"][own[0]]
        self.assertEqual((os.path.basename(dying["file"]), dying["line"]), (source.name, line or line_of(source)))
        self.assertIn(names[-1], BEGINNINGS, names)
        self.assertEqual(stack.get("end", ""), "")

    def check(self, name, kind, sentence, *functions, arguments=(), message=None, **options):
        """Each variant of a program: it dies of `kind` in functions[0], which was called through the others, and CALLERS."""
        all_died = self.die(name, *arguments, **options)
        for died in all_died:
            with self.subTest(str(died)):
                self.check_cause(died, kind, sentence, message)
                self.check_stack(died, *functions, *CALLERS)
        return all_died


def is_of(frame, source):
    return frame.get("file", "").endswith((f"causes/{source.name}", "causes/cause.h"))


# What differs from run to run, in sentences.


def address(died):
    return died.record["signal"]["address"]


def register(died):
    return report.base_register(died.report)


def pointer(died):
    """The value of the register that the instruction took an address from."""
    return hex(report.register(died.report, register(died)))


def with_parts(text):
    """A sentence of a Died: {address}, {register} and {pointer} in the text become what they were."""
    return lambda died: re.sub(r"{(\w+)}", lambda found: globals()[found[1]](died), text)


class BadPointers(CauseCase):
    def check_null(self, name, kind, sentence, function):
        for died in self.check(name, kind, with_parts(sentence), function):
            with self.subTest(str(died)):
                self.assertEqual(report.register(died.report, register(died)), 0)

    def test_null_read(self):
        self.check_null("null-read", "null-read", "null pointer read at 0x18: {register} is null", "look_up")

    def test_null_read_of_the_first_member(self):
        self.check_null("null-read-first", "null-read", "null pointer read: {register} is null", "look_up")

    def test_null_write(self):
        self.check_null("null-write", "null-write", "null pointer write at 0x10: {register} is null", "insert")

    def test_null_call(self):
        for died in self.check("null-call", "null-call", "null pointer called", "call_back"):
            with self.subTest(str(died)):
                first, second = died.stack["frames"][:2]
                self.assertEqual((first["pc"], first.get("function"), first.get("module")), ("0x0", None, None))
                self.assertEqual((report.bare(second["function"]), second["found"]), ("call_back", "return-address"))

    def test_unmapped_read(self):
        self.check("unmapped-read", "unmapped-read", with_parts("read of unmapped memory at {address}"), "look_up")

    def test_unmapped_write(self):
        self.check("unmapped-write", "unmapped-write", with_parts("write to unmapped memory at {address}"), "insert")

    def test_wild_read(self):
        self.check("wild-read", "wild-pointer", with_parts("read through a wild pointer in {register}: 0x4141414141414141"),
                   "look_up")  # fmt: skip

    def test_wild_write(self):
        self.check("wild-write", "wild-pointer", with_parts("write through a wild pointer in {register}: 0x4242424242424242"),
                   "insert")  # fmt: skip

    def test_wild_call(self):
        self.check("wild-call", "wild-pointer", with_parts("call through a wild pointer in {register}: 0x4343434343434343"),
                   "call_back")  # fmt: skip

    def test_protected_read(self):
        for died in self.check("read-protected", "read-protected", with_parts("read of protected memory at {address}"), "look_up"):
            with self.subTest(str(died)):
                mapping = report.mapping_at(died.report, report.number(address(died)))
                self.assertEqual((mapping["access"], mapping.get("name", "")), ("---", ""))

    def test_protected_read_of_a_file(self):
        self.check("read-protected-file", "read-protected",
                   lambda died: f"read of protected memory at {address(died)} ({died.program})", "look_up")  # fmt: skip

    def test_read_only_write(self):
        for died in self.check("write-read-only", "write-read-only",
                               lambda died: f"write to read-only memory at {address(died)} ({died.program})", "edit"):  # fmt: skip
            with self.subTest(str(died)):
                mapping = report.mapping_at(died.report, report.number(address(died)))
                self.assertEqual((mapping["access"], mapping["name"]), ("r--", str(died.program)))

    def test_executed_stack(self):
        self.check("execute-stack", "execute-non-executable",
                   with_parts("execution of non-executable memory at {address} ([stack])"), "call_back")  # fmt: skip

    def test_executed_data(self):
        self.check("execute-data", "execute-non-executable",
                   lambda died: f"execution of non-executable memory at {address(died)} ({died.program})",
                   "call_back")  # fmt: skip

    def test_unmapped_call(self):
        self.check("call-unmapped", "execute-non-executable", with_parts("call of unmapped memory at {address}"), "call_back")

    def test_generated_code(self):
        for died in self.check("jit", "null-read", with_parts("null pointer read at 0x20: {register} is null"), "run_generated"):
            with self.subTest(str(died)):
                self.assertEqual(died.names[:2], ["", "run_generated"])
                self.assertNotIn("module", died.stack["frames"][0])
                self.assertEqual(register(died), "rax")


class Stacks(CauseCase):
    def calls_of(self, died):
        """How deep the recursion was, as the program counted it."""
        done = store.obit(self.server.store, "gdb", died.record["id"], "--", "-nx", "-batch", "-ex", "print calls")
        return int(re.search(r"^\$1 = (\d+)$", done.stdout, re.MULTILINE)[1])

    def check_recursion(self, died, sentence, cycle, *outer):
        """`sentence` has {times} and {cycle}; the recursion is of these functions, called through `outer`."""
        calls = self.calls_of(died)
        self.assertGreater(calls, 10_000)
        cause = died.report["cause"]
        self.assertEqual(cause["kind"], "stack-overflow", cause)
        self.assertLess(len(died.stack["frames"]), 30, "a recursion is folded")
        (fold,) = died.stack["folds"]
        self.assertEqual(fold["count"], len(cycle))
        folded = died.names[fold["first"] : fold["first"] + fold["count"]]
        self.assertCountEqual(folded, cycle)

        names = [report.bare(frame["function"]) for frame in report.unfolded(died.stack)]
        self.assertEqual([name for name in names if name not in cycle][: len(outer)], list(outer))
        deep = sum(name in cycle for name in names)
        self.assertIn(deep, (calls, calls + 1), "the call that found no room may not have counted itself")
        self.assertEqual(names[0] in cycle or names[1] in cycle, True, names[:3])

        said = re.fullmatch(sentence, cause["sentence"])
        self.assertTrue(said, cause["sentence"])
        self.assertAlmostEqual(int(said["times"].replace(",", "")), deep // len(cycle), delta=1)
        self.assertRegex(said["times"], r"^\d{1,3}(,\d{3})*$")
        if "cycle" in said.groupdict():
            self.assertEqual(said["cycle"].split(" < "), folded)
        self.assertEqual(died.stack.get("end", ""), "")

    def test_recursion(self):
        for died in self.die("stack-overflow"):
            with self.subTest(str(died)):
                self.check_recursion(died, r"stack overflow: (?P<times>[\d,]+) calls deep in recurse", ["recurse"],
                                     "begin", *CALLERS)  # fmt: skip

    def test_recursion_of_two(self):
        for died in self.die("stack-overflow-mutual"):
            with self.subTest(str(died)):
                self.check_recursion(died, r"stack overflow: (?P<times>[\d,]+) times (?P<cycle>\w+ < \w+)", ["odd", "even"],
                                     "begin", *CALLERS)  # fmt: skip

    def test_recursion_in_a_thread(self):
        for died in self.die("stack-overflow-thread"):
            with self.subTest(str(died)):
                self.check_recursion(died, r"stack overflow: (?P<times>[\d,]+) calls deep in recurse", ["recurse"],
                                     "run_thread", "start_thread")  # fmt: skip
                self.assertNotEqual(died.stack["tids"], [died.death.pid])
                self.assertEqual(died.report["threads"], 2)
                others = [report.names(stack) for stack in died.report["stacks"][1:]]
                self.assertEqual(len(others), 1, others)
                self.assertIn("wait_for_thread", others[0])

    def test_signal_handler(self):
        for died in self.die("signal-handler"):
            with self.subTest(str(died)):
                self.check_cause(died, "null-write", with_parts("null pointer write: {register} is null"))
                names, frames = died.names, died.stack["frames"]
                self.assertEqual(names[:2] + names[3:7], ["report_to", "on_trap", "work", *CALLERS], names)
                self.assertIn(names[2], ("__restore_rt", ""))
                self.assertEqual([frame.get("interrupted", False) for frame in frames].index(True), 3)
                source = source_of(died.program)
                self.assertEqual([frames[0]["line"], frames[3]["line"]], [line_of(source), line_of(source, "interrupted here")])
                self.assertIn(names[-1], BEGINNINGS)

    def test_overwritten_by_what_cannot_be_an_address(self):
        for died in self.die("smashed-stack", "wild"):
            with self.subTest(str(died)):
                self.assertEqual(died.report["cause"]["kind"], "wild-pointer")
                self.assertIn("0x4444444444444444", died.report["cause"]["sentence"])
                self.assertEqual(died.names[0], "smash")
                self.assertEqual(died.stack["frames"][0]["line"], line_of(source_of(died.program)))
                self.check_broken(died)

    def test_overwritten_by_an_address_without_memory(self):
        for died in self.die("smashed-stack", "unmapped"):
            with self.subTest(str(died)):
                self.check_cause(died, "execute-non-executable",
                                 with_parts("return to unmapped memory at {address}: the stack was overwritten"))  # fmt: skip
                self.assertEqual(died.stack["frames"][0]["pc"], address(died))
                self.check_broken(died)

    def check_broken(self, died):
        """What was overwritten is not taken for a stack, and the report says that there is more."""
        self.assertNotEqual(died.stack.get("end", ""), "")
        self.assertLess(len(died.stack["frames"]), 8, died.names)
        self.assertNotIn("main", died.names)

    def test_threads_alike(self):
        for died in self.check("threads-alike", "null-write", with_parts("null pointer write: {register} is null"), "stop_all"):
            with self.subTest(str(died)):
                stacks = died.report["stacks"]
                self.assertEqual(died.report["threads"], 98)
                self.assertEqual([len(stack["tids"]) for stack in stacks], [1, 97])
                self.assertEqual(stacks[0]["tids"], [died.death.pid])
                self.assertEqual(len(set(stacks[1]["tids"]) - {died.death.pid}), 97)
                self.check_stack(died, "await_job", "run_worker", "start_thread",
                                 line=line_of(source_of(died.program), "waits here"), stack=stacks[1])  # fmt: skip

    def test_frame_pointers_without_call_frame_information(self):
        (died,) = self.die("null-read", pattern="no-cfi-frame-pointers")
        self.check_cause(died, "null-read", with_parts("null pointer read at 0x18: {register} is null"))
        self.assertEqual(died.names[:4], ["look_up", *CALLERS])
        self.assertEqual([frame["found"] for frame in died.stack["frames"][1:3]], ["frame-pointer"] * 2)

    def test_neither_frame_pointers_nor_call_frame_information(self):
        (died,) = self.die("null-read", pattern="no-cfi-no-frame-pointers")
        self.check_cause(died, "null-read", with_parts("null pointer read at 0x18: {register} is null"))
        self.assertEqual(died.names[0], "look_up")
        self.assertEqual([name for name in died.names if name in CALLERS], CALLERS, "guesses, but these must be among them")
        self.assertEqual({frame["found"] for frame in died.stack["frames"][1:] if report.bare(frame.get("function")) in CALLERS},
                         {"scan"})  # fmt: skip


class Aborts(CauseCase):
    """The C library or the program itself gives up."""

    def check_abort(self, name, kind, sentence, *functions, **options):
        return self.check(name, kind, sentence, *functions, number=signal.SIGABRT, **options)

    def check_heap(self, name, words, function):
        self.check_abort(name, "heap-corruption", f"heap corruption: {words}", function, message=f"^{re.escape(words)}$")

    def test_double_free(self):
        self.check_heap("double-free", "free(): double free detected in tcache 2", "release_twice")

    def test_invalid_free(self):
        self.check_heap("invalid-free", "free(): invalid pointer", "release_middle")

    def test_corrupted_top(self):
        self.check_heap("corrupted-top", "malloc(): corrupted top size", "allocate_more")

    def test_stack_smashing(self):
        self.check_abort("stack-smashing", "stack-smashing", "stack smashing detected in copy_name", "copy_name",
                         message=r"^\*\*\* stack smashing detected \*\*\*: terminated$")  # fmt: skip

    def test_fortify(self):
        self.check_abort("fortify", "fortify", "buffer overflow detected in copy_name", "copy_name",
                         message=r"^\*\*\* buffer overflow detected \*\*\*: terminated$")  # fmt: skip

    def test_assert(self):
        self.check_abort("assert", "assert", 'assertion failed: count >= 0 && "a count"', "check_count",
                         message=r"""^assert: \S*assert\.c:\d+: check_count: Assertion `count >= 0 && "a count"' failed\.$""")  # fmt: skip

    def test_abort(self):
        self.check_abort("abort", "abort", "abort called in give_up", "give_up")

    def test_exception(self):
        self.check_abort("uncaught-error", "uncaught-exception",
                         "uncaught exception std::runtime_error: no configuration at /etc/shop", "read_config")  # fmt: skip

    def test_exception_without_what(self):
        self.check_abort("uncaught-own-type", "uncaught-exception", "uncaught exception shop::OutOfStock", "order")

    def test_exception_that_is_no_class(self):
        self.check_abort("uncaught-int", "uncaught-exception", "uncaught exception int: 42", "order")

    def test_pure_virtual_call(self):
        self.check_abort("pure-virtual", "pure-virtual-call", "pure virtual method called",
                         "shop::measure", "shop::Shape::Shape", "shop::Square::Square", "draw")  # fmt: skip

    def test_no_memory_left(self):
        self.check_abort("bad-alloc", "out-of-memory", "out of memory: uncaught std::bad_alloc", "shop::Cache::Grow", "fill_cache")

    def test_array_that_cannot_be(self):
        self.check_abort("huge-array", "out-of-memory", "out of memory: uncaught std::bad_alloc", "make_table")

    def check_rust(self, name, panic, *functions, arguments=()):
        if not list(programs.CAUSES.glob("rust-*")):
            self.skipTest("there was no rustc to build with")
        all_died = self.die(name, *arguments, pattern="rust-*", number=signal.SIGABRT)
        self.assertEqual([died.program.parent.name for died in all_died], ["rust-legacy", "rust-v0"])
        for died in all_died:
            with self.subTest(str(died)):
                self.check_cause(died, "rust-panic", f"panic: {panic}", message=re.escape(panic))
                self.check_stack(died, *functions)

    def test_rust_panic(self):
        self.check_rust("rust-panic", "the jar of jam is empty", "rust_panic::Jar::take", "rust_panic::serve", "rust_panic::main",
                        arguments=["jam"])  # fmt: skip

    def test_rust_panic_with_a_literal(self):
        self.check_rust("rust-message", "nothing left to do", "rust_message::give_up", "rust_message::serve", "rust_message::main")

    def test_rust_index(self):
        self.check_rust("rust-index", "index out of bounds: the len is 1 but the index is 5", "rust_index::third",
                        "rust_index::serve", "rust_index::main")  # fmt: skip


class Instructions(CauseCase):
    def test_division_by_zero(self):
        self.check("divide-by-zero", "divide-by-zero", "integer division by zero", "mean", number=signal.SIGFPE)

    def test_trap(self):
        self.check("trap", "trap", "deliberate trap (ud2)", "never", number=signal.SIGILL)

    def test_breakpoint(self):
        self.check("breakpoint", "trap", "breakpoint trap (int3)", "inspect", number=signal.SIGTRAP)

    def test_illegal_instruction(self):
        def sentence(died):
            said = died.report["cause"]["sentence"]
            self.assertRegex(said, r"^illegal instruction: bytes 06 5a a5( [0-9a-f]{2})*$")
            return said

        self.check("illegal-instruction", "illegal-instruction", sentence, "decode", number=signal.SIGILL)

    def test_misaligned_read(self):
        def sentence(died):
            text = died.report["crashed"]["instruction"]["text"]
            return with_parts("misaligned read at {pointer}, not a multiple of 8: ")(died) + text

        self.check("bus-error", "misaligned", sentence, "read_misaligned", number=signal.SIGBUS)

    def test_truncated_file(self):
        paths = {program: f"{self.folder}/{program.parent.name}.records" for program in variants_of("truncated-file")}
        running = [(program, crash.Running([program, path])) for program, path in paths.items()]
        for died in self.analyzed(*running, number=signal.SIGBUS):
            with self.subTest(str(died)):
                self.check_cause(died, "truncated-file", f"mapped file is shorter than its mapping: {paths[died.program]}")
                self.check_stack(died, "read_record", *CALLERS)


class Limits(CauseCase):
    def test_system_call_that_kills(self):
        self.check("bad-system-call", "bad-system-call", "forbidden system call uname (63)", "ask_name",
                   arguments=["kill"], number=signal.SIGSYS)  # fmt: skip

    def test_system_call_that_traps(self):
        self.check("bad-system-call", "bad-system-call", "forbidden system call uname (63)", "ask_name",
                   arguments=["trap"], number=signal.SIGSYS)  # fmt: skip

    def test_cpu_time(self):
        self.check("cpu-limit", "cpu-limit", "CPU time limit exceeded", "compute", number=signal.SIGXCPU)

    def test_file_size(self):
        self.check("file-size-limit", "file-size-limit", "file size limit exceeded", "write_log", number=signal.SIGXFSZ)

    def check_killed(self, number, by_user):
        """Each variant is killed by a process of that user, or by this one."""
        running, senders = [], {}
        for program in variants_of("wait"):
            waiter = crash.Running([self.copy(program)], user=by_user)
            wait.until(lambda: crash.state(waiter.pid) == "S", "program asleep")
            if by_user is None:
                os.kill(waiter.pid, number)
                senders[waiter.pid] = os.getpid()
            else:
                with subprocess.Popen(["sh", "-c", f"kill -{number} {waiter.pid}"], user=by_user, group=by_user) as sender:
                    senders[waiter.pid] = sender.pid
            running.append((program, waiter))
        for died in self.analyzed(*running, number=number):
            with self.subTest(str(died)):
                self.check_cause(died, "killed", f"killed by {signal.Signals(number).name} from process "
                                                 f"{senders[died.death.pid]} (uid {by_user or 0})")  # fmt: skip
                self.check_stack(died, "idle", *CALLERS)

    def test_killed_with_each_signal(self):
        for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGBUS):
            with self.subTest(number.name):
                self.check_killed(number, None)

    def test_killed_by_a_user(self):
        self.check_killed(signal.SIGQUIT, NOBODY)

    def test_killed_by_itself(self):
        for number in (signal.SIGQUIT, signal.SIGSEGV):
            self.check("raise", "killed", f"killed itself with {number.name}", "give_up", arguments=[int(number)], number=number)


class Files(CauseCase):
    """The file of a program or library is not there, or not what it was; or its symbols are elsewhere."""

    def test_deleted_program(self):
        copy = self.copy(programs.CRASHER)
        (died,) = self.analyzed((programs.CRASHER, crash.Running([copy, "delete-exe"])))
        self.assertFalse(copy.exists())
        self.check_cause(died, "null-write", with_parts("null pointer write: {register} is null"))
        self.assertEqual(died.names[:2], ["crash_here", "main"])
        self.assertEqual(os.path.basename(died.stack["frames"][0]["file"]), "crasher.c")

    def check_plugin(self, change):
        """The library changes between dlopen and the crash."""
        for program in variants_of("replaced-library"):
            with self.subTest(program.parent.name):
                library = pathlib.Path(shutil.copy(programs.CAUSES / "plugin.so", f"{self.folder}/plugin.so"))
                process = crash.Running([program, library])
                crash.await_stop(process)
                change(library)
                process.kill(signal.SIGCONT)
                (died,) = self.analyzed((program, process))
                self.check_cause(died, "null-read", with_parts("null pointer read: {register} is null"))
                self.check_stack(died, "plugin_step", "plugin_start", "use_plugin", *CALLERS,
                                 source=programs.CAUSES_SOURCE / "plugin.c")  # fmt: skip
                self.assertIn("plugin.so", report.path_of(died.report, died.stack["frames"][0]))

    def test_replaced_library(self):
        def replace(library):
            other = shutil.copy(programs.CRASHER, f"{self.folder}/other")
            os.replace(other, library)

        self.check_plugin(replace)

    def test_library_in_memory(self):
        for died in self.die("memfd-library", programs.CAUSES / "plugin.so"):
            self.check_cause(died, "null-read", with_parts("null pointer read: {register} is null"))
            self.check_stack(died, "plugin_step", "plugin_start", "use_plugin", *CALLERS,
                             source=programs.CAUSES_SOURCE / "plugin.c")  # fmt: skip

    def test_deleted_library(self):
        self.check_plugin(pathlib.Path.unlink)

    def strip(self, program, keep):
        """A stripped copy; its symbols go to the file `keep`, if it is given."""
        copy = self.copy(program)
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["objcopy", "--only-keep-debug", copy, keep], check=True)
            self.addCleanup(keep.unlink)
        subprocess.run(["strip", copy], check=True)
        return copy

    def module_of(self, died, program):
        (module,) = (module for module in died.report["modules"] if module["path"] == str(program))
        return module

    def test_stripped_program(self):
        for program in variants_of("null-read"):
            with self.subTest(program.parent.name):
                copy = self.strip(program, None)
                (died,) = self.analyzed((program, crash.Running([copy])))
                self.check_cause(died, "null-read", with_parts("null pointer read at 0x18: {register} is null"))
                own = died.stack["frames"][:4]
                self.assertEqual([report.path_of(died.report, frame) for frame in own], [str(copy)] * 4)
                # No names, but what a table of symbols needs to find them: of callers, the call lies before the address.
                offsets = [hex(report.number(frame["module_offset"]) - (i > 0)) for i, frame in enumerate(own)]
                found = subprocess.run(["addr2line", "-f", "-e", program, *offsets], capture_output=True, text=True, check=True)
                self.assertEqual(found.stdout.splitlines()[::2], ["look_up", *CALLERS])
                self.assertEqual([frame.get("function", "") for frame in own], [""] * 4)
                self.assertIn("build_id", self.module_of(died, copy))

    def check_debug_file(self, died, program):
        self.check_cause(died, "null-read", with_parts("null pointer read at 0x18: {register} is null"))
        self.check_stack(died, "look_up", *CALLERS)
        module = self.module_of(died, program)
        self.assertEqual((module["symbols"], module["lines"]), ("debug file", True))

    def test_debug_file_by_build_id(self):
        for program in variants_of("null-read"):
            with self.subTest(program.parent.name):
                build_id = build_id_of(program)
                keep = pathlib.Path(f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug")
                if not keep.parent.exists():
                    self.addCleanup(keep.parent.rmdir)  # runs after the file was removed
                copy = self.strip(program, keep)
                (died,) = self.analyzed((program, crash.Running([copy])))
                self.assertEqual(self.module_of(died, copy)["build_id"], build_id)
                self.check_debug_file(died, copy)

    def test_debug_file_by_link(self):
        for program in variants_of("null-read"):
            with self.subTest(program.parent.name):
                keep = pathlib.Path(self.folder) / ".debug" / f"{program.parent.name}.debug"
                copy = self.strip(program, keep)
                subprocess.run(["objcopy", f"--add-gnu-debuglink={keep}", copy], check=True)
                (died,) = self.analyzed((program, crash.Running([copy])))
                self.check_debug_file(died, copy)

    def test_symbols_of_the_program_itself(self):
        for died in self.die("null-read", pattern="O2-no-frame-pointers-*"):
            with self.subTest(str(died)):
                module = self.module_of(died, died.program)
                self.assertEqual((module["symbols"], module["lines"]), ("module", True))
                self.assertEqual(module["build_id"], build_id_of(died.program))
                self.assertNotIn("problem", module)


def build_id_of(program):
    notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes)[1]


if __name__ == "__main__":
    case.main()
