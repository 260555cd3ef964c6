"""gfloat, fouroversix, microxcaling and AMD Quark against points of NVFP4 and of BDR, bit for bit.

gfloat has no NVFP4 and no BDR format, but its blocks are made of any two scalar formats; P3109's
are among them. microxcaling has no MX9 and no MX6, but integers of 8, 4 and 2 bits in blocks of any
length, which are BDR formats of one level. Where they differ from us is named, and measured.
"""

import numpy as np
import pytest
from test_bdr_quark import call, numbers, operators  # noqa: F401 -- the last is a fixture
from test_nvfp4_peers import INPUTS, peer, unpacked

from mxref import bdr, nvfp4

EXACT = "nvfp4-exact:levels=single-level"
SCALES = np.arange(256, dtype=np.uint8)
ELEMENTS = np.arange(16, dtype=np.uint8)


# --- gfloat: E2M1 under E4M3 ----------------------------------------------------------------------


def gfloat_nvfp4():
    from gfloat.block import BlockFormatInfo
    from gfloat.formats import format_info_ocp_e2m1, format_info_ocp_e4m3

    return BlockFormatInfo("nvfp4", format_info_ocp_e2m1, 16, format_info_ocp_e4m3)


def scale_values():
    """Of the 127 positive finite scale codes, 0 among them."""
    ones = np.full((127, 16), 2, np.uint8)
    return nvfp4.dequantize(ones, SCALES[:127, None], policy=EXACT)[:, 0]


@peer("gfloat")
def test_gfloat_decodes_every_pair():
    """All 256 scale codes with all 16 element codes; the sign of the scale counts there."""
    from gfloat.block import decode_block

    fi = gfloat_nvfp4()
    theirs = np.float32([list(decode_block(fi, [s, *ELEMENTS.tolist()])) for s in SCALES.tolist()])
    codes = np.tile(ELEMENTS, (256, 1))
    ours = nvfp4.dequantize(codes, SCALES[:, None], policy=EXACT + ",scale_sign=signed")
    np.testing.assert_array_equal(np.isnan(theirs), np.isnan(ours))
    some = ~np.isnan(ours)
    np.testing.assert_array_equal(theirs[some].view(np.uint32), ours[some].view(np.uint32))
    ignored = nvfp4.dequantize(codes[:128], SCALES[:128, None], policy=EXACT)
    np.testing.assert_array_equal(ignored, ours[:128])


ROUNDINGS = {
    "TiesToEven": "nearest-even",
    "TiesToAway": "nearest-away",
    "TowardZero": "toward-zero",
}


@peer("gfloat")
@pytest.mark.parametrize("mode", ROUNDINGS)
def test_gfloat_encodes_under_given_scales(mode):
    """Every scale but 0 with ties, their neighbours, subnormals and what saturates.

    This is P3109's ConvertToBlock (section 5) for these two formats, with SatFinite.
    """
    from gfloat import RoundMode
    from gfloat.block import encode_block

    fi = gfloat_nvfp4()
    rng = np.random.default_rng(4)
    values = scale_values()[1:]
    middles = np.float32([0, 0.25, 0.5, 0.75, 1, 1.25, 1.75, 2.5, 3.5, 5, 6, 6.5, 7, 8, 1e4])
    x = np.concatenate(
        [
            rng.standard_normal((126, 16)).astype(np.float32) * 3 * values[:, None],
            rng.choice(middles, (126, 16)) * rng.choice([-1, 1], (126, 16)) * values[:, None],
            rng.choice(middles, (126, 16)) * values[:, None] * np.float32(1 + 2.0**-23),
            rng.choice(middles, (126, 16)) * values[:, None] * np.float32(1 - 2.0**-24),
        ]
    ).astype(np.float32)
    scales = np.tile(SCALES[1:127], 4)
    theirs = []
    for row, s in zip(x.astype(np.float64), np.tile(values, 4).tolist(), strict=True):
        theirs.append(list(encode_block(fi, s, row / s, RoundMode[mode])))
    theirs = np.array(theirs, np.uint8)
    np.testing.assert_array_equal(theirs[:, 0], scales)
    policy = f"{EXACT},rounding={ROUNDINGS[mode]}"
    ours = nvfp4.encode_with_scales(x, scales[:, None], policy=policy)
    np.testing.assert_array_equal(theirs[:, 1:], ours)


