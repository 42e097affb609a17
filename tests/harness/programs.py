"""Where the programs under test lie."""

import atexit
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("OBIT_BIN", ROOT / "build/release/bin"))
CRASHERS = pathlib.Path(os.environ.get("OBIT_CRASHERS", ROOT / "build/release/tests/crashers"))

OBIT = BIN / "obit"
OBITD = BIN / "obitd"
OBIT_ANALYZE = BIN / "obit-analyze"
OBIT_PIPE = BIN / "obit-pipe"
CRASHER = CRASHERS / "crasher"
MAPPER = CRASHERS / "mapper"
MANY_PROCESSORS = CRASHERS / "libmany-processors.so"
BALLAST = CRASHERS / "libballast.so"
CAUSES = CRASHERS / "causes"
CAUSES_SOURCE = ROOT / "tests/crashers/causes"

_copies = {}  # of programs and of folders of programs, by where they lie


def _may_enter(folder):
    """Every user may open what lies in this folder, by its path."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def may_execute_in(folder):
    """The file system of this folder lets programs be executed: Debian mounts /run with noexec."""
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC


def _is_for_every_user(program):
    """Every user may read and execute it."""
    mode = stat.S_IROTH | stat.S_IXOTH
    return program.stat().st_mode & mode == mode and _may_enter(program.parent)


def _copy_file(source, target):
    """A link where that does, which costs nothing."""
    if os.stat(source).st_mode & 0o777 == 0o755:
        try:
            os.link(source, target)
            return target
        except OSError:
            pass
    shutil.copy(source, target)
    os.chmod(target, 0o755)
    return target


def _copy_once(source, copy):
    if source not in _copies:
        places = [place for place in ("/var/tmp", "/tmp", "/run") if os.path.isdir(place) and may_execute_in(place)]
        folder = tempfile.mkdtemp(dir=places[0], prefix="obit-test.")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        _copies[source] = pathlib.Path(copy(source, f"{folder}/{source.name}"))
    return _copies[source]


def for_every_user(program):
    """The path of a program for other users than root: itself, or a copy if it lies in a private folder, such as /root. The
    programs of obit are copied together, because they look for each other in their own folder."""
    program = pathlib.Path(program).resolve()
    if _is_for_every_user(program):
        return program
    if program.parent != BIN.resolve():
        return _copy_once(program, _copy_file)
    folder = _copy_once(program.parent, lambda *paths: shutil.copytree(*paths, copy_function=_copy_file))
    os.chmod(folder, 0o755)
    return folder / program.name


def kernel_finds(program):
    """The kernel, which starts the program of a core_pattern from the root of process 1, finds this one. Not in a chroot."""
    try:
        return os.path.samefile(f"/proc/1/root{program}", program)
    except OSError:
        return False


def runs_here(program):
    """Whether it is there, and this kernel runs such programs: one may know no i386."""
    try:
        subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except OSError:
        return False
    return True
