"""Arrays of other libraries, handed over and read back: no bit may change on the way."""

import array
import contextlib
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.check.kernel import kernel as check_kernel
from mxref.check.target import TargetError, TargetOptions, load_target
from mxref.check.targets.foreign import adapted, as_numpy, converter, numpy_result

X = np.array([[1.5, -0.0], [np.inf, 3e-45]], np.float32)


class WithArray:
    """What JAX and many others look like."""

    def __init__(self, held):
        self.held = held

    def __array__(self, dtype=None, copy=None):
        assert dtype is None
        return self.held


class WithDlpack:
    """An array that speaks DLPack alone, on a device of its own if asked."""

    def __init__(self, held, *, remote=False):
        self.held, self.remote = held, remote

    def __dlpack_device__(self):
        return self.held.__dlpack_device__()

    def __dlpack__(self, **options):
        if self.remote and not options.get("copy"):
            raise BufferError("not on this device")
        return self.held.__dlpack__()


class Cupy:
    """CuPy refuses the implicit copy and has `get`."""

    __cuda_array_interface__ = {}  # noqa: RUF012

    def __init__(self, held):
        self.held = held

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def get(self):
        return self.held


@pytest.mark.parametrize(
    "wrap",
    [
        np.asarray,
        WithArray,
        WithDlpack,
        lambda a: WithDlpack(a, remote=True),
        Cupy,
        memoryview,
        lambda a: a[::-1][::-1],
        np.asfortranarray,
    ],
)
def test_bits_and_shape_are_kept_in_memory_of_our_own(wrap):
    source = X.copy()
    found = as_numpy(wrap(source))
    source[...] = 7
    assert found.dtype == np.float32
    assert np.array_equal(found.view(np.uint32), X.view(np.uint32))
    assert found.flags.writeable


def test_other_things_that_hold_numbers():
    assert as_numpy(b"\x01\xff").tolist() == [1, 255]
    assert as_numpy(bytearray(b"\x01")).dtype == np.uint8
    assert as_numpy(array.array("B", [3])).tolist() == [3]
    assert as_numpy([[1, 2], [3, 4]]).shape == (2, 2)
    assert as_numpy(np.float32(2)).shape == ()
    typed = WithArray(np.zeros(3, ml_dtypes.float8_e4m3fn))
    assert as_numpy(typed).dtype == ml_dtypes.float8_e4m3fn


class Rude:
    def __array__(self, *_, **__):
        raise RuntimeError("no \x1b[2J")


@pytest.mark.parametrize("value", [object(), {1: 2}, Rude(), [[1], [2, 3]], lambda: 0])
def test_what_is_no_array_is_trouble(value):
    with pytest.raises(TargetError) as caught:
        as_numpy(value, "codes")
    assert "the target's codes" in str(caught.value)
    assert str(caught.value).isprintable()


def test_results_keep_their_form():
    pair = numpy_result((WithArray(X), b"a"))
    assert isinstance(pair, tuple)
    assert [type(each) for each in pair] == [np.ndarray, np.ndarray]
    assert isinstance(numpy_result([WithArray(X), WithArray(X)]), list)
    assert numpy_result([1, 2, 3]).tolist() == [1, 2, 3]
    assert numpy_result([[1, 2]] * 10).shape == (10, 2)
    named = numpy_result(SimpleNamespace(codes=WithArray(X), scales=b"a"))
    assert named.codes.shape == X.shape
    assert numpy_result(None) is None
    assert numpy_result(mxref.quantize(np.ones(32, np.float32), "mxfp4")).scales.shape == (1,)


@pytest.mark.parametrize("wrap", [WithArray, WithDlpack, Cupy])
def test_a_kernel_may_return_arrays_of_any_kind(wrap):
    def kernel(x):
        q = mxref.quantize(x, "mxfp4")
        return wrap(q.codes), wrap(q.scales)

    assert check_kernel(lambda x: numpy_result(kernel(x)), "mxfp4", level="smoke").ok
    swapped = check_kernel(lambda x: numpy_result(kernel(x)[::-1]), "mxfp4", level="smoke")
    assert swapped.trouble.kind == "mis-wired"


def test_libraries_by_name():
    with pytest.raises(TargetError, match="did you mean 'torch'"):
        converter("torhc")
    with pytest.raises(TargetError, match="no device"):
        converter("numpy:cuda")
    if find_spec("cupy") is None:
        with pytest.raises(TargetError, match="needs the package cupy"):
            converter("cupy")


