"""What can be wrong with one thing in a store, as a table: KINDS. docs/store-format.md says what belongs there."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import random
import shutil
import socket
import sqlite3
import struct
import typing

USER, OTHER = 61000, 61001  # the store is the first one's
EVIL = "e\x1b[2J\x9b\x7f\r\n\u202evil"
FILES = ("crash.json", "core.zst", "exe.zst", "report.json", "commit.json", "repeats.json", "pinned")  # of a crash
HUGE = 1 << 40  # bytes of a sparse file


@dataclasses.dataclass
class Place:
    """A store of which something is to be damaged."""

    store: pathlib.Path
    crash: pathlib.Path  # the folder of the crash that it may concern
    other: pathlib.Path  # the folder of one that it does not concern
    outside: pathlib.Path  # a folder beside the store: nothing may happen to it
    random: random.Random
    held: contextlib.ExitStack  # what is locked while obit runs

    @property
    def index(self):
        return self.store / "index.db"

    @property
    def day(self):
        return self.crash.parent


@dataclasses.dataclass
class Kind:
    name: str
    damage: typing.Callable[[Place], None]
    concerns: str = "crash"  # what obit may not show any more: this "crash", "nothing", or "all"


# What can be in the place of a file.


def _clear(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def missing(path, _):
    _clear(path)


def empty(path, _):
    path.write_bytes(b"")


def garbage(path, place):
    path.write_bytes(place.random.randbytes(10_000))


def half(path, _):
    os.truncate(path, path.stat().st_size // 2)


def flipped(path, place):
    content = bytearray(path.read_bytes() or b"\0")
    content[place.random.randrange(len(content))] ^= 1 << place.random.randrange(8)
    path.write_bytes(content)


def huge(path, _):
    with open(path, "ab") as file:
        file.truncate(HUGE)


def folder(path, _):
    _clear(path)
    path.mkdir()
    (path / "inner").write_text("inner")


def fifo(path, _):
    _clear(path)
    os.mkfifo(path)


def listening(path, place):
    _clear(path)
    one = place.held.enter_context(socket.socket(socket.AF_UNIX))
    parent = os.open(path.parent, os.O_PATH)
    one.bind(f"/proc/self/fd/{parent}/{path.name}")  # a path may be too long for an address
    os.close(parent)
    one.listen()


def link_outside(path, place):
    target = place.outside / ("folder" if path.is_dir() else "file")
    _clear(path)
    path.symlink_to(target)


def name_outside(path, place):
    _clear(path)
    os.link(place.outside / "file", path)


def link_loop(path, _):
    _clear(path)
    path.symlink_to(path.name)


def closed(path, _):
    path.chmod(0)


def of_another(path, _):
    os.chown(path, OTHER, OTHER)


FILE_WAYS = {
    "missing": missing, "empty": empty, "half": half, "one bit flipped": flipped, "huge": huge, "a folder": folder,
    "a FIFO": fifo, "a socket": listening, "a link to outside": link_outside, "a link to itself": link_loop,
    "a second name of a file outside": name_outside, "with mode 0": closed, "another user's": of_another,
}  # fmt: skip
FOLDER_WAYS = {
    "missing": missing, "a file": lambda path, place: (_clear(path), empty(path, place)), "a FIFO": fifo,
    "a link to outside": link_outside, "a link to itself": link_loop, "with mode 0": closed, "another user's": of_another,
}  # fmt: skip


def _each(paths, ways, **options):
    """A kind for each of the ways of each path, which is relative to the store, or to the crash behind "ID/"."""
    for name in paths:
        for way, damage in ways.items():

            def apply(place, name=name, damage=damage):
                path = place.crash / name[3:] if name.startswith("ID/") else place.store / name
                damage(path, place)

            yield Kind(f"{name.rstrip('/')} {way}", apply, **options)


# What can stand in JSON.


def _every(leaf, value):
    """The value with leaf(inner) in the place of each string, number and so on."""
    if isinstance(value, dict):
        return {key: _every(leaf, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_every(leaf, inner) for inner in value]
    return leaf(value)


def _except_id(change):
    """Every leaf changed, but schema and id: else nothing more would be read."""

    def changed(content, place):
        return _every(lambda leaf: change(leaf, place), content) | {key: content[key] for key in ("schema", "id")}

    return changed


def _numbers(*values):
    def change(leaf, place):
        return place.random.choice(values) if isinstance(leaf, (int, float)) and not isinstance(leaf, bool) else leaf

    return _except_id(change)


def _other_type(leaf, place):
    others = [7, "7", True, None, [leaf], {"x": leaf}, []]
    return place.random.choice([other for other in others if type(other) is not type(leaf)])


def _text(change):
    return _except_id(lambda leaf, place: change(leaf, place) if isinstance(leaf, str) else leaf)


CONTENTS = {
    "of another crash": lambda content, place: content | {"id": place.other.name},
    "of an unknown schema": lambda content, _: content | {"schema": 2},
    "with control characters": _text(lambda leaf, _: EVIL + leaf),
    "with escaped control characters": _text(lambda leaf, _: "\\x1b[2J\\x0a\\xff\\\\" + leaf),
    "with paths out of it": _text(lambda leaf, place: place.random.choice(["../../../../outside/file", "/etc/passwd", "..", ""])),
    "with long strings": _text(lambda leaf, place: leaf * place.random.choice([1, 1, 1, 2000])),
    "with numbers out of range": _numbers(-1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, 1 << 64, 1e300, -1e300, 0.5, 0),
    "with values of other types": _except_id(
        lambda leaf, place: _other_type(leaf, place) if place.random.random() < 0.1 else leaf),
    "with null everywhere": _except_id(lambda leaf, _: None),
    "with few members": lambda content, place: {
        key: value for key, value in content.items() if key in ("schema", "id") or place.random.random() < 0.5},
    "an array": lambda content, _: [content] * 3,
}  # fmt: skip
TEXTS = {
    "with bytes that are not UTF-8": lambda text, _: text.replace(b'": "', b'": "\xff\xc0\xaf\xed\xa0\x80'),
    "nested deeply": lambda text, _: text.rstrip().removesuffix(b"}") + b', "deep": ' + b"[" * 400_000,
    "with members twice": lambda text, _: text.rstrip().removesuffix(b"}") + b"," + text.lstrip().removeprefix(b"{"),
    "with numbers of 1,000 digits": lambda text, _: text.rstrip().removesuffix(b"}") + b', "time": ' + b"9" * 1000 + b"}",
    "behind NUL bytes": lambda text, _: bytes(4096) + text,
}


def _json(names):
    for name in names:
        for way, change in CONTENTS.items():

            def edit(place, name=name, change=change):
                path = place.crash / name
                path.write_text(json.dumps(change(json.loads(path.read_text()), place), indent=1) + "\n")

            yield Kind(f"ID/{name} {way}", edit)
        for way, change in TEXTS.items():

            def rewrite(place, name=name, change=change):
                path = place.crash / name
                path.write_bytes(change(path.read_bytes(), place))

            yield Kind(f"ID/{name} {way}", rewrite)


# core.zst and exe.zst.


def _hole_mark(length):
    return struct.pack("<II8sQ", 0x184D2A57, 16, b"obithole", length)


def _seek_table(frames):
    entries = b"".join(struct.pack("<II", stored, plain) for stored, plain in frames)
    return struct.pack("<II", 0x184D2A5E, len(entries) + 9) + entries + struct.pack("<IBI", len(frames), 0, 0x8F92EAB1)


def _with_table(change):
    """The seek table, as a list of [stored, plain], is changed."""

    def damage(path, place):
        content = path.read_bytes()
        count, _, _ = struct.unpack("<IBI", content[-9:])
        begin = len(content) - 9 - 8 * count - 8
        table = [list(struct.unpack_from("<II", content, begin + 8 + 8 * i)) for i in range(count)]
        path.write_bytes(content[:begin] + _seek_table(change(table, place)))

    return damage


def _of_frame(change):
    def changed(table, place):
        change(table[place.random.randrange(len(table))])
        return table

    return _with_table(changed)


def _tail(tail):
    def damage(path, _):
        path.write_bytes(path.read_bytes()[: -len(tail)] + tail)

    return damage


PACKED_WAYS = {
    "with one more frame in its table": _with_table(lambda table, _: [*table, [100, 100]]),
    "with frames in another order": _with_table(lambda table, place: place.random.sample(table, len(table))),
    "with a frame of 4 GiB": _of_frame(lambda frame: frame.__setitem__(1, 0xFFFFFFFF)),
    "with a frame of nothing": _of_frame(lambda frame: frame.__setitem__(1, 0)),
    "with 134,217,728 frames": _tail(struct.pack("<IBI", 1 << 27, 0, 0x8F92EAB1)),
    "with 2^32 - 1 frames": _tail(struct.pack("<IBI", 0xFFFFFFFF, 0xFF, 0x8F92EAB1)),
    "with a mark of 2^62 bytes and no list": lambda path, _: path.write_bytes(_hole_mark(1 << 62) + _seek_table([[24, 0]])),
    "a mark of 2^63 bytes, cut": lambda path, _: path.write_bytes(_hole_mark(1 << 63)),
    "all zeros": lambda path, _: path.write_bytes(bytes(path.stat().st_size)),
    "of another crash": lambda path, place: shutil.copy(place.other / "core.zst", path),
}


# index.db.


def _sql(*statements):
    def damage(place):
        with contextlib.closing(sqlite3.connect(place.index)) as index, index:
            for statement in statements:
                index.execute(statement.replace("ID", place.crash.name).replace("EVIL", EVIL))

    return damage


def _rows_of_nobody(place):
    with contextlib.closing(sqlite3.connect(place.index)) as index, index:
        columns = [row[1] for row in index.execute("PRAGMA table_info(crashes)")]
        others = ", ".join(f'"{column}"' for column in columns if column != "id")
        index.execute("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
                      f"INSERT INTO crashes (id, {others}) SELECT printf('%016x', n.i), {others} FROM n, crashes "
                      f"WHERE crashes.id = '{place.crash.name}'")  # fmt: skip


def _locked_index(place):
    index = place.held.enter_context(contextlib.closing(sqlite3.connect(place.index, isolation_level=None)))
    index.execute("PRAGMA locking_mode = EXCLUSIVE")
    index.execute("BEGIN EXCLUSIVE")


def _beside_index(suffix, damage):
    return lambda place: damage(pathlib.Path(f"{place.index}{suffix}"), place)


def _index():
    yield from _each(["index.db"], FILE_WAYS | {"garbage": garbage}, concerns="nothing")
    for name, damage in {
        "locked": _locked_index,
        "of another schema": _sql("PRAGMA user_version = 999"),
        "without a table": _sql("DROP TABLE crashes"),
        "with a view in the place of a table": _sql("ALTER TABLE crashes RENAME TO old",
                                                    "CREATE VIEW crashes AS SELECT * FROM old"),
        "with a trigger": _sql("CREATE TRIGGER t AFTER INSERT ON days BEGIN DELETE FROM crashes; END"),
        "with days out of the store": _sql("UPDATE crashes SET day = '../../outside'"),
        "with ids out of the store": _sql("UPDATE OR IGNORE crashes SET id = '../../../outside/folder'"),
        "with control characters": _sql("UPDATE crashes SET comm = CAST('EVIL' AS BLOB), exe = CAST('EVIL' AS BLOB), "
                                        "reason = CAST('EVIL' AS BLOB), cause = CAST('EVIL' AS BLOB), kind = 'EVIL'"),
        "with numbers out of range": _sql("UPDATE crashes SET pid = -1, uid = -1, signal = 1 << 40, time = 1 << 62, "
                                          "core_bytes = -1, stored_bytes = -1, commit_number = -1, report_inode = -1, "
                                          "group_value = -1"),
        "with days that never were": _sql("INSERT INTO days VALUES ('2001-02-03', 5, 0)", "INSERT INTO days VALUES ('EVIL', 5, 0)"),
        "without rows": _sql("DELETE FROM crashes"),
        "with rows of 20,000 other crashes": _rows_of_nobody,
        "beside a journal": _beside_index("-journal", garbage),
        "beside a log of garbage": _beside_index("-wal", garbage),
        "beside a log that is a folder": _beside_index("-wal", folder),
        "beside a log that is a FIFO": _beside_index("-wal", fifo),
        "beside a log that is a link": _beside_index("-wal", link_outside),
        "beside an index of the log that is a link": _beside_index("-shm", link_outside),
        "beside an index of the log that is a folder": _beside_index("-shm", folder),
    }.items():  # fmt: skip
        yield Kind(f"index.db {name}", damage, "nothing")


# The rest of the store.


def _locked(name):
    def damage(place):
        path = place.store / name
        file = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o600)
        place.held.callback(os.close, file)
        fcntl.flock(file, fcntl.LOCK_EX)

    return damage


def _write(name, text):
    return lambda place: (place.store / name).write_text(text)


def _numbers_files():
    yield from _each(["numbers"], FOLDER_WAYS, concerns="nothing")
    few = ("missing", "empty", "huge", "a folder", "a FIFO", "a link to outside", "a second name of a file outside")
    ways = {way: FILE_WAYS[way] for way in few} | {"garbage": garbage}
    yield from _each(["numbers/accepted", "numbers/committed"], ways, concerns="nothing")
    ways = {"a FIFO": fifo, "a folder": folder, "a link to outside": link_outside}
    yield from _each(["numbers/accepted.lock"], ways, concerns="nothing")
    yield from _each(["numbers/accepted.new"], {"a folder": folder, "a link to outside": link_outside}, concerns="nothing")
    for name, text in {"the highest": f"{(1 << 64) - 1}\n", "too high": "99999999999999999999\n", "negative": "-5\n"}.items():
        yield Kind(f"numbers/accepted {name}", _write("numbers/accepted", text), "nothing")
    yield Kind("numbers/committed.lock locked", _locked("numbers/committed.lock"), "nothing")


def _beside(name, damage):
    """Something in crashes/ or in incoming/ that should not be there."""
    return lambda place: damage(place.store / name, place)


def _crash_again(name):
    return lambda place: shutil.copytree(place.crash, place.store / name / place.crash.name)


def _odd_crashes(place):
    for name in (EVIL, ".", "..", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0", "0" * 255):
        with contextlib.suppress(FileExistsError):
            (place.day / name).mkdir()


def _begun(damage):
    def begin(place):
        path = place.store / "incoming/00112233445566aa"
        shutil.copytree(place.crash, path)
        (path / "begun.json").write_bytes((path / "crash.json").read_bytes())
        damage(path / "begun.json", place)

    return begin


def _half_removed(place):
    path = place.store / f"incoming/{place.crash.name}.removed"
    path.mkdir()
    (path / "core.zst").symlink_to(place.outside / "file")
    (path / "folder").symlink_to(place.outside / "folder")


def _folders():
    yield from _each(["ID/"], FOLDER_WAYS | {"empty": lambda path, _: (_clear(path), path.mkdir())})
    yield Kind("ID locked", lambda place: _locked(place.crash.relative_to(place.store))(place), "nothing")
    yield Kind("ID with more than obit's files", lambda place: folder(place.crash / EVIL, place), "nothing")
    yield Kind("ID with a link to outside in it", lambda place: link_outside(place.crash / "x", place), "nothing")
    for name in ("report.json.new", "pinned.new", "commit.json.new"):
        yield Kind(f"ID with a link as {name}", lambda place, name=name: link_outside(place.crash / name, place), "nothing")
        yield Kind(f"ID with a folder as {name}", lambda place, name=name: folder(place.crash / name, place), "nothing")
    for name in ("2026-13-40", "x", "evil\x1b[2J", "0000-00-00"):
        yield Kind(f"a day {name!r}", _crash_again(f"crashes/{name}"), "nothing")
    yield Kind("a crash on two days", _crash_again("crashes/2020-01-01"), "crash")
    for name, damage in {"a file": garbage, "a FIFO": fifo, "a link to outside": link_outside, "a link to itself": link_loop,
                         "a link to another day": lambda path, place: path.symlink_to(place.day.name)}.items():  # fmt: skip
        concerns = "crash" if "another" in name else "nothing"
        yield Kind(f"a day that is {name}", _beside("crashes/2020-01-01", damage), concerns)
    yield Kind("a day with mode 0", lambda place: place.day.chmod(0), "nothing")
    yield Kind("a day of another user", lambda place: of_another(place.day, place), "nothing")
    yield Kind("a day with odd names in it", _odd_crashes, "nothing")
    hiding = {way: damage for way, damage in FOLDER_WAYS.items() if way not in ("with mode 0", "another user's")}
    yield from _each(["crashes"], hiding, concerns="all")
    yield from _each(["incoming"], FOLDER_WAYS | {"locked": lambda path, place: _locked("incoming")(place)}, concerns="nothing")
    for name, damage in {"of garbage": garbage, "that is a FIFO": fifo, "that is a link": link_outside}.items():
        yield Kind(f"a begun crash {name}", _begun(damage), "nothing")
    yield Kind("a half removed crash that is links", _half_removed, "nothing")
    yield from _each(["metrics.prom", "reserve"], FILE_WAYS, concerns="nothing")
    counts = f'obit_{EVIL} 5\nobit{{x="{EVIL}"}} 1e999\n\x00 nan\n'
    yield Kind("metrics.prom with control characters", _write("metrics.prom", counts), "nothing")


def _all():
    yield from _each([f"ID/{name}" for name in FILES], FILE_WAYS)
    yield from _json(["crash.json", "report.json", "commit.json", "repeats.json"])
    yield from _each(["ID/core.zst", "ID/exe.zst"], PACKED_WAYS)
    yield from _index()
    yield from _numbers_files()
    yield from _folders()


KINDS = list(_all())
