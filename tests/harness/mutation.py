"""Cores and programs as they were never meant to be: tables of what is changed in an ELF file, by a generator of random numbers.

Of 64 and 32 bit, little-endian (elf.h). Each mutator takes (random, content, elf) and changes `content`, a bytearray."""

import struct

PT_LOAD, PT_NOTE = 1, 4
NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE, NT_SIGINFO = 1, 3, 6, 0x46494C45, 0x53494749
PAGE = 4096


class Elf:
    """Where in an ELF file what is. Only of files that are whole."""

    def __init__(self, content):
        self.wide = content[4] == 2
        self.word = "<Q" if self.wide else "<I"
        self.word_bytes = 8 if self.wide else 4
        self.header_bytes = 64 if self.wide else 52
        self.programs_at = self._word(content, 32 if self.wide else 28)
        self.sections_at = self._word(content, 40 if self.wide else 32)
        counts = struct.unpack_from("<HHHHH", content, 54 if self.wide else 42)
        self.program_bytes, self.programs, self.section_bytes, self.sections, names = counts
        self.segments = [self._segment(content, self.programs_at + i * self.program_bytes) for i in range(self.programs)]
        self.notes = [note for kind, at, size, _ in self.segments if kind == PT_NOTE for note in self._notes(content, at, size)]
        self.named = self._sections(content, names) if self.sections else {}

    def _word(self, content, at):
        return struct.unpack_from(self.word, content, at)[0]

    def _segment(self, content, at):
        """(type, offset, size in the file, address)"""
        kind, = struct.unpack_from("<I", content, at)
        places = (8, 32, 16) if self.wide else (4, 16, 8)
        return kind, *(self._word(content, at + place) for place in places)

    @staticmethod
    def _notes(content, at, size):
        """(type, where it begins, where what it says begins, bytes of that)"""
        end = at + size
        while at + 12 <= end:
            name, bytes_, kind = struct.unpack_from("<III", content, at)
            says = at + 12 + (name + 3) // 4 * 4
            yield kind, at, says, bytes_
            at = says + (bytes_ + 3) // 4 * 4

    def _sections(self, content, names):
        """{name: (where its header is, offset, size)} of those that have bytes in the file"""
        found = {}
        places = (24, 32) if self.wide else (16, 20)

        def of(index):
            at = self.sections_at + index * self.section_bytes
            return at, *(self._word(content, at + place) for place in places)

        _, strings, _ = of(names)
        for index in range(1, self.sections):
            at, offset, size = of(index)
            name, kind = struct.unpack_from("<II", content, at)
            begin = strings + name
            if kind != 8 and size:  # SHT_NOBITS
                found[bytes(content[begin : content.index(0, begin)]).decode()] = at, offset, size
        return found

    def head_bytes(self):
        """What comes before the memory of a core."""
        ends = [at + size for kind, at, size, _ in self.segments if kind == PT_NOTE]
        return max(self.programs_at + self.programs * self.program_bytes, *ends)


# How bytes are changed.


def flip(random, content, begin, size):
    """1 to 8 bits between `begin` and `begin` + `size`."""
    for _ in range(random.randint(1, 8)):
        at = begin + random.randrange(size)
        if at < len(content):
            content[at] ^= 1 << random.randrange(8)


def odd_number(random, elf):
    """One that is on the edge of something."""
    most = (1 << 8 * elf.word_bytes) - 1
    edges = [0, 1, 7, PAGE - 1, PAGE, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, most >> 1, (most >> 1) + 1, most - 7, most]
    return random.choice([*edges, random.getrandbits(64)]) & most


def put_word(random, content, elf, at):
    if at + elf.word_bytes <= len(content):
        struct.pack_into(elf.word, content, at, odd_number(random, elf))


