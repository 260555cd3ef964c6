"""torch: what is shared and what is copied, tensors of every kind, and packed pairs."""

import numpy as np
import pytest
from _compare import peers

import mxref
from mxref._foreign import as_numpy
from mxref.formats import BLOCK_FORMATS
from mxref.interop import torch_tensors

pytestmark = peers("torch")
FORMATS = tuple(BLOCK_FORMATS)
X = (np.random.default_rng(3).standard_normal((8, 64)) * 4).astype(np.float32)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("name", FORMATS)
def test_codes_and_scales_are_shared(torch, name):
    q = mxref.quantize(X, name)
    codes, scales = q.to_torch(packed=False)
    kind = torch_tensors.DTYPES[q.format.element.name]
    assert codes.dtype == getattr(torch, "uint8" if name == "mxfp4" else kind)
    assert scales.dtype == torch.float8_e8m0fnu
    assert codes.data_ptr() == q.codes.ctypes.data
    assert scales.data_ptr() == q.scales.ctypes.data
    codes.view(torch.uint8)[3, 5] = 1  # what one writes the other sees
    q.scales[2, 1] = 99
    assert q.codes[3, 5] == 1
    assert scales.view(torch.uint8)[2, 1] == 99
    back = mxref.MXArray.from_torch(codes, scales, name)
    assert back.equals(q)
    assert back.codes.ctypes.data == codes.data_ptr()
    assert back.scales.ctypes.data == scales.data_ptr()
    assert mxref.MXArray(codes, scales, name).equals(q)


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2"])
def test_torch_reads_the_same_values(torch, name):
    q = mxref.quantize(X, name)
    codes, scales = q.to_torch()
    product = codes.float() * scales.float().repeat_interleave(32, -1)
    assert torch.equal(product, torch.from_numpy(q.dequantize()))


@pytest.mark.parametrize("name", FORMATS)
def test_the_table_of_the_page_is_true(torch, name):  # noqa: ARG001
    q = mxref.quantize(X, name)
    codes, scales = q.to_torch()
    is_shared = q.format.element.name not in torch_tensors.COPIED
    assert (codes.data_ptr() == q.codes.ctypes.data) == is_shared
    assert scales.data_ptr() == q.scales.ctypes.data
    back = mxref.MXArray.from_torch(codes, scales, name)
    assert (back.codes.ctypes.data == codes.data_ptr()) == is_shared


def test_pairs_have_the_first_code_in_the_low_nibble(torch):
    q = mxref.quantize(X, "mxfp4")
    codes, scales = q.to_torch()
    assert codes.dtype == torch.float4_e2m1fn_x2
    assert codes.shape == (8, 32)
    octets = codes.view(torch.uint8)
    assert torch.equal(octets & 15, torch.from_numpy(q.codes[:, 0::2].copy()))
    assert torch.equal(octets >> 4, torch.from_numpy(q.codes[:, 1::2].copy()))
    assert mxref.MXArray.from_torch(codes, scales, "mxfp4").equals(q)
    assert mxref.MXArray.from_torch(octets, scales, "mxfp4", packed=True).equals(q)


def test_torchao_holds_the_same_bytes(torch):
    mx = pytest.importorskip("torchao.prototype.mx_formats.mx_tensor").MXTensor
    x = torch.from_numpy(X).bfloat16()
    for name, dtype in (("mxfp4", torch.float4_e2m1fn_x2), ("mxfp8_e4m3", torch.float8_e4m3fn)):
        theirs = mx.to_mx(x, dtype, 32)
        codes, scales = mxref.quantize(x, name, policy="torchao-floor").to_torch()
        assert torch.equal(codes.view(torch.uint8), theirs.qdata.view(torch.uint8))
        assert torch.equal(scales.view(torch.uint8), theirs.scale.view(torch.uint8))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("axis", [0, 1])
def test_other_shapes_and_strides(torch, name, axis):  # noqa: ARG001
    q = mxref.quantize(np.resize(X, (64, 96)), name, axis=axis)
    for each in (q, q.T, q[..., :32], q[32:], q[:0] if axis else q[:, :0]):
        codes, scales = each.to_torch(packed=False)
        assert codes.data_ptr() == each.codes.ctypes.data or not each.size
        assert codes.shape == each.shape
        assert mxref.MXArray.from_torch(codes, scales, name, each.axis).equals(each)
        assert mxref.MXArray.from_torch(*each.to_torch(), name, each.axis).equals(each)


