"""A package against its profile: equal bit for bit, once the named divergences are applied.

A divergence is a sentence in the profile and, in the test of the package, a `Quirk`: code that
turns what the policy says into what the package does. Both are tied by the words with which the
sentence begins. A test passes only if the package equals the policy with every quirk applied, and
every quirk changed something: a version that behaves otherwise, for better or worse, fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mxref import arrays
from mxref.profiles import PROFILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.policy import Policy

    Codes = NDArray[np.uint8]

__all__ = ["Case", "Quirk", "check_decode", "check_dequantize", "check_encode", "check_quantize"]
__all__ += ["peers", "starts"]


@dataclass
class Case:
    """What a quirk may change: what is expected of the package for one run.

    Attributes
    ----------
    policy : Policy
    format : str
        Of elements, or ``"e8m0"``.
    x : float32 array, or None when decoding
    codes, scales : uint8 arrays, or None
        Expected when encoding, given when decoding.
    bits : uint32 array, or None
        Expected float32 results of a decoder.
    theirs : array
        What the package gave in place of `codes` or `bits`, for what has no meaning.
    """

    policy: Policy
    format: str
    x: Any = None
    codes: Any = None
    scales: Any = None
    bits: Any = None
    theirs: Any = None

    @property
    def block(self) -> Any:
        """The block format."""
        from _data import block_of

        return block_of(self.format)

    def expected(self) -> tuple[bytes, ...]:
        """Return everything that a quirk can change."""
        return tuple(a.tobytes() for a in (self.codes, self.scales, self.bits) if a is not None)


@dataclass(frozen=True)
class Quirk:
    """One divergence, for one operation and some formats.

    Attributes
    ----------
    start : str
        The words with which its sentence in the profile begins.
    operation : str
    apply : callable
        Changes a `Case` in place.
    formats : tuple of str
        Empty for all of the profile.
    """

    start: str
    operation: str
    apply: Callable[[Case], None]
    formats: tuple[str, ...] = ()

    def concerns(self, operation: str, name: str) -> bool:
        return operation == self.operation and (not self.formats or name in self.formats)


# Not in the extra `peers`: too large for what they add, or at odds with another's requirements.
BEYOND = {
    "fouroversix": "SKIP_CUDA_BUILD=1 pip install --no-deps --no-build-isolation "
    "fouroversix==1.0.5",
    "comfy_kitchen": "pip install --no-deps comfy-kitchen==0.2.40",
    "modelopt": "pip install nvidia-modelopt==0.47.0",
    "quark": "pip install --no-deps amd-quark==0.13",
}


def peers(*packages: str) -> list[pytest.MarkDecorator]:
    """Return the marks of a module of tests that need packages."""
    absent = [name for name in packages if find_spec(name) is None]
    how = " and ".join(dict.fromkeys(BEYOND.get(name, "make test-peers") for name in absent))
    return [
        pytest.mark.peers,
        pytest.mark.skipif(bool(absent), reason=f"{', '.join(absent)} absent: {how}"),
        pytest.mark.filterwarnings("ignore"),  # what packages warn of is theirs
    ]


def starts(profile: str, quirks: tuple[Quirk, ...]) -> None:
    """Assert that sentences and quirks belong together, one sentence to one or more quirks."""
    sentences = PROFILES[profile].divergences
    for quirk in quirks:
        assert sum(text.startswith(quirk.start) for text in sentences) == 1, quirk.start
    for text in sentences:
        assert any(text.startswith(quirk.start) for quirk in quirks), text


def check_quantize(
    profile: str, element: str, x: Any, theirs: tuple[Codes, Codes], quirks: tuple[Quirk, ...]
) -> None:
    """Compare blocks: scale codes and element codes."""
    policy = PROFILES[profile].policy
    case = Case(policy, element, x, theirs=theirs[0])
    q = arrays.quantize(x, case.block, policy=policy)
    case.codes, case.scales = q.codes, q.scales
    _apply(case, "quantize", quirks)
    _same(case.scales, theirs[1], lambda i: _amax(x[i[0]]), profile)
    _same(case.codes, theirs[0], lambda i: (_hex(x[i]), case.scales[i[0]], _amax(x[i[0]])), profile)


def check_encode(
    profile: str, name: str, x: Any, theirs: Codes, quirks: tuple[Quirk, ...], **changes: str
) -> None:
    """Compare casts to codes; `changes` adapt the policy to options of the package."""
    policy = PROFILES[profile].policy.replace(**changes)
    case = Case(policy, name, x, arrays.encode(x, name, policy), theirs=theirs)
    _apply(case, "encode", quirks)
    _same(case.codes, theirs, lambda i: _hex(x[i]), profile)


def check_decode(
    profile: str, name: str, codes: Codes, theirs: Any, quirks: tuple[Quirk, ...]
) -> None:
    """Compare casts from codes, bits of NaN included."""
    policy = PROFILES[profile].policy
    case = Case(policy, name, codes=codes, theirs=_bits(theirs))
    case.bits = _bits(arrays.decode(codes, name, policy))
    _apply(case, "decode", quirks)
    _same(case.bits, case.theirs, lambda i: codes[i], profile)


def check_dequantize(
    profile: str,
    element: str,
    given: tuple[Codes, Codes],
    theirs: Any,
    quirks: tuple[Quirk, ...],
) -> None:
    """Compare decoded blocks, bits of NaN included."""
    policy = PROFILES[profile].policy
    codes, scales = given
    case = Case(policy, element, None, codes, scales, theirs=_bits(theirs))
    case.bits = _bits(arrays.dequantize(codes, scales, case.block, policy=policy))
    _apply(case, "dequantize", quirks)
    _same(case.bits, case.theirs, lambda i: (codes[i], scales[i[0]]), profile)


def _hex(value: Any) -> str:
    return f"{value!s} = {float(value).hex()}"


def _amax(row: Any) -> str:
    return "amax " + _hex(np.abs(row).max())


def _bits(values: Any) -> NDArray[np.uint32]:
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


def _apply(case: Case, operation: str, quirks: tuple[Quirk, ...]) -> None:
    for quirk in quirks:
        if quirk.concerns(operation, case.format):
            before = case.expected()
            with np.errstate(all="ignore"):
                quirk.apply(case)
            assert case.expected() != before, f"not seen: {quirk.start!r}"


def _same(expected: Any, theirs: Any, where: Callable[[Any], Any], profile: str) -> None:
    if expected.shape == theirs.shape and np.array_equal(expected, theirs):
        return
    assert expected.shape == theirs.shape
    bad = np.argwhere(expected != theirs)
    lines = [
        f"{tuple(i)}: expected {expected[tuple(i)]:#x}, got {theirs[tuple(i)]:#x} at "
        f"{where(tuple(i))}"
        for i in bad[:5]
    ]
    pytest.fail(f"{profile}: {len(bad)} of {expected.size} differ\n" + "\n".join(lines))
