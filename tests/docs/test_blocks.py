"""Every block of code on every page is what it says: it runs, is compiled, or is parsed.

`docs/blocks.py` says what the comments above a block mean, `docs/sessions.py` runs a page.
"""

import configparser
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest

from mxref.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

# How many blocks of a page are never run, each with its reason beside it; a new one is a decision.
NOT_RUN = {
    "docs/how-to/cuda-or-triton-kernel.md": 3,  # CUDA and Triton, and what imports it: needs a GPU
}
GROUPS = {"peers", "examples"}
# What is only shown: drawings, outputs, and languages whose blocks on pages are excerpts.
SHOWN = {"text", "cuda", "rust", "javascript", "makefile"}


def load(*names):
    """Modules of docs/, which is no package but a folder of scripts."""
    sys.path.insert(0, str(DOCS))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(DOCS))


blocks, sessions = load("blocks", "sessions")


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def of_page(name):
    return blocks.blocks(text_of(name))


# --- what runs --------------------------------------------------------------------------------


def has_code(name, groups=()):
    """Whether something of a page is run here, and because of `groups` if there are any."""
    here = [
        b
        for b in of_page(name)
        if b.kind in {"console", "python"} and not b.file and sessions.here(b, groups)
    ]
    return any(b.said.get("runs") in groups for b in here) if groups else bool(here)


def lives(name, groups=()):
    text = text_of(name)
    new, failures = sessions.lived(text, groups)
    assert not failures, "\n".join(failures)
    assert new == text, f"run: python docs/generate.py {Path(name).relative_to('docs')}"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if has_code(name)])
def test_what_a_page_shows_is_what_happens(name):
    lives(name)


@pytest.mark.examples
@pytest.mark.parametrize("name", [name for name in NAMES if has_code(name, ("examples",))])
def test_with_the_tools_of_the_examples(name):
    lives(name, ("examples",))


@pytest.mark.peers
@pytest.mark.parametrize("name", [name for name in NAMES if has_code(name, ("peers",))])
def test_with_the_packages_that_profiles_describe(name):
    lives(name, ("peers",))


# --- what is compiled or parsed ---------------------------------------------------------------


def compiler(command, source, suffix, folder):
    file = folder / f"block{suffix}"
    file.write_text(source, encoding="utf-8")
    done = subprocess.run(
        [*command, str(file)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def of_c(block, folder):
    # A page may show declarations alone, without the headers of their types.
    types = ["-include", "stddef.h", "-include", "stdint.h"]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I.", *types, "-x", "c"]
    compiler(["cc", *flags], block.body, ".c", folder)


def of_verilog(block, folder):
    if shutil.which("iverilog") is None:
        return
    ours = DOCS / "examples" / "verilog-mxfp4"  # whose modules pages use
    flags = ["-g2012", "-t", "null", "-I", ".", "-y", str(ours)]
    compiler(["iverilog", *flags], block.body, ".sv", folder)


def of_sh(block, _):
    done = subprocess.run(
        ["bash", "-n"], input=block.body, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for line in block.body.replace("\\\n", " ").splitlines():
        if line.startswith("mxref "):
            exists(shlex.split(line, comments=True)[1:])


def exists(words):
    """Fail where a command line of mxref names a command or an option that is not there."""
    command, context = main, click.Context(main)
    words = list(words)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"no command {name!r}"
        command, context = found, click.Context(found, parent=context)
    known = {name for p in command.get_params(context) for name in (*p.opts, *p.secondary_opts)}
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, f"no option {word!r} of {context.command_path}"


def of_console(block, _):
    assert list(sessions.commands(block.body)), "a session without a command"


def of_python(block, _):
    if block.is_doctest:
        assert not block.file, "a file is no session"
    else:
        compile(block.body, "page", "exec")


def of_diff(block, _):
    assert re.search(r"^@@ |^[-+]", block.body, re.MULTILINE), "no line was taken out or put in"


def of_yaml(block, _):
    pytest.importorskip("yaml").safe_load(block.body)


PARSERS = {
    "c": of_c,
    "console": of_console,
    "diff": of_diff,
    "html": lambda block, _: ET.fromstring(f"<a>{block.body}</a>"),
    "ini": lambda block, _: configparser.ConfigParser().read_string(block.body),
    "json": lambda block, _: json.loads(block.body),
    "python": of_python,
    "sh": of_sh,
    "systemverilog": of_verilog,
    "toml": lambda block, _: tomllib.loads(block.body),
    "verilog": of_verilog,
    "xml": lambda block, _: ET.fromstring(block.body),
    "yaml": of_yaml,
}


@pytest.mark.parametrize("name", [name for name in NAMES if of_page(name)])
def test_blocks_are_of_a_kind_and_well_formed(name, tmp_path):
    found = of_page(name)
    for block in found:
        if block.file:
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.body, encoding="utf-8")
    for block in found:
        where = f"{name}, line {block.first}: "
        if block.kind in SHOWN or block.kind.startswith("{"):  # {toctree} and the like are Sphinx's
            continue
        assert block.kind in PARSERS, where + f"blocks of {block.kind!r} are not known"
        try:
            PARSERS[block.kind](block, tmp_path)
        except Exception as error:
            raise AssertionError(f"{where}{error}") from error


def test_what_is_never_run_was_decided():
    counts = {}
    for name in NAMES:
        for block in of_page(name):
            if "not run" in block.said:
                assert len(block.said["not run"]) > 10, "say why"
                counts[name] = counts.get(name, 0) + 1
            assert block.said.get("runs", "peers") in GROUPS
    assert counts == NOT_RUN


# --- the tests themselves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("c", "int f(void) { return x; }\n"),
        ("sh", "if true; then\n"),
        ("sh", "mxref shw e4m3\n"),
        ("sh", "mxref show e4m3 0x7e --colour\n"),
        ("sh", "mxref vectors \\\n  lst\n"),
        ("console", "no command\n"),
        ("python", "def f(:\n"),
        ("json", "{'a': 1}\n"),
        ("toml", "a = \n"),
        ("yaml", "a: b: c\n"),
        ("xml", "<a><b></a>\n"),
        ("diff", "nothing\n"),
    ],
)
def test_what_is_ill_formed_is_found(kind, body, tmp_path):
    (block,) = blocks.blocks(f"```{kind}\n{body}```\n")
    with pytest.raises(Exception, match=r"\S"):  # each parser has its own
        PARSERS[kind](block, tmp_path)


