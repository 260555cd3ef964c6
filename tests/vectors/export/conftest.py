"""Small vector files of every operation, and what a reader of an export should find in them."""

import pytest

from mxref.vectors import Case, Member, VectorFile, Verdict
from mxref.vectors._families import FAMILIES
from mxref.vectors.model import case_id
from mxref.vectors.operations import FAMILY, Inputs, Output, inputs_as_json, output_as_json

TYPES = ["float32", "bfloat16", "float16"]
PACKINGS = ["bytes", "nibbles-low-first"]
LAYOUTS = ["row-major", "128x4"]
VERDICTS = ["must", "one_of", "open"]


# --- small files of every operation, with every kind of case ---------------------------------


def make(operation, fmt, *cases, compare=()):
    """A file out of (inputs, outputs, verdict); None is a refused member."""
    policy = FAMILIES[FAMILY[operation]].kind()
    made = tuple(
        Case(
            case_id(operation, fmt, policy.name, inputs),
            inputs,
            tuple(
                Member(out, ({},) if len(outs) == 1 else ({"rounding": f"r{n}"}, {"relu": "on"}))
                for n, out in enumerate(outs)
            ),
            verdict,
            ("OP-ELEM-ROUNDING",),
            ("S1", "E2"),
            'group: "quoted", and a comma',
        )
        for inputs, outs, verdict in cases
    )
    return VectorFile(operation, fmt, policy, "1.2.3", ("relu",), compare, (), (), made)


def block(start, count=32):
    return tuple((start + 5 * n) % 16 for n in range(count))


MUST, ONE_OF, OPEN = Verdict.MUST, Verdict.ONE_OF, Verdict.OPEN
_X = tuple(0x3F800000 + n for n in range(32))
_A = Inputs(None, block(1, 64), scales=(0x7F, 0x80))
_B = Inputs(None, block(2, 64), scales=(0x7E, 0xFF))
_SHORT = Inputs(None, block(3), scales=(0x01,), other=Inputs(None, block(4), (2,)), shape=(7,))
_B_ROWS = Inputs(None, block(2, 40), scales=(0x7E, 0xFF))
FILES = {
    "encode": make(
        "encode",
        "e4m3",
        (Inputs("float32", (0x3F800001,)), [Output((0x38,))], MUST),
        (Inputs("bfloat16", (0x7FC0,)), [Output((0x7F,)), Output((0xFF,)), None], ONE_OF),
        (Inputs("float16", (0xFC00,)), [None], ONE_OF),
        (Inputs("float16", (0x7C00,)), [Output((0x7E,)), Output((0x7F,))], OPEN),
    ),
    "encode with random bits": make(
        "encode",
        "e2m1",
        (Inputs("float32", (0x3E800000,), random=(0,)), [Output((0,))], MUST),
        (Inputs("float32", (0x3E800000,), random=(0xFFFFFFFF,)), [Output((1,))], MUST),
    ),
    "decode": make(
        "decode",
        "e5m2",
        (Inputs(None, (0x7D,)), [Output((0x7FC00000,))], MUST),
        (Inputs(None, (0xFC,)), [Output((0xFF800000,)), Output((0xFFC00000,))], ONE_OF),
        compare=("any-nan",),
    ),
    "quantize": make(
        "quantize",
        "mxfp8_e5m2",
        (Inputs("float32", _X), [Output(block(1), 0x70), Output(block(2), 0x71)], ONE_OF),
        (Inputs("bfloat16", (0x8000,) * 32), [Output((0x80,) * 32, 0)], MUST),
        (Inputs("float32", (0x7F800000,) * 32), [Output((0,) * 32, 0xFF), None], ONE_OF),
        compare=("any-nan", "nan-scale-hides-codes", "zero-block-any-scale"),
    ),
    "dequantize": make(
        "dequantize",
        "mxfp4",
        (Inputs(None, block(6), scales=(0x80,)), [Output(_X)], MUST),
    ),
    "dot": make(
        "dot",
        "mxfp4-mxfp6_e2m3",
        (
            Inputs(None, _A.bits, scales=_A.scales, other=_B, shape=(40,)),
            [Output((0x40400000,)), Output((0x40400001,))],
            ONE_OF,
        ),
        (_SHORT, [Output((0,))], MUST),
    ),
    "matmul": make(
        "matmul",
        "mxfp4-mxfp6_e2m3",
        (
            Inputs(None, block(1, 80), scales=(1, 2, 3, 4), other=_B_ROWS, shape=(2, 1, 40)),
            [Output((0x40400000, 1)), Output((0x40400001, 0)), None],
            ONE_OF,
        ),
        (
            Inputs(None, (3,), scales=(0x7F,), other=Inputs(None, (4,), (2,)), shape=(1, 1, 1)),
            [Output((0,))],
            MUST,
        ),
    ),
    "quantize_tensor": make(
        "quantize_tensor",
        "mxfp4",
        (Inputs("float16", (0x3C00,) * 6, shape=(2, 3), axis=0), [None], ONE_OF),
        (
            Inputs("float32", (*_X, *_X), shape=(2, 32), axis=1),
            [Output((*block(1), *block(2)), scales=(0x7D, 0x7C))],
            MUST,
        ),
    ),
    "dequantize_tensor": make(
        "dequantize_tensor",
        "mxfp4",
        (
            Inputs(
                None,
                (0x21, 0x43, 0x65),
                scales=(*[0x7F] * 511, 0x80),
                shape=(2, 3),
                axis=1,
                layout=("nibbles-low-first", "128x4"),
            ),
            [Output(_X[:6])],
            MUST,
        ),
        (
            Inputs(
                None,
                (1, 2),
                scales=(3, 4),
                shape=(1, 2),
                axis=0,
                layout=("bytes", "row-major"),
            ),
            [Output(_X[:2])],
            MUST,
        ),
    ),
    "nvfp4_quantize": make(
        "nvfp4_quantize",
        "nvfp4",
        (
            Inputs("float32", _X[:16], amax=0x40C00000),
            [
                Output(block(1, 16), 0x7E, global_scale=0x3A800000),
                Output(block(2, 16), 0x7F, global_scale=0x7FC00000),
            ],
            ONE_OF,
        ),
        (Inputs("bfloat16", (0x8000,) * 16, amax=0), [None], ONE_OF),
        compare=("any-nan", "ue4m3-nan-hides-codes"),
    ),
    "nvfp4_dequantize": make(
        "nvfp4_dequantize",
        "nvfp4",
        (
            Inputs(None, block(6, 16), scales=(0x38,), global_scale=0x3F800000),
            [Output(_X[:16])],
            MUST,
        ),
        compare=("any-nan",),
    ),
    "nvfp4_quantize_tensor": make(
        "nvfp4_quantize_tensor",
        "nvfp4",
        (
            Inputs("float32", _X, shape=(2, 16), axis=1),
            [Output(block(1), scales=(0x38, 0x39), global_scale=0x3F800000)],
            MUST,
        ),
    ),
    "nvfp4_dot": make(
        "nvfp4_dot",
        "nvfp4",
        (
            Inputs(None, block(1, 16), scales=(0x38,), global_scale=0x3F800000, shape=(7,),
                   other=Inputs(None, block(2, 16), scales=(0x40,), global_scale=0x40000000)),
            [Output((0x40400000,))],
            MUST,
        ),
        compare=("any-nan",),
    ),
    "bdr_quantize": make(
        "bdr_quantize",
        "mx9",
        (
            Inputs("float32", _X[:16]),
            [
                Output(block(1, 16), 0x7F, subscales=(0, 1) * 4),
                Output((0,) * 16, 0xFF, subscales=(0,) * 8),
            ],
            ONE_OF,
        ),
        compare=("nan-scale-hides-codes",),
    ),
    "bdr_quantize without sub-scales": make(
        "bdr_quantize", "msfp12", (Inputs("float32", _X[:16]), [Output(block(1, 16), 0x7F)], MUST)
    ),
    "bdr_dequantize": make(
        "bdr_dequantize",
        "mx6",
        (
            Inputs(None, block(1, 16), scales=(0x7F,), subscales=(1, 0) * 4),
            [Output(_X[:16])],
            MUST,
        ),
    ),
    "bdr_dot": make(
        "bdr_dot",
        "mx6",
        (
            Inputs(None, block(1, 16), scales=(0x7F,), subscales=(1, 0) * 4, shape=(16,),
                   other=Inputs(None, block(2, 16), scales=(0x80,), subscales=(0, 1) * 4)),
            [Output((0x40400000,))],
            MUST,
        ),
    ),
    "scaled_quantize": make(
        "scaled_quantize",
        "scaled_fp8_e4m3",
        (Inputs("float32", _X), [Output(block(1), 0x3F800000), Output(block(2), 0x7FC00000)],
         ONE_OF),
        compare=("any-nan",),
    ),
    "scaled_dequantize": make(
        "scaled_dequantize",
        "vsq4",
        (Inputs(None, block(1), scales=(0x3F800000,), subscales=(3, 15)), [Output(_X)], MUST),
    ),
}  # fmt: skip


