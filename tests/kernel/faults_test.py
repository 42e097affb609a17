"""What the analysis says of faults: behind a handler, of the processor's, of stacks, and of signals that somebody sent."""

import os
import pathlib
import pty
import re
import signal
import subprocess
import tempfile

from causes_test import CauseCase, address, line_of, pointer, register, source_of, variants_of, with_parts
from harness import case, crash, programs, report, store, wait


class FaultCase(CauseCase):
    def check_own(self, died, function, mark="dies here"):
        """The frame of the program's own is in that function, on the line with the mark."""
        own = died.stack["frames"][died.report["own_frame"]]
        self.assertEqual(report.bare(own["function"]), function)
        if mark:
            self.assertEqual(own["line"], line_of(source_of(died.program), mark))

    def check_fault(self, name, kind, sentence, function, *arguments, mark="dies here", first=None, **options):
        all_died = self.die(name, *arguments, **options)
        for died in all_died:
            with self.subTest(f"{died} {arguments}"):
                self.check_cause(died, kind, sentence)
                self.assertNotIn("guess", died.report["cause"])
                self.check_own(died, function, mark)
                self.assertEqual((died.report["cause"].get("first_fault") or {}).get("signal"), first)
        return all_died


class FirstFaults(FaultCase):
    """A handler catches a fault, and what kills the process is another signal."""

    def check_caught(self, how, stack, number):
        sentence = with_parts("null pointer read at 0x18: {register} is null")
        for died in self.check_fault("caught-fault", "null-read", sentence, "look_up", how, stack,
                                     number=number, first=signal.SIGSEGV):  # fmt: skip
            with self.subTest(str(died)):
                self.assertEqual(died.report["cause"]["first_fault"], {"signal": signal.SIGSEGV, "code": 1, "address": "0x18"})
                self.assertEqual(report.register(died.report, register(died)), 0)
                page = store.obit(self.server.store, "show", died.record["id"]).stdout
                self.assertIn("SIGSEGV (SEGV_MAPERR) at address 0x18, which a handler caught", " ".join(page.split()))

    def test_handler_aborts(self):
        self.check_caught("abort", "own-stack", signal.SIGABRT)

    def test_handler_without_a_stack_of_its_own_aborts(self):
        self.check_caught("abort", "same-stack", signal.SIGABRT)

    def test_handler_raises_at_once(self):
        self.check_caught("raise-now", "own-stack", signal.SIGSEGV)
        self.check_caught("kill", "same-stack", signal.SIGSEGV)

    def test_handler_raises_and_returns(self):
        self.check_caught("raise", "own-stack", signal.SIGSEGV)
        self.check_caught("raise", "same-stack", signal.SIGSEGV)

    def test_handler_faults_itself(self):
        self.check_caught("fault", "own-stack", signal.SIGSEGV)

    def test_division_in_a_handler(self):
        self.check_fault("caught-division", "divide-by-zero", "integer division by zero", "mean",
                         number=signal.SIGABRT, first=signal.SIGFPE)  # fmt: skip


class Senders(FaultCase):
    def check_sent(self, how, kind, sentence, number=signal.SIGABRT):
        for died in self.die("sent-abort", how, number=number):
            with self.subTest(f"{died} {how}"):
                self.check_cause(died, "killed", sentence)
                self.assertEqual(died.report["cause"]["sender"]["kind"], kind)

    def test_timer(self):
        self.check_sent("timer", "timer", "killed by SIGABRT from a timer of its own")

    def test_other_thread(self):
        self.check_sent("thread", "thread", "killed by SIGABRT from another thread of its own")

    def test_kill_is_not_abort(self):
        self.check_sent("kill", "itself", "killed itself with SIGABRT")

    def test_key_of_the_terminal(self):
        program = variants_of("wait")[0]
        crash.allow_cores()
        pid, terminal = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # what shells start in the background ignores it
            os.execv("/bin/sh", ["sh", "-c", f"ulimit -c unlimited; exec {program}"])
        wait.until(lambda: os.readlink(f"/proc/{pid}/exe") == str(program) and crash.state(pid) == "S", "program asleep")
        os.write(terminal, b"\x1c")
        status = []
        wait.until(lambda: status.append(os.waitpid(pid, os.WNOHANG)) or status[-1][0] == pid, "end of the program")
        os.close(terminal)
        self.assertEqual(os.WTERMSIG(status[-1][1]), signal.SIGQUIT)
        (record,) = store.records(self.server.store, 1)
        cause = report.of(self.server.store, record)["cause"]
        self.assertEqual((cause["kind"], cause["sender"]["kind"]), ("terminal-quit", "terminal"))
        page = store.obit(self.server.store, "show", record["id"]).stdout
        self.assertIn("Quit from the terminal (Ctrl-\\)", page)


