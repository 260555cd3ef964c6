import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete, get_completion_class

from mxref.cli import _completion_values as values
from mxref.cli.completion import VARIABLE, attach
from mxref.cli.main import main

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def words(monkeypatch):
    """Ask as a shell does: the words so far, and the beginning of the next."""
    monkeypatch.setenv(VARIABLE, "bash_complete")

    def complete(line):
        *before, last = line.split(" ")
        asked = BashComplete(main, {}, "mxref", VARIABLE)
        return [item.value for item in asked.get_completions(before, last)]

    return complete


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sh", ["show"]),
        ("co", ["conform", "compare", "completion"]),
        ("vectors ex", ["explain", "export"]),
        ("show e5", ["e5m2"]),
        ("show MXFP6", ["mxfp6_e3m2", "mxfp6_e2m3"]),
        ("show nv", ["nvfp4"]),
        ("explain 1.3 e8", ["e8m0"]),
        ("explain 1.3 mxfp4 --pol", ["--policy"]),
        ("explain 1.3 mxfp4 --policy toSA", ["tosa-1.1"]),
        ("explain 1.3 mxfp4 --policy ocp:roun", ["ocp:rounding="]),
        ("explain 1.3 mxfp4 --policy ocp:rounding=u", ["ocp:rounding=up"]),
        (
            "explain 1.3 mxfp4 --policy ocp:rounding=up,neg_zero=dr",
            ["ocp:rounding=up,neg_zero=drop", "ocp:rounding=up,neg_zero=drop-input"],
        ),
        ("explain 1.3 mxfp4 --policy ocp:nosuch=", []),
        ("explain 1.3 mxfp4 --policy nosuch:roun", []),
        ("explain 1.3 mxfp4 --input-dtype b", ["bfloat16"]),
        ("quantize x.npy --format mxi", ["mxint8"]),
        ("quantize x.npy --format nvfp4 --policy te-2", ["te-2d", "te-2d-test"]),
        ("quantize x.npy --format mx9 --policy vs", ["vs-quant"]),
        ("quantize x.npy --layout tran", ["transformer-engine", "transformer-engine-columnwise"]),
        ("check quantize --format e", []),
        ("check decode --format e2m1", ["e2m1"]),
        ("check decode --format mx", []),
        ("compare x.npy --rule rc", ["rceil"]),
        ("conform p", ["py:"]),
        ("conform ml", ["ml_dtypes"]),
        ("conform ml_dtypes --level s", ["smoke"]),
        ("sweep e4m3 e3", ["e3m2"]),
        ("sweep e4m3 --executor pro", ["processes", "processes:"]),
        ("layouts show 128", ["128x4"]),
        ("profiles show nv", ["nvfp4:"]),
        ("profiles show nvfp4:cub", ["nvfp4:cublas"]),
        ("profiles diff ocp mlx", ["mlx", "mlx-mxfp8"]),
        ("completion z", ["zsh"]),
    ],
)
def test_what_a_word_becomes(words, line, expected):
    found = words(line)
    assert [word for word in found if word in expected] == expected
    begun = line.split(" ")[-1].lower()
    assert all(word.lower().startswith(begun) for word in found)
    if begun and not expected:
        assert found == []


def test_every_policy_of_a_word_is_one(words):
    """What is offered is accepted, whatever it is."""
    from mxref.policy import get_policy

    names = words("explain 1 mxfp4 --policy ")
    assert len(names) > 20
    for name in names:
        get_policy(name)
    fields = words("explain 1 mxfp4 --policy ocp:")
    assert len(fields) > 20
    for field in fields:
        for choice in words(f"explain 1 mxfp4 --policy {field}"):
            get_policy(choice)


def test_every_format_of_a_word_is_one(words, invoke, monkeypatch):
    names = words("show ")
    monkeypatch.delenv(VARIABLE)
    assert len(names) > 15
    for name in names:
        assert invoke("show", name).exit_code == 0, name


@pytest.mark.parametrize(
    "line",
    [
        "check quantize --input x",
        "compare x",
        "compare y --plot x",
        "diff y x",
        "explain x",
        "vectors diff x",
        "vectors fmt x",
        "quantize x",
    ],
)
def test_files_are_left_to_the_shell(monkeypatch, line):
    monkeypatch.setenv(VARIABLE, "bash_complete")
    *before, last = line.split()
    found = BashComplete(main, {}, "mxref", VARIABLE).get_completions(before, last)
    assert [(item.type, item.value) for item in found] == [("file", "x")]