def _plain(value):
    """The numbers of a JSON value; sizes are numbers already."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, int) else int(value, 16)


def _flattened(entry):
    found = {}
    for key, value in entry.items():
        names = {"type": TYPES, "packing": PACKINGS, "scale_layout": LAYOUTS}.get(key)
        if names is not None:
            found[key] = names.index(value)
        elif isinstance(value, dict):
            found |= {f"{key}_{inner}": _plain(item) for inner, item in value.items()}
        else:
            found[key] = _plain(value)
    return found


def _wanted(file):
    """The cases as a reader should see them, from their JSON form."""
    return [
        (
            int(case.id, 16),
            VERDICTS.index(case.verdict),
            _flattened(inputs_as_json(file.operation, case.inputs)),
            [
                None if m.out is None else _flattened(output_as_json(file.operation, m.out))
                for m in case.members
            ],
        )
        for case in file.cases
    ]


def _grouped(cases, members):
    """Put rows of the two tables together."""
    found, next_member = [], 0
    for case in cases:
        count, first = case.pop("members"), case.pop("first_member")
        assert first == next_member
        next_member += count
        outs = [dict(m) for m in members[first : first + count]]
        outs = [None if out.pop("refused") else out for out in outs]
        found.append((case.pop("id"), case.pop("verdict"), case, outs))
    assert next_member == len(members)
    return found


def _printed(file):
    """What that program should print."""

    def values(fields):
        for value in fields.values():
            if isinstance(value, list):
                yield len(value)
                yield from value
            else:
                yield value

    for identity, verdict, inputs, outs in _wanted(file):
        yield from (identity, verdict, len(outs), *values(inputs))
        for out in outs:
            yield int(out is None)
            if out is not None:
                yield from values(out)


@pytest.fixture(params=FILES)
def file(request):
    """Each of the files in turn."""
    return FILES[request.param]


@pytest.fixture
def samples():
    return FILES


@pytest.fixture
def make_file():
    return make


@pytest.fixture
def wanted():
    return _wanted


@pytest.fixture
def grouped():
    return _grouped


@pytest.fixture
def printed():
    return _printed