class Overflows(FaultCase):
    def calls_of(self, died):
        done = store.obit(self.server.store, "gdb", died.record["id"], "--", "-nx", "-batch", "-ex", "print calls")
        return int(re.search(r"^\$1 = (\d+)$", done.stdout, re.MULTILINE)[1])

    def check_depth(self, name, *arguments, functions, number=signal.SIGSEGV, first=None):
        for died in self.die(name, *arguments, number=number):
            with self.subTest(f"{died} {arguments}"):
                cause = died.report["cause"]
                self.assertEqual((cause["kind"], cause.get("guess", False)), ("stack-overflow", False), cause)
                self.assertEqual((cause.get("first_fault") or {}).get("signal"), first)
                self.assertCountEqual(cause["recursion"]["functions"], functions)
                self.assertAlmostEqual(cause["recursion"]["times"], self.calls_of(died), delta=1)
                self.assertNotIn("at_least", cause["recursion"])

    def check_large(self, function, *arguments):
        self.check_fault("stack-overflow-array", "stack-overflow", f"stack overflow in {function}", function, *arguments, mark=None)

    def test_array_that_is_larger_than_the_stack(self):
        self.check_large("fill_array", "array")
        self.check_large("fill_array", "array", "thread")

    def test_allocation_that_is_larger_than_the_stack(self):
        self.check_large("fill_allocated", "alloca")
        self.check_large("fill_allocated", "alloca", "thread")

    def test_no_room_for_a_handler(self):
        self.check_depth("stack-overflow-caught", "same-stack", functions=["recurse"])

    def test_handler_that_aborts(self):
        self.check_depth("stack-overflow-caught", "own-stack", functions=["recurse"], number=signal.SIGABRT, first=signal.SIGSEGV)

    def test_calls_in_no_order(self):
        self.check_depth("stack-overflow-irregular", functions=["left", "right"])

    def test_rust(self):
        if not list(programs.CAUSES.glob("rust-*")):
            self.skipTest("there was no rustc to build with")
        for died in self.die("rust-overflow", pattern="rust-*", number=signal.SIGABRT):
            with self.subTest(str(died)):
                cause = died.report["cause"]
                self.assertEqual(cause["kind"], "stack-overflow", cause)
                self.assertEqual(cause["recursion"]["functions"], ["rust_overflow::recurse"])
                self.assertGreater(cause["recursion"]["times"], 1000)

    def test_stripped_program(self):
        for program in variants_of("stack-overflow-array", "*-no-frame-pointers-static"):
            copy = self.copy(program)
            subprocess.run(["strip", "-R", ".eh_frame", copy], check=True)
            (died,) = self.analyzed((program, crash.Running([copy, "array"])))
            self.assertEqual(died.report["cause"]["kind"], "stack-overflow", died.report["cause"])

    def test_wild_pointer_near_a_stack_is_none(self):
        for died in self.die("near-stack"):
            with self.subTest(str(died)):
                self.check_cause(died, "read-protected", with_parts("read of protected memory at {address}"))


