"""Where the programs under test lie."""

import os
import pathlib

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
CAUSES = CRASHERS / "causes"
CAUSES_SOURCE = ROOT / "tests/crashers/causes"
