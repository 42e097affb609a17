"""What obit recorded, read as a user would: by the command, and the stored files by other people's programs."""

import contextlib
import hashlib
import json
import os
import pathlib
import struct
import subprocess

from . import programs, wait

PT_NOTE = 4
HEADERS_MAX = 64 + 65536 * 56  # bytes: what is longer than that has all its program headers


def obit(store, *arguments, check=True):
    """Runs `obit --store STORE ARGUMENTS`."""
    command = [programs.OBIT, "--store", store, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def crash_directories(store):
    return list(pathlib.Path(store).glob("crashes/*/*"))


def records(store, count=1, seconds=60, at_least=False):
    """The records of the store, oldest first, once there are `count` of them; fails if there are more, unless `at_least`."""
    wait.until(lambda: len(crash_directories(store)) >= count,
               lambda: f"{count} records: there are {len(crash_directories(store))}", seconds)  # fmt: skip
    listed = json.loads(obit(store, "list", "--json").stdout)
    if len(listed) != count and not at_least:
        dead = ", ".join(f"{record['process']['comm']}[{record['process']['pid']}]" for record in listed)
        raise AssertionError(f"{len(listed)} records instead of {count}: {dead}")
    return listed


def directory_of(store, record):
    """The folder of a crash."""
    (found,) = pathlib.Path(store).glob(f"crashes/*/{record['id']}")
    return found


def begun(store):
    """The folders of crashes that are being written. Others are prepared for crashes that are to come."""
    return [path.parent for path in pathlib.Path(store).glob("incoming/*/begun.json") if size_of(path) > 0]


def size_of(path):
    """Bytes of a file that may be renamed or removed meanwhile: then 0."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def incoming_cores(store):
    """The cores that are being written, with more than nothing in them."""
    return [path for path in pathlib.Path(store).glob("incoming/*/core.zst") if size_of(path) > 0]


def writes_a_core(pid):
    """A process has written something into a core that it has open."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            if os.readlink(link).endswith("/core.zst") and link.stat().st_size > 0:
                return True
    return False


def backtrace(store, record, *commands):
    """What gdb says of the stored core, started by `obit gdb`."""
    extra = [argument for command in commands for argument in ("-ex", command)]
    done = obit(store, "gdb", record["id"], "--", "-nx", "-batch", "-ex", "bt", *extra)
    return done.stdout + done.stderr


def dump(store, record, path):
    """The plain core, written by `obit dump`."""
    obit(store, "dump", record["id"], "-o", path)
    return path


def head_bytes(store, record):
    """How much of the core comes before the memory: headers and notes. Only so much is unpacked."""
    command = [programs.OBIT, "--store", store, "dump", record["id"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as dump:
        found = list(read_segments(dump.stdout))
        dump.stdout.close()  # ends it
    return max(offset + size for kind, offset, size in found if kind == PT_NOTE)


def segments(core):
    """(offset, size in the file) of each segment of a core file, by its program headers."""
    with open(core, "rb") as file:
        for _, offset, size in read_segments(file):
            yield offset, size


def read_segments(file):
    """(type, offset, size in the file) of each segment of the core at whose beginning `file` is: 64 or 32 bit, little-endian."""
    ident = file.read(64)
    if ident[:4] != b"\x7fELF":
        raise AssertionError("it is no ELF file")
    wide = ident[4] == 2
    word = "<Q" if wide else "<I"
    table_offset, = struct.unpack_from(word, ident, 32 if wide else 28)
    entry_size, count = struct.unpack_from("<HH", ident, 54 if wide else 42)
    rest = table_offset + entry_size * count - len(ident)  # read, not sought: it may come from a pipe
    table = (ident + file.read(rest))[table_offset:]
    for at in range(0, len(table), entry_size):
        kind, = struct.unpack_from("<I", table, at)
        offset, = struct.unpack_from(word, table, at + (8 if wide else 4))
        size, = struct.unpack_from(word, table, at + (32 if wide else 16))
        yield kind, offset, size


def unreadable(store, record, path):
    """Why a stored core cannot be read by `obit dump`, which writes it to `path`, and by a reader of notes: "" if it can, or if there
    is none. What there is of one that was truncated has to be readable too."""
    if "core" not in record["files"]:
        return "a full core that is not there" if record["capture"]["outcome"] == "full" else ""
    dumped = obit(store, "dump", record["id"], "-o", path, check=False)
    try:
        if dumped.returncode != 0 and _is_unfinished(record) and "no seek table" in dumped.stderr:
            return ""  # not even one frame of it is whole
        if dumped.returncode != 0:
            return f"obit dump ended with {dumped.returncode}: {dumped.stderr.strip()}"
        return _wrong_in(path, record["capture"])
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _is_unfinished(record):
    """A core that nobody completed: nobody knows more of it than its stored size, and it may end within a frame."""
    return "core" in record["files"] and record["capture"]["outcome"] == "truncated" and record["capture"]["core_bytes"] == 0


def sealed(records):
    """Those whose cores were written to their end: `zstd -t` is content with them."""
    return [record for record in records if "core" in record["files"] and not _is_unfinished(record)]


def _wrong_in(core, capture):
    size = os.path.getsize(core)
    full = capture["outcome"] == "full"
    # For one that nobody dared to read once more, only the stored size is known.
    if size != capture["core_bytes"] and (full or capture["core_bytes"] != 0):
        return f"it has {size} bytes instead of {capture['core_bytes']}"
    try:
        with open(core, "rb") as file:
            found = list(read_segments(file))
    except (AssertionError, struct.error) as error:
        return f"its headers: {error}" if full or size >= HEADERS_MAX else ""
    if full and size != max(offset + length for _, offset, length in found):
        return "it is not as long as its headers say"
    if not all(offset + length <= size for kind, offset, length in found if kind == PT_NOTE):
        return "its notes are cut" if full else ""
    notes = subprocess.run(["eu-readelf", "-n", core], capture_output=True, text=True, timeout=60)
    if notes.returncode != 0 or notes.stderr or "PRSTATUS" not in notes.stdout:
        return f"eu-readelf -n: {notes.returncode}, {notes.stderr.strip()}"
    return ""


def size_by_headers(core):
    """How long a core file must be."""
    return max(offset + size for offset, size in segments(core))


def largest_segment(core):
    return max(segments(core), key=lambda segment: segment[1])


def sha256_of(path):
    with open(path, "rb") as file:
        return _digest(file)


def sha256_unpacked(path):
    """The digest of what plain `zstd -dc` makes of a file."""
    with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as unpacker:
        digest = _digest(unpacker.stdout)
    if unpacker.returncode != 0:
        raise AssertionError(f"zstd -dc {path} ended with {unpacker.returncode}")
    return digest


def _digest(stream):
    digest = hashlib.sha256()
    while piece := stream.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()
