import json

import pytest

from mxref.profiles import PROFILES


def test_the_list_says_what_each_profile_is(invoke):
    output = invoke("profiles").output
    for name, profile in PROFILES.items():
        assert name in output
        assert profile.title.split()[0] in output
    assert max(map(len, output.splitlines())) <= 80
    assert "\x1b" not in output
    assert set(json.loads(invoke("profiles", "--json").output)) >= set(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_show_has_sources_and_divergences(invoke, name):
    profile = PROFILES[name]
    result = invoke("profiles", "show", name)
    assert result.exit_code == 0
    flat = " ".join(result.output.split())
    assert result.output.startswith(f"{name}: ")
    for source in profile.sources.values():
        assert source.partition(" ")[0] in result.output.split()  # unbroken, to be copied
    for sentence in profile.divergences:
        assert sentence in flat
    document = json.loads(invoke("profiles", "show", name, "--json").output)
    assert document["name"] == name
    assert document["operations"] == list(profile.operations)
    assert {
        field: facts["source"] for field, facts in document["fields"].items() if facts["source"]
    } == dict(profile.sources)


def test_show_of_changes_is_no_profile(invoke):
    document = json.loads(invoke("profiles", "show", "cuda:rounding=up", "--json").output)
    assert "title" not in document
    assert document["fields"]["rounding"]["choice"] == "up"


def test_diff(invoke):
    result = invoke("profiles", "diff", "torchao-even", "tosa-1.1")
    assert result.exit_code == 1
    assert "[1.875, 0, ...]" in result.output
    assert "scale 0x77 = 2^-8, 0x7e = 1.75" in result.output
    assert "scale 0x78 = 2^-7, 0x77 = 1.875" in result.output
    assert "They differ for mxfp8_e4m3 only; equal on" in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    assert "\x1b" not in result.output


def test_diff_of_equals(invoke):
    result = invoke("profiles", "diff", "ocp", "ocp:rounding=nearest-even", "--format", "mxfp4")
    assert result.exit_code == 0
    assert "They are equal on" in result.output


def test_diff_shows_each_class_when_asked(invoke):
    arguments = ("profiles", "diff", "ocp", "ml_dtypes", "--format", "mxfp8_e4m3")
    short, full = invoke(*arguments).output, invoke(*arguments, "--all").output
    assert "also (--all shows them):" in short
    assert "also (--all shows them):" not in full
    assert full.count("because of") > short.count("because of")


def test_diff_in_json(invoke):
    result = invoke(
        "profiles", "diff", "ocp", "ocp:rounding=up", "--format", "mxfp4", "--operation", "encode",
        "--json",
    )  # fmt: skip
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert {d["operation"] for d in document["differences"]} == {"encode"}
    assert document["differences"][0]["fields"] == ["rounding"]


def test_long_names_do_not_break_the_lines(invoke):
    name = "ocp:relu=on,element_subnormal=flush,decode_subnormal=flush-element"
    output = invoke("profiles", "diff", "ocp", name, "--format", "mxfp4").output
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ocp", "opc"), "did you mean 'ocp'"),
        (("te-mxfp8", "cuda"), "no operation in common"),
        (("ocp", "ocp:rounding=stochastic-b"), "random bits"),
        (("ocp", "ocp", "--format", "mxfp5"), "did you mean"),
    ],
)
def test_diff_refuses(fails, arguments, said):
    assert said in fails("profiles", "diff", *arguments)
