"""Links of the documentation must lead somewhere: to a file, to a heading in it, to a name in the source.

A link whose text is code, [`Intake::Await`](../src/server/intake.h), says that this name stands in that file.
"""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
NAME = re.compile(r"`([A-Za-z_]\w*(?:::~?\w+)*)(?:\(\))?`")


def documents():
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def links(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
    return LINK.findall(text)


def anchors(document):
    """The names that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def complaint(document, text, target):
    """What is wrong with a link, or None."""
    if re.match(r"[a-z]+:", target):
        return None  # another host's business
    path, _, anchor = target.partition("#")
    file = (document.parent / path) if path else document
    if not file.exists():
        return "no such file"
    if not file.resolve().is_relative_to(ROOT):
        return "leads out of the project"
    if anchor and file.suffix == ".md" and anchor not in anchors(file):
        return "no such heading"
    if (name := NAME.fullmatch(text)) and file.is_file():
        missing = [part for part in name[1].split("::") if not re.search(rf"\b{part.lstrip('~')}\b", file.read_text())]
        if missing:
            return f"{missing[0]} is not in that file"
    return None


class Links(unittest.TestCase):
    def test_all_resolve(self):
        found = [f"{document.relative_to(ROOT)}: [{text}]({target}): {why}" for document in documents()
                 for text, target in links(document) if (why := complaint(document, text, target))]  # fmt: skip
        self.assertEqual(found, [])

    def test_life_of_a_crash_leads_into_the_source(self):
        targets = [target for _, target in links(ROOT / "docs/life-of-a-crash.md")]
        self.assertGreater(sum(target.startswith("../src/") for target in targets), 10)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(f"Links.{name}" for name in unittest.defaultTestLoader.getTestCaseNames(Links)))
    else:
        unittest.main(verbosity=2)
