"""Cores of another processor: of aarch64 programs, which qemu-user runs here and writes cores of."""

import pathlib
import resource
import shutil
import subprocess
import tempfile

from harness import case, kernel, report, store

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
struct node { char head[0x18]; long value; void (*call)(void); };
__attribute__((noinline)) static long inner(struct node* node) { return node->value + 1; }  // dies here
__attribute__((noinline)) static long middle(struct node* node) { return inner(node) + 2; }
__attribute__((noinline)) static long nowhere(struct node* node) { node->call(); return 1; }
__attribute__((noinline)) static long gives_up(void) { abort(); }
int main(int argc, char** argv) {
  static struct node empty;
  struct node* volatile node = argv[1][0] == 'r' ? NULL : &empty;
  if (argv[1][0] == 'a') return (int)gives_up();
  return (int)(argv[1][0] == 'c' ? nowhere(node) : middle(node)) + argc;
}
"""
COMPILER, QEMU, LIBRARIES = "aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu"


class Aarch64(case.KernelCase):
    def setUp(self):
        super().setUp()
        if not shutil.which(COMPILER) or not shutil.which(QEMU):
            self.skipTest("there is no compiler for aarch64, or no qemu-user")
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test.")))

    def die(self, way, *options):
        """The report of a death of the program, built with `options`."""
        source, program = self.folder / "dies.c", self.folder / "dies"
        source.write_text(PROGRAM)
        subprocess.run([COMPILER, "-O1", "-g", *options, "-o", program, source], check=True)
        unlimited = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        # qemu dies of the same signal, and no server of another test is to hear of it.
        with kernel.settings({kernel.CORE_PATTERN: "core"}):
            subprocess.run([QEMU, "-L", LIBRARIES, program, way], cwd=self.folder, preexec_fn=unlimited, capture_output=True)
        (core,) = self.folder.glob("qemu_*.core")
        where = self.folder / "store"
        store.obit(where, "import", core)
        (record,) = store.records(where)
        store.obit(where, "analyze", record["id"])
        return report.shown(where, record["id"])

    def check(self, said, *functions):
        names = report.names(said["stacks"][0])
        self.assertIn(list(functions), [names[i : i + len(functions)] for i in range(len(names))], said["stacks"][0])

    def test_a_null_pointer(self):
        said = self.die("read")
        self.check(said, "inner", "middle", "main")
        frame = said["stacks"][0]["frames"][0]
        self.assertEqual((frame["found"], frame["line"]), ("registers", 5))
        self.assertEqual(said["crashed"]["instruction"]["text"], "ldr x0, [x0, #0x18]")
        self.assertEqual({item["name"] for item in said["crashed"]["registers"]} & {"x0", "x30", "sp", "pc"}, {"x0", "x30", "sp", "pc"})
        self.assertEqual((said["cause"]["kind"], said["cause"]["address"]), ("null-read", "0x18"))

    def test_a_call_to_nowhere(self):
        said = self.die("call")
        self.check(said, "nowhere", "main")
        self.assertEqual(said["cause"]["kind"], "null-call")

    def test_of_a_static_program(self):
        self.check(self.die("read", "-static"), "inner", "middle", "main")

    def test_of_a_program_without_frame_pointers(self):
        self.check(self.die("read", "-fomit-frame-pointer"), "inner", "middle", "main")

    def test_an_abort(self):
        said = self.die("abort", "-static")
        self.check(said, "abort", "gives_up", "main")


if __name__ == "__main__":
    case.main()
