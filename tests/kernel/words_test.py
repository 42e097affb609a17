"""What the analysis says where a runtime or a library gave up: in the words of that, if it left any.

The programs are those of tests/crashers/causes; their argument says how they end. What a machine has no compiler or library for is
skipped."""

import pathlib
import re
import shutil
import signal
import sys

import causes_test
from harness import case, crash, programs


class WordsCase(causes_test.CauseCase):
    def ends(self, name, *arguments, kind, sentence, message=None, facts=(), function=None, number=signal.SIGABRT, **options):
        """Each variant of a program ends so: with these facts, and `function` the innermost of its own."""
        if not list(programs.CAUSES.glob(f"{options.get('pattern', 'O?-*')}/{name}")):
            self.skipTest(f"there was nothing to build {name} with")
        for died in self.die(name, *arguments, number=number, **options):
            with self.subTest(f"{died} {' '.join(arguments)}"):
                self.check_cause(died, kind, sentence, message)
                for fact, value in dict(facts).items():
                    self.assertEqual(died.report["cause"].get(fact), value, died.report["cause"])
                if function:
                    self.assertIn(function, died.names)


class Exceptions(WordsCase):
    def uncaught(self, argument, text, **options):
        self.ends("exceptions", argument, kind="uncaught-exception", sentence=f"uncaught exception {text}", **options)

    def test_thrown_again_by_a_future(self):
        self.uncaught("future", "std::domain_error: computed in another thread")

    def test_kept_and_thrown_again(self):
        self.uncaught("kept", "shop::DatabaseError: kept and thrown again, later on")

    def test_thrown_again_by_a_task(self):
        self.uncaught("task", "shop::Closed: the shop is closed")

    def test_own_what(self):
        self.uncaught("own_text", "shop::DatabaseError: table users is missing", facts={"message_guess": None})

    def test_own_what_that_is_short(self):
        self.uncaught("short_text", "shop::DatabaseError: no table")

    def test_own_what_that_is_a_literal(self):
        self.uncaught("literal", "shop::Closed: the shop is closed")

    def test_second_base(self):
        self.uncaught("second_base", "shop::OrderError: order 4711 is lost")

    def test_virtual_base(self):
        self.uncaught("virtual_base", "shop::Shared: the till is stuck")

    def test_nested(self):
        self.uncaught("nested", "std::_Nested_exception<std::runtime_error>: outer words")

    def test_system_error(self):
        self.uncaught("system_error", "std::system_error: write orders: No space left on device")

    def test_a_text_that_nobody_says_is_the_one(self):
        self.uncaught("plain", "shop::Refusal, which holds: a customer without a name", facts={"message_guess": True})

    def test_left_a_noexcept_function(self):
        self.uncaught("no_exit", "std::domain_error: computed in another thread (an exception left a noexcept function)")

    def test_terminate_in_a_handler(self):
        self.uncaught("in_handler", "std::domain_error: computed in another thread (std::terminate called while it was handled)")

    def terminated(self, argument, sentence, what):
        self.ends("exceptions", argument, kind="terminate", sentence=sentence, facts={"what": what, "type": None, "message": None})

    def test_joinable_thread(self):
        self.terminated("joinable", "std::terminate called in joinable: a joinable thread was destroyed", "a joinable thread was destroyed")

    def test_nothing_to_rethrow(self):
        self.terminated("nothing_to_rethrow", "std::terminate called in nothing_to_rethrow: no active exception to rethrow",
                        "no active exception to rethrow")  # fmt: skip

    def test_terminate_after_a_caught_exception(self):
        self.terminated("terminate", "std::terminate called in terminate", None)


class Libraries(WordsCase):
    def asserts(self, name, argument, expression, *more, runtime=None, message=None, number=signal.SIGABRT, **options):
        self.ends(name, argument, *more, kind="assert", sentence=f"assertion failed: {expression}", message=message, number=number,
                  facts={"runtime": runtime, "expression": expression}, **options)  # fmt: skip

    def test_vector(self):
        self.asserts("library-checks", "v", "__n < this->size()", runtime="libstdc++",
                     message=r"stl_vector\.h:\d+: .*operator\[\].*: Assertion '__n < this->size\(\)' failed\.$")  # fmt: skip

    def test_optional(self):
        self.asserts("library-checks", "o", "this->_M_is_engaged()", runtime="libstdc++")

    def test_deque(self):
        self.asserts("library-checks", "d", "!this->empty()", runtime="libstdc++")

    def test_string(self):
        self.asserts("library-checks", "s", "__pos <= size()", runtime="libstdc++")

    def test_glib_assert(self):
        self.asserts("glib-words", "assert", "count == 3", runtime="GLib",
                     message=r"^Shop:ERROR:\S*glib-words\.c:\d+:check_count: assertion failed: \(count == 3\)$")  # fmt: skip

    def test_glib_comparison(self):
        self.asserts("glib-words", "compare", "(count == 3): (4 == 3)", runtime="GLib")

    def glib(self, argument, *more, words, what):
        self.ends("glib-words", argument, *more, kind="runtime-fatal", sentence=f"GLib {what}: {words}", number=signal.SIGTRAP,
                  message=f"^{re.escape(words)}$", facts={"runtime": "GLib"})  # fmt: skip

    def test_glib_error(self):
        self.glib("error", "theme.css", words="cannot load theme.css: 4711", what="error")

    def test_glib_critical(self):
        self.glib("critical", "jam", words="the till of jam is stuck", what="critical")

    def test_glib_structured(self):
        self.glib("structured", "jam", words="no more jam", what="error")

    def test_glib_no_memory(self):
        self.ends("glib-words", "memory", kind="runtime-fatal", number=signal.SIGTRAP,
                  sentence=lambda died: "GLib error: " + died.report["cause"]["message"],
                  message=r"^\S+: failed to allocate 9223372036854775807 bytes$")  # fmt: skip

    def test_glog_check(self):
        self.asserts("glog-words", "0", "orders == 3 (2 vs. 3) orders of jam", "jam", runtime="glog")

    def test_glog_check_of_an_expression(self):
        self.asserts("glog-words", "1", "open the shop is closed", runtime="glog")

    def test_glog_fatal(self):
        self.ends("glog-words", "2", "jam", kind="runtime-fatal", sentence="glog fatal error: no more jam", message="^no more jam$")

    def test_glog_raw_check(self):
        self.asserts("glog-words", "3", "jars > 3", runtime="glog")

    def test_musl_assert(self):
        self.asserts("musl-assert", "x", 'count >= 0 && "a count"', pattern="musl",
                     message=r"""^Assertion failed: count >= 0 && "a count" \(\S*assert\.c: check_count: \d+\)$""")  # fmt: skip

    def test_musl_abort(self):
        self.ends("musl-abort", kind="abort", pattern="musl", sentence=lambda died: f"abort called in {died.report['cause']['function']}",
                  facts={"message": None})  # fmt: skip


