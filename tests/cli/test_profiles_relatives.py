"""``mxref profiles`` of NVFP4 and BDR: listed, shown, and compared with proven witnesses."""

import json

import numpy as np
import pytest

from mxref import bdr, nvfp4
from mxref.differences.relatives import compare_relatives, family_of, relative
from mxref.profiles import PROFILES as MX
from mxref.relatives.bdr_profiles import BDR_PROFILES
from mxref.relatives.nvfp4_profiles import PROFILES

ALL = {**{f"nvfp4:{name}": p for name, p in PROFILES.items()}} | {
    f"bdr:{name}": p for name, p in BDR_PROFILES.items()
}


def flat(output):
    return " ".join(output.split())


def test_the_list_has_every_family_under_its_heading(invoke):
    output = invoke("profiles").output
    heads = [output.index(f"\n{head} (") for head in ("NVFP4", "BDR: MX9, MX6, MSFP, VSQ, scaled")]
    assert output.startswith("OCP MX formats (")
    assert heads == sorted(heads)
    nvfp4_part, bdr_part = output[heads[0] : heads[1]], output[heads[1] :]
    for name in PROFILES:
        assert f"\n{'nvfp4:' if name in MX else ''}{name} " in nvfp4_part
    for name in BDR_PROFILES:
        assert f"\n{name} " in bdr_part
    assert max(map(len, output.splitlines())) <= 80
    document = json.loads(invoke("profiles", "--json").output)
    assert len(document) == len(MX) + len(PROFILES) + len(BDR_PROFILES)
    assert document["te-2d"] == {"geometry": "2d"}
    assert document["nvfp4:mlx"]["rounding"] == "nearest-down"
    assert document["mlx"] != document["nvfp4:mlx"]


@pytest.mark.parametrize("name", ALL)
def test_show_has_choices_reasons_and_sources(invoke, name):
    profile = ALL[name]
    output = invoke("profiles", "show", name).output
    assert output.startswith(f"{profile.name}: ")
    words = output.split()
    for source in profile.sources.values():
        assert source.partition(" ")[0] in words  # unbroken, to be copied
    for sentence in profile.divergences:
        assert sentence in flat(output)
    document = json.loads(invoke("profiles", "show", name, "--json").output)
    assert document["name"] == profile.name
    fields = document["fields"]
    assert {f: facts["choice"] for f, facts in fields.items()} == profile.policy.as_dict()
    assert {f: x["source"] for f, x in fields.items() if x["source"]} == dict(profile.sources)
    base = profile.policy.BASE
    assert all(facts[f"reason_of_{base}"] and facts["open_point"] for facts in fields.values())
    changed = {f for f, facts in fields.items() if facts["choice"] != facts[base]}
    assert changed == set(profile.policy.diff(type(profile.policy)()))


def test_show_of_changes_is_no_profile(invoke):
    arguments = ("profiles", "show", "te-1d:rounding=toward-zero")
    document = json.loads(invoke(*arguments, "--json").output)
    assert "title" not in document
    assert document["fields"]["rounding"]["choice"] == "toward-zero"
    output = invoke(*arguments).output
    assert output.startswith("te-1d:rounding=toward-zero: 26 choices of nvfp4")
    assert "differs from te-1d, which takes nearest-even" in flat(output)


def test_names_and_prefixes():
    assert family_of("mlx") == family_of("mx:mlx") == ("mx", "mlx")
    assert relative("mlx") is None
    assert relative("nvfp4:mlx").profile is PROFILES["mlx"]
    assert relative("NVFP4:te-1d:rounding=toward-zero").policy.rounding == "toward-zero"
    assert relative("nvfp4").policy == PROFILES["te-1d"].policy
    assert relative("nvfp4:rounding=toward-zero").policy.rounding == "toward-zero"
    shared = (set(MX) & set(PROFILES)) | (set(MX) | set(PROFILES)) & set(BDR_PROFILES)
    assert shared == {"mlx"}  # else the documented rule has to name more


def test_an_mx_profile_by_its_family(invoke):
    assert invoke("profiles", "show", "mx:mlx").output == invoke("profiles", "show", "mlx").output
    result = invoke("profiles", "diff", "mx:ocp", "ocp", "--format", "mxfp4")
    assert result.exit_code == 0


def test_diff_of_recipes(invoke):
    result = invoke("profiles", "diff", "te-1d", "torchao")
    assert result.exit_code == 1
    every = invoke("profiles", "diff", "te-1d", "torchao", "--all").output
    for field in PROFILES["torchao"].policy.diff(PROFILES["te-1d"].policy):
        assert field in every, field
    document = json.loads(invoke("profiles", "diff", "te-1d", "torchao", "--json").output)
    assert {d["output"] for d in document["differences"]} == {
        *("global scale", "scale code", "element codes", "value")
    }