def gfloat_blocks(x, *, is_rounded):
    """Scale codes and codes of rows of 16, the scale amax / 6; None for what is refused."""
    from gfloat import round_float
    from gfloat.block import encode_block

    fi = gfloat_nvfp4()
    scales, codes = [], []
    for row in x.astype(np.float64):
        wanted = float(np.abs(row).max() / 6)
        scale = round_float(fi.stype, wanted, sat=True) if is_rounded else wanted
        found = list(encode_block(fi, scale, row / scale))
        scales.append(found[0])
        codes.append(found[1:])
    return np.array(scales, np.uint8), np.array(codes, np.uint8)


def in_range(name):
    """Blocks whose scale is neither zero nor beyond 448."""
    x = INPUTS[name].reshape(-1, 16)[:256]
    b = np.abs(x).max(axis=1)
    return x[(b >= 6 * 2.0**-9) & (b <= 6 * 448)]


@peer("gfloat")
@pytest.mark.parametrize("name", INPUTS)
def test_gfloat_quantizes_once_its_scale_is_rounded(name):
    x = in_range(name)
    scales, codes = gfloat_blocks(x, is_rounded=True)
    q = nvfp4.quantize(x, policy=EXACT)
    np.testing.assert_array_equal(scales, q.scales[:, 0])
    np.testing.assert_array_equal(codes, q.codes)


@peer("gfloat")
def test_gfloat_divides_by_its_scale_before_it_is_rounded():
    """A named divergence: `quantize_block` rounds the scale only to store it."""
    from gfloat.block import quantize_block

    x = in_range("normal")
    scales, codes = gfloat_blocks(x, is_rounded=False)
    q = nvfp4.quantize(x, policy=EXACT)
    np.testing.assert_array_equal(scales, q.scales[:, 0])
    differ = (codes != q.codes).mean()
    assert 0.02 < differ < 0.1, differ
    row = x[0].astype(np.float64)
    theirs = quantize_block(gfloat_nvfp4(), row, lambda _, v: float(np.abs(v).max() / 6))
    ours = nvfp4.dequantize(codes[:1], scales[:1, None], policy=EXACT)
    np.testing.assert_array_equal(theirs.astype(np.float32), ours[0])


@peer("gfloat")
def test_gfloat_refuses_a_scale_beyond_448_where_recipes_saturate():
    x = np.full((1, 16), 6 * 449, np.float32)
    with pytest.raises(ValueError, match="out of range"):
        gfloat_blocks(x, is_rounded=False)
    assert nvfp4.quantize(x, policy=EXACT).scales.tolist() == [[0x7E]]


# --- P3109's formats ------------------------------------------------------------------------------


@peer("gfloat")
@pytest.mark.parametrize("domain", ["Finite", "Extended"])
def test_p3109_k4p2_under_k8p4_is_a_quarter_of_nvfp4(domain):
    """Every pair of codes that both have: its biases are larger by one than OCP's.

    What differs is code 0x8 (P3109: NaN, E2M1: -0) and scale code 0x7F (240 or infinity, NaN).
    """
    from gfloat.block import BlockFormatInfo, decode_block
    from gfloat.formats import format_info_p3109
    from gfloat.types import Domain, Signedness

    element = format_info_p3109(4, 2, Signedness.Signed, Domain.Finite)
    scale = format_info_p3109(8, 4, Signedness.Signed, Domain[domain])
    fi = BlockFormatInfo("p3109", element, 16, scale)
    theirs = [list(decode_block(fi, [s, *ELEMENTS.tolist()])) for s in range(127)]
    theirs = np.float32(theirs) * 4
    ours = nvfp4.dequantize(np.tile(ELEMENTS, (127, 1)), SCALES[:127, None], policy=EXACT)
    assert np.isnan(theirs[:, 8]).all()
    assert (ours[:, 8] == 0).all()
    kept = ELEMENTS != 8
    np.testing.assert_array_equal(theirs[:, kept], ours[:, kept])
    last = np.float32(list(decode_block(fi, [0x7F, 2])))[0] * 2
    assert last == (240 if domain == "Finite" else np.inf)


# --- gfloat: 8-bit integers under E8M0, of any block length ---------------------------------------


@peer("gfloat")
@pytest.mark.parametrize("k1", [8, 16])
@pytest.mark.parametrize("mode", ["TiesToEven", "TiesToAway", "TowardZero"])
def test_gfloat_integers_are_a_bdr_format(k1, mode):
    from gfloat import RoundMode
    from gfloat.block import BlockFormatInfo, compute_scale_amax, decode_block, encode_block
    from gfloat.formats import format_info_ocp_e8m0, format_info_ocp_int8

    fi = BlockFormatInfo("int8", format_info_ocp_int8, k1, format_info_ocp_e8m0)
    x = numbers("finite", k=k1, n=300, seed=k1)
    theirs, values = [], []
    for row in x.astype(np.float64):
        scale = compute_scale_amax(fi.etype.emax, row)
        theirs.append(list(encode_block(fi, scale, row / scale, RoundMode[mode])))
        values.append(list(decode_block(fi, theirs[-1])))
    theirs = np.array(theirs, np.uint8)
    policy = bdr.get_policy("bdr-paper").replace(int_min="used", rounding=ROUNDINGS[mode])
    q = bdr.quantize(x, f"bdr:m=7,k1={k1},element=twos-complement", policy=policy)
    np.testing.assert_array_equal(theirs[:, 0], q.scales[:, 0])
    np.testing.assert_array_equal(theirs[:, 1:], q.codes)
    np.testing.assert_array_equal(np.float32(values), q.dequantize())