def put_half_word(random, content, at):
    if at + 4 <= len(content):
        edges = [0, 1, 3, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
        struct.pack_into("<I", content, at, random.choice([*edges, random.getrandbits(32)]))


def scramble(random, content, begin, size):
    """Some bytes become others, all ones (a LEB128 number without an end), zeros, or those that stand elsewhere."""
    length = random.randint(1, max(min(size, 64), 1))
    at = begin + random.randrange(max(size - length, 0) + 1)
    other = begin + random.randrange(max(size - length, 0) + 1)
    elsewhere = bytes(content[other : other + length])
    by = random.choice([random.randbytes(length), b"\xff" * length, b"\x80" * length, bytes(length), elsewhere])
    content[at : at + length] = by[: max(len(content) - at, 0)]


def _segment_of(random, elf, wanted=PT_LOAD):
    return random.choice([segment for segment in elf.segments if segment[0] == wanted and segment[2]])


def _notes_of(elf, kind):
    return [note for note in elf.notes if note[0] == kind]


# Changes of any ELF file.


def elf_header(random, content, elf):
    flip(random, content, 4, elf.header_bytes - 4)


def program_header_bits(random, content, elf):
    flip(random, content, elf.programs_at, elf.programs * elf.program_bytes)


def program_header_words(random, content, elf):
    for _ in range(random.randint(1, 4)):
        words = elf.programs * elf.program_bytes // elf.word_bytes
        put_word(random, content, elf, elf.programs_at + random.randrange(words) * elf.word_bytes)


def swapped_segments(random, content, elf):
    """Two program headers change a field: sizes, offsets or addresses."""
    one, other = (elf.programs_at + random.randrange(elf.programs) * elf.program_bytes for _ in range(2))
    at = random.randrange(1, elf.program_bytes // elf.word_bytes) * elf.word_bytes
    one, other = slice(one + at, one + at + elf.word_bytes), slice(other + at, other + at + elf.word_bytes)
    content[one], content[other] = content[other], content[one]


def truncated(random, content, _):
    del content[random.randrange(len(content)) :]


def zeroed_page(random, content, _):
    at = random.randrange(len(content)) // PAGE * PAGE
    end = min(at + PAGE, len(content))
    content[at:end] = bytes(end - at)


# Changes of cores.


def truncated_head(random, content, elf):
    del content[random.randrange(elf.header_bytes, elf.head_bytes()) :]


def note_bits(random, content, elf):
    _, at, size, _ = _segment_of(random, elf, PT_NOTE)
    flip(random, content, at, size)


def note_sizes(random, content, elf):
    _, at, _, _ = random.choice(elf.notes)
    put_half_word(random, content, at + random.choice([0, 4, 8]))


def _words_of_note(kind):
    def mutate(random, content, elf):
        for _, _, says, size in _notes_of(elf, kind):
            for _ in range(random.randint(1, 6)):
                put_word(random, content, elf, says + random.randrange(max(size // elf.word_bytes, 1)) * elf.word_bytes)

    return mutate


def mapped_file_names(random, content, elf):
    for _, _, says, size in _notes_of(elf, NT_FILE):
        scramble(random, content, says + size // 2, size // 2)


def mapped_file_control_characters(random, content, elf):
    for _, _, says, size in _notes_of(elf, NT_FILE):
        at = says + size // 2 + random.randrange(size // 2 - 12)
        content[at : at + 10] = b"\n\x1b[2J\x9b\x07\r\xe2\x80"


def process_name(random, content, elf):
    for _, _, says, size in _notes_of(elf, NT_PRPSINFO):
        at = says + size - 96
        content[at : at + 96] = (random.choice([b"\x1b]0;x\x07", b"\xff\xfe", b"\n\nobit: ", b"%s%n"]) * 40)[:96]


def _stack_of(random, content, elf):
    """The segment that the stack pointer of a thread leads to."""
    _, _, says, _ = random.choice(_notes_of(elf, NT_PRSTATUS))
    at = says + (112 + 19 * 8 if elf.wide else 72 + 15 * 4)  # pr_reg.rsp, .esp
    pointer, = struct.unpack_from(elf.word, content, at)
    for kind, offset, size, address in elf.segments:
        if kind == PT_LOAD and address <= pointer < address + size:
            return offset + pointer - address, size - (pointer - address)
    _, offset, size, _ = _segment_of(random, elf)
    return offset, size


def stack_words(random, content, elf):
    """Words of a stack become others of it, or odd ones: frames that lead in a circle, or nowhere."""
    at, size = _stack_of(random, content, elf)
    words = max(min(size, 8192) // elf.word_bytes, 1)
    for _ in range(random.randint(1, 64)):
        one, other = (at + random.randrange(words) * elf.word_bytes for _ in range(2))
        if random.random() < 0.5:
            put_word(random, content, elf, one)
        else:
            content[one : one + elf.word_bytes] = content[other : other + elf.word_bytes]


def zeroed_stack(random, content, elf):
    at, size = _stack_of(random, content, elf)
    size = min(size, random.choice([64, 512, PAGE, 1 << 20]))
    content[at : at + size] = bytes(size)


def memory_bits(random, content, elf):
    for _ in range(64):
        _, at, size, _ = _segment_of(random, elf)
        flip(random, content, at, size)


def memory_words(random, content, elf):
    """What the loader and the C library keep, among others."""
    for _ in range(256):
        _, at, size, _ = _segment_of(random, elf)
        put_word(random, content, elf, at + random.randrange(max(size // elf.word_bytes, 1)) * elf.word_bytes)


def zeroed_segment(random, content, elf):
    _, at, size, _ = _segment_of(random, elf)
    content[at : at + size] = bytes(size)


def mapped_heads(random, content, elf):
    """The first pages of mapped files: ELF headers, and the build-ids."""
    heads = [at for kind, at, size, _ in elf.segments if kind == PT_LOAD and content[at : at + 4] == b"\x7fELF" and size >= 64]
    for at in heads or [0]:
        flip(random, content, at, random.choice([64, 1024]))


CORES = {
    "its header": elf_header,
    "bits of program headers": program_header_bits,
    "words of program headers": program_header_words,
    "fields of program headers changed with each other": swapped_segments,
    "cut in its head": truncated_head,
    "cut anywhere": truncated,
    "bits of notes": note_bits,
    "sizes and types of notes": note_sizes,
    "numbers in NT_FILE": _words_of_note(NT_FILE),
    "names in NT_FILE": mapped_file_names,
    "control characters in NT_FILE": mapped_file_control_characters,
    "NT_AUXV": _words_of_note(NT_AUXV),
    "registers": _words_of_note(NT_PRSTATUS),
    "NT_SIGINFO": _words_of_note(NT_SIGINFO),
    "name and arguments": process_name,
    "words of a stack": stack_words,
    "a stack of zeros": zeroed_stack,
    "bits of memory": memory_bits,
    "words of memory": memory_words,
    "a page of zeros": zeroed_page,
    "a segment of zeros": zeroed_segment,
    "heads of mapped files": mapped_heads,
}
# After these it may be no core any more.
BEHEADING = {elf_header, program_header_bits, program_header_words, swapped_segments, truncated_head, truncated, zeroed_page}


# Changes of programs.


def section_header_bits(random, content, elf):
    flip(random, content, elf.sections_at, elf.sections * elf.section_bytes)


def section_header_words(random, content, elf):
    """What a section header has: type, flags, address, offset, size, link, info."""
    for _ in range(random.randint(1, 3)):
        at, _, _ = random.choice(list(elf.named.values()))
        if random.random() < 0.5:
            put_half_word(random, content, at + random.randrange(elf.section_bytes // 4) * 4)
        else:
            put_word(random, content, elf, at + random.randrange(1, elf.section_bytes // elf.word_bytes) * elf.word_bytes)


def swapped_sections(random, content, elf):
    """Two sections change names, or places."""
    one, other = (random.choice(list(elf.named.values()))[0] for _ in range(2))
    at, size = random.choice([(0, 4), (4, 4), (elf.section_bytes // 2 - elf.word_bytes, 2 * elf.word_bytes)])
    one, other = slice(one + at, one + at + size), slice(other + at, other + at + size)
    content[one], content[other] = content[other], content[one]


def _section(*names):
    def mutate(random, content, elf):
        there = [elf.named[name] for name in elf.named if any(name.startswith(wanted) for wanted in names)]
        if not there:
            return section_header_words(random, content, elf)
        for _ in range(random.randint(1, 8)):
            _, at, size = random.choice(there)
            random.choice([flip, scramble])(random, content, at, size)

    return mutate


BINARIES = {
    "its header": elf_header,
    "bits of program headers": program_header_bits,
    "words of program headers": program_header_words,
    "fields of program headers changed with each other": swapped_segments,
    "bits of section headers": section_header_bits,
    "words of section headers": section_header_words,
    "fields of section headers changed with each other": swapped_sections,
    ".eh_frame": _section(".eh_frame"),
    ".eh_frame_hdr": _section(".eh_frame_hdr"),
    ".debug_info": _section(".debug_info"),
    ".debug_abbrev": _section(".debug_abbrev"),
    ".debug_line": _section(".debug_line"),
    ".debug_str": _section(".debug_str"),
    ".debug_loclists, .debug_rnglists": _section(".debug_loc", ".debug_rng", ".debug_ranges"),
    ".debug_aranges": _section(".debug_aranges"),
    "all of .debug_": _section(".debug_"),
    ".symtab": _section(".symtab"),
    ".strtab, .shstrtab": _section(".strtab", ".shstrtab"),
    ".dynsym, .dynamic": _section(".dyn", ".gnu.hash", ".hash"),
    "notes": _section(".note"),
    ".text": _section(".text"),
    "cut": truncated,
    "a page of zeros": zeroed_page,
}