def test_comments_above_a_block_belong_to_it():
    first, second = blocks.blocks(
        "<!-- file: a/b.py -->\n<!-- not run: no GPU here -->\n```python\n1\n```\n\n"
        "<!-- runs: peers -->\n\n  ````text\n  ```\n  ````\n"
    )
    assert (first.file, first.said["not run"], first.body) == ("a/b.py", "no GPU here", "1\n")
    assert (second.said, second.body, second.indent) == ({}, "```\n", 2)


def test_a_fence_that_is_never_closed_is_refused():
    with pytest.raises(ValueError, match="never closed"):
        blocks.blocks("```text\n")


def test_a_page_is_one_session():
    page = (
        "<!-- file: mine.py -->\n```python\nN = 3\n```\n"
        "```python\nimport mine\nopen('n', 'w').write(str(mine.N))\n```\n"
        "```console\n$ cat n\n3\n```\n```python\n>>> mine.N\n3\n```\n"
    )
    assert sessions.lived(page) == (page, [])


def test_python_that_fails_is_reported_with_its_line():
    page = "# A\n\n```python\n>>> 1 + 1\n3\n```\n```python\nraise SystemExit(0)\n```\n"
    _, (first, second) = sessions.lived(page)
    assert "line 3" in first
    assert "Expected:\n    3\nGot:\n    2" in first
    assert "SystemExit" in second


def test_a_block_of_a_group_is_left_alone_elsewhere():
    page = "<!-- runs: peers -->\n```console\n$ echo 1\nold\n```\n"
    assert sessions.page_of(page) == page
    assert "\n1\n" in sessions.page_of(page, ("peers",))


def test_a_block_in_a_list_keeps_its_margin():
    page = "* a\n\n  ```console\n  $ echo 'b\n  > c'\n  ```\n"
    assert sessions.page_of("* a\n\n  ```console\n  $ printf 'b\\n\\nc'\n  ```\n") == (
        "* a\n\n  ```console\n  $ printf 'b\\n\\nc'\n  b\n\n  c\n  ```\n"
    )
    assert len(blocks.blocks(page)) == 1


def test_the_environment_of_a_page_is_not_that_of_the_tests():
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert "PYTEST_CURRENT_TEST" not in sessions.environment()
