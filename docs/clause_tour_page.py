"""The standards in order, clause by clause: the text by hand, statements and counts from the code.

A clause or an open point that no chapter names fails `tests/docs/test_clause_tour.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

from mxref import clauses
from mxref.policy import Policy
from mxref.profiles import PROFILES

# Title, what to know, the clauses of the chapter in order, the open points that it leaves.
CHAPTERS = (
    (
        "What the documents are",
        """The MX specification defines *blocks*: what the bits mean, what a dot product of two
blocks is, and that a conversion exists. It leaves the choice of the scale to the implementation,
and says so in its scope. OFP8 defines the two 8-bit element types and, unlike MX, the conversion
to them in detail. MX points to OFP8 for these. We had the text of OFP8 at hand; that of MX only
through those who quote or summarise it, and the marks in [clauses.md](../clauses.md) say which
statement rests on what.

Two words carry the weight. What a *must* asks is tested as `must` in the
[vectors](../../spec_vectors/README.md). What a *should* recommends is a choice, and differing
from it is legal: `mxref.check` says `conforms-as`.""",
        ("MX-1.0/4/scope", "MX-1.0/4.2/keywords", "OFP8-1.0/scope", "MX-1.0/5.3/subset"),
        ("OP-CONFORMANCE-CLAIM",),
    ),
    (
        "Blocks and their values",
        """A block is a scale X and k elements P. The value is the product, which float32 holds
exactly unless it is too large. "Too large" can happen: the largest scale times the largest
element is beyond float32, and what comes out then is implementation-defined. Nothing is said
about bytes: where scales lie, how nibbles are packed, how a matrix is cut into blocks. That is
where two correct programs most often fail to understand each other, and why
[layouts](../layouts.md) has a page.""",
        (
            "MX-1.0/5.1/block",
            "MX-1.0/5.1/value",
            "MX-1.0/5.1/layout",
            "MX-1.0/5.1/compression",
            "MX-1.0/5.1/nan-scale",
            "MX-1.0/5.1/special-elements",
            "MX-1.0/5.1/overflow",
            "MX-1.0/5.1/underflow",
        ),
        (
            "OP-DECODE-OVERFLOW",
            "OP-DECODE-NAN",
            "OP-BLOCK-GEOMETRY",
            "OP-BLOCK-TAIL",
            "OP-PACKING",
            "OP-SCALE-LAYOUT",
            "OP-TRANSPOSE",
        ),
    ),
    (
        "The six formats",
        """Four names stand for six formats, all with blocks of 32 and an E8M0 scale. The
floating-point elements all have subnormals, which is a *must*: a cast that flushes them is wrong,
not different. FP6 and FP4 have neither NaN nor infinity. INT8 is a fixed-point number, 127/64 at
most; whether its lowest code may appear is left open. The format tables:
[e4m3](../reference/formats/e4m3.md), [e5m2](../reference/formats/e5m2.md),
[e3m2](../reference/formats/e3m2.md), [e2m3](../reference/formats/e2m3.md),
[e2m1](../reference/formats/e2m1.md), [int8](../reference/formats/int8.md).""",
        (
            "MX-1.0/5.2/formats",
            "MX-1.0/5.3/fp8",
            "OFP8-1.0/value",
            "OFP8-1.0/e4m3",
            "OFP8-1.0/e5m2",
            "MX-1.0/5.3/fp6",
            "MX-1.0/5.3/fp4",
            "MX-1.0/5.3/int8",
            "MX-1.0/5.3.4/int8-min",
            "MX-1.0/5.3/subnormals",
            "MX-1.0/5.3/nan-source",
        ),
        ("OP-INT8-MIN", "OP-NAN-ELEMENT", "OP-INF-ELEMENT"),
    ),
    (
        "The scale",
        """[E8M0](../reference/formats/e8m0.md) looks like the exponent field of a float32, and
differs at both ends: no sign, no zero, one NaN. Two of its codes trap decoders: 0 is 2^-127, a
subnormal in float32, and 255 is NaN and not 2^128.

How to choose the scale is a *should*, in one sentence. It leaves much open: which rule ([why
floor loses](why-floor-loses.md)), how the logarithm is taken, what a block of zeros gets, what
NaN and infinity do to it ([NaN in blocks](nan-in-blocks.md)), what happens at both ends of the
range. The standard is silent on converting a number to E8M0 as well, which libraries offer as a
cast.""",
        ("MX-1.0/5.4/e8m0", "MX-1.0/6.3/exists", "MX-1.0/6.3/scale", "MX-1.0/6.3/other-recipes"),
        (
            "OP-SCALE-RULE",
            "OP-SCALE-LOG2",
            "OP-SCALE-QUOTIENT",
            "OP-SCALE-ZERO-BLOCK",
            "OP-SCALE-NONFINITE",
            "OP-SCALE-RANGE",
            "OP-SCALE-SUBNORMAL",
            "OP-E8M0-CAST",
            "OP-SCALE-FP32-OPERAND",
        ),
    ),
    (
        "Converting elements",
        """V / X is rounded to the element type. Round to nearest even must be offered; so must,
in FP6, FP4 and INT8, the clamp: what is beyond the range after rounding becomes the largest
magnitude. The order matters and is the same in both documents: first round, then compare with the
range. So 464 is 448 in E4M3, and not an overflow.

