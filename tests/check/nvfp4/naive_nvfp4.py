"""NVFP4 as somebody would write it from NVIDIA's description, with mistakes to be switched on.

Nothing of mxref is used. Casts look for the nearest among all values; a mistake is a name.
"""

import numpy as np

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
_CODES = np.arange(127)
E4M3 = np.where(
    _CODES < 8,
    _CODES / 512.0,
    (8 + _CODES % 8) * 2.0 ** (_CODES // 8 - 10),
)
F32 = np.float32


def nearest(values, table, ties="even", cut=False):
    """Codes of the nearest entries; beyond the end, the last."""
    values = np.asarray(values, np.float64)
    at = np.searchsorted(table, values, side="right") - 1
    low = np.clip(at, 0, len(table) - 1)
    high = np.clip(low + 1, 0, len(table) - 1)
    below, above = values - table[low], table[high] - values
    if cut:
        return low
    up = above < below
    tie = above == below
    if ties == "even":
        up |= tie & (low % 2 == 1)
    elif ties == "away":
        up |= tie
    return np.where(up, high, low)


def scale_values(codes, wrong):
    """What elements are divided by."""
    codes = np.asarray(codes, int)
    values = E4M3[np.clip(codes, 0, 126)]
    if wrong == "D1":
        values = np.where(codes < 8, (8 + codes % 8) / 8 * 2.0**-7, values)
    if wrong == "D8":
        values = np.where(codes < 8, 0.0, values)
    if wrong == "D15":
        values = np.where(values > 0, 2.0 ** np.floor(np.log2(np.maximum(values, 1e-9))), 0.0)
    if wrong == "D6":
        values = codes.astype(float)
    return values


def amax_of(blocks, wrong):
    """The largest magnitude of each block."""
    sets = {"S15-half": blocks[..., :8], "S15-first": blocks[..., 1:]}
    found = np.abs(sets.get(wrong, blocks)).max(-1)
    if wrong == "S15-signed":
        found = np.maximum(blocks.max(-1), 0)
    if wrong == "S15-32":
        pairs = found.reshape(*found.shape[:-1], -1, 2).max(-1)
        found = np.repeat(pairs, 2, axis=-1)
    if wrong == "S15-next":
        found = np.roll(found.reshape(-1), -1).reshape(found.shape)
    return found.astype(F32)


def scale_codes(wanted, wrong):
    """Round to E4M3."""
    codes = nearest(wanted, E4M3, cut=wrong == "scale-cut")
    if wrong == "E5-scale":  # a mantissa that overflows stays at 7
        below = np.clip(np.searchsorted(E4M3, wanted, side="right") - 1, 0, 126)
        codes = np.where((codes > below) & (below % 8 == 7) & (below >= 8), below, codes)
    if wrong == "E7-scale":
        codes = np.where(codes < 8, 0, codes)
    tops = {"E15-240": 0x77, "E15-416": 0x7D}
    codes = np.minimum(codes, tops.get(wrong, 126))
    if wrong == "S6":
        codes = np.minimum(codes + 1, 126)
    if wrong == "sign":
        codes = codes | 0x80
    return codes


def element_codes(numbers, wrong):
    """Round to E2M1, with its sign."""
    size = np.abs(np.asarray(numbers, np.float64))
    ties = {"E1": "away"}.get(wrong, "even")
    codes = nearest(size, E2M1, ties, cut=wrong == "E2")
    if wrong == "E7":
        codes = np.where(codes == 1, 0, codes)
    if wrong == "E8":
        codes = np.where(size < 0.5, 0, codes)
    if wrong == "E12":
        codes = np.where(codes >= 6, 7, codes)
    if wrong == "E15":
        codes = np.minimum(codes, 6)
    sign = np.signbit(numbers)
    if wrong == "E19":
        sign = sign & (codes != 0)
    return codes | (sign.astype(int) << 3)


def quantize(x, wrong=""):
    """Codes, scale codes and the decode multiplier of a matrix, along its rows."""
    x = np.asarray(x, F32)
    with np.errstate(all="ignore"):
        return _quantize(x, wrong)


def _quantize(x, wrong):
    amax = F32(np.abs(x[:1] if wrong == "S15-tensor" else x).max())
    encode = F32(2688) / amax if amax else F32(1)
    g = F32(1) / encode
    blocks = x.reshape(x.shape[0], -1, 16)
    used = {
        "S16-scale-inverted": g,
        "S16-scale-dropped": F32(1),
        "S16-scale-twice": encode * encode,
    }.get(wrong, encode)
    largest = amax_of(blocks, wrong)
    wanted = largest * (used * (F32(1) / F32(6)))
    if wrong == "S6-third":
        wanted = wanted * F32(2)
    codes = scale_codes(wanted, wrong)
    values = scale_values(codes & 0x7F, wrong)
    if wrong == "S14":
        values = np.where(wanted > 0, np.minimum(wanted, F32(448)), 0)
    if wrong == "S14-one":
        values = np.ones_like(values)
    s = values.astype(F32)[..., None]
    mine = {
        "S16-element-inverted": encode,
        "S16-element-dropped": F32(1),
        "S16-element-twice": g * g,
    }.get(wrong, g)
    factor = np.minimum(F32(1) / (s * mine), np.finfo(F32).max)
    found = element_codes(blocks * factor, wrong).astype(np.uint8).reshape(x.shape)
    if wrong == "L1":
        found = found.reshape(-1, 2)[:, ::-1].reshape(x.shape)
    if wrong == "S12":
        zero = np.abs(blocks).max(-1) == 0
        codes = np.where(zero, 0x7F, codes)
    stored = {"S16-stored-inverted": encode, "S16-stored-one": F32(1)}.get(wrong, g)
    if wrong == "S16-stored-half":
        stored = F32(g / 2)
    return found, codes.astype(np.uint8), stored


def dequantize(codes, scales, g, wrong=""):
    """Values in float32, rounded once."""
    table = np.concatenate([E2M1, -E2M1])
    if wrong == "D1-element":
        table = table + np.where(np.arange(16) & 7 == 1, 0.25, 0) * np.sign(table)
    if wrong == "L1":
        codes = codes.reshape(-1, 2)[:, ::-1].reshape(codes.shape)
    values = np.repeat(scale_values(scales & 0x7F, wrong), 16, axis=-1)
    values = np.where(np.repeat(scales == 0x7F, 16, axis=-1), np.nan, values)
    if wrong == "D3":
        values = np.where(np.isnan(values), 480.0, values)
    factor = {"S16-dropped": F32(1), "S16-inverted": F32(1) / F32(g), "S16-twice": F32(g) * F32(g)}
    with np.errstate(all="ignore"):
        return (table[codes] * values * np.float64(factor.get(wrong, g))).astype(F32)