def test_copies_are_made_only_where_they_must(torch):  # noqa: ARG001
    q = mxref.quantize(X, "mxfp8_e4m3")
    frozen = q.copy()
    frozen.codes.flags.writeable = frozen.scales.flags.writeable = False
    for each, why in ((frozen, "read-only"), (q[::-1], "negative strides")):
        codes, scales = each.to_torch()
        assert codes.data_ptr() != each.codes.ctypes.data
        assert mxref.MXArray.from_torch(codes, scales, "mxfp8_e4m3").equals(each)
        with pytest.raises(ValueError, match=why):
            each.to_torch(copy=False)
    codes, scales = q.to_torch(copy=True)
    assert codes.data_ptr() != q.codes.ctypes.data
    assert scales.data_ptr() != q.scales.ctypes.data
    assert q.to_torch(copy=False).codes.data_ptr() == q.codes.ctypes.data
    fp4 = mxref.quantize(X, "mxfp4")
    with pytest.raises(ValueError, match="packed=False"):
        fp4.to_torch(copy=False)
    assert fp4.to_torch(copy=False, packed=False).codes.data_ptr() == fp4.codes.ctypes.data
    with pytest.raises(ValueError, match=r"they shall lie on meta"):
        q.to_torch(device="meta", copy=False)
    assert q.to_torch(device="meta").codes.shape == q.shape


def test_what_cannot_be_packed(torch):
    with pytest.raises(ValueError, match="packed=True is for FP4"):
        mxref.quantize(X, "mxfp8_e4m3").to_torch(packed=True)
    odd = mxref.quantize(X[:, :33], "mxfp4", pad=True)
    with pytest.raises(ValueError, match=r"shape \(8, 33\).*must be even"):
        odd.to_torch()
    codes, scales = mxref.quantize(X, "mxfp4").to_torch()
    with pytest.raises(ValueError, match="only FP4 codes come two in a byte"):
        mxref.MXArray.from_torch(codes, scales, "mxfp8_e4m3")
    with pytest.raises(ValueError, match="packed=False contradicts"):
        mxref.MXArray.from_torch(codes, scales, "mxfp4", packed=False)
    with pytest.raises(TypeError, match=r"two codes in each byte.*from_torch"):
        mxref.MXArray(codes, scales, "mxfp4")
    with pytest.raises(ValueError, match=r"out of range.*packed in a byte"):
        mxref.MXArray(codes.view(torch.uint8), scales[:, :1], "mxfp4")


def test_packed_bytes_are_read_where_bytes_are_wanted(torch):  # noqa: ARG001
    q = mxref.quantize(X, "mxfp4")
    codes, _ = q.to_torch()
    octets = as_numpy(codes, "stored", packed=True)
    assert octets.ctypes.data == codes.data_ptr()
    np.testing.assert_array_equal(octets, q.codes[:, 0::2] | q.codes[:, 1::2] << 4)


def test_types_that_do_not_fit(torch):
    codes, scales = mxref.quantize(X, "mxfp8_e4m3").to_torch()
    with pytest.raises(
        TypeError, match="codes has dtype float8_e4m3fn; expected uint8 or float8_e5m2"
    ):
        mxref.MXArray.from_torch(codes, scales, "mxfp8_e5m2")
    with pytest.raises(TypeError, match="scales has dtype float8_e4m3fn"):  # NVFP4's
        mxref.MXArray.from_torch(codes, scales.view(torch.float8_e4m3fn), "mxfp8_e4m3")
    with pytest.raises(ValueError, match="scales have shape"):
        mxref.MXArray.from_torch(codes, scales[:1], "mxfp8_e4m3")


# --- torch tensors as input -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", FORMATS)
def test_tensors_are_quantized_as_their_numbers(torch, name, dtype):
    x = torch.from_numpy(X).to(getattr(torch, dtype))
    wide = x.double().numpy()  # exact, and of another type
    q = mxref.quantize(x, name)
    assert q.equals(mxref.quantize(wide, name))
    strided = x.T.contiguous().T
    for other in (
        strided,
        x.clone().requires_grad_(),
        torch.nn.Parameter(x),
        x[:, ::1],
        x.detach(),
    ):
        assert mxref.quantize(other, name).equals(q)
    every_other = x.repeat_interleave(2, 0)[::2]
    assert mxref.quantize(every_other, name).equals(q)
    assert mxref.quantize(x.T, name, axis=0).equals(q.T)


