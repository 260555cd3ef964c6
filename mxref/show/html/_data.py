"""What the page knows: formats, policies and clauses, taken from where they are defined."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
from collections.abc import Iterator

from mxref import __version__, _choices
from mxref.clauses import CLAUSES
from mxref.exact.ieee import IEEE_FORMATS
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS, ElementFormat
from mxref.policy import OPEN_POINT_OF, REASONS, Policy
from mxref.profiles import PROFILES

__all__ = ["data"]

# The fields of a policy that a conversion looks at, in groups; and what a field is about, where
# that is not every format: one with FP8's two overflows, one with or without a NaN, one with two
# zeros, INT8. Layouts, dot products and tails are no part of the page.
_GROUPS: dict[str, dict[str, str]] = {
    "scale": {
        "scale_rule": "",
        "scale_log2": "",
        "scale_quotient": "",
        "scale_amax": "",
        "scale_zero_block": "",
        "scale_nan": "",
        "scale_inf": "",
        "scale_above": "",
        "scale_below": "",
        "scale_subnormal": "",
    },
    "element": {
        "rounding": "",
        "stochastic": "",
        "stochastic_bits": "",
        "fp8_overflow": "fp8",
        "nan_payload": "nan",
        "nan_element": "no-nan",
        "inf_element": "not-fp8",
        "neg_zero": "float",
        "int8_min": "fixed",
        "scaled_intermediate": "",
        "input_subnormal": "",
        "element_subnormal": "float",
        "relu": "",
    },
    "cast": {
        "e8m0_rounding": "",
        "e8m0_zero": "",
        "e8m0_negative": "",
        "e8m0_inf": "",
        "e8m0_overflow": "",
        "e8m0_underflow": "",
        "e8m0_subnormal": "",
    },
    "decode": {
        "decode_overflow": "",
        "decode_nan": "",
        "decode_subnormal": "",
    },
}


def data() -> dict[str, object]:
    """Return all tables of the page, in types that JSON knows.

    Examples
    --------
    >>> tables = data()
    >>> sorted(tables)[:4]
    ['BLOCKS', 'CLAUSES', 'E8M0', 'ELEMENTS']
    >>> tables["ELEMENTS"]["e2m1"]["bias"]
    1
    """
    fields = {name: group for group, names in _GROUPS.items() for name in names}
    ocp = Policy().as_dict()
    return {
        "VERSION": __version__,
        "IEEE": {f.name: _ieee(f.name) for f in IEEE_FORMATS.values()},
        "ELEMENTS": {f.name: _element(f) for f in ELEMENT_FORMATS.values()},
        "E8M0": _scale(),
        "BLOCKS": {
            f.name: {"name": f.name, "element": f.element.name, "blockSize": f.block_size}
            for f in BLOCK_FORMATS.values()
        },
        "OCP": {name: ocp[name] for name in fields},
        "FIELDS": list(_fields()),
        "PROFILES": {
            p.name: {
                "title": p.title.replace("`", ""),
                "formats": list(p.formats),
                "operations": list(p.operations),
                "scaleCast": p.scale_cast,
                "changes": {k: v for k, (v, _) in p.policy.diff(Policy()).items() if k in fields},
            }
            for p in PROFILES.values()
        },
        "CLAUSES": {c.id: {"text": c.text, "force": c.force.value} for c in CLAUSES.values()},
    }


def _ieee(name: str) -> dict[str, object]:
    fmt = IEEE_FORMATS[name]
    return {"name": name, "exponentBits": fmt.exponent_bits, "mantissaBits": fmt.mantissa_bits}


def _element(fmt: ElementFormat) -> dict[str, object]:
    return {
        "name": fmt.name,
        "kind": fmt.kind.value,
        "bits": fmt.bits,
        "exponentBits": fmt.exponent_bits,
        "mantissaBits": fmt.mantissa_bits,
        "bias": fmt.bias,
        "nans": sorted(fmt.nan_magnitudes),
        "inf": fmt.inf_magnitude,
        "clause": fmt.clause,
    }


def _scale() -> dict[str, object]:
    fmt = SCALE_FORMATS["e8m0"]
    return {
        "name": fmt.name,
        "bits": fmt.bits,
        "bias": fmt.bias,
        "nan": fmt.nan_code,
        "clause": fmt.clause,
        "isScale": True,
    }


def _fields() -> Iterator[dict[str, object]]:
    kinds = {f.name: type(f.default).__name__ for f in dataclasses.fields(Policy)}
    for group, names in _GROUPS.items():
        for name, about in names.items():
            enum = getattr(_choices, kinds[name])
            yield {
                "name": name,
                "group": group,
                "about": about,
                "what": " ".join((enum.__doc__ or "").split()),
                "openPoint": OPEN_POINT_OF[name],
                "reason": REASONS[name],
                "choices": [
                    {
                        "value": member.value,
                        "text": _meanings().get((enum.__name__, member.value), ""),
                    }
                    for member in enum
                ],
            }


@functools.cache
def _meanings() -> dict[tuple[str, str], str]:
    """What each choice means: the text below each member of the enumerations."""
    found = {}
    for kind in ast.parse(inspect.getsource(_choices)).body:
        if not isinstance(kind, ast.ClassDef):
            continue
        for member, text in zip(kind.body, kind.body[1:], strict=False):
            if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
                value = ast.literal_eval(member.value)
                found[kind.name, value] = " ".join(str(ast.literal_eval(text.value)).split())
    return found
