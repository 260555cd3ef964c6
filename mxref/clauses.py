"""Every normative clause of the standards and every point that they leave open.

Each statement of OCP MX v1.0 and OCP OFP8 v1.0 that this library rests on has one entry, in our
own words, with its force, its source and how well we know it. The open points (ids that start with
``OP-``) are the places where conforming implementations may differ; code and reports cite the ids,
which never change, rather than the numbers.

The section in an id is an anchor; `Clause.source` names the section of the document. OFP8 was read
in revision 1.0 of 2023-06-20, the text of MX v1.0 only through those who quote or summarise it.

Examples
--------
>>> get("OFP8-1.0/overflow-ovf").force.value
'must'
>>> [point.id for point in open_points()][:2]
['OP-SCALE-RULE', 'OP-SCALE-LOG2']
"""

from __future__ import annotations

import difflib
import enum
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mxref._open_points import OPEN_POINTS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CLAUSES",
    "ID_PATTERN",
    "Clause",
    "Evidence",
    "Force",
    "get",
    "normative",
    "open_points",
]


class Force(enum.Enum):
    """What a clause asks of an implementation.

    Examples
    --------
    >>> Force("should").name
    'SHOULD'
    """

    DEFINITION = "definition"  #: says what something is
    MUST = "must"  #: required of an implementation that claims the standard
    SHOULD = "should"  #: recommended
    MAY = "may"  #: permitted, or left to the implementation in so many words
    OPEN = "open"  #: an open point: no standard decides it


class Evidence(enum.Enum):
    """How well we know a statement; of two levels a clause carries the weaker one.

    Examples
    --------
    >>> get("OFP8-1.0/inf-sat").evidence
    <Evidence.PRIMARY: 'primary'>
    """

    PRIMARY = "primary"  #: read in the document or source code itself, or in a verbatim quotation
    SECONDARY = "secondary"  #: a third party summarises the document
    COMPUTED = "computed"  #: established by calculation or exhaustive enumeration
    UNVERIFIED = "unverified"  #: derived, remembered or reported, not checked against the text


@dataclass(frozen=True, slots=True)
class Clause:
    """One statement of a standard, or one point that the standards leave open.

    Parameters
    ----------
    id : str
        Stable anchor, such as ``MX-1.0/5.1/value`` or ``OP-SCALE-RULE``.
    force : Force
        What the clause asks of an implementation.
    text : str
        The statement in one line, in our own words.
    source : str
        Document and section, and the address of what was read where one is known. For an open
        point: what leaves it open, and where the alternatives were seen.
    evidence : Evidence
        How well we know the statement; for an open point, the alternatives.
    choices : tuple of str, default ()
        Open points only: the alternatives seen, each with who takes it in parentheses.
    number : int or None, default None
        Open points only: the place in the list of open points, from 1.

    Examples
    --------
    >>> clause = get("MX-1.0/5.1/nan-scale")
    >>> clause.force is Force.DEFINITION, clause.choices, clause.number
    (True, (), None)
    """

    id: str
    force: Force
    text: str
    source: str
    evidence: Evidence
    choices: tuple[str, ...] = ()
    number: int | None = None


#: Matches any id of a clause or an open point inside source text or prose.
ID_PATTERN: re.Pattern[str] = re.compile(
    r"(?<![\w/-])"
    r"(?:MX-1\.0/\d+(?:\.\d+)*/[a-z0-9]+(?:-[a-z0-9]+)*"
    r"|OFP8-1\.0/[a-z0-9]+(?:-[a-z0-9]+)*"
    r"|OP-[A-Z0-9]+(?:-[A-Z0-9]+)*)"
    r"(?![\w/*-])"  # neither a part of a longer word nor a wildcard such as the family OP-DOT-*
)

_DEFINITION, _MUST, _SHOULD, _MAY = Force.DEFINITION, Force.MUST, Force.SHOULD, Force.MAY
_PRIMARY, _SECONDARY = Evidence.PRIMARY, Evidence.SECONDARY
_COMPUTED, _UNVERIFIED = Evidence.COMPUTED, Evidence.UNVERIFIED

