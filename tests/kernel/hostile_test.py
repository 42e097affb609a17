"""Cores and binaries made to hurt: obit-analyze must come to an end, and what it leaves must be a report or a death that
its caller sees. Bits are flipped by fixed seeds, so that each run sees the same."""

import contextlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import socket
import struct
import subprocess

from harness import case, programs, report, store

VICTIM = programs.CAUSES / "O0-frame-pointers-pie/null-read"
HANGS = 120  # seconds: nothing here needs more than a few
MEMORY = 5 << 30  # bytes of addresses, more than the jail's own limit

# Debug information whose entries are their own siblings, origins and specifications.
CYCLIC = r"""
__asm__(R"(
.section .debug_abbrev,"",@progbits
.uleb128 1; .uleb128 0x11; .byte 1; .uleb128 0x11; .uleb128 0x01; .uleb128 0x12; .uleb128 0x07; .uleb128 0; .uleb128 0
.uleb128 2; .uleb128 0x2e; .byte 1; .uleb128 0x01; .uleb128 0x13; .uleb128 0x11; .uleb128 0x01; .uleb128 0x12; .uleb128 0x07
.uleb128 0x31; .uleb128 0x13; .uleb128 0x47; .uleb128 0x13; .uleb128 0; .uleb128 0
.byte 0
.section .debug_info,"",@progbits
.Linfo:
.long .Lend - .Lunit
.Lunit:
.value 4; .long 0; .byte 8
.uleb128 1; .quad serve; .quad 4096
.Lfunction:
.uleb128 2; .long .Lfunction - .Linfo; .quad serve; .quad 4096; .long .Lfunction - .Linfo; .long .Lfunction - .Linfo
.byte 0
.byte 0
.Lend:
.text
)");
__attribute__((noinline)) int serve(void) { return *(volatile int*)0; }
int main(void) { return serve() + 1; }
"""


def compile_c(folder, name, text):
    source = pathlib.Path(folder) / f"{name}.c"
    source.write_text(text)
    subprocess.run(["cc", "-g0", "-O1", "-o", source.with_suffix(""), source], check=True, capture_output=True)
    return source.with_suffix("")


def flip(data, chance, ranges):
    """Changes between 1 and 32 bytes of `data` within the ranges, each (begin, end)."""
    for _ in range(chance.randint(1, 32)):
        begin, end = chance.choice(ranges)
        data[chance.randrange(begin, end)] = chance.choice((0, 0xff, 0x7f, chance.randrange(256)))


def sections(path, pattern):
    """(begin, end) in the file of each section whose name fits."""
    listed = subprocess.run(["eu-readelf", "-S", path], check=True, capture_output=True, text=True).stdout
    rows = re.findall(r"^\[ *\d+\] (\S+) +(\w+) +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", listed, re.M)
    found = [(int(at, 16), int(at, 16) + int(size, 16)) for name, kind, at, size in rows
             if re.match(pattern, name) and kind != "NOBITS" and int(size, 16) > 0]  # fmt: skip
    if not found:
        raise AssertionError(f"{path} has no section like {pattern}")
    return found


