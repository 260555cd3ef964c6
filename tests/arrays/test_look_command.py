"""``mxref look`` says what ``q.look()`` says, of files."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import mxref
from mxref.cli.look import command
from mxref.show._paint import STYLES


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def sample(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_a_saved_array():
    x = sample(4, 64)
    q = mxref.quantize(x, "mxfp4")
    q.save("q.npz")
    np.save("x.npy", x)
    assert run("q.npz").output == f"{q}\n"
    assert run("q.npz", "--source", "x.npy", "--blocks", "1").output == f"{q.look(x, blocks=1)}\n"
    assert json.loads(run("q.npz", "--json").output) == q.look().to_dict()


@pytest.mark.parametrize("name", ["mxfp8_e5m2", "nvfp4", "mx6", "msfp12", "vsq4"])
def test_codes_and_scales(name):
    x = sample(1024, 2)
    q = mxref.quantize(x, name, axis=0)
    np.save("c.npy", q.codes)
    np.save("s.npy", q.scales)
    given = "c.npy:s.npy"
    if name == "nvfp4":
        given += f":{float(q.global_scale)!r}"
    elif getattr(q, "subscales", None) is not None:
        np.save("m.npy", q.subscales)
        given += ":m.npy"
    found = run(given, "--format", name, "--axis", "0")
    assert found.output == f"{q}\n"
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.npz"], "none.npz: cannot be read: No such file"),
        (["c.npy"], "codes alone have no blocks; name their scale codes: c.npy:SCALES.npy"),
        (["c.npy:s.npy"], "need their format: --format mxfp4"),
        (["c.npy:s.npy:t.npy", "--format", "mxfp4"], "3 parts; mxfp4 has 2"),
        (["c.npy:s.npy", "--format", "mxpf4"], "mxfp4"),
        (["c.npy:s.npy", "--format", "mxfp8_e4m3", "--axis", "0"], "need (1, 64)"),
        (["c.npy:s.npy", "--format", "nvfp4", "--block-size", "8"], "--block-size is for MX"),
        (["c.npy:s.npy", "--format", "mxfp4", "--blocks", "0"], "--blocks: how many"),
        (["c.npy:s.npy", "--format", "mxfp4", "--source", "s.npy"], "holds uint8"),
        (["q.npz", "--format", "mxfp4"], "leave out --format"),
        (["q.npz", "--axis", "0"], "leave out --axis"),
        (["q.npz", "--blocks", "-1"], "--blocks: how many blocks to show, 1 or more, got -1"),
        (["q.npz", "--source", "x.npy"], "--source takes the numbers that were quantized"),
        (["x.npy"], "mxref compare x.npy says what each format"),
        (["q.npz", "--source", "s.npy"], "if they are numbers, save them as float32"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(arguments, says):
    np.save("c.npy", np.zeros((4, 64), np.uint8))
    np.save("s.npy", np.zeros((4, 2), np.uint8))
    mxref.quantize(sample(32), "mxfp4").save("q.npz")
    np.save("x.npy", sample(4, 64))
    found = run(*arguments)
    assert found.exit_code == 2
    assert says in found.output
    assert len(found.output.splitlines()) == 1
    assert "--codes" not in found.output  # look has no such option


def test_colour_adds_to_the_text_and_takes_nothing_away():
    x = sample(4, 64)
    mxref.quantize(x, "mxfp4").save("q.npz")
    np.save("x.npy", x)
    plain = run("q.npz", "--source", "x.npy", "--color", "never").output
    assert run("q.npz", "--source", "x.npy").output == plain  # no terminal
    colour = run("q.npz", "--source", "x.npy", "--color", "always").output
    assert re.sub(r"\x1b\[[0-9;]*m", "", colour) == plain
    title, *_, legend = colour.splitlines()
    assert title.startswith("\x1b[1mMXArray(")
    assert legend.startswith("  \x1b[2m* amax")
    for mark, style in (("*", "amax"), ("!", "flushed")):
        assert re.search(rf"\x1b\[{STYLES[style].sgr}m[-~.0-9]+{re.escape(mark)}\x1b", colour)
    assert f"scale \x1b[{STYLES['scale'].sgr}m2^" in colour
