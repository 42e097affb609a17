"""What dies in bench/captures.py."""

import contextlib
import dataclasses
import pathlib
import tempfile


@dataclasses.dataclass
class Scenario:
    name: str
    argv: tuple  # the last word makes it stop itself, everything prepared
    crashes: int = 1
    without: tuple = ()  # contenders that cannot do it
    only: tuple = ()  # else all; those that take part only if named are named here
    needs_file: int = 0  # MiB; the word FILE of argv becomes its name


def crasher(name, *arguments, **options):
    return Scenario(name, ("crasher", *arguments, "stop"), **options)


def service(name, mib):
    """From the signal until it serves again."""
    return Scenario(name, ("service", str(mib), "stop"), without=("gcore", "file+zstd"))


ALL = (
    crasher("64 MiB", "memory", "64", "mixed"),
    crasher("1 GiB", "memory", "1024", "mixed"),
    crasher("1 GiB random", "memory", "1024", "random"),
    crasher("4 GiB", "memory", "4096", "mixed"),
    crasher("8 GiB", "memory", "8192", "mixed"),
    crasher("1 GiB in huge pages", "memory", "1024", "huge"),
    crasher("8 GiB in huge pages", "memory", "8192", "huge"),
    crasher("12 GiB, which is held", "memory", "12288", "mixed", only=("no-core", "obit-held", "obit-early")),
    crasher("64 GiB sparse", "hole", "64", "100", without=("gcore",)),  # it would write 64 GiB of zeros
    crasher("100 threads, 1 GiB", "threads", "100", "1024"),
    crasher("1,000 threads", "threads", "1000"),
    crasher("60,000 mappings", "mappings", "60000", without=("gcore",)),  # it takes minutes
    Scenario("node", ("node", "-e", "let a = []; for (let i = 0; i < 1e6; ++i) a.push({i, s: 'x' + i});"
                                    "process.kill(process.pid, 'SIGSTOP'); process.abort()")),
    Scenario("python3", ("python3", "-c", "import ctypes, os, signal; d = {i: str(i) for i in range(10**6)};"
                                          "os.kill(os.getpid(), signal.SIGSTOP); ctypes.string_at(0)")),
    service("a service of 1 GiB, until it serves again", 1024),
    crasher("2 GiB file", "file", "FILE", needs_file=2048),
    crasher("512 MiB shared", "shared", "512"),
    crasher("storm of 1,000", "storm", "1000", crashes=1000, without=("gcore", "file+zstd")),
    crasher("loop of 10,000, 4 at a time", "loop", "10000", "4", crashes=10000,
            only=("no-core", "discard", "reject", "obit-counting")),
)  # fmt: skip


def takes_part(contender, scenario):
    if scenario.only:
        return contender.name in scenario.only
    return not contender.only_if_named and contender.name not in scenario.without


@contextlib.contextmanager
def prepared(scenario, crashers):
    """The argument vector, with the file that it needs."""
    with contextlib.ExitStack() as stack:
        file = ""
        if scenario.needs_file:
            made = stack.enter_context(tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="obit-bench."))
            piece = bytes(range(256)) * 4096
            for _ in range(scenario.needs_file):
                made.write(piece)
            made.flush()
            file = made.name
        words = [file if word == "FILE" else word for word in scenario.argv]
        if words[0] in ("crasher", "service"):
            words[0] = str(pathlib.Path(crashers) / words[0])
        yield words