class Hostile(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.start()
        self.lend_kernel("socket-request")
        self.folder = pathlib.Path(self.directory) / "hostile"
        self.folder.mkdir()

    def victim(self, *program):
        """The folder of a real crash."""
        self.crash(*(program or (VICTIM,)))
        record = self.record()
        report.of(self.server.store, record)
        return store.directory_of(self.server.store, record)

    def module_begin(self, crash):
        """Where the program was mapped."""
        first = json.loads((crash / "report.json").read_text())["modules"]
        (begin,) = (module["begin"] for module in first if module["path"].endswith(f"/{VICTIM.name}"))
        return begin.removeprefix("0x")

    def analyze(self, core, record, modules=()):
        """Runs obit-analyze; returns its report, or None where it died. Fails if it hangs, or tells nonsense."""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(path, "rb")) for path in (core, record)]
            out = stack.enter_context(open(self.folder / "report", "w+b"))
            arguments = ["--core", files[0].fileno(), "--record", files[1].fileno(), "--report", out.fileno()]
            passed = [file.fileno() for file in [*files, out]]
            bag, filled = (stack.enter_context(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            for begin, path in modules:
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                # BagItem::kMapped (kernel/bag_item.h)
                socket.send_fds(bag, [struct.pack("=IIQ", 2, 0, int(begin, 16))], [fd])
            arguments += ["--mapped", filled.fileno()]
            passed.append(filled.fileno())
            done = subprocess.run(
                [programs.OBIT_ANALYZE, *map(str, arguments)], pass_fds=passed, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=HANGS, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)))  # fmt: skip
            out.seek(0)
            text = out.read()
        if done.returncode != 0:
            return None
        made = json.loads(text)
        self.assertEqual(made["id"], json.loads(pathlib.Path(record).read_text())["id"])
        return made

    def soak(self, crash, ranges, seeds):
        """Analyses the crash with each of many damaged programs. Some may kill the analyzer, most must not."""
        begin, good = self.module_begin(crash), VICTIM.read_bytes()
        damaged, alive = self.folder / "damaged", 0
        for seed in range(seeds):
            data = bytearray(good)
            flip(data, random.Random(seed), ranges)
            damaged.write_bytes(data)
            with self.subTest(seed):
                alive += self.analyze(crash / "core.zst", crash / "crash.json", [(begin, damaged)]) is not None
        self.assertGreater(alive, seeds // 2)

    def test_flipped_debug_information(self):
        self.soak(self.victim(), sections(VICTIM, r"\.debug_"), 60)

    def test_flipped_unwind_information_and_symbols(self):
        self.soak(self.victim(), sections(VICTIM, r"\.(eh_frame|symtab|strtab|dynsym|dynstr|gnu\.hash)"), 40)

    def test_flipped_headers(self):
        size = VICTIM.stat().st_size
        self.soak(self.victim(), [(16, 1024), (size - 64 * 40, size)], 40)

    def test_damaged_cores(self):
        crash = self.victim()
        plain = store.dump(self.server.store, {"id": crash.name}, self.folder / "core")
        good = pathlib.Path(plain).read_bytes()
        alive = 0
        for seed in range(40):
            chance = random.Random(seed)
            data = bytearray(good)
            if seed % 2:
                del data[chance.randrange(100, len(data)) :]
            flip(data, chance, [(16, min(len(data), 16 * 1024))])
            damaged, other = self.folder / "core.damaged", self.folder / f"store{seed}"
            damaged.write_bytes(data)
            if store.obit(other, "import", damaged, check=False).returncode != 0:
                continue  # it is no core any more
            (made,) = store.crash_directories(other)
            with self.subTest(seed):
                alive += self.analyze(made / "core.zst", made / "crash.json") is not None
            shutil.rmtree(other)
        self.assertGreater(alive, 10)

    def test_modules_that_are_no_files(self):
        crash = self.victim()
        begin = self.module_begin(crash)
        fifo, empty, sparse = (self.folder / name for name in ("fifo", "empty", "sparse"))
        os.mkfifo(fifo)
        empty.touch()
        shutil.copy(VICTIM, sparse)
        with open(sparse, "r+b") as file:  # its section headers lie at the end of 4 GiB
            file.truncate(4 << 30)
            file.seek(0x28)
            file.write(((4 << 30) - 4096).to_bytes(8, "little"))
        for path in (fifo, empty, sparse, "/dev/zero", self.folder):
            with self.subTest(path):
                made = self.analyze(crash / "core.zst", crash / "crash.json", [(begin, path)])
                self.assertEqual(made["cause"]["kind"], "null-read")

    def test_debug_information_that_goes_in_circles(self):
        crash = self.victim(compile_c(self.folder, "cyclic", CYCLIC))
        made = self.analyze(crash / "core.zst", crash / "crash.json")
        self.assertEqual(made["cause"]["kind"], "null-read")
        self.assertIn("serve", report.names(made["stacks"][0]))

    def test_a_symbol_of_a_megabyte(self):
        name = "f" * (1 << 20)
        text = f"__attribute__((noinline)) int {name}(void) {{ return *(volatile int*)0; }}\nint main(void) {{ return {name}() + 1; }}"
        crash = self.victim(compile_c(self.folder, "long", text))
        made = self.analyze(crash / "core.zst", crash / "crash.json")
        self.assertRegex(made["stacks"][0]["frames"][0]["function"], "^f+$")
        self.assertLess((self.folder / "report").stat().st_size, 1 << 20)


if __name__ == "__main__":
    case.main()