def test_the_names_are_those_of_the_tables():
    from mxref.check import target
    from mxref.layouts.conventions import LAYOUTS
    from mxref.layouts.packings import PACKINGS
    from mxref.layouts.records import RECORDS
    from mxref.layouts.scale_orders import SCALE_ORDERS

    assert tuple(LAYOUTS) == values.LAYOUTS
    assert tuple(PACKINGS) == values.PACKINGS
    assert tuple(SCALE_ORDERS) == values.SCALE_LAYOUTS
    assert tuple(RECORDS) == values.RECORDS
    assert tuple(target.ADAPTERS) == values.ADAPTERS
    assert target.OPS == values.OPERATIONS
    assert target.INPUT_TYPES == values.INPUT_TYPES


def _parameters(command, path=""):
    for parameter in command.params:
        yield path, parameter
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            yield from _parameters(command.get_command(ctx, name), f"{path} {name}".strip())


def test_every_option_with_a_known_name_is_completed(monkeypatch):
    """Those that click knows no words for, and that name a thing of mxref's."""
    monkeypatch.setenv(VARIABLE, "bash_complete")
    wanted = {"--format", "--format-b", "--policy", "--layout", "--packing", "--scale-layout"}
    seen = set()
    for path, parameter in _parameters(main):
        named = wanted & set(parameter.opts)
        if named:
            found = parameter.shell_complete(click.Context(click.Command("x")), "")
            assert len(found) > 3, (path, parameter.opts)
            seen |= named
    assert seen == wanted


def test_without_a_shell_that_asks_nothing_is_attached(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    code = (
        "import sys\n"
        "from mxref.cli.main import main\n"
        "try: main(['show', 'e4m3', '0x7e'])\n"
        "except SystemExit: pass\n"
        "print([n for n in sys.modules if 'completion' in n and 'mxref' in n])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    "line", ["mxref show e", "mxref explain 1 mxfp4 --policy ocp", "mxref layouts show g", "mxref "]
)
def test_an_answer_needs_no_heavy_module(line):
    code = (
        "import sys\n"
        "from mxref.cli.main import main\n"
        "try: main(prog_name='mxref')\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'numba', 'rich', 'ml_dtypes'} & set(sys.modules)))"
    )
    asked = {
        VARIABLE: "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **asked},
    )
    assert done.stdout.startswith("plain,")
    assert done.stdout.endswith("[]\n")


# --- the scripts -----------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one(invoke, shell, tmp_path):
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert f"{VARIABLE}={shell}_complete" in result.stdout
    assert "mxref" in result.stdout
    assert get_completion_class(shell) is not None
    program = shutil.which(shell)
    if program is not None:
        path = tmp_path / "script"
        path.write_text(result.stdout)
        subprocess.run([program, "-n", path], check=True)


BASH = """
source {script}
compopt() {{ echo "$@" >> {told}; }}  # bash has it in completions only
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_mxref_completion mxref
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("given", "expected", "goes_on"),
    [
        ("mxref show e5", ["e5m2"], False),
        ("mxref explain 1.3 mxfp4 --policy ocp : roun", ["rounding="], True),
        ("mxref explain 1.3 mxfp4 --policy ocp : rounding = u", ["up"], False),
        ("mxref explain 1.3 mxfp4 --policy = tos", ["tosa-1.1"], False),
        ("mxref explain 1.3 mxfp4 --policy = ocp : rounding = up,neg_z", ["up,neg_zero="], True),
        ("mxref conform cm", ["cmd:", "cmd+json:"], True),
        ("mxref sweep e4m3 --executor processes : ", [""], False),
    ],
)
def test_bash_completes_words_that_it_cuts(invoke, tmp_path, given, expected, goes_on):
    (tmp_path / "script").write_text(invoke("completion", "bash").stdout)
    (tmp_path / "mxref").write_text(f'#!/bin/sh\nexec {sys.executable} -m mxref "$@"\n')
    (tmp_path / "mxref").chmod(0o755)
    told = tmp_path / "told"
    program = BASH.format(script=tmp_path / "script", told=told, words=given)
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.stderr == ""
    assert done.stdout.rstrip("\n").split("\n") == expected
    assert ("nospace" in told.read_text() if told.exists() else False) is goes_on


def test_the_installed_words_of_a_group_are_attached_too():
    from mxref.cli.layouts import command

    show = attach(command).commands["show"]
    found = show.params[0].shell_complete(click.Context(show), "gpt")
    assert [item.value for item in found] == ["gpt-oss"]