def test_diff_of_bdr(invoke):
    result = invoke("profiles", "diff", "bdr-paper", "quark-torch")
    assert result.exit_code == 1
    assert "because of input_subnormal (keep / flush)" in result.output
    assert "They differ in all formats searched: mx9 and mx6." in result.output
    only = invoke("profiles", "diff", "bdr-paper", "quark-torch", "--format", "mx6").output
    assert "mx9" not in only


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("te-1d", "nvfp4"),
        ("te-1d", "te-1d:float64=refuse"),
        ("bdr-paper", "bdr-paper:inf=nan-scale"),
    ],
)
def test_no_difference_is_exit_code_0(invoke, a, b):
    result = invoke("profiles", "diff", a, b, *(("--format", "mx9") if "bdr" in a else ()))
    assert result.exit_code == 0, result.output
    assert "They are equal on" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("te-1d", "bdr-paper"), "they have no codes in common"),
        (("ocp", "te-1d"), "compare within a family"),
        (("te-1d", "te-1e"), "did you mean 'te-1d'"),
        (("nvfp4:te-1e", "te-1d"), "unknown profile of nvfp4"),
        (("te-1d", "te-1d:rounding=stochastic"), "random bits"),
        (("te-1d", "te-1d:round=up"), "unknown policy field"),
        (("quark-torch", "vs-quant"), "no format in common"),
        (("te-1d", "torchao", "--format", "mxfp4"), "nvfp4"),
        (("bdr-paper", "quark-torch", "--operation", "encode"), "unknown operation"),
    ],
)
def test_diff_refuses(fails, arguments, said):
    assert said in fails("profiles", "diff", *arguments)


@pytest.mark.parametrize("name", ["te-1f", "bdr:te-1d", "quark-torch:inf=what"])
def test_show_refuses(fails, name):
    fails("profiles", "show", name)


# --- the witnesses, run again from what the report says ---------------------------------------


def tensor_of(inputs):
    """The anchor's block, the block itself and 15 rows below it, as 16 rows."""
    words = np.zeros((16, 32), np.uint32)
    words[0, 0] = inputs[0]
    words[0, 16:19] = inputs[1:4]
    words[1, 16] = inputs[4]
    return words.view(np.float32)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        *(("te-1d", name) for name in ("torchao", "te-2d", "te-four-over-six", "modelopt", "gguf")),
        ("compressed-tensors", "nvfp4-exact"),
        ("fouroversix-mse", "fouroversix-mae"),
    ],
)
def test_witnesses_of_nvfp4(a, b):
    found = compare_relatives(a, b, operations=["quantize"])
    assert found.differences
    for difference in found.differences:
        for name, outcome in zip((a, b), difference.outcomes, strict=True):
            q = nvfp4.quantize(tensor_of(difference.inputs), policy=name)
            g = int(q.global_scale.view(np.uint32))
            assert (g & 0x7FFFFFFF) > 0x7F800000 or g == outcome.bits[0]
            assert int(q.scales[0, 1]) == outcome.bits[1]
            codes = outcome.bits[2:]
            assert tuple(q.codes[0, 16 : 16 + len(codes)]) == codes


@pytest.mark.parametrize(
    ("a", "b"), [("bdr-paper", "quark-torch"), ("quark-bfp", "quark-compiler")]
)
def test_witnesses_of_bdr(a, b):
    found = compare_relatives(a, b)
    assert found.differences
    for difference in found.differences:
        fmt = bdr.bdr_format(difference.format)
        words = np.zeros(fmt.k1, np.uint32)
        words[: len(difference.inputs)] = difference.inputs
        shown = []
        for name in (a, b):
            q = bdr.quantize(words.view(np.float32), fmt, policy=name)
            subscales = () if q.subscales is None else tuple(q.subscales)
            shown.append((tuple(q.scales), subscales, tuple(q.codes)))
        assert shown[0] != shown[1]
        for (scales, _, codes), outcome in zip(shown, difference.outcomes, strict=True):
            assert scales[0] == outcome.bits[0]
            n = max(4, 2 * fmt.k2)
            assert codes[:n] == outcome.bits[-n:]


def test_a_contradiction_is_not_hidden(monkeypatch):
    """Each witness is computed by the definition too: a wrong kernel cannot pass for a policy."""
    from mxref.differences import _relatives_nvfp4

    real = nvfp4.quantize

    def wrong(*arguments, **options):
        q = real(*arguments, **options)
        q.codes[...] ^= 1
        return q

    monkeypatch.setattr(_relatives_nvfp4.nvfp4, "quantize", wrong)
    with pytest.raises(RuntimeError, match="contradicts itself"):
        compare_relatives("te-1d", "torchao", operations=["quantize"])