Between scaling and rounding lies a trap that the text does not mention: V / X is itself computed
in some type. If that rounds, the element is rounded twice ([double
rounding](double-rounding.md)). [How to test a rounding](how-to-test-a-rounding.md) has the inputs
that show mistakes.""",
        (
            "MX-1.0/6.3/elements",
            "MX-1.0/6.3/rounding",
            "MX-1.0/6.3/rounding-other",
            "MX-1.0/6.3/clamp",
            "MX-1.0/6.3/clamp-normal",
            "MX-1.0/6.3/underflow",
            "MX-1.0/6.3/fp8-overflow",
            "MX-1.0/6.3/overflow-other",
        ),
        (
            "OP-ELEM-ROUNDING",
            "OP-ELEM-STOCHASTIC",
            "OP-SCALED-INTERMEDIATE",
            "OP-ELEM-SUBNORMAL",
            "OP-NEG-ZERO",
        ),
    ),
    (
        "Converting to FP8",
        """OFP8 is precise. Two modes must exist, saturating and not, and neither is the default.
In the saturating one everything too large, infinity included, becomes the largest number. In the
other, E4M3 overflows to NaN, since it has no infinity, and E5M2 to infinity. Signs are kept,
except that of a NaN. Which NaN is left open, so that two right encoders can differ in the bits of
a NaN.

Many libraries offer a third behaviour: saturate numbers, but keep infinity as NaN or infinity. It
is neither of the two modes; as a further overflow method MX permits it.""",
        (
            "OFP8-1.0/modes",
            "OFP8-1.0/rounding",
            "OFP8-1.0/rounding-other",
            "OFP8-1.0/order",
            "OFP8-1.0/in-range",
            "OFP8-1.0/underflow",
            "OFP8-1.0/zero",
            "OFP8-1.0/sign",
            "OFP8-1.0/nan",
            "OFP8-1.0/nan-sign",
            "OFP8-1.0/inf-sat",
            "OFP8-1.0/inf-ovf",
            "OFP8-1.0/overflow-sat",
            "OFP8-1.0/overflow-ovf",
            "OFP8-1.0/thresholds",
            "OFP8-1.0/flags",
        ),
        ("OP-FP8-OVERFLOW", "OP-NAN-PAYLOAD"),
    ),
    (
        "Dot products",
        """The dot product of two blocks is defined without rounding; precision and order inside,
and of the sum over blocks, are left to the implementation. So two conforming GEMMs may differ in
nearly every output. What can be demanded is an enclosure: the output must lie within the rigorous
bound of *any* order in float32. `mxref.matmul` gives the exact sum, rounded once ([why that is
cheap](why-exact-gemm-is-cheap.md)), and [named machines](../matmul.md#accumulation-models) bit
for bit.""",
        (
            "MX-1.0/6.1/dot",
            "MX-1.0/6.1/mixed-types",
            "MX-1.0/6.1/precision",
            "MX-1.0/6.2/dot-general",
            "MX-1.0/6.2/padding",
            "MX-1.0/6.2/float32",
            "MX-1.0/6.2/precision",
        ),
        (
            "OP-DOT-PRECISION",
            "OP-DOT-GROUPING",
            "OP-DOT-SCALE-PLACE",
            "OP-DOT-OUTPUT",
            "OP-DOT-NAN",
            "OP-DOT-MIXED-TYPES",
        ),
    ),
    (
        "Beyond the standard",
        """NVFP4 has blocks of 16 with an E4M3 scale and a float32 scale for the tensor; the BDR
family has microexponents or integer sub-scales. Neither is in the MX document. Their formats are
described by vendors and papers, their quantizers only by code, and
[relatives.md](../relatives.md) lists what the code does.""",
        (),
        ("OP-NVFP4-RECIPE", "OP-BDR-QUANTIZER"),
    ),
)


def _cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def _statements(ids):
    rows = ["| clause | force | says |", "|---|---|---|"]
    for id_ in ids:
        clause = clauses.get(id_)
        rows.append(f"| `{id_}` | {clause.force.value} | {_cell(clause.text)} |")
    return "\n".join(rows) + "\n\n" if ids else ""


def _choices(point):
    """What profiles choose in the fields of a point, the most frequent first."""
    found = []
    for field in fields(Policy):
        if field.metadata["open_point"] == point:
            chosen = Counter(str(getattr(p.policy, field.name)) for p in PROFILES.values())
            if len(chosen) > 1:
                counts = ", ".join(f"{name} {n}" for name, n in chosen.most_common())
                found.append(f"`{field.name}`: {counts}")
    return "; ".join(found) or "all the same, or not a matter of policy"


def _points(ids):
    rows = ["| open point | the question | what profiles choose |", "|---|---|---|"]
    for point in clauses.open_points():
        if point.id in ids:
            target = f"../policy.md#{point.number}-{point.id.lower()}"
            rows.append(f"| [{point.id}]({target}) | {_cell(point.text)} | {_choices(point.id)} |")
    return "\n".join(rows)


def clause_tour_page(note):
    """The page, as Markdown."""
    normative, points = len(clauses.normative()), len(clauses.open_points())
    parts = [
        f"## {i}. {title}\n\n{prose}\n\n{_statements(ids)}Left open:\n\n{_points(open_ids)}\n"
        for i, (title, prose, ids, open_ids) in enumerate(CHAPTERS, 1)
    ]
    return f"""# The standard, clause by clause

{note}
This page walks through OCP MX 1.0 and OFP8 1.0 in order: {normative} statements in our own words,
and the {points} points that they leave open. For each open point it counts what the
{len(PROFILES)} profiles choose that describe known implementations; fields in which all agree are
left out. [clauses.md](../clauses.md) has the sources with how well we know them,
[policy.md](../policy.md) each choice, [traceability.md](../traceability.md) the vectors and tests
of each clause.

{chr(10).join(parts)}"""