class Sanitizers(WordsCase):
    def finds(self, name, argument, runtime, words, **options):
        options.setdefault("environment", {"ASAN_OPTIONS": "abort_on_error=1:disable_coredump=0", "UBSAN_OPTIONS": "abort_on_error=1"})
        self.ends(name, argument, kind="sanitizer-report", sentence=lambda died: f"{runtime}: {died.report['cause']['message']}",
                  message=words, **options)  # fmt: skip

    def test_heap_overflow(self):
        self.finds("address-sanitizer", "0", "AddressSanitizer", "^heap-buffer-overflow on address 0x[0-9a-f]+$", facts={"access": "read"})

    def test_use_after_free(self):
        self.finds("address-sanitizer", "1", "AddressSanitizer", "^heap-use-after-free on address 0x[0-9a-f]+$", facts={"access": "write"})

    def test_double_free(self):
        self.finds("address-sanitizer", "2", "AddressSanitizer", "^attempting double-free on 0x[0-9a-f]+")

    def test_signed_overflow(self):
        self.finds("undefined-sanitizer", "3", "UndefinedBehaviorSanitizer", r"integer overflow.*")

    def test_index(self):
        self.finds("undefined-sanitizer", "4", "UndefinedBehaviorSanitizer", r"index .*out of bounds.*")

    def test_shift(self):
        self.finds("undefined-sanitizer", "5", "UndefinedBehaviorSanitizer", r"shift .*")


class Languages(WordsCase):
    def test_rust_abort_is_no_panic(self):
        self.ends("rust-words", "abort", pattern="rust-*", kind="abort", sentence="abort called in rust_words::give_up")

    def test_rust_out_of_memory(self):
        self.ends("rust-words", "memory", pattern="rust-*", kind="out-of-memory",
                  sentence="out of memory: memory allocation of 70368744177672 bytes failed")  # fmt: skip

    def test_rust_panic_of_a_result(self):
        self.ends("rust-words", "unwrap", pattern="rust-*", kind="rust-panic",
                  sentence="panic: called `Result::unwrap()` on an `Err` value: ()")  # fmt: skip

    def go(self, *arguments, words, what="panic", **options):
        self.ends("go-words", *arguments, pattern="go", kind="go-panic", sentence=f"Go {what}: {words}", message=f"^{re.escape(words)}$",
                  environment={"GOTRACEBACK": "crash"}, **options)  # fmt: skip

    def test_go_nil(self):
        self.go("nil", words="runtime error: invalid memory address or nil pointer dereference", facts={"address": "0x18"})

    def test_go_map(self):
        self.go("map", words="assignment to entry in nil map", facts={"address": None})

    def test_go_index(self):
        self.go("index", words="runtime error: index out of range [3] with length 1")

    def test_go_error(self):
        self.go("error", "jam", words="no more jam")

    def test_go_deadlock(self):
        self.go("deadlock", words="all goroutines are asleep - deadlock!", what="fatal error")

    def interpreted(self, number, *argv, **options):
        (died,) = self.analyzed((argv[0], crash.Running(argv, **options)), number=number)
        return died

    def test_python_fatal_error(self):
        python = next((path for path in ("/usr/bin/python3", sys.executable) if pathlib.Path(path).exists()), None)
        died = self.interpreted(signal.SIGABRT, pathlib.Path(python).resolve(), "-c",
                                "import ctypes; ctypes.pythonapi.Py_FatalError(b'the index is torn')")  # fmt: skip
        self.check_cause(died, "runtime-fatal", "Python fatal error: the index is torn")

    def test_python_abort(self):
        died = self.interpreted(signal.SIGABRT, pathlib.Path(sys.executable).resolve(), "-c", "import os; os.abort()")
        self.assertEqual(died.report["cause"]["kind"], "abort")
        self.assertNotIn("message", died.report["cause"])

    def test_node_out_of_memory(self):
        node = shutil.which("node")
        if not node:
            self.skipTest("there is no node")
        died = self.interpreted(signal.SIGABRT, node, "--max-old-space-size=20", "-e",
                                "const all = []; for (;;) all.push(new Array(1000).fill({}).map((x) => ({x})));")  # fmt: skip
        self.assertEqual(died.report["cause"]["kind"], "out-of-memory", died.report["cause"])
        self.assertRegex(died.report["cause"]["message"], r"JavaScript heap out of memory$")


if __name__ == "__main__":
    case.main()