# --- fouroversix ----------------------------------------------------------------------------------

# SKIP_CUDA_BUILD=1 pip install --no-deps --no-build-isolation fouroversix==1.0.5, and transformers.
RULES = {
    "static_4": "fouroversix-static-4",
    "mse": "fouroversix-mse",
    "mae": "fouroversix-mae",
    "abs_max": "fouroversix-abs-max",
}


def four_over_six(x, rule, *, is_2d=False):
    """Codes, scale codes, amax and values; `x` has 128 rows, which it would pad to otherwise."""
    import torch
    from fouroversix import QuantizationConfig, dequantize, quantize_to_fp4
    from fouroversix.quantize.dequantize_utils import from_blocked

    config = QuantizationConfig(backend="pytorch", scale_rule=rule, block_scale_2d=is_2d)
    q = quantize_to_fp4(torch.from_numpy(x), config)
    scales = from_blocked(q.scale_factors.view(torch.uint8), (128, x.shape[1] // 16)).numpy()
    values = dequantize(q, torch.float32).numpy()
    return unpacked(q.values.numpy(), x.shape), scales, np.float32(q.amax), values


def reaches_seven(x, q, policy, amax):
    """Blocks in which an element, divided by the unit of a candidate, is 7 or more."""
    b = nvfp4.block_amax(x, policy=policy)
    found = np.zeros(q.scales.shape, bool)
    for four in (False, True) if str(policy.target) == "four-over-six" else (False,):
        codes = nvfp4.block_scales(b, policy=policy, global_amax=amax, four=four)
        s = nvfp4.dequantize(np.full(x.shape, 2, np.uint8), codes, policy=EXACT)
        with np.errstate(divide="ignore", over="ignore"):
            scaled = np.abs(x) * (np.float32(1) / (q.global_scale * s))
        found |= ((scaled >= 7) & (s > 0)).reshape(*found.shape, 16).any(axis=-1)
    if str(policy.geometry) == "2d":
        tall = found.reshape(-1, 16, found.shape[1]).any(axis=1)
        found = np.repeat(tall, 16, axis=0)
    return found


@peer("fouroversix", "transformers")
@pytest.mark.parametrize("is_2d", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", INPUTS)
def test_fouroversix(name, rule, is_2d):
    """Equal but for two named divergences: zero scales drop signs, and 7 or more goes wrong."""
    rng = np.random.default_rng(6)
    x = np.tile(INPUTS[name], (4, 1)) * rng.uniform(0.5, 2, (128, 1)).astype(np.float32)
    policy = nvfp4.get_policy(RULES[rule]).replace(geometry="2d" if is_2d else "1d")
    codes, scales, amax, values = four_over_six(x, rule, is_2d=is_2d)
    q = nvfp4.quantize(x, policy=policy)
    kept = ~reaches_seven(x, q, policy, amax)
    assert kept.mean() > 0.95
    np.testing.assert_array_equal(scales[kept], q.scales[kept])
    wide = np.repeat(kept, 16, axis=1)
    ours = np.where(np.repeat(q.scales == 0, 16, axis=1), 0, q.codes)
    np.testing.assert_array_equal(codes[wide], ours[wide])
    # It decodes from amax: a third divergence.
    plain = nvfp4.dequantize(codes, scales, policy=EXACT) * amax
    most = np.float32(4 * 448 if rule == "static_4" else 6 * 256)
    np.testing.assert_array_equal(values, plain / most)


@peer("fouroversix", "transformers")
def test_fouroversix_makes_a_zero_of_what_reaches_seven():
    """It rounds to 8, which has no code: the bits of 8 spell 0x8. ``static_6`` shows it plainly."""
    x = np.zeros((128, 64), np.float32)
    x[0, 0], x[1, 0], x[2, 0] = 2688, 6 * 1.45 * 2.0**-9, -6 * 1.45 * 2.0**-9
    codes, scales, _, _ = four_over_six(x, "static_6")
    policy = nvfp4.get_policy("fouroversix-static-4").replace(target="six")
    q = nvfp4.quantize(x, policy=policy)
    np.testing.assert_array_equal(scales, q.scales)
    assert codes[:3, 0].tolist() == [7, 8, 8]
    assert q.codes[:3, 0].tolist() == [7, 7, 15]


@peer("fouroversix", "transformers")
@pytest.mark.parametrize("rule", RULES)
def test_fouroversix_below_an_infinite_encode_scale(rule):
    """torch 2.13 saturates infinity to 448; the codes are those of NaN, a named divergence."""
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((128, 64)) * 2.0**-130).astype(np.float32)
    codes, scales, _, _ = four_over_six(x, rule)
    policy = nvfp4.get_policy(RULES[rule]).replace(scale_overflow="saturate")
    np.testing.assert_array_equal(scales, nvfp4.quantize(x, policy=policy).scales)
    assert set(scales.ravel()) == {0x7E}
    assert set(codes.ravel()) <= {3, 11}


# --- microxcaling ---------------------------------------------------------------------------------

WIDTHS = {"int8": 7, "int4": 3, "int2": 1}
MX_ROUNDINGS = {"nearest": "nearest-away", "even": "nearest-even", "floor": "toward-zero"}


@peer("torch")
@pytest.mark.parametrize("k1", [8, 16, 32])
@pytest.mark.parametrize("mode", MX_ROUNDINGS)
@pytest.mark.parametrize("name", WIDTHS)
def test_microxcaling_integers(name, mode, k1):
    """Equal but for two named divergences, which are put in by hand.

    Its exponent is floor(log2(amax)) in float32, one too large just below a power of two; and it
    adds a half in float32, so that what is just below a tie goes up.
    """
    import torch

    reason = "no index has it: pip install git+https://github.com/microsoft/microxcaling"
    ops, formats = (
        pytest.importorskip(f"mx.{part}", reason=reason) for part in ("mx_ops", "formats")
    )
    fmt = bdr.bdr_format(f"bdr:m={WIDTHS[name]},k1={k1}")
    x = numbers("finite", k=k1, seed=k1)
    element = getattr(formats.ElemFormat, name)
    found = ops._quantize_mx(
        torch.from_numpy(x.copy()), 8, element, axes=[-1], block_size=k1, round=mode
    ).numpy()
    policy = bdr.get_policy("bdr-paper").replace(rounding=MX_ROUNDINGS[mode])
    ours = bdr.quantize(x, fmt, policy=policy).dequantize()
    amax = np.abs(x).max(axis=1)
    exponent = np.frexp(np.where(amax == 0, 1, amax))[1] - 1
    logs = torch.log2(torch.from_numpy(amax)).numpy()
    bumped = (amax > 0) & (np.floor(logs) != exponent)
    assert 0.1 < bumped.mean() < 0.5
    step = np.exp2(np.maximum(exponent, -127) - fmt.m + 1.0)[:, None]
    size = (np.abs(x) / step).astype(np.float32)
    with_half = np.floor(size + np.float32(0.5)) != np.floor(size.astype(np.float64) + 0.5)
    if mode == "floor":
        with_half[:] = False
    keep = ~bumped[:, None] & ~with_half
    np.testing.assert_array_equal(found[keep], ours[keep])
    up = ~bumped[:, None] & with_half
    capped = np.minimum(np.floor(size.astype(np.float64)) + 1, fmt.max_magnitude)
    np.testing.assert_array_equal(np.abs(found[up]), (capped * step)[up].astype(np.float32))


# --- AMD Quark ------------------------------------------------------------------------------------


@peer("torch", "quark", "onnxslim", "scipy")
@pytest.mark.parametrize("name", ["msfp16", "msfp12", "bdr:m=5,k1=16", "bdr:m=7,k1=32"])
def test_quark_blocks_of_one_level(operators, name):  # noqa: F811 -- the fixture above
    """Its BFP operator with blocks of 16, as MSFP has them (test_bdr_quark has blocks of 8)."""
    fmt = bdr.bdr_format(name)
    x = numbers("finite", k=fmt.k1, seed=8)
    top = np.abs(x)
    x = x[((top < 2.0**126) & ((top >= 2.0**-110) | (x == 0))).all(axis=1)]
    for mode, rounding in enumerate(("nearest-away", "half-up", "nearest-even")):
        theirs = call(operators.plain, x, 9 + fmt.m, fmt.k1, mode, 0)
        policy = bdr.get_policy("quark-bfp").replace(rounding=rounding)
        np.testing.assert_array_equal(bdr.quantize(x, fmt, policy=policy).dequantize(), theirs)
