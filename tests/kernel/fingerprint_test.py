"""One bug is one fingerprint, however often it strikes and wherever it was built; two bugs are two."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest.mock

from harness import case, crash, programs, report, store

SOURCE = """
#include <stddef.h>
#include <stdlib.h>

#define FUNCTION __attribute__((noipa)) static

%(unrelated)s

FUNCTION int look_up(const int* entry) { return *entry; }
FUNCTION int read_order(void) { return look_up(NULL) + 1; }
FUNCTION int read_invoice(void) { return look_up(NULL) + 2; }
FUNCTION int serve(int invoice) { return (invoice ? read_invoice() : read_order()) + 3; }

int main(int argc, char** argv) {
  (void)argv;
  return prepare() + serve(argc > 1);
}
"""
UNRELATED = "FUNCTION int prepare(void) { return 0; }"
# So much longer that what lies behind it has other addresses.
UNRELATED_CHANGED = """
static volatile int numbers[1000];
FUNCTION int prepare(void) {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) sum += numbers[i] * numbers[(i * 7) % 1000] + (numbers[i] > 3 ? i / 5 : i % 11);
  return sum;
}
"""


# Two bugs behind five inlined helpers, a method and a header's template.
HELPERS = """
#include <cstdlib>
#include <vector>

#define FUNCTION __attribute__((noipa)) static
#define INLINE __attribute__((always_inline)) inline

static volatile int log_;
struct Rows { int* p; INLINE int at(int i) { int v = *(volatile int*)(p + i); log_ = 1; return v; } };
struct Table { Rows rows; INLINE int get(int i) { log_ = 2; int r = rows.at(i); log_ = 3; return r; } };
struct Shelf { Table table; INLINE int get(int i) { log_ = 4; int r = table.get(i); log_ = 5; return r; } };
struct Room { Shelf shelf; INLINE int get(int i) { log_ = 6; int r = shelf.get(i); log_ = 7; return r; } };
struct Shop { Room room; INLINE int price(int i) { log_ = 8; int r = room.get(i); log_ = 9; return r; } };
FUNCTION int order(Shop& shop, int i) { return shop.price(i) + 1; }
FUNCTION int invoice(Shop& shop, int i) { return shop.price(i) * 3; }
FUNCTION int total(const std::vector<int>& all, std::size_t i) { return all[i] + 1; }

int main(int argc, char**) {
  Shop shop{};
  if (argc > 2) return total(*(std::vector<int>*)(void*)&shop, 1u << 20);
  return argc > 1 ? invoice(shop, argc) : order(shop, argc);
}
"""
# A library of its own to die by, and functions that the compiler makes one.
DEATHS = """
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FUNCTION __attribute__((noipa)) static

__attribute__((noinline)) static void vfatal(const char* format, va_list list) { vfprintf(stderr, format, list); abort(); }
__attribute__((noinline)) static void fatal(const char* format, ...) {
  va_list list;
  va_start(list, format);
  vfatal(format, list);
}
FUNCTION void log_fatal(const char* what) { fatal("fatal: %s", what); }
FUNCTION void shop_die(const char* what) { log_fatal(what); __asm__ volatile(""); }
FUNCTION void check_failed(const char* what) { shop_die(what); __asm__ volatile(""); }
FUNCTION int read_order(int n) { if (n < 9) check_failed("order"); return n; }
FUNCTION int read_invoice(int n) { if (n < 99) check_failed("invoice"); return n; }
__attribute__((noinline)) static int first_of_order(int* p) { return *p * 3; }
__attribute__((noinline)) int first_of_invoice(int* p) { return *p * 3; }

int main(int argc, char** argv) {
  (void)argv;
  if (argc == 3) return first_of_order(0) + 1;
  if (argc == 4) return first_of_invoice(0) + 2;
  return argc > 1 ? read_invoice(argc) + 1 : read_order(argc) + 1;
}
"""
# Twenty functions in a circle; a tree that is walked by chance, left or right; a parser in which a leaf crashes.
RECURSIONS = """
#include <stdlib.h>

#define FUNCTION __attribute__((noipa))
#define EACH(X) X(0,1) X(1,2) X(2,3) X(3,4) X(4,5) X(5,6) X(6,7) X(7,8) X(8,9) X(9,10) X(10,11) X(11,12) X(12,13) X(13,14) \\
  X(14,15) X(15,16) X(16,17) X(17,18) X(18,19) X(19,0)
