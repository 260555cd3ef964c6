"""The page as a file: small, whole, and safe; no browser is needed to see that."""

import re
import subprocess
import sys
from importlib import resources

import pytest

from mxref.show._paint import STYLES
from mxref.show.html import address, page, write_page
from mxref.show.html._colours import BACKGROUNDS, CONTRAST, contrast, declarations
from mxref.show.html._data import data
from mxref.show.html._page import SCRIPTS


def test_the_page_is_one_small_file_that_asks_for_nothing():
    text = page()
    assert len(text.encode()) < 300_000
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", text)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", text)
    assert "@@" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert text == page()  # nothing in it depends on when or where it was made


def test_no_script_reads_text_as_html_or_as_a_program():
    text = page()
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert name not in text
    assert "Function(" not in text


def test_scripts_are_short_enough_to_read():
    folder = resources.files("mxref.show.html").joinpath("js")
    names = {entry.name.removesuffix(".js") for entry in folder.iterdir()}
    assert names == set(SCRIPTS)
    lengths = {n: len(folder.joinpath(f"{n}.js").read_text().splitlines()) for n in names}
    assert max(lengths.values()) <= 400, lengths


def test_every_choice_of_a_policy_says_what_it_means():
    for field in data()["FIELDS"]:
        named = [choice for choice in field["choices"] if field["name"] != "stochastic_bits"]
        assert all(choice["text"] for choice in named), field["name"]
        assert field["openPoint"] in data()["CLAUSES"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_are_those_of_every_view_made_legible(theme):
    found = dict(re.findall(r"--c-([a-z]+): (#[0-9a-f]{6});", declarations(theme)))
    assert set(found) <= set(STYLES)
    for name, shade in found.items():
        assert all(contrast(shade, back) >= CONTRAST for back in BACKGROUNDS[theme]), name


@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        ((), ""),
        (("e4m3", "0x7e"), "#f=e4m3&c=0x7e"),
        (("float8_e5m2", 0b1111), "#f=e5m2&c=0x0f"),
        (("mxfp4",), "#f=mxfp4"),
        (("e8m0", "127"), "#f=e8m0&c=0x7f"),
        (("e2m1", 7, "ocp:rounding=up,relu=on"), "#f=e2m1&c=0x7&p=ocp:rounding=up,relu=on"),
    ],
)
def test_the_address_says_what_the_page_opens_at(tmp_path, arguments, state):
    assert address(*arguments) == state
    target = tmp_path / "explorer page.html"
    shown = write_page(str(target), *arguments)
    assert shown == target.as_uri() + state
    assert target.read_text(encoding="utf-8") == page()


def test_a_dash_gives_the_page_itself():
    assert write_page("-", "e2m1", "0x7") == page()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x.html", "e9m9"), "unknown format 'e9m9'"),
        (("x.html", "e2m1", "0x10"), "0xf"),
        (("x.html", "mxfp4", "0x1"), "block format"),
        (("x.html", "nvfp4"), "not 'nvfp4'; mxref show nvfp4 prints it"),
        (("x.html", "e2m1", "1", "opc"), "unknown policy 'opc'"),
        (("e4m3",), "mxref show e4m3 --html"),
        (("mx9",), "mxref show mx9 --html"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=re.escape(message)):
        write_page(*arguments)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_the_page_and_prints_its_address(tmp_path):
    command = [sys.executable, "-m", "mxref", "show", "e4m3", "0x7e", "--html", "e.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (tmp_path / "e.html").as_uri() + "#f=e4m3&c=0x7e"
    assert (tmp_path / "e.html").read_text(encoding="utf-8") == page()


def test_making_the_page_needs_no_numpy():
    program = "import sys; from mxref.show.html import page; page(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "numba", "rich"} & set(done.stdout.split())
