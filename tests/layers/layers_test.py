"""The folders under src/ are layers: each may include only those below it."""

import pathlib
import re
import sys
import unittest

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"

def layers_in(text):
    """Lines "FOLDER: what it may include besides itself" as a dictionary, in their order."""
    lines = re.findall(r"^([a-z]+):(.*)$", text, re.M)
    return {folder: set(below.split()) for folder, below in lines}


LAYERS = layers_in((SRC / "layers.txt").read_text())
PROGRAMS = set(LAYERS)  # src/programs/NAME may include every layer, but no other program
# Tests of any layer may use these: the kernel's half in user space, and the sentence of a cause, which is what people read of it.
TEST_ONLY = {"dump", "present"}

TEST_FILE = re.compile(r"_(test|fuzz)\.cc$|^(fake_|test_)\w+\.(h|cc)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def forbidden_includes(src):
    """Yields a line of text for each include that goes against the layers."""
    for file in sorted(path for path in src.rglob("*") if path.suffix in (".h", ".cc", ".c")):
        layer = file.relative_to(src).parts[0]
        if layer != "programs" and layer not in LAYERS:
            yield f"{file.relative_to(src)}: the folder {layer} is no layer"
            continue
        allowed = PROGRAMS if layer == "programs" else LAYERS[layer] | {layer}
        is_test = TEST_FILE.search(file.name)
        if is_test:
            allowed = allowed | TEST_ONLY
        for include in INCLUDE.findall(file.read_text()):
            if TEST_FILE.search(include.split("/")[-1]) and not is_test:
                yield f"{file.relative_to(src)}: {include} is for tests"
            target = include.split("/")[0]
            if target == "programs":
                if not (src / include).parent.samefile(file.parent):
                    yield f"{file.relative_to(src)}: {include} is of another program, or no layer may include it"
            elif "/" not in include or target not in LAYERS:
                if not (file.parent / include).is_file() or ".." in include:
                    yield f"{file.relative_to(src)}: {include} is not written as FOLDER/FILE"
            elif target not in allowed:
                yield f"{file.relative_to(src)}: {layer} may not include {include}"


class Layers(unittest.TestCase):
    def test_includes_go_down(self):
        self.assertEqual(list(forbidden_includes(SRC)), [])

    def test_who_joins_includes_it(self):
        """Since fmt 11 no other header of fmt brings fmt::join; the fmt of Debian 12 takes its absence."""
        files = [path for path in SRC.rglob("*") if path.suffix in (".h", ".cc")]
        missing = [str(path) for path in files if "fmt::join(" in (text := path.read_text()) and "#include <fmt/ranges.h>" not in text]
        self.assertEqual(missing, [])

    def test_there_is_no_circle(self):
        seen = set()
        for layer, below in LAYERS.items():  # listed from the bottom up
            self.assertLessEqual(below, seen, layer)
            seen.add(layer)

    def test_every_layer_exists(self):
        folders = {path.name for path in SRC.iterdir() if path.is_dir()} - {"programs"}
        self.assertEqual(folders, set(LAYERS))

    def test_the_architecture_draws_them(self):
        architecture = (SRC.parent / "ARCHITECTURE.md").read_text()
        drawn = re.search(r"^```\n(base:.*?)^```", architecture, re.M | re.S).group(1)
        self.assertEqual(layers_in(drawn), LAYERS)
        for folder in LAYERS:
            self.assertIn(f"| [{folder}](src/{folder}) |", architecture)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(f"Layers.{name}" for name in unittest.defaultTestLoader.getTestCaseNames(Layers)))
    else:
        unittest.main(verbosity=2)