class Divisions(FaultCase):
    def check_overflow(self, how, by):
        self.check_fault("division-overflow", "division-overflow", f"integer overflow in a division by {by}", "divide", how,
                         mark=None, number=signal.SIGFPE)  # fmt: skip

    def test_quotient_of_each_size(self):
        for how, by in (("int", -1), ("long", -1), ("byte", 3), ("wide", 5), ("memory", -1)):
            self.check_overflow(how, by)

    def test_floating_point(self):
        for how, what in (("zero", "floating-point division by zero"), ("invalid", "invalid floating-point operation"),
                          ("large", "floating-point overflow")):  # fmt: skip
            self.check_fault("float-trap", "arithmetic", what, "compute", how, number=signal.SIGFPE)


class Refusals(FaultCase):
    """What the processor refuses without a page fault."""

    def test_misaligned_vector(self):
        for how, access, offset in (("store", "write", 0), ("load", "read", 16), ("add", "read", 0)):
            def sentence(died, access=access, offset=offset):
                at, text = int(pointer(died), 16) + offset, died.report["crashed"]["instruction"]["text"]
                return f"misaligned {access} at {at:#x}, not a multiple of 16: {text}"

            self.check_fault("misaligned-vector", "misaligned", sentence, "use_vector", how, mark=None)

    def test_stack_pointer_that_cannot_be(self):
        for how, access in (("push", "write"), ("pop", "read"), ("call", "write"), ("ret", "read")):
            for died in self.die("wild-stack", how, "none", number=signal.SIGBUS):
                with self.subTest(f"{died} {how}"):
                    self.check_cause(died, "wild-pointer", f"{access} through a wild pointer in rsp: 0x4141414141414140")

    def test_stack_pointer_to_no_memory(self):
        for how, words in (("push", "write to"), ("pop", "read of"), ("call", "write to"), ("ret", "read of")):
            for died in self.die("wild-stack", how, "unmapped"):
                with self.subTest(f"{died} {how}"):
                    self.check_cause(died, "unmapped-" + words.split()[0],
                                     f"{words} unmapped memory at {address(died)}: the stack pointer is wild")  # fmt: skip

    def test_privileged_instructions(self):
        for how, text in (("hlt", "hlt"), ("in", "in $0x60, %al"), ("int", "int $0x42"), ("cr3", None)):
            def sentence(died, text=text):
                return f"privileged instruction: {text or died.report['crashed']['instruction']['text']}"

            self.check_fault("privileged", "privileged-instruction", sentence, "ask_processor", how, mark=None)

    def test_sanitizer_that_traps(self):
        if not list(programs.CAUSES.glob("clang/*")):
            self.skipTest("there was no clang to build with")
        for how, what in (("add", "integer overflow in an addition"), ("index", "an index is out of bounds"),
                          ("shift", "a shift by too many bits, or of bits that get lost")):  # fmt: skip
            self.check_fault("sanitizer-trap", "sanitizer-trap", f"a check of the sanitizer failed in compute: {what}", "compute",
                             how, mark=None, pattern="clang", number=signal.SIGILL)  # fmt: skip


class Files(FaultCase):
    def test_no_space_left(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test.") as folder:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "none", folder], check=True)
            try:
                (program, *_) = variants_of("no-space")
                (died,) = self.analyzed((program, crash.Running([program, f"{folder}/table"])), number=signal.SIGBUS)
                self.check_cause(died, "no-file-space", f"no space left for mapped memory of a file: {folder}/table")
                self.check_own(died, "write_record")
            finally:
                subprocess.run(["umount", "-l", folder], check=True)


    def test_no_huge_page_left(self):
        pages, known = pathlib.Path("/proc/sys/vm/nr_hugepages"), pathlib.Path("/proc/filesystems").read_text()
        if "hugetlbfs" not in known or pages.read_text() != "0\n":
            self.skipTest("there are huge pages, or the kernel knows none")
        sentence = with_parts("no huge page left for memory at {address} (/anon_hugepage (deleted))")
        self.check_fault("no-huge-page", "no-huge-page", sentence, "fill", number=signal.SIGBUS)


if __name__ == "__main__":
    case.main()
