"""Fake quantisation in torch: exact values, exact gradients, and torch's transformations."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from _compare import peers

import mxref
from mxref.formats import BLOCK_FORMATS, block_format

pytestmark = peers("torch")
FORMATS = tuple(BLOCK_FORMATS)
DTYPES = ("float32", "float64", "float16", "bfloat16")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def training():
    pytest.importorskip("torch")
    from mxref.interop import torch as module

    return module


def sample(torch, *shape, dtype="float32", seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (x * torch.exp2(torch.randint(-6, 6, shape, generator=generator))).to(
        getattr(torch, dtype)
    )


def naive(torch, x, name):
    """Another way to the same values, over float64: scale by floor, nearest of all code points."""
    element = block_format(name).element
    points = torch.from_numpy(
        mxref.decode(np.arange(element.code_count, dtype=np.uint8), element).astype(np.float64)
    )
    limit = float(element.max)
    points = points[torch.isfinite(points) & (points.abs() <= limit)].unique()
    wide = x.double().reshape(-1, 32)
    exponent = torch.floor(torch.log2(wide.abs().amax(1, keepdim=True))) - element.emax
    scaled = (wide * torch.exp2(-exponent)).clamp(-limit, limit)
    high = torch.searchsorted(points, scaled.contiguous()).clamp(1, len(points) - 1)
    low = high - 1
    below, above = scaled - points[low], points[high] - scaled
    # Neighbouring points of one sign have codes of which one is even: every second point, from 0.
    zero = int((points == 0).nonzero())
    is_even = (high - zero) % 2 == 0
    nearest = torch.where((above < below) | ((above == below) & is_even), points[high], points[low])
    return (nearest * torch.exp2(exponent)).reshape(x.shape), exponent


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMATS)
def test_values_are_exact_in_the_type_of_the_input(torch, training, name, dtype):
    x = sample(torch, 16, 64, dtype=dtype)
    y = training.fake_quantize(x, name)
    assert (y.dtype, y.shape, y.is_contiguous()) == (x.dtype, x.shape, True)
    values = mxref.quantize(x, name).dequantize()
    assert np.array_equal(y.double().numpy(), values.astype(np.float64))
    expected, _ = naive(torch, x, name)
    assert torch.equal(y.double().abs(), expected.abs())
    assert torch.equal(y.double(), expected)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FORMATS)
def test_all_numbers_of_narrow_types_stay_exact(torch, training, name, dtype):
    """Every finite input, beside its like and beside others; only the largest may overflow."""
    bits = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16)
    bits = torch.cat([bits, bits[torch.randperm(1 << 16, generator=torch.manual_seed(0))]])
    x = bits.view(getattr(torch, dtype))
    x = torch.where(torch.isfinite(x), x, 0).reshape(-1, 32)
    y = training.fake_quantize(x, name).double().numpy()
    values = mxref.quantize(x, name).dequantize().astype(np.float64)
    fits = np.abs(values) <= torch.finfo(x.dtype).max
    assert np.array_equal(y[fits], values[fits])
    assert np.isinf(y[~fits]).all()


def test_a_value_beyond_float16_becomes_an_infinity(torch, training):
    x = torch.full((32,), 65504.0, dtype=torch.float16)
    y = training.fake_quantize(x, "mxfp8_e4m3", policy="ocp:scale_rule=rceil")
    assert torch.isinf(y).all()
    assert mxref.quantize(x, "mxfp8_e4m3", policy="ocp:scale_rule=rceil").dequantize()[0] == 65536


@pytest.mark.parametrize("gradient", ["straight-through", "clipped"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMATS)
def test_gradients(torch, training, name, dtype, gradient):
    x = sample(torch, 16, 64, dtype=dtype, seed=1)
    x[:4, ::32] = 127.5  # saturates in every format
    x.requires_grad_()
    upstream = sample(torch, 16, 64, dtype=dtype, seed=2)
    training.fake_quantize(x, name, gradient=gradient).backward(upstream)
    assert x.grad.dtype == x.dtype
    if gradient == "straight-through":
        assert torch.equal(x.grad, upstream)
        return
    # The gradient of a clamp to what the block can hold, by torch's own rule.
    _, exponent = naive(torch, x.detach(), name)
    limit = float(block_format(name).element.max) * torch.exp2(exponent)
    other = x.detach().double().reshape(-1, 32).requires_grad_()
    other.clamp(-limit, limit).backward(upstream.double().reshape(-1, 32))
    assert torch.equal(x.grad.double(), other.grad.reshape(16, 64))
    assert 0 < (x.grad == 0).sum() < 200


def test_the_gradient_at_the_edge(torch, training):
    """6 is the largest E2M1; the scale is 1. What rounds to it from above has saturated."""
    block = torch.tensor([6.0, 6.5, 7.9, -6.0, -6.01, 5.5, 0.0, 1.0] * 4, requires_grad=True)
    y = training.fake_quantize(block, "mxfp4", gradient="clipped")
    y.sum().backward()
    assert y[:8].tolist() == [6, 6, 6, -6, -6, 6, 0, 1]
    assert block.grad[:8].tolist() == [1, 0, 0, 1, 0, 1, 1, 1]


def test_the_gradient_where_there_is_no_number(torch, training):
    x = torch.ones(64)
    x[3] = float("nan")
    x = x.requires_grad_()
    y = training.fake_quantize(x, "mxfp4", gradient="clipped")
    y.backward(torch.full((64,), float("nan")))
    assert torch.isnan(y[:32]).all()
    assert (x.grad[:32] == 0).all()  # even though 0 * NaN is NaN
    assert torch.isnan(x.grad[32:]).all()
    # 65504 is beyond E5M2 under the scale 2**0: to infinity, where the policy says so.
    z = torch.full((32,), 65504.0, requires_grad=True)
    y = training.fake_quantize(z, "mxfp8_e5m2", -1, "ocp:fp8_overflow=overflow", gradient="clipped")
    y.sum().backward()
    assert torch.isinf(y).all()
    assert (z.grad == 0).all()


def test_int8_reaches_one_step_further_down_where_the_policy_lets_it(torch, training):
    for policy, expected in (("ocp", [0, 0, 1, 1]), ("ocp:int8_min=used", [0, 1, 1, 1])):
        x = torch.tensor([1.999, -1.999, 1.984375, -1.984375] + [0.5] * 28, requires_grad=True)
        y = training.fake_quantize(x, "mxint8", policy=policy, gradient="clipped")
        y.sum().backward()
        assert y[1] == (-2 if policy != "ocp" else -127 / 64)
        assert x.grad[:4].tolist() == expected


@pytest.mark.parametrize("shape", [(0, 32), (4, 0), (0,)])
@pytest.mark.parametrize("gradient", ["straight-through", "clipped"])
def test_empty_tensors(torch, training, shape, gradient):
    x = torch.empty(shape, requires_grad=True)
    y = training.fake_quantize(x, "mxfp4", gradient=gradient)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape


@pytest.mark.parametrize("gradient", ["straight-through", "clipped"])
def test_axes_strides_and_ragged_ends(torch, training, gradient):
    x = sample(torch, 64, 40).requires_grad_()
    upstream = sample(torch, 64, 40, seed=5)

    def both(f, given):
        (grad,) = torch.autograd.grad(f(given), given, upstream)
        return f(given), grad

    plain = both(lambda t: training.fake_quantize(t, "mxfp4", 0, gradient=gradient), x)
    by_rows = both(lambda t: training.fake_quantize(t.T, "mxfp4", 1, gradient=gradient).T, x)
    negative = both(lambda t: training.fake_quantize(t, "mxfp4", -2, gradient=gradient), x)
    for other in (by_rows, negative):
        assert torch.equal(plain[0], other[0])
        assert torch.equal(plain[1], other[1])
    padded = training.fake_quantize(x, "mxfp4", pad=True, gradient=gradient)
    assert np.array_equal(
        padded.detach().numpy(), mxref.quantize(x, "mxfp4", pad=True).dequantize()
    )
    (grad,) = torch.autograd.grad(padded, x, upstream)
    if gradient == "clipped":
        wide = torch.nn.functional.pad(x, (0, 24))
        whole = training.fake_quantize(wide, "mxfp4", gradient=gradient)
        (expected,) = torch.autograd.grad(whole[:, :40], x, upstream)
        assert torch.equal(grad, expected)


def test_no_gradient_where_none_is_wanted(torch, training):
    x = sample(torch, 4, 64).requires_grad_()
    with torch.no_grad():
        assert not training.fake_quantize(x, "mxfp4").requires_grad
    with torch.inference_mode():
        assert training.fake_quantize(x, "mxfp4").is_inference()
    assert not training.fake_quantize(x.detach(), "mxfp4").requires_grad
    assert training.fake_quantize(x, "mxfp4").requires_grad
    y = training.fake_quantize(x.detach(), "mxfp4")
    before = x.detach().clone()
    y.zero_()  # memory of its own
    assert torch.equal(x, before)


def test_second_derivatives(torch, training):
    x = sample(torch, 2, 32).double().requires_grad_()
    y = training.fake_quantize(x, "mxfp4", gradient="clipped")
    (first,) = torch.autograd.grad((y**3).sum(), x, create_graph=True)
    passes = first != 0
    (second,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(first, torch.where(passes, 3 * y**2, 0))
    assert torch.equal(second, torch.where(passes, 6 * y, 0))


def test_a_training_step_reaches_the_weights(torch, training):
    layer = torch.nn.Linear(64, 8, bias=False)
    x = sample(torch, 5, 64)
    out = torch.nn.functional.linear(
        training.fake_quantize(x, "mxfp8_e4m3"), training.fake_quantize(layer.weight, "mxfp4")
    )
    out.sum().backward()
    expected = training.fake_quantize(x, "mxfp8_e4m3").sum(0).expand(8, 64)
    torch.testing.assert_close(layer.weight.grad, expected)


# --- torch's transformations ----------------------------------------------------------------------


@pytest.mark.parametrize("gradient", ["straight-through", "clipped"])
def test_torch_func(torch, training, gradient):
    x = sample(torch, 4, 64)

    def f(t):
        return training.fake_quantize(t, "mxfp4", gradient=gradient)

    def loss(t):
        return (f(t) ** 2).sum()

    assert torch.equal(torch.vmap(f)(x), f(x))
    columns = torch.vmap(f, in_dims=1, out_dims=1)(x.T)  # strided, another dimension mapped
    assert torch.equal(columns, f(x).T)
    by_axis = torch.vmap(lambda t: training.fake_quantize(t, "mxfp4", 0, gradient=gradient))(x)
    assert torch.equal(by_axis, f(x))
    leaf = x.clone().requires_grad_()
    loss(leaf).backward()
    assert torch.equal(torch.func.grad(loss)(x), leaf.grad)
    assert torch.equal(torch.vmap(torch.func.grad(loss))(x), leaf.grad)
    backward = torch.func.jacrev(f)(x[0])
    assert torch.equal(torch.func.jacfwd(f)(x[0]), backward)
    tangent = sample(torch, 4, 64, seed=9)
    _, forward = torch.func.jvp(f, (x,), (tangent,))
    expected = tangent if gradient == "straight-through" else tangent * (leaf.grad == 2 * f(x))
    assert torch.equal(forward, expected)


@pytest.mark.parametrize("gradient", ["straight-through", "clipped"])
def test_compiled_in_one_graph(torch, training, gradient):
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 64),
        training.FakeQuantize("mxfp4", policy="torchao-even", gradient=gradient),
    )

    def direct(t):
        return training.fake_quantize(t * 2, "mxfp8_e4m3", block_size=16, gradient=gradient) + 1

    x = sample(torch, 8, 64)
    for f in (module, direct):
        compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
        one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
        (first, second) = f(one), compiled(two)
        assert torch.equal(first, second)
        first.sum().backward()
        second.sum().backward()
        assert torch.equal(one.grad, two.grad)


def test_torch_says_that_the_operator_is_sound(torch, training):
    training.fake_quantize(torch.ones(32), "mxfp4")
    for is_clipped in (False, True):
        x = sample(torch, 4, 64).requires_grad_()
        torch.library.opcheck(
            torch.ops.mxref.fake_quantize.default, (x, "mxfp4", -1, "ocp", False, is_clipped)
        )


def test_export(torch, training):
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), training.FakeQuantize("mxfp4"))
    x = sample(torch, 4, 64)
    exported = torch.export.export(net, (x,))
    assert torch.equal(exported.module()(x), net(x))


def test_shapes_without_numbers(torch, training):
    x = torch.empty(4, 64, device="meta", dtype=torch.bfloat16)
    y = training.fake_quantize(x, "mxfp4")
    assert (y.device.type, y.shape, y.dtype) == ("meta", x.shape, x.dtype)


# --- the module -----------------------------------------------------------------------------------


def test_the_module(torch, training):
    module = training.FakeQuantize("mxfp8_e4m3", 0, "ocp:rounding=toward-zero", block_size=16)
    x = sample(torch, 32, 3)
    expected = mxref.quantize(x, "mxfp8_e4m3/16", 0, "ocp:rounding=toward-zero").dequantize()
    assert np.array_equal(module(x).numpy(), expected)
    assert repr(module) == (
        "FakeQuantize('mxfp8_e4m3/16', axis=0, policy='ocp:rounding=toward-zero', "
        "gradient='straight-through')"
    )
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    for other in (
        pickle.loads(pickle.dumps(module)),
        copy.deepcopy(module),
        torch.load(stream, weights_only=False),
    ):
        assert isinstance(other, training.FakeQuantize)
        assert torch.equal(other(x), module(x))
    assert not list(module.parameters())
    assert not module.state_dict()
    fmt, policy = block_format("mxfp4"), mxref.get_policy("te-mxfp8")
    assert training.FakeQuantize(fmt, policy=policy).policy == policy.name


# --- what is refused ------------------------------------------------------------------------------


def test_bad_input(torch, training):
    x = torch.ones(4, 64)
    f = training.fake_quantize
    for kind, text, call in (
        (TypeError, "must be a torch.Tensor, got ndarray", lambda: f(x.numpy(), "mxfp4")),
        (TypeError, "dtype torch.int32", lambda: f(x.int(), "mxfp4")),
        (TypeError, "layout torch.sparse_coo", lambda: f(x.to_sparse(), "mxfp4")),
        (ValueError, "unknown block format 'mxfp5'", lambda: f(x, "mxfp5")),
        (ValueError, "unknown policy 'opc'", lambda: f(x, "mxfp4", policy="opc")),
        (ValueError, "unknown gradient 'clip'.*'clipped'", lambda: f(x, "mxfp4", gradient="clip")),
        (ValueError, "axis 2 is out of range", lambda: f(x, "mxfp4", 2)),
        (ValueError, "zero-dimensional", lambda: f(torch.tensor(1.0), "mxfp4")),
        (ValueError, "length 40.*pad=True", lambda: f(x[:, :40], "mxfp4")),
        (
            ValueError,
            "draws random bits",
            lambda: f(x, "mxfp4", policy="ocp:rounding=stochastic-a"),
        ),
        (ValueError, "draws random", lambda: f(x, "mxfp4", policy="ocp:scale_rule=stochastic")),
        (ValueError, "unknown gradient", lambda: training.FakeQuantize("mxfp4", gradient="x")),
        (ValueError, "unknown block format", lambda: training.FakeQuantize("mxfp5")),
    ):
        with pytest.raises(kind, match=text):
            call()


def test_a_tensor_on_another_device(torch, training):
    class Remote(torch.Tensor):
        device = torch.device("cuda:1")

    with pytest.raises(TypeError, match=r"x is on cuda:1.*fake_quantize\(x\.cpu\(\)"):
        training.fake_quantize(torch.ones(32).as_subclass(Remote), "mxfp4")


def test_torch_may_be_imported_later_and_compile_first():
    source = (
        "import mxref.interop.torch as m, torch;"
        "f = torch.compile(lambda x: m.fake_quantize(x, 'mxfp4'), fullgraph=True, backend='eager');"
        "assert f(torch.full((32,), 7.)).tolist() == [6.] * 32"
    )
    root = Path(mxref.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr


def test_an_axis_that_is_no_integer_is_refused_by_the_module(training):
    with pytest.raises(TypeError, match="axis must be an integer, got 'a'"):
        training.FakeQuantize("mxfp4", axis="a")
