"""BDR quantizers and decoders written plainly for these tests, with one mistake each.

They know nothing of `mxref.faults`, nor of mxref's kernels: float64, loops where that is plainest.
"""

import numpy as np

M = {"mx9": 7, "mx6": 4, "mx4": 2, "msfp16": 7, "msfp12": 3}
K = 16


def exponents(x):
    """floor(log2 |x|) + 127; -999 for zero."""
    e = np.frexp(np.abs(x).astype(np.float64))[1] - 1 + 127
    return np.where(x == 0, -999, e)


def rne(q):
    return np.rint(q)


class Naive:
    """A right quantizer; keyword arguments and overridden methods plant mistakes."""

    def __init__(self, name, **wrong):
        self.name, self.m, self.wrong = name, M[name], wrong
        self.has_shift = name.startswith("mx")

    def __call__(self, x):
        with np.errstate(invalid="ignore"):  # a signalling NaN
            x = np.asarray(x, np.float64)
        bad = ~np.isfinite(x)
        clean = np.where(bad, 0, x)
        e = np.clip(self.shared(clean), 0, 254)
        nan = bad.any(1)
        e = np.where(nan, 255, e)
        d = np.zeros((len(x), K // 2), int)
        if self.has_shift:
            d = self.shifts(clean, e)
            d[nan | (clean == 0).all(1)] = 0
        codes = self.codes(clean, e, self.used(d, clean, e))
        codes[nan] = 0
        parts = codes.astype(np.uint8), e.astype(np.uint8)[:, None]
        return (*parts, self.stored(d).astype(np.uint8)) if self.has_shift else parts

    def shared(self, x):
        return np.where((x == 0).all(1), 0, exponents(x).max(1))

    def shifts(self, x, e):
        return np.minimum(np.maximum(e[:, None] - self.of_pairs(x), 0), 1)

    def of_pairs(self, x):
        return exponents(x).reshape(-1, K // 2, 2).max(2)

    def stored(self, d):
        return d

    def used(self, d, x, e):  # noqa: ARG002  # for those that look
        return d

    def codes(self, x, e, d):
        unit = np.ldexp(1.0, e - 127 + 1 - self.m)[:, None] * np.ldexp(1.0, -np.repeat(d, 2, 1))
        magnitude = np.minimum(self.round(np.abs(x) / unit), self.top)
        return self.pack(magnitude.astype(int), np.signbit(x))

    def round(self, q):
        return rne(q)

    @property
    def top(self):
        return (1 << self.m) - 1

    def pack(self, magnitude, negative):
        return magnitude | (negative.astype(int) << self.m)


class S1(Naive):
    def shared(self, x):
        largest = 2 - 2.0 ** (1 - self.m)
        amax = np.abs(x).max(1)
        e = np.frexp(amax / largest)[1] - 1 + 127
        return np.where(amax == 0, 0, e)


class S5(Naive):
    def shared(self, x):
        amax = np.abs(x).max(1)
        mantissa, e = np.frexp(amax)
        return np.where(amax == 0, 0, e + 127 - (mantissa == 0.5))


class S6(Naive):
    by = 1

    def shared(self, x):
        return np.where((x == 0).all(1), 0, super().shared(x) + self.by)


class S6Less(S6):
    by = -1


class S7(Naive):
    def shared(self, x):
        import ml_dtypes

        amax = np.abs(x).max(1).astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float64)
        e = np.where(np.isinf(amax), 128, np.frexp(amax)[1] - 1)
        return np.where(amax == 0, 0, e + 127)


class S15Pair(Naive):
    def shared(self, x):
        own = super().shared(x)
        two = own[: len(own) // 2 * 2].reshape(-1, 2).max(1)
        return np.concatenate([np.repeat(two, 2), own[len(own) // 2 * 2 :]])


class S15First(Naive):
    def shared(self, x):
        e = exponents(x)[:, 1:].max(1)
        return np.where(e < 0, 0, e)


class S15Signed(Naive):
    def shared(self, x):
        e = exponents(np.maximum(x, 0)).max(1)
        return np.where(e < 0, 0, e)


class S18(Naive):
    def stored(self, d):
        return 1 - d


class S19Ignored(Naive):
    def used(self, d, x, e):  # noqa: ARG002  # for those that look
        return 0 * d


class S19Backwards(Naive):
    def used(self, d, x, e):  # noqa: ARG002  # for those that look
        return -d


class S20Min(Naive):
    def of_pairs(self, x):
        return exponents(x).reshape(-1, K // 2, 2).min(2)


class S20First(Naive):
    def of_pairs(self, x):
        return exponents(x).reshape(-1, K // 2, 2)[:, :, 0]


class S21(Naive):
    def shifts(self, x, e):
        d = super().shifts(x, e)
        return np.repeat(d.reshape(-1, 4, 2).min(2), 2, 1)


class S22(Naive):
    def shifts(self, x, e):
        gap = np.maximum(e[:, None] - self.of_pairs(x), 0)
        gap = np.where(gap > 900, gap | 1, gap)
        return gap & 1


class S23(Naive):
    def stored(self, d):
        return d[:, ::-1]


class E1(Naive):
    def round(self, q):
        return np.floor(q + 0.5)


class E2(Naive):
    def round(self, q):
        return np.floor(q)


class E3(Naive):
    def round(self, q):
        kept, half = np.floor(q), np.floor(2 * q) % 2
        return kept + (half * (kept % 2))


class E5(Naive):
    def codes(self, x, e, d):
        unit = np.ldexp(1.0, e - 127 + 1 - self.m)[:, None] * np.ldexp(1.0, -np.repeat(d, 2, 1))
        magnitude = rne(np.abs(x) / unit).astype(int) & self.top
        return self.pack(magnitude, np.signbit(x))


class E7(Naive):
    def round(self, q):
        found = rne(q)
        return np.where(found < 1 << (self.m - 1), 0, found)


class E15(Naive):
    @property
    def top(self):
        return (1 << self.m) - 2


class E19(Naive):
    def pack(self, magnitude, negative):
        return super().pack(magnitude, negative & (magnitude > 0))


class E25(Naive):
    def pack(self, magnitude, negative):
        return np.where(negative, -magnitude, magnitude) & (2 * self.top + 1)


class E26(Naive):
    def codes(self, x, e, d):
        unit = np.ldexp(1.0, e - 127 - self.m)[:, None] * np.ldexp(1.0, -np.repeat(d, 2, 1))
        magnitude = np.minimum(rne(np.abs(x) / unit), 2 * self.top + 1).astype(int)
        return self.pack(magnitude & self.top, np.signbit(x))


class E27(Naive):
    def codes(self, x, e, d):
        mantissa, own = np.frexp(x)
        first = np.ldexp(rne(np.ldexp(mantissa, self.m)), own - self.m)  # m bits of its own
        return super().codes(first, e, d)


class VSQ:
    """Two levels of scales, both computed in float32: one for all, an integer for each 16."""

    def __init__(self, name):
        self.m, self.d2 = {"vsq8": (7, 8), "vsq6": (5, 6), "vsq4": (3, 4)}[name]

    def __call__(self, x):
        x = np.asarray(x, np.float32)
        subs = x.reshape(len(x), -1, 16)
        top, most = np.float32((1 << self.m) - 1), np.float32((1 << self.d2) - 1)
        with np.errstate(all="ignore"):
            own = np.abs(subs).max(2) / top
            scale = own.max(1, keepdims=True) / most
            quotients = np.nan_to_num(own.astype(float) / scale)
            integers = np.clip(self.integers(quotients), 0, most).astype(np.float32)
            divisor = (integers * scale)[:, :, None]
            found = np.where(divisor == 0, 0, np.clip(np.rint(subs / divisor), -top, top))
        codes = found.astype(int) & int(2 * top + 1)
        return (
            codes.reshape(x.shape).astype(np.uint8),
            scale.astype(np.float32),
            integers.astype(np.uint8),
        )

    def integers(self, quotients):
        return np.rint(quotients)


class S24Down(VSQ):
    def integers(self, quotients):
        return np.floor(quotients)


class S24AtLeastOne(VSQ):
    def integers(self, quotients):
        return np.maximum(super().integers(quotients), 1)


class S13(Naive):
    def __call__(self, x):
        return super().__call__(np.where(np.isnan(x), 0, x))


def decode(name, codes, scales, subscales=None, wrong=""):
    m = M[name]
    codes, e = np.asarray(codes, int), np.asarray(scales, int).reshape(-1, 1)
    magnitude = (codes & ((1 << m) - 1)).astype(float)
    sign = np.where(codes >> m, -1.0, 1.0)
    if wrong == "complement":
        value = np.where(codes >> m, codes - (2 << m), codes).astype(float)
        magnitude, sign = np.abs(value), np.where(value < 0, -1.0, 1.0)
    if wrong == "hidden":
        magnitude = (magnitude + (1 << m)) / 2
    power = e - 127 + 1 - m + {"half": -1, "double": 1}.get(wrong, 0)
    if subscales is not None and wrong != "dropped":
        d = np.repeat(np.asarray(subscales, int), 2, 1)
        power = power + (d if wrong == "backwards" else -d)
    y = sign * np.ldexp(magnitude, power)
    if wrong == "code0":
        y = np.where(e == 0, 0 * y, y)
    if wrong != "code255":
        y = np.where(e == 255, np.nan, y)
    with np.errstate(over="ignore"):
        return y.astype(np.float32)