#define DECLARE(n, m) int f##n(int x);
#define DEFINE(n, m) FUNCTION int f##n(int x) { volatile char b[64]; b[0] = (char)x; return f##m(x + 1) + b[0]; }
EACH(DECLARE)
EACH(DEFINE)
static unsigned seed = 1;
FUNCTION int flip(void) { seed = seed * 1103515245 + 12345; return (seed >> 16) & 1; }
FUNCTION int right(int n);
FUNCTION int left(int n) { volatile char b[96]; b[0] = 1; return (flip() ? left(n + 1) : right(n + 2)) + b[0]; }
FUNCTION int right(int n) { volatile char b[32]; b[0] = 1; return (flip() ? right(n + 1) : left(n + 2)) * 3 + b[0]; }
FUNCTION int leaf(const int* p) { return *p + 1; }
FUNCTION int expression(int depth);
FUNCTION int term(int depth) { return (depth > 0 ? expression(depth - 1) : leaf(0)) + 1; }
FUNCTION int expression(int depth) { return term(depth) * 2; }

int main(int argc, char** argv) {
  if (argc == 1) return f0(argc);
  const int depth = atoi(argv[1]);
  return depth < 0 ? left(0) : expression(depth) + 1;
}
"""
GO = """
package main

import "os"

type node struct {
	pad [3]int
	v   int
}

//go:noinline
func order(n *node) int { return n.v }

//go:noinline
func invoice(m map[string]int) { m["x"] = 1 }