# Where the statements were read.
_MX_URL = "https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf"
_OFP8_URL = (
    "https://raw.githubusercontent.com/opencomputeproject/FP8/main/OCP%208-bit%20Floating%20Point"
    "%20Specification%20(OFP8)%20Revision%201.0%202023-06-20.pdf"
)
_ARCH = (
    "as read in https://github.com/arch-hdl-lang/arch-com/blob/"
    "c84f40c562fd2fa775db88bfb7d6611991deb6b0/doc/proposal_mx_block_formats.md (section 2)"
)
_DIGEST = "as read in OCP-MX-V1-0-SUMMARY.md of https://github.com/chatelao/ttihp-fp8-mul"
_AUDIT = "as read in a public MXINT8 conformance audit (Gemmini, 2026-06-10)"
_FP_CONV = "as read in https://github.com/sw23/fp-conv (docs/overflow-behavior.md and lib)"
_TORCHAO = (
    "quoted in https://github.com/pytorch/ao/blob/050515e8a09c3fcad27b5fac7ad1c742f13c97f3/"
    "torchao/prototype/mx_formats/mx_tensor.py"
)
_MICROXCALING = "as read in https://github.com/microsoft/microxcaling/blob/main/README.md"


def _mx(section: str, *read_in: str) -> str:
    return "; ".join((f"OCP MX v1.0, section {section}, {_MX_URL}", *read_in))


def _ofp8(section: str) -> str:
    return f"OCP OFP8 v1.0 (2023-06-20), section {section}, {_OFP8_URL}"