def test_no_copy_is_made_of_the_input(torch):
    from mxref import _inputs

    x = torch.from_numpy(X).bfloat16()
    array, source = _inputs.as_float(x)
    assert array.ctypes.data == x.data_ptr()
    assert source == "bfloat16"


def test_lazily_negated_and_conjugated_tensors(torch):
    z = torch.complex(torch.from_numpy(X), torch.from_numpy(-2 * X))
    imaginary = z.conj().imag
    assert imaginary.is_neg()
    assert mxref.quantize(imaginary, "mxfp4").equals(mxref.quantize(2 * X, "mxfp4"))
    with torch.inference_mode():
        assert mxref.quantize(torch.ones(32), "mxfp4").shape == (32,)


def test_tensors_that_cannot_be_read_say_why(torch):
    x = torch.from_numpy(X)
    nested = torch.nested.nested_tensor([x, x[:2]])
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.ones(8, 64)
    seen = []
    for given, text in (
        (x.to("meta"), "meta device: it has a shape, but no numbers"),
        (x.to_sparse(), r"layout sparse_coo: pass x\.to_dense\(\)"),
        (x.to_mkldnn(), r"layout _mkldnn: pass x\.to_dense\(\)"),
        (nested, r"nested torch tensor.*x\.unbind\(\)"),
        (torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), r"quantized .*x\.dequantize\(\)"),
        (fake, "subclass FakeTensor"),
        (x.int(), "dtype int32; expected float32"),
        (x.bool(), "dtype bool"),
        (x.cfloat(), "dtype complex64"),
        (x.to(torch.float8_e4m3fn), "dtype float8_e4m3fn"),
    ):
        with pytest.raises(TypeError, match=text):
            mxref.quantize(given, "mxfp4")

    def inside(row):
        with pytest.raises(TypeError, match=r"vmap.*fake_quantize"):
            mxref.quantize(row, "mxfp4")
        seen.append(1)
        return row

    torch.vmap(inside)(x)
    assert seen
    with pytest.raises(ValueError, match="zero-dimensional"):
        mxref.quantize(torch.tensor(1.0), "mxfp4")


def test_a_tensor_on_another_device(torch):
    class Remote:
        """A stand-in: there is no GPU here."""

        device = type("device", (), {"type": "cuda", "__str__": lambda _: "cuda:1"})()
        dtype = torch.float32

    remote = type("Tensor", (Remote,), {"__module__": "torch"})()
    with pytest.raises(TypeError, match=r"tensor on cuda:1.*pass x\.cpu\(\)"):
        mxref.quantize(remote, "mxfp4")
    if torch.cuda.is_available():
        q = mxref.quantize(X, "mxfp8_e4m3")
        parts = q.to_torch(device="cuda")
        with pytest.raises(TypeError, match=r"codes\.cpu\(\)"):
            mxref.MXArray.from_torch(*parts, "mxfp8_e4m3")
        assert mxref.MXArray.from_torch(*(p.cpu() for p in parts), "mxfp8_e4m3").equals(q)


def test_checks_take_tensors(torch):
    x = torch.from_numpy(X)
    for name in ("mxfp8_e4m3", "mxfp8_e5m2", "mxint8"):
        codes, scales = mxref.quantize(x, name).to_torch()
        assert mxref.check.quantize(x, codes, scales, name).verdict == "conforms"
    wrong = codes.clone()
    wrong[0, :8] += 1
    assert mxref.check.quantize(x, wrong, scales, name).verdict != "conforms"


def test_dlpack_is_refused_with_advice(torch):
    q = mxref.quantize(X, "mxfp4")
    for take in (torch.from_dlpack, torch.asarray, torch.as_tensor):
        with pytest.raises(TypeError, match=r"q\.to_torch\(\)"):
            take(q)


def test_an_old_torch_is_told_so(torch, monkeypatch):
    monkeypatch.delattr(torch, "float8_e8m0fnu")
    with pytest.raises(ImportError, match=r"has no type float8_e8m0fnu: pip install 'torch>=2.8'"):
        mxref.quantize(X, "mxfp8_e4m3").to_torch()