def test_a_change_on_a_device_is_noticed(monkeypatch):
    """Arrays on a device are copies, so that our own input stays as it is."""
    devices = SimpleNamespace(Device=contextlib.nullcontext)
    fake = SimpleNamespace(asarray=lambda a: Cupy(a.copy()), cuda=devices)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    good = adapted(lambda x: Cupy(x.held * 2), "cupy:0")
    assert good(np.ones(3, np.float32)).tolist() == [2, 2, 2]

    def writes(x):
        x.held[1] = 5
        return x

    with pytest.raises(TargetError, match="argument 1 changed") as caught:
        adapted(writes, "cupy")(np.ones(3, np.float32))
    assert caught.value.kind == "changed-input"


def test_nothing_heavy_is_imported():
    source = (
        "import sys, mxref.check.targets.foreign as f; f.as_numpy(b'a');"
        "sys.exit(bool({'torch', 'jax', 'cupy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


# --- torch and JAX themselves, where they are installed -------------------------------------------

SOURCES = [np.float32, np.float16, np.uint8, ml_dtypes.bfloat16]


@pytest.mark.parametrize("dtype", SOURCES)
@pytest.mark.parametrize("library", ["torch", "torch:cpu", "jax", "jax:cpu", "cupy"])
def test_there_and_back(library, dtype):
    pytest.importorskip(library.partition(":")[0])
    bits = np.arange(256, dtype=np.uint8).repeat(4)
    given = bits.view(dtype).reshape(2, -1)
    foreign = converter(library)(given)
    assert type(foreign).__module__.partition(".")[0] in ("torch", "jaxlib", "jax", "cupy")
    found = as_numpy(foreign)
    assert (found.dtype, found.shape) == (given.dtype, given.shape)
    assert found.tobytes() == given.tobytes()


def test_narrow_types_of_torch():
    torch = pytest.importorskip("torch")
    octets = torch.arange(256, dtype=torch.uint8).reshape(2, 128)
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "bfloat16"):
        kind = getattr(torch, name)
        found = as_numpy(octets.view(kind))
        assert found.dtype == getattr(ml_dtypes, name)
        assert found.tobytes() == bytes(range(256))
    packed = as_numpy(octets.view(torch.float4_e2m1fn_x2))
    assert packed.dtype == np.uint8
    assert packed.tobytes() == bytes(range(256))


def test_tensors_of_any_kind():
    torch = pytest.importorskip("torch")
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    for tensor, expected in (
        (base.clone().requires_grad_(), base),
        (base.t(), base.t()),
        (base[:, ::2], base[:, ::2]),
        (base.to_sparse(), base),
        (torch.nn.Parameter(base), base),
        (base.to(torch.bfloat16).t(), base.t()),
        (torch.tensor(3.0), torch.tensor(3.0)),
    ):
        assert np.array_equal(as_numpy(tensor).astype(np.float32), expected.numpy())


def test_a_kernel_on_tensors():
    torch = pytest.importorskip("torch")

    def kernel(x):
        assert isinstance(x, torch.Tensor)
        q = mxref.quantize(x.numpy(), "mxfp8_e4m3")
        codes = torch.from_numpy(q.codes).view(torch.float8_e4m3fn)
        return codes, torch.from_numpy(q.scales).view(torch.float8_e8m0fnu)

    assert check_kernel(kernel, "mxfp8_e4m3", arrays="torch").verdict == "conforms"

    def writes(x):
        result = kernel(x)
        x[0, 0] = 5
        return result

    report = check_kernel(writes, "mxfp8_e4m3", arrays="torch")
    assert report.trouble.kind == "changed-input"


def test_a_kernel_on_bfloat16_tensors():
    torch = pytest.importorskip("torch")

    def kernel(x):
        assert x.dtype == torch.bfloat16
        return torch.from_numpy(mxref.encode(x.float().numpy(), "e5m2"))

    report = check_kernel(kernel, "e5m2", "encode", input_dtype="bfloat16", arrays="torch")
    assert report.verdict == "conforms"


def test_a_function_on_tensors_in_a_process_of_its_own(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / "on_tensors.py").write_text(
        "import mxref, torch\n"
        "def encode(x):\n"
        "    assert x.dtype == torch.float16\n"
        "    return torch.from_numpy(mxref.encode(x.numpy(), 'e4m3')).view(torch.float8_e4m3fn)\n"
    )
    monkeypatch.chdir(tmp_path)
    options = TargetOptions(120.0, "torch", input_type="float16")
    with load_target("py:on_tensors:encode", "e4m3", "encode", options) as target:
        (kernel,) = target.kernels
        report = check_kernel(kernel.fn, "e4m3", "encode", input_dtype="float16", timeout=None)
    assert report.verdict == "conforms"


def test_no_such_device():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    report = check_kernel(lambda x: x, "mxfp4", arrays="torch:cuda")
    assert report.trouble.kind == "mis-wired"
    assert "arrays=torch:cuda: cannot make such an array" in report.trouble.text
