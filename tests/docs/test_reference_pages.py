"""What stands on the reference pages is held to ml_dtypes, the commands and the public names."""

import importlib
import re
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref import clauses, profiles
from mxref.cli.main import main
from mxref.formats import BLOCK_FORMATS

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = DOCS / "reference"
TYPES = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
    "ue4m3": ml_dtypes.float8_e4m3fn,
}


def read(name):
    return (REFERENCE / name).read_text(encoding="utf-8")


def exact(cell):
    """The number in a cell: 0.375, 2^-9, 3 × 2^-9."""
    if cell in {"NaN", "Inf"}:
        return cell
    *times, last = cell.split(" × ")
    base, _, power = last.partition("^")
    value = Fraction(2) ** int(power) if power else Fraction(base)
    return value * Fraction(*times) if times else value


def values(name):
    """The table of values of a page: code -> number."""
    found = {}
    for row in re.findall(
        r"^\| `0x([0-9a-f]+)` \| (.*) \|$", read(f"formats/{name}.md"), re.MULTILINE
    ):
        first = int(row[0], 16)
        found |= {first + i: exact(cell) for i, cell in enumerate(row[1].split(" | "))}
    return found


@pytest.mark.parametrize("name", TYPES)
def test_values_are_those_of_ml_dtypes(name):
    found = values(name)
    bits = 8 if "8" in TYPES[name].__name__ else int(TYPES[name].__name__[5])
    assert list(found) == list(range(2 ** (bits if name == "e8m0" else bits - 1)))
    codes = np.array(list(found), np.uint8)
    theirs = codes.view(TYPES[name]).astype(np.float64)
    for code, number in enumerate(theirs):
        if np.isfinite(number):
            assert found[code] == Fraction(float(number))
        else:
            assert found[code] == ("NaN" if np.isnan(number) else "Inf")


def test_values_of_int8_are_64ths_in_twos_complement():
    assert values("int8") == {code: Fraction((code ^ 128) - 128, 64) for code in range(256)}


@pytest.mark.parametrize("name", [*TYPES, "int8"])
def test_a_page_of_a_format_says_how_many_codes_are_finite(name):
    page = read(f"formats/{name}.md")
    counted = int(re.search(r"^\| finite codes \| (\d+) \|$", page, re.MULTILINE)[1])
    finite = sum(isinstance(value, Fraction) for value in values(name).values())
    assert counted == (finite if name in {"int8", "e8m0", "ue4m3"} else 2 * finite)


@pytest.mark.parametrize("name", [*TYPES, "int8"])
def test_a_page_of_a_format_says_what_show_says(name):
    said = str(mxref.show(name))
    page = read(f"formats/{name}.md")
    rows = dict(re.findall(r"^\| ([^|`:]+)(?:: [^|]*)? \| (.*) \|$", page, re.MULTILINE))
    for word in ("NaN", "Inf"):
        assert re.search(rf"{word} {re.sub('[`,]', '', rows[word])}(;|$)", said, re.MULTILINE)
    clause = rows["clause"].strip("`")
    assert f"[{clause}]" in said
    bias, emax = rows.get("bias"), rows.get("emax")
    if name == "e8m0":
        assert (bias, emax) == ("127", "127")
    elif name == "int8":
        assert bias is emax is None
    else:
        assert re.search(rf"bias {bias}, -?\d+ to {emax} \(emax\)", said)


@pytest.mark.parametrize("name", [*TYPES, "int8"])
def test_a_page_of_a_format_says_what_uses_it(name):
    page = read(f"formats/{name}.md")
    stated = re.search(r"^\| used by \| (.*) \|$", page, re.MULTILINE)[1]
    users = {
        block
        for block in (*BLOCK_FORMATS, "nvfp4")
        if re.search(rf"\b{name}\b", str(mxref.show(block)).split("\n\n")[0])
    }
    assert set(re.findall(r"`(\w+)`", stated)) == users


def ticks(name):
    """Where the pictures have ticks: one list of places for each line."""
    picture = (DOCS / "pictures" / f"format-{name}-values.svg").read_text(encoding="utf-8")
    lines = {}
    for x, y in re.findall(r'<path d="M([\d.]+) (\d+)V', picture):
        lines.setdefault(y, []).append(float(x))
    return list(lines.values())


@pytest.mark.parametrize("name", [name for name in TYPES if name != "ue4m3"])
def test_a_picture_has_a_tick_for_each_value(name):
    finite = {value for value in values(name).values() if isinstance(value, Fraction)}
    positive = {value for value in finite if value > 0}
    both = positive | {-value for value in positive} | {Fraction(0)}
    *whole, logarithmic = ticks(name)
    assert len(logarithmic) == len(positive)
    assert [len(line) for line in whole] == ([] if name == "e8m0" else [len(both)])
    for line in (*whole, logarithmic):
        assert line == sorted(line)


def test_every_public_name_of_mxref_has_a_place():
    page = read("api/mxref.md")
    for name in mxref.__all__:
        described = re.search(rf"^\.\. auto\w+:: mxref\.(\w+\.)*{name}$", page, re.MULTILINE)
        assert described or f"](mxref.{name}.md)" in page, name


def test_every_public_name_of_a_module_is_described_once():
    described, elsewhere = {}, []
    for page in sorted((REFERENCE / "api").glob("mxref*.md")):
        text = page.read_text(encoding="utf-8")
        for name in re.findall(
            r"^\.\. auto(?:class|function|data|exception):: (\S+)$", text, re.MULTILINE
        ):
            described.setdefault(name, []).append(page.name)
        module = importlib.import_module(page.stem)
        for name in getattr(module, "__all__", ()):
            there = re.search(rf"[.`]{re.escape(name)}(`: \[|\]\(|$)", text, re.MULTILINE)
            elsewhere += [] if there else [f"{page.stem}.{name}"]
    assert not elsewhere
    assert {name: pages for name, pages in described.items() if len(pages) > 1} == {}


def commands(group, words=("mxref",)):
    for name, command in sorted((getattr(group, "commands", None) or {}).items()):
        yield (*words, name), command
        yield from commands(command, (*words, name))


def test_every_command_and_option_is_on_the_page():
    page = read("cli.md")
    sections = dict(
        re.findall(r"^##+ (mxref .*?)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    )
    top = {name: main.get_command(None, name) for name in main.list_commands(None)}
    found = 0
    for name, command in top.items():
        for words, each in [(("mxref", name), command), *commands(command, ("mxref", name))]:
            section = sections[" ".join(words)]
            for option in each.params:
                if option.param_type_name == "option" and not option.hidden:
                    assert option.opts[0] in section, (words, option.opts)
                    found += 1
    assert found > 50


def test_every_open_point_has_an_anchor_that_does_not_change():
    page = read("open-points.md")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == [point.id for point in clauses.open_points()]


def test_profiles_stand_beside_what_they_choose():
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \| (.*) \|$", read("open-points.md"), re.MULTILINE)
    stated = {
        (field, name): choice
        for field, choice, names in rows
        for name in re.findall(r"\[`([^`]+)`\]", names)
    }
    wanted = {
        (field, name): str(getattr(profile.policy, field))
        for name, profile in profiles.PROFILES.items()
        for field in profile.sources
    }
    assert wanted.items() <= stated.items()
    assert {name for _, name in stated.keys() - wanted.keys()} == {"ocp"}
