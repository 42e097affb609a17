"""Cores of another processor: of aarch64 programs, which qemu-user runs here and writes cores of."""

import pathlib
import resource
import shutil
import subprocess
import tempfile

from harness import case, kernel, report, store

# Without a C library: what there is of one for another processor differs by distribution.
PROGRAM = r"""
struct node { char head[0x18]; long value; void (*call)(void); };
__attribute__((noinline)) static long inner(struct node* node) { return *(volatile long*)&node->value + 1; }  // dies here
__attribute__((noinline)) static long middle(struct node* node) { return inner(node) + 2; }
__attribute__((noinline)) static long nowhere(struct node* node) { node->call(); __asm__ volatile(""); return 1; }
__attribute__((noinline)) static long gives_up(void) { __builtin_trap(); }
static struct node empty;
__attribute__((noinline)) long run(char way) {
  struct node* volatile node = way == 'r' ? (struct node*)0 : &empty;
  if (way == 't') return gives_up() + 1;
  return (way == 'c' ? nowhere(node) : middle(node)) + 3;
}
// The stack has the number of arguments, then the arguments.
void start(char** stack) { run(*stack[2]); __asm__ volatile("brk #1"); }
__asm__(".globl _start\n_start: mov x29, xzr\n mov x30, xzr\n mov x0, sp\n bl start\n brk #1");
"""
COMPILER, QEMU = ("clang-19", "--target=aarch64-linux-gnu", "-fuse-ld=lld", "-nostdlib", "-static", "-g"), "qemu-aarch64"


class Aarch64(case.KernelCase):
    def setUp(self):
        super().setUp()
        if not (shutil.which(COMPILER[0]) and shutil.which("ld.lld-19") and shutil.which(QEMU)):
            self.skipTest("there is no clang-19 or lld-19 for aarch64, or no qemu-user")
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test.")))

    def die(self, way, *options):
        """The report of a death of the program, built with `options`."""
        source, program = self.folder / "dies.c", self.folder / "dies"
        source.write_text(PROGRAM)
        subprocess.run([*COMPILER, "-O1", *options, "-o", program, source], check=True)
        unlimited = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        # qemu dies of the same signal, and no server of another test is to hear of it.
        with kernel.settings({kernel.CORE_PATTERN: "core"}):
            subprocess.run([QEMU, program, way], cwd=self.folder, preexec_fn=unlimited, capture_output=True)
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
        self.check(said, "inner", "middle", "run", "start")
        frame = said["stacks"][0]["frames"][0]
        self.assertEqual((frame["found"], frame["line"]), ("registers", 3))
        self.assertEqual(said["crashed"]["instruction"]["text"], "ldr x8, [x0, #0x18]")
        self.assertEqual({item["name"] for item in said["crashed"]["registers"]} & {"x0", "x30", "sp", "pc"}, {"x0", "x30", "sp", "pc"})
        self.assertEqual((said["cause"]["kind"], said["cause"]["address"]), ("null-read", "0x18"))

    def test_a_call_to_nowhere(self):
        said = self.die("call")
        self.check(said, "nowhere", "run", "start")
        self.assertEqual(said["cause"]["kind"], "null-call")

    def test_of_a_program_without_frame_pointers(self):
        self.check(self.die("read", "-fomit-frame-pointer"), "inner", "middle", "run", "start")

    def test_of_a_program_that_can_be_moved(self):
        self.check(self.die("read", "-fPIE", "-static-pie"), "inner", "middle", "run", "start")

    def test_a_trap(self):
        said = self.die("trap")
        self.check(said, "gives_up", "run", "start")
        self.assertEqual(said["cause"]["kind"], "trap")


if __name__ == "__main__":
    case.main()
