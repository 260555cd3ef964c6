"""Wrong calls of public functions: what was given, what is expected, the nearest right call.

Each row is a slip that somebody made or will make. The words that the message must have are the
three parts; a traceback of ours, or a message of NumPy's about the inside of mxref, has none.
"""

import re

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref import bdr, checkpoints, differences, exact, layouts, nvfp4, quality

X = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
Q = mxref.quantize(X, "mxfp4")
C, S = Q.codes, Q.scales
NV = mxref.quantize(X, "nvfp4")
BD = mxref.quantize(X, "mx9")
B = mxref.quantize(X.T, "mxfp4", axis=0)

# Name: (call, error, given, expected, nearest right call); None where that part is not to be had.
SLIPS = {
    # --- names of formats ---
    "a format that does not exist": (
        lambda: mxref.quantize(X, "mxpf4"),
        (ValueError, "'mxpf4'", "block format", "did you mean 'mxfp4'"),
    ),
    "the beginning of a name": (
        lambda: mxref.quantize(X, "MXFP8"),
        (ValueError, "'MXFP8'", "Known:", "did you mean 'mxfp8_e4m3' or 'mxfp8_e5m2'"),
    ),
    "an element for a block": (
        lambda: mxref.quantize(X, "e2m1"),
        (ValueError, "'e2m1'", "block format", "'mxfp4'"),
    ),
    "a block for an element": (
        lambda: mxref.encode(X, "mxfp4"),
        (ValueError, "'mxfp4'", "scalar format", "'e2m1'"),
    ),
    "a relative for an element": (
        lambda: mxref.encode(X, "nvfp4"),
        (ValueError, "'nvfp4'", "format of one number", "e2m1"),
    ),
    "a type for a format": (
        lambda: mxref.quantize(X, ml_dtypes.float4_e2m1fn),
        (TypeError, "float4_e2m1fn", "'mxfp4'", "'e2m1' here"),
    ),
    "a number for a format": (
        lambda: mxref.quantize(X, 4),
        (TypeError, "int 4", "a name", "'mxfp4'"),
    ),
    "no format": (lambda: mxref.quantize(X, None), (TypeError, "None", "a name", "'mxfp4'")),
    "a number for an element": (
        lambda: mxref.decode(C, 7),
        (TypeError, "int 7", "a name", "'e4m3'"),
    ),
    "a block size of nothing": (
        lambda: mxref.quantize(X, "mxfp4/0"),
        (ValueError, "got 0", "positive integer", None),
    ),
    "a block size that is text": (
        lambda: mxref.quantize(X, "mxfp4", block_size="16"),
        (ValueError, "'16'", "positive integer", None),
    ),
    "a format among the attributes": (
        lambda: mxref.formats.mxfp4,
        (AttributeError, "'mxfp4'", "by their names", "block_format('mxfp4')"),
    ),
    "an element among the attributes": (
        lambda: mxref.formats.E4M3,
        (AttributeError, "'E4M3'", "by their names", "scalar_format('e4m3')"),
    ),
    "an mx format for bdr": (
        lambda: bdr.quantize(X, "mxfp4"),
        (ValueError, "'mxfp4'", "BDR format", "'mx4'"),
    ),
    "half a bdr format": (
        lambda: bdr.quantize(X, "bdr:m=5"),
        (ValueError, "'bdr:m=5'", "lacks k1", "'bdr:m=5,k1=16"),
    ),
    # --- names of policies ---
    "a policy that does not exist": (
        lambda: mxref.quantize(X, "mxfp4", policy="opc"),
        (ValueError, "'opc'", "Known:", "did you mean 'ocp'"),
    ),
    "a field that does not exist": (
        lambda: mxref.get_policy("ocp:roundin=up"),
        (ValueError, "'roundin'", "policy field", "did you mean 'rounding'"),
    ),
    "a choice that does not exist": (
        lambda: mxref.Policy(rounding="upp"),
        (ValueError, "'upp'", "choice for rounding", "did you mean 'up'"),
    ),
    "choices without a profile": (
        lambda: mxref.get_policy("rounding=up"),
        (ValueError, "'rounding=up'", "names no profile", "'ocp:rounding=up'"),
    ),
    "a choice for a policy": (
        lambda: mxref.get_policy("nearest-away"),
        (ValueError, "'nearest-away'", "a choice of a field", "'ocp:rounding=nearest-away'"),
    ),
    "a field without a choice": (
        lambda: mxref.get_policy("ocp:rounding"),
        (ValueError, "'rounding'", "field=choice", None),
    ),
    "a policy of nvfp4": (
        lambda: mxref.quantize(X, "mxfp4", policy="te-1d"),
        (ValueError, "'te-1d'", "NVFP4", "here are ocp"),
    ),
    "a policy of mx for nvfp4": (
        lambda: mxref.quantize(X, "nvfp4", policy="ocp"),
        (ValueError, "'ocp'", "MX formats", "here are te-1d"),
    ),
    "a dict for a policy": (
        lambda: mxref.get_policy({"rounding": "up"}),
        (TypeError, "dict", "name of a profile", "Policy(**{'rounding': 'up'})"),
    ),
    "a number for a policy": (
        lambda: mxref.get_policy(3),
        (TypeError, "int 3", "name of a profile", "'ocp'"),
    ),
    # --- arrays of numbers ---
    "exchanged arguments": (
        lambda: mxref.quantize("mxfp4", X),
        (TypeError, "'mxfp4'", "float32", "the array comes first"),
    ),
    "exchanged arguments of encode": (
        lambda: mxref.encode("e4m3", X),
        (TypeError, "'e4m3'", "float32", "the array comes first"),
    ),
    "the name of a file": (
        lambda: mxref.quantize("x.npy", "mxfp4"),
        (TypeError, "'x.npy'", "float32", "np.load('x.npy')"),
    ),
    "integers": (
        lambda: mxref.quantize(X.astype(int), "mxfp4"),
        (TypeError, "int64", "float32", ".astype(np.float32)"),
    ),
    "a list of integers": (
        lambda: mxref.quantize([1] * 32, "mxfp4"),
        (TypeError, "int64", "float32", ".astype(np.float32)"),
    ),
    "complex numbers": (
        lambda: mxref.quantize(X.astype(complex), "mxfp4"),
        (TypeError, "complex128", "float32", "x.real and x.imag"),
    ),
    "truth values": (
        lambda: mxref.quantize(X > 0, "mxfp4"),
        (TypeError, "bool", "float32", ".astype(np.float32)"),
    ),
    "objects": (
        lambda: mxref.quantize(X.astype(object), "mxfp4"),
        (TypeError, "object", "float32", ".astype(np.float32)"),
    ),
    "nothing": (
        lambda: mxref.quantize(None, "mxfp4"),
        (TypeError, "None", "float32", "an array of numbers"),
    ),
    "a ragged list": (
        lambda: mxref.quantize([[1.0], [1.0, 2.0]], "mxfp4"),
        (ValueError, "x is a list", "differ in length", "rows of one length"),
    ),
    "a masked array": (
        lambda: mxref.quantize(np.ma.masked_array(X), "mxfp4"),
        (TypeError, "masked", "mask", ".filled("),
    ),
    "one number for blocks": (
        lambda: mxref.quantize(np.float32(1), "mxfp4"),
        (ValueError, "zero-dimensional", "axis", "reshape it to (1,)"),
    ),
    "a length that is no multiple": (
        lambda: mxref.quantize(X[:, :33], "mxfp4"),
        (ValueError, "length 33", "multiple of the block size 32", "pad=True"),
    ),
    # --- axes and other arguments ---
    "a policy for an axis": (
        lambda: mxref.quantize(X, "mxfp4", "ocp"),
        (TypeError, "'ocp'", "an integer", "policy='ocp'"),
    ),
    "an axis beyond": (
        lambda: mxref.quantize(X, "mxfp4", 5),
        (ValueError, "axis 5", "(4, 64)", "-2 to 1"),
    ),
    "an axis that is no integer": (
        lambda: mxref.quantize(X, "mxfp4", 1.0),
        (TypeError, "float 1.0", "an integer", None),
    ),
    "an argument of nvfp4": (
        lambda: mxref.quantize(X, "mxfp4", global_scale=1.0),
        (TypeError, "global_scale", "NVFP4", "leave it out"),
    ),
    "an argument of mx": (
        lambda: mxref.quantize(X, "nvfp4", block_size=32),
        (TypeError, "block_size", "MX formats", "leave it out"),
    ),
    "a negative global scale": (
        lambda: mxref.quantize(X, "nvfp4", global_scale=-1),
        (ValueError, "-1", "positive and finite", "amax / 2688"),
    ),
    "no random bits": (
        lambda: mxref.quantize(X, "mxfp4", policy="ocp:rounding=stochastic-a"),
        (ValueError, "stochastic-a", "random bits", "rng.integers(0, 2**16, (4, 64)"),
    ),
    "random bits for nothing": (
        lambda: mxref.quantize(X, "mxfp4", random=np.zeros(X.shape, np.uint32)),
        (ValueError, "random is given", "draws nothing", "leave it out"),
    ),
    "random floats": (
        lambda: mxref.quantize(X, "mxfp4", policy="ocp:rounding=stochastic-a", random=X),
        (TypeError, "float32", "unsigned integers", "numpy.uint32"),
    ),
    "an array for out": (
        lambda: mxref.quantize(X, "mxfp4", out=np.zeros(3)),
        (TypeError, "ndarray", "MXArray", None),
    ),
    "out of another format": (
        lambda: mxref.quantize(X, "mxfp4", out=mxref.quantize(X, "mxint8")),
        (ValueError, "mxint8", "expected mxfp4", None),
    ),
    "out of another dtype": (
        lambda: mxref.dequantize(C, S, "mxfp4", out=np.zeros((4, 64))),
        (TypeError, "float64", "float32", "np.empty((4, 64), np.float32)"),
    ),
    "out of another shape": (
        lambda: mxref.dequantize(C, S, "mxfp4", out=np.zeros((4, 32), np.float32)),
        (ValueError, "(4, 32)", "(4, 64)", None),
    ),
    # --- codes ---
    "values for codes": (
        lambda: mxref.decode(X, "e4m3"),
        (TypeError, "float32", "uint8", "mxref.encode(values, 'e4m3')"),
    ),
    "a list of codes": (
        lambda: mxref.decode([1, 2], "e4m3"),
        (TypeError, "int64", "uint8", "np.asarray(codes, dtype=np.uint8)"),
    ),
    "more than a byte": (
        lambda: mxref.decode(300, "e4m3"),
        (TypeError, "300", "uint8", "0 to 255"),
    ),
    "a negative code": (lambda: mxref.decode(-1, "e4m3"), (TypeError, "-1", "uint8", "0 to 255")),
    "a text for a code": (
        lambda: mxref.decode("0x7e", "e4m3"),
        (TypeError, "codes", "uint8", "such as 0x7e"),
    ),
    "a code beyond the format": (
        lambda: mxref.dequantize(C | 0x30, S, "mxfp4"),
        (ValueError, "at (0, 0)", "0 to 0x0f", "b & 15, b >> 4"),
    ),
    "values for scales": (
        lambda: mxref.MXArray(C, S.astype(np.float32), "mxfp4"),
        (TypeError, "scales has dtype float32", "uint8", "mxref.encode(values, 'e8m0')"),
    ),
    "scales of another shape": (
        lambda: mxref.MXArray(C, S[:, :1], "mxfp4"),
        (ValueError, "(4, 1)", "(4, 2)", None),
    ),
    "no sub-scales": (
        lambda: mxref.dequantize(BD.codes, BD.scales, "mx9"),
        (ValueError, "mx9", "sub-scales", "uint8 of shape (4, 32)"),
    ),
    # --- products ---
    "a product of arrays": (
        lambda: mxref.matmul(X, X),
        (TypeError, "ndarray", "MXArray", "mxref.quantize(a, format, axis=1)"),
    ),
    "a product along another axis": (
        lambda: mxref.matmul(Q, Q),
        (ValueError, "axis 1", "expected axis 0", "mxref.quantize(b_values, 'mxfp4', axis=0)"),
    ),
    "an accumulation that does not exist": (
        lambda: mxref.matmul(Q, B, accumulate="ocp-fp31"),
        (ValueError, "'ocp-fp31'", "accumulators()", "'ocp-fp32'"),
    ),
    "a dtype that no product has": (
        lambda: mxref.matmul(Q, B, dtype="int8"),
        (TypeError, "int8", "float32, float64", None),
    ),
    "a rounding that does not exist": (
        lambda: mxref.matmul(Q, B, rounding="upp"),
        (ValueError, "'upp'", "Known:", "did you mean 'up'"),
    ),
    # --- checks ---
    "a module for a function": (
        lambda: mxref.check(X, C, S, "mxfp4"),
        (TypeError, "mxref.check is a module", "not a function", "mxref.check.quantize(x, codes"),
    ),
    "exchanged codes and scales": (
        lambda: mxref.check.quantize(X, S, C, "mxfp4"),
        (ValueError, "(4, 2)", "(4, 64)", "codes come before scales"),
    ),
    "values to be checked": (
        lambda: mxref.check.quantize(X, X, S, "mxfp4"),
        (TypeError, "float32", "uint8", "mxref.encode(values, 'e2m1')"),
    ),
    "codes for values": (
        lambda: mxref.check.decode(C, C, "e2m1"),
        (TypeError, "uint8", "float32", ".astype(np.float32)"),
    ),
    "no function to drive": (
        lambda: mxref.check.kernel("./kernel", "mxfp4"),
        (TypeError, "str", "a function", None),
    ),
    "a function in the wrong place": (
        lambda: mxref.check.kernel("quantize", "mxfp4", print),
        (ValueError, "print", "Known: encode", "kernel(fn, format, op)"),
    ),
    "an operation that does not exist": (
        lambda: mxref.check.kernel(print, "mxfp4", "quantise"),
        (ValueError, "'quantise'", "operation", "'quantize'"),
    ),
    # --- layouts, quality, differences ---
    "a layout that does not exist": (
        lambda: layouts.pack(Q, "gpt-os"),
        (ValueError, "'gpt-os'", "layout", "did you mean 'gpt-oss'"),
    ),
    "an array to be laid out": (
        lambda: layouts.pack(X, "gpt-oss"),
        (TypeError, "ndarray", "quantized array", "mxref.quantize"),
    ),
    "values in a scale layout": (
        lambda: layouts.pack_scales(X, "128x4"),
        (TypeError, "float32", "uint8", "not values"),
    ),
    "two shapes to be compared": (
        lambda: quality.qsnr(X, X[:2]),
        (ValueError, "(2, 64)", "the same", None),
    ),
    "a text to be compared": (
        lambda: quality.qsnr(X, "x"),
        (TypeError, "<U1", "real numbers", None),
    ),
    "a difference from nobody": (
        lambda: differences.differences("ocp", "opc"),
        (ValueError, "'opc'", "Known:", "did you mean 'ocp'"),
    ),
    # --- exact ---
    "a float for a number": (
        lambda: exact.element.encode(1.5, "e4m3"),
        (TypeError, "float 1.5", "a Number", "Number.finite(Fraction("),
    ),
    "floats for a block": (
        lambda: exact.block.quantize([1.0] * 32, "mxfp4"),
        (TypeError, "float 1.0", "a Number", "Number.finite(Fraction("),
    ),
    "an exact code beyond": (
        lambda: exact.element.decode(300, "e4m3"),
        (ValueError, "300", "0 to 0xff", None),
    ),
    "an exact code that is text": (
        lambda: exact.element.decode("a", "e4m3"),
        (TypeError, "'a'", "an integer", None),
    ),
    # --- to look at ---
    "a code that is none": (
        lambda: mxref.show("e4m3", "7g"),
        (ValueError, "'7g'", "0 to 255", "0x.."),
    ),
    "a value for a code": (
        lambda: mxref.show("e4m3", 1.5),
        (TypeError, "1.5", "an integer", "mxref.explain"),
    ),
    "a number that is none": (
        lambda: mxref.explain("abc", "e4m3"),
        (ValueError, "'abc'", "a number", "'1.3'"),
    ),
    "explained without a format": (
        lambda: mxref.explain(1.3),
        (TypeError, "explain", "needs a format", "mxref.explain(1.3, 'mxfp4')"),
    ),
    "explained all at once": (
        lambda: mxref.explain(X, "mxfp4"),
        (ValueError, "(4, 64)", "flat sequence", "x[0, :32]"),
    ),
    "codes compared": (
        lambda: mxref.compare(C),
        (TypeError, "uint8", "float32", "mxref.decode(x, format)"),
    ),
    "compared by a rule that does not exist": (
        lambda: mxref.compare(X, rules=["rceill"]),
        (ValueError, "'rceill'", "Known:", "did you mean 'rceil'"),
    ),
    "two shapes differ": (
        lambda: mxref.diff(X, X[:2]),
        (ValueError, "(2, 64)", "one shape", "a slice"),
    ),
    "codes of nobody knows what": (
        lambda: mxref.diff(C, C),
        (TypeError, "uint8", "which format", "format='e4m3'"),
    ),
    "names of files differ": (
        lambda: mxref.diff("a.npy", "b.npy"),
        (TypeError, "'a.npy'", "arrays", "numpy.load"),
    ),
    # --- arrays in a format ---
    "part of a block": (
        lambda: Q[:, :3],
        (ValueError, ":3", "multiples of the block size 32", "q.codes"),
    ),
    "too many indices": (lambda: Q[0, 0, 0], (IndexError, "3 indices", "2 axes", "(4, 64)")),
    "a text for an index": (
        lambda: Q["a"],
        (TypeError, "str", "integers and slices", "q.codes[...]"),
    ),
    "an axis for a format": (
        lambda: nvfp4.quantize(X, "nvfp4"),
        (TypeError, "'nvfp4'", "an integer", None),
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_wrong_calls_are_answered(slip):
    call, (error, *parts) = SLIPS[slip]
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    for part in parts:
        assert part is None or part in text, text
    assert "\n" not in text
    assert not text.endswith(".")


def test_right_calls_beside_them_work():
    """The corrections that the messages offer are accepted."""
    for call in (
        lambda: mxref.quantize(X, "mxfp8_e4m3"),
        lambda: mxref.quantize(X, "mxfp4", policy="ocp:rounding=nearest-away"),
        lambda: mxref.quantize(X, "mxfp4", policy=mxref.Policy(rounding="up")),
        lambda: mxref.quantize(X[:, :33], "mxfp4", pad=True),
        lambda: mxref.decode(np.asarray([1, 2], dtype=np.uint8), "e4m3"),
        lambda: mxref.dequantize(C, S, "mxfp4", out=np.empty((4, 64), np.float32)),
        lambda: mxref.matmul(Q, mxref.quantize(X.T, "mxfp4", axis=0)),
        lambda: mxref.formats.scalar_format("e4m3"),
        lambda: exact.element.encode(exact.number.Number.finite(3), "e4m3"),
    ):
        assert call() is not None


# --- names of the package --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("quantise", "mxref.quantize"),
        ("Show", "mxref.show"),
        ("dequantise", "mxref.dequantize"),
        ("MxArray", "mxref.MXArray"),
        ("mxfp4", "mxref.show('mxfp4')"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(name, meant):
    with pytest.raises(AttributeError, match=re.escape(meant)):
        getattr(mxref, name)


def test_dir_lists_what_is_meant_to_be_used():
    names = [name for name in dir(mxref) if not name.startswith("__")]
    assert set(names) == set(mxref.__all__)
    assert not [name for name in names if name.startswith("_")]
    assert {"annotations", "importlib", "TYPE_CHECKING", "Any"}.isdisjoint(names)
    assert all(getattr(mxref, name) is not None for name in names)


# --- files -----------------------------------------------------------------------------------


def test_files_that_are_none(tmp_path):
    text, empty = tmp_path / "text.npz", tmp_path / "empty.npz"
    text.write_text("hello")
    empty.write_bytes(b"")
    for path in (text, empty):
        with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
            mxref.MXArray.load(path)
        assert "MXArray.save" in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"nosuch\.npz"):
        mxref.MXArray.load(tmp_path / "nosuch.npz")
    with pytest.raises(checkpoints.CheckpointError, match="no such file"):
        checkpoints.open_checkpoint(tmp_path / "nosuch.safetensors")
    with pytest.raises(checkpoints.CheckpointError, match="name the file"):
        checkpoints.open_checkpoint(tmp_path)


def test_a_truncated_array_says_so(tmp_path):
    path = tmp_path / "q.npz"
    Q.save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        mxref.MXArray.load(path)