func main() {
	if len(os.Args) > 1 {
		invoice(nil)
	} else {
		println(order(nil))
	}
}
"""


class Fingerprints(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.configure("analysis.slots = 2\n")
        self.server.start()
        self.lend_kernel("socket-request")
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test.")))
        self.crashed = 0

    def build(self, folder, unrelated=UNRELATED, options=("-g", "-O2")):
        """The program of SOURCE, compiled in a folder of that name."""
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler")
        place = self.folder / folder
        place.mkdir(parents=True)
        (place / "shop.c").write_text(SOURCE % {"unrelated": unrelated})
        subprocess.run(["cc", *options, "-Wall", "-Wextra", "-Werror", "shop.c", "-o", "shop"], cwd=place, check=True)
        return place / "shop"

    def reports(self, *commands):
        """What is said of programs that die all at the same time, in their order."""
        deaths = [process.reap() for process in [crash.Running(command) for command in commands]]
        self.assertTrue(all(death.dumped for death in deaths))
        self.crashed += len(deaths)
        records = {record["process"]["pid"]: record for record in store.records(self.server.store, self.crashed)}
        return [report.of(self.server.store, records[death.pid]) for death in deaths]

    def fingerprints(self, *commands):
        """(version, value) of each."""
        found = []
        for said in self.reports(*commands):
            fingerprint = said["fingerprint"]
            self.assertRegex(fingerprint["value"], r"^[0-9a-f]{16}$")
            self.assertNotEqual(fingerprint["frames"], [])
            found.append((fingerprint["version"], fingerprint["value"]))
        return found

    def address_of(self, program, function):
        symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
        (address,) = (line.split()[0] for line in symbols.splitlines() if line.endswith(f" t {function}"))
        return address

    def check_many(self, name):
        # Where the analysis may open it: the server holds the files of few crashes that wait, not of fifty.
        program = programs.for_every_user(programs.CAUSES / "O2-no-frame-pointers-pie" / name)
        reports = self.reports(*[[program]] * 50)
        self.assertGreater(len({said["stacks"][0]["frames"][-1]["pc"] for said in reports}), 1, "the addresses did not differ")
        self.assertEqual(len({said["fingerprint"]["value"] for said in reports}), 1)
        self.assertEqual(len({tuple(said["fingerprint"]["frames"]) for said in reports}), 1)

    def test_fifty_runs(self):
        self.check_many("null-read")

    def test_fifty_runs_that_end_in_a_library(self):
        self.check_many("double-free")

    def test_recursion_of_any_depth(self):
        program = programs.CAUSES / "O2-no-frame-pointers-pie/stack-overflow"
        shallow, deep = (["sh", "-c", f'ulimit -s {kib} && exec "$0"', program] for kib in (1024, 2048))
        reports = self.reports(shallow, deep)
        depths = [sum(fold["times"] for fold in said["stacks"][0]["folds"]) for said in reports]
        self.assertGreater(depths[1], depths[0] * 3 // 2)
        self.assertEqual(reports[0]["fingerprint"], reports[1]["fingerprint"])

    def test_two_callers_of_one_function_are_two_bugs(self):
        program = self.build("here")
        order, invoice, again = self.fingerprints([program], [program, "invoice"], [program])
        self.assertNotEqual(order, invoice)
        self.assertEqual(order, again)

    def test_two_causes_in_one_place_of_the_library_are_two_bugs(self):
        folder = programs.CAUSES / "O2-no-frame-pointers-pie"
        first, second = self.fingerprints([folder / "double-free"], [folder / "invalid-free"])
        self.assertNotEqual(first, second)

    def test_other_directory(self):
        here, there = self.build("here"), self.build("somewhere/else/entirely")
        self.assertNotEqual(here.read_bytes(), there.read_bytes(), "the debug information names the same directory")
        first, second = self.fingerprints([here], [there])
        self.assertEqual(first, second)

    def test_rebuilt_with_another_function_changed(self):
        before, after = self.build("before"), self.build("after", UNRELATED_CHANGED)
        self.assertNotEqual(self.address_of(before, "look_up"), self.address_of(after, "look_up"))
        first, second = self.fingerprints([before], [after])
        self.assertEqual(first, second)

    def new_folder(self):
        """Where the analysis may open what lies in it: the server holds the files of few crashes that wait."""
        self.folder.chmod(0o755)
        place = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        place.chmod(0o755)
        return place

    def compile(self, source, *options, compiler="cc", name="shop"):
        """One program of `source`, by itself in a folder."""
        if not shutil.which(compiler):
            self.skipTest(f"there is no {compiler}")
        place = self.new_folder()
        suffix = {"cc": "c", "c++": "cc", "go": "go"}[compiler]
        (place / f"{name}.{suffix}").write_text(source)
        made = ["go", "build"] if compiler == "go" else [compiler, "-g"]
        subprocess.run([*made, *options, "-o", name, f"{name}.{suffix}"], cwd=place, check=True)
        return place / name

    def stripped(self, program):
        """A copy without its debug information."""
        copy = self.new_folder() / program.name
        subprocess.run(["strip", "-g", program, "-o", copy], check=True)
        return copy

    def check_bugs(self, programs_, *arguments):
        """Each of the arguments is a bug: one group in all of the programs, and another one than those of the others."""
        found = self.fingerprints(*([program, *words] for words in arguments for program in programs_))
        by_bug = [set(found[i : i + len(programs_)]) for i in range(0, len(found), len(programs_))]
        for words, groups in zip(arguments, by_bug):
            self.assertEqual(len(groups), 1, f"{words}: the programs differ")
        self.assertEqual(len(set.union(*by_bug)), len(arguments), "two bugs are one group")

    def test_inlined_helpers(self):
        optimised = self.compile(HELPERS, "-O2", compiler="c++")
        plain = self.compile(HELPERS, "-O0", compiler="c++")
        self.check_bugs([optimised, self.stripped(optimised), plain], [], ["invoice"], ["a", "total"])

    def test_helpers_to_die(self):
        built = [self.compile(DEATHS, level) for level in ("-O0", "-O1", "-O2")]
        self.check_bugs([*built, self.stripped(built[2])], [], ["invoice"])

    def test_functions_that_the_compiler_made_one(self):
        program = self.compile(DEATHS, "-O2")
        first, second = self.fingerprints([program, "a", "b"], [self.stripped(program), "a", "b"])
        self.assertEqual(first, second)

    def test_recursions_at_any_size_of_the_stack(self):
        built = [self.compile(RECURSIONS, level) for level in ("-O0", "-O2")]
        built.append(self.stripped(built[1]))
        for words in [], ["-1"]:
            found = self.fingerprints(*(["sh", "-c", f'ulimit -s {kib} && exec "$@"', "sh", program, *words]
                                        for program in built for kib in (128, 300, 1024, 3000, 8192)))  # fmt: skip
            self.assertEqual(len(set(found)), 1, words)

    def test_a_crash_at_any_depth_of_a_recursion(self):
        program = self.compile(RECURSIONS, "-O2")
        self.assertEqual(len(set(self.fingerprints(*([program, str(depth)] for depth in (0, 1, 7, 50))))), 1)

    def test_go(self):
        program = self.compile(GO, compiler="go")
        with unittest.mock.patch.dict(os.environ, GOTRACEBACK="crash"):
            self.check_bugs([program, self.stripped(program)], [], ["invoice"])

    def test_with_and_without_debug_information(self):
        first, second = self.fingerprints([self.build("with")], [self.build("without", options=["-O2"])])
        self.assertEqual(first, second)


if __name__ == "__main__":
    case.main()
