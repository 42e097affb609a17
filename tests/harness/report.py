"""What obit-analyze said of a crash: report.json, and the names of functions as different programs write them."""

import json
import re

from . import store as obit_store, wait

# What compilers and linkers append to the name of a function, and obit or gdb may show.
SUFFIXES = re.compile(r"( \[clone [^]]*\]|\.(cold|constprop|part|isra|lto_priv|llvm|localalias)(\.\d+)*|@@?(plt|[A-Z][\w.]*))+$")
OPERATOR = re.compile(r"\boperator *(\(\)|\[\]|->\*?|<=>|<<=?|>>=?|<=?|>=?|[^\w\s(]{1,3})")


def of(store, record, seconds=60):
    """The report of a crash with the sentence of its cause, once it is there."""
    path = obit_store.directory_of(store, record) / "report.json"
    wait.until(path.exists, f"{path.name} of {record['id']}", seconds)
    return shown(store, record["id"])


def shown(store, crash_id):
    """What `obit show --json` says of a report: report.json, and the sentence."""
    return json.loads(obit_store.obit(store, "show", "--json", crash_id).stdout)["report"]


def number(address):
    return int(address, 16)


def bare(name):
    """A function's name without arguments, template arguments, return type, hash and suffixes: "" for no name."""
    name = SUFFIXES.sub("", name or "")
    name = re.sub(r"::h[0-9a-f]{16}$", "", name)  # of Rust's older mangling
    name = re.sub(r"{{closure}}|{closure(_env)?#\d+}", "{closure}", name)
    name = OPERATOR.sub(lambda found: "operator" + found[1].translate(str.maketrans("()<>", "\1\2\3\4")), name)
    name = re.sub(r"\(anonymous(?: namespace)?\)", "{anonymous}", name)
    if name.startswith("<"):  # Rust: <Type as Trait>::method, <Type>::method
        name = re.sub(r"^<(?:&?(?:mut )?)?([^<>]*?)(?:<.*>)?(?: as .*?)?>(?=::[^>]*$)", r"\1", name)
    before = None
    while before != name:  # from the inside out
        before = name
        name = re.sub(r"(::)?<[^<>()]*>|(?<!^)\([^<>()]*\)( const| volatile|&{1,2})*", "", name)
    name = name.strip()
    if "{" not in name:
        name = re.sub(r"^.* (?=\S+$|\S*\boperator\b)", "", name)  # a return type, which templates have
    return name.lstrip("*&").translate(str.maketrans("\1\2\3\4", "()<>"))


def names(stack):
    """The bare names of a stack's frames, innermost first."""
    return [bare(frame.get("function")) for frame in stack["frames"]]


def unfolded(stack):
    """All frames of a stack, those of recursions as often as they were there."""
    frames, done = [], 0
    for fold in sorted(stack.get("folds", []), key=lambda fold: fold["first"]):
        end = fold["first"] + fold["count"]
        frames += stack["frames"][done : fold["first"]] + stack["frames"][fold["first"] : end] * fold["times"]
        done = end
    return frames + stack["frames"][done:]


def path_of(report, frame):
    """The path of the file that a frame's code came from; "" if it came from none."""
    return report["modules"][frame["module"]]["path"] if "module" in frame else ""


def mapping_at(report, address):
    """The mapping that holds an address."""
    for mapping in report["mappings"]:
        if number(mapping["begin"]) <= address < number(mapping["end"]):
            return mapping
    raise AssertionError(f"no mapping of the report holds {address:#x}")


def register(report, name):
    """What a register of the crashing thread held."""
    (value,) = (number(item["value"]) for item in report["crashed"]["registers"] if item["name"] == name)
    return value


def base_register(report):
    """The register that the instruction which faulted took an address from."""
    text = report["crashed"]["instruction"]["text"]
    found = re.search(r"(?:\(|^(?:call|jmp) \*?)%(\w+)", text)
    if not found:
        raise AssertionError(f'no register is an address in "{text}"')
    return found[1]