# fmt: off
# A table reads best as a table: id and force, statement, source, evidence.
_NORMATIVE: tuple[Clause, ...] = (
    # --- OCP Microscaling Formats (MX) v1.0 ---------------------------------------------------
    Clause("MX-1.0/4/scope", _DEFINITION,
           "Out of scope: how block scales are computed in detail; element bits under a NaN scale.",
           _mx("4", _AUDIT, _ARCH), _SECONDARY),
    Clause("MX-1.0/4.2/keywords", _DEFINITION,
           "Must is required, should is recommended, may is optional, can states a possibility.",
           _mx("4.2", _ARCH, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.1/block", _DEFINITION,
           "A block is one shared scale X and k private elements P_1 to P_k of one data type.",
           _mx("5.1", _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.1/value", _DEFINITION,
           "Element i of a block has the value v_i = X * P_i when X and P_i are finite.",
           _mx("5.1", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.1/layout", _MAY,
           "No layout in memory is prescribed: X may lie next to its elements or apart from them.",
           _mx("5.1", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.1/compression", _MAY,
           "Scales that repeat from block to block can be compressed or left out.",
           _mx("5.1", _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.1/nan-scale", _DEFINITION,
           "If X is NaN, all k values of the block are NaN, whatever the bits of the elements.",
           _mx("5.1", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.1/special-elements", _DEFINITION,
           "If X is not NaN and P_i is NaN or infinite, then v_i is P_i: the scale has no effect.",
           _mx("5.1", _ARCH), _UNVERIFIED),
    Clause("MX-1.0/5.1/overflow", _MAY,
           "A product X * P_i beyond the largest finite float32 has an implementation-defined v_i.",
           _mx("5.1", _ARCH, _AUDIT), _UNVERIFIED),
    Clause("MX-1.0/5.1/underflow", _DEFINITION,
           "No nonzero product underflows in float32 with subnormals: the least is 2^-143 for E5M2,"
           " 2^-136 for E4M3 and 2^-133 for INT8, and every product is exact.",
           _mx("5.1", "by arithmetic on the element and scale tables"), _COMPUTED),
    Clause("MX-1.0/5.2/formats", _MUST,
           "A supported concrete format (MXFP8, MXFP6, MXFP4, MXINT8) must have k = 32 elements per"
           " block and an E8M0 scale of 8 bits.",
           _mx("5.2, Table 1", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.3/subset", _MAY,
           "An implementation, in hardware or software, may support any subset of the formats.",
           _mx("5.2.1", _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.3/fp8", _MUST,
           "FP8 elements must follow OFP8: E4M3 (bias 7, largest 448, NaN, no infinity) and E5M2"
           " (bias 15, largest 57344, NaN and infinity).",
           _mx("5.3.1", _DIGEST, _FP_CONV), _SECONDARY),
    Clause("MX-1.0/5.3/fp6", _MUST,
           "FP6 elements must be E3M2 (bias 3, largest 28, least 2^-4) or E2M3 (bias 1, largest"
           " 7.5, least 2^-3), with subnormals and signed zero, without NaN or infinity.",
           _mx("5.3.2", _ARCH, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.3/fp4", _MUST,
           "FP4 elements must be E2M1 (bias 1): 0, 0.5, 1, 1.5, 2, 3, 4, 6 with either sign,"
           " without NaN or infinity.",
           _mx("5.3.3, Table 5", _ARCH, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.3/int8", _MUST,
           "INT8 elements must be two's complement with an implied scale of 2^-6: steps of 1/64,"
           " the largest 127/64 = 1.984375, without NaN or infinity.",
           _mx("5.3.4, Table 6", _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.3/subnormals", _MUST,
           "Every floating-point element type must have its subnormals.",
           _mx("5.3", _ARCH, _DIGEST), _SECONDARY),
    Clause("MX-1.0/5.3/nan-source", _MAY,
           "What a NaN becomes in FP6, FP4 or INT8, which cannot hold it, is left to the"
           " implementation.",
           _mx("5.3.2 to 5.3.4", _FP_CONV), _SECONDARY),
    Clause("MX-1.0/5.3.4/int8-min", _MAY,
           "The INT8 code -128, of value -2, may be left unused so that the range is symmetric.",
           _mx("5.3.4", _AUDIT, _DIGEST, _MICROXCALING), _SECONDARY),
    Clause("MX-1.0/5.4/e8m0", _MUST,
           "E8M0 must be an unsigned exponent of 8 bits with bias 127: code c is 2^(c - 127) for 0"
           " to 254, 0xFF is the only NaN, and there is no zero, infinity or sign.",
           _mx("5.4.1, Table 7", _TORCHAO), _PRIMARY),
    Clause("MX-1.0/6.1/dot", _MUST,
           "Dot(A, B) of two blocks must at least be X_A * X_B * (sum over i of P_iA * P_iB).",
           _mx("6.1", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.1/mixed-types", _MAY,
           "The two operands may differ in their scale types and in their element types.",
           _mx("6.1", _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.1/precision", _MAY,
           "The internal precision of a dot product and the order of its operations are"
           " implementation-defined.",
           _mx("6.1", _ARCH, _AUDIT), _SECONDARY),
    Clause("MX-1.0/6.2/dot-general", _DEFINITION,
           "DotGeneral(A, B) of vectors of n blocks is the sum over j of Dot(A_j, B_j).",
           _mx("6.2", _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.2/padding", _DEFINITION,
           "The vectors of a general dot product are taken to be padded to a multiple of k.",
           _mx("6.2", _AUDIT), _SECONDARY),
    Clause("MX-1.0/6.2/float32", _SHOULD,
           "The result of a general dot product should be a float32 scalar.",
           _mx("6.2", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.2/precision", _MAY,
           "The order and the precision of the sum over blocks are implementation-defined.",
           _mx("6.2", "as read in the MX notes of https://fpga.org"), _SECONDARY),
    Clause("MX-1.0/6.3/exists", _MUST,
           "There must be a way to convert a vector of k scalars into a block.",
           _mx("6.3", _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.3/scale", _SHOULD,
           "X should be the largest power of two that is at most max|V_i|, divided by the largest"
           " power of two of the element type.",
           _mx("6.3", _TORCHAO), _PRIMARY),
    Clause("MX-1.0/6.3/elements", _SHOULD,
           "P_i should be V_i / X quantized to the element type.",
           _mx("6.3", _AUDIT), _SECONDARY),
    Clause("MX-1.0/6.3/clamp-normal", _SHOULD,
           "In that quantization, a normal number beyond the largest normal of the element type"
           " should become that largest normal, with its sign.",
           _mx("6.3", _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.3/other-recipes", _MAY,
           "Another conversion algorithm than the recommended one may be used.",
           _mx("6.3", _AUDIT), _SECONDARY),
    Clause("MX-1.0/6.3/fp8-overflow", _MUST,
           "Conversion to FP8 must offer both overflow methods, SAT and OVF, as a configurable"
           " attribute; they are the saturating and non-saturating modes of OFP8.",
           _mx("5.3.1, Table 3", _FP_CONV, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.3/overflow-other", _MAY,
           "Other overflow methods may be offered through a configurable attribute.",
           _mx("5.3.1 to 5.3.4", _ARCH, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.3/rounding", _MUST,
           "Conversion to FP6, FP4 and INT8 must offer roundTiesToEven; FP8 rounds as OFP8 says.",
           _mx("5.3.2 to 5.3.4 and 6.3", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.3/rounding-other", _MAY,
           "Other rounding modes may be offered.",
           _mx("5.3.2 to 5.3.4", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.3/clamp", _MUST,
           "Conversion to FP6, FP4 and INT8 must offer the clamp: what exceeds the range after"
           " rounding becomes the largest magnitude with the same sign.",
           _mx("5.3.2 to 5.3.4", _ARCH, _AUDIT, _DIGEST), _SECONDARY),
    Clause("MX-1.0/6.3/underflow", _MUST,
           "In FP6 and FP4, a magnitude that is below the least subnormal after rounding must"
           " become zero.",
           _mx("5.3.2 and 5.3.3", _ARCH, _DIGEST), _SECONDARY),
    # --- OCP 8-bit Floating Point (OFP8) v1.0 -------------------------------------------------
    Clause("OFP8-1.0/scope", _DEFINITION,
           "OFP8 covers two formats and conversion to them from binary32, binary16 and bfloat16;"
           " not arithmetic, integers, other 8-bit formats or the choice of scale factors.",
           _ofp8("4"), _PRIMARY),
    Clause("OFP8-1.0/value", _DEFINITION,
           "A normal number is (-1)^S * 2^(E - bias) * (1 + M / 2^m), a subnormal one (E = 0) is"
           " (-1)^S * 2^(1 - bias) * (M / 2^m), with m mantissa bits.",
           _ofp8("5.1"), _PRIMARY),
    Clause("OFP8-1.0/e4m3", _DEFINITION,
           "E4M3 has bias 7, largest 448 (S.1111.110), least normal 2^-6, least subnormal 2^-9,"
           " signed zeros, NaN only as S.1111.111, and no infinity.",
           _ofp8("5.1, Tables 1 and 2 (4.2 prints the two biases swapped)"), _PRIMARY),
    Clause("OFP8-1.0/e5m2", _DEFINITION,
           "E5M2 has bias 15, largest 57344 (S.11110.11), least normal 2^-14, least subnormal"
           " 2^-16, signed zeros, infinity S.11111.00, and NaN S.11111 with 01, 10 or 11.",
           _ofp8("5.1, Tables 1 and 2 (4.2 prints the two biases swapped)"), _PRIMARY),
    Clause("OFP8-1.0/modes", _MUST,
           "Conversion must be available in a saturating (SAT) and a non-saturating (NONSAT) mode;"
           " neither is the default.",
           _ofp8("5.2.1"), _PRIMARY),
    Clause("OFP8-1.0/rounding", _MUST,
           "Conversion must be available with rounding to nearest, ties to even.",
           _ofp8("5.2.1"), _PRIMARY),
    Clause("OFP8-1.0/rounding-other", _MAY,
           "Other rounding modes may be offered; what they do is not specified.",
           _ofp8("5.2.1"), _PRIMARY),
    Clause("OFP8-1.0/order", _DEFINITION,
           "A finite value is first rounded to the mantissa width of the format; only then is it"
           " compared with the range.",
           _ofp8("5.2.1"), _PRIMARY),
    Clause("OFP8-1.0/in-range", _MUST,
           "A rounded value in the range of the format, subnormals included, is the result.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/underflow", _MUST,
           "A rounded magnitude below the least subnormal becomes a zero with the same sign.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/zero", _MUST,
           "A zero converts to a zero of the same sign.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/sign", _MUST,
           "Conversion keeps the sign bit of the source, except where the result is NaN.",
           _ofp8("5.2.1"), _PRIMARY),
    Clause("OFP8-1.0/nan", _MUST,
           "A NaN converts to a NaN, and which one is implementation-defined.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/nan-sign", _MAY,
           "The sign of a NaN result is left to the implementation, whatever the source was.",
           _ofp8("5.2.1"), _PRIMARY),
    Clause("OFP8-1.0/inf-sat", _MUST,
           "In saturating mode an infinity becomes the largest finite number with the same sign.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/inf-ovf", _MUST,
           "In non-saturating mode an infinity becomes NaN in E4M3 and the same infinity in E5M2.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/overflow-sat", _MUST,
           "In saturating mode a rounded magnitude beyond the largest finite number becomes that"
           " number, with the same sign.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/overflow-ovf", _MUST,
           "In non-saturating mode a rounded magnitude beyond the largest finite number becomes NaN"
           " in E4M3 and infinity with the same sign in E5M2.",
           _ofp8("5.2.1, Table 3"), _PRIMARY),
    Clause("OFP8-1.0/thresholds", _DEFINITION,
           "With ties to even, E4M3 overflows above 464 (464 itself gives 448) and E5M2 from 61440"
           " on.",
           "follows from OFP8-1.0/order and OFP8-1.0/rounding", _COMPUTED),
    Clause("OFP8-1.0/flags", _MAY,
           "Conversion need neither handle exceptions nor raise status flags.",
           _ofp8("5.2.1"), _PRIMARY),
)
# fmt: on

_OPEN: tuple[Clause, ...] = tuple(
    Clause(clause_id, Force.OPEN, text, source, Evidence(evidence), choices, number)
    for number, (clause_id, text, source, evidence, choices) in enumerate(OPEN_POINTS, start=1)
)

#: Every clause and open point by id, in reading order: MX, OFP8, then the open points.
CLAUSES: Mapping[str, Clause] = MappingProxyType(
    {clause.id: clause for clause in (*_NORMATIVE, *_OPEN)}
)


def get(clause_id: str) -> Clause:
    """Return the clause or open point with this id.

    Parameters
    ----------
    clause_id : str
        An id such as ``MX-1.0/6.3/scale`` or ``OP-SCALE-RULE``.

    Returns
    -------
    Clause
        The entry of `CLAUSES`.

    Raises
    ------
    KeyError
        If there is no such id; the message names the nearest ones.

    Examples
    --------
    >>> get("OP-SCALE-RULE").number
    1
    >>> get("op-scale-rul")
    Traceback (most recent call last):
        ...
    KeyError: "no clause 'op-scale-rul'; the nearest: OP-SCALE-RULE, OP-SCALE-LOG2, OP-SCALE-RANGE"
    """
    if clause_id in CLAUSES:
        return CLAUSES[clause_id]
    by_folded = {known.casefold(): known for known in CLAUSES}
    nearest = difflib.get_close_matches(clause_id.casefold(), by_folded, n=3, cutoff=0.4)
    hint = ", ".join(by_folded[folded] for folded in nearest) or "none; mxref.clauses.CLAUSES lists"
    raise KeyError(f"no clause {clause_id!r}; the nearest: {hint}")


def open_points() -> tuple[Clause, ...]:
    """Return the open points, in the order of their numbers.

    Examples
    --------
    >>> [point.number for point in open_points()] == list(range(1, 36))
    True
    """
    return _OPEN


def normative() -> tuple[Clause, ...]:
    """Return the clauses of the standards, open points aside, in reading order.

    Examples
    --------
    >>> normative()[0].id
    'MX-1.0/4/scope'
    """
    return _NORMATIVE
