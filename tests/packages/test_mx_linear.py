"""`MXLinear` against the same compute flow written down in plain torch, over float64."""

import copy
import importlib
import io
import json
import pickle

import numpy as np
import pytest
from _compare import peers

import mxref
from mxref.formats import BLOCK_FORMATS, block_format

pytestmark = peers("torch")
FORMATS = tuple(BLOCK_FORMATS)
AWAY = "ocp:rounding=nearest-away"
GEMMS = ("forward", "input-gradient", "weight-gradient")


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    before = module.get_num_threads()
    module.set_num_threads(1)  # threads of small products wait for each other busily
    yield module
    module.set_num_threads(before)


@pytest.fixture
def mx():
    pytest.importorskip("torch")
    from mxref.interop import torch as module

    return module


# --- the flow, written down a second time ---------------------------------------------------------


def fake(torch, x, name, axis, *, is_away=False):
    """Quantize float64 numbers along an axis: floor rule, nearest of all code points."""
    fmt = block_format(name)
    element = fmt.element
    moved = x.double().movedim(axis, -1)
    length = moved.shape[-1]
    missing = -length % fmt.block_size
    blocks = torch.nn.functional.pad(moved, (0, missing)).reshape(-1, fmt.block_size)
    codes = np.arange(element.code_count, dtype=np.uint8)
    points = torch.from_numpy(mxref.decode(codes, element).astype(np.float64))
    limit = float(element.max)
    points = points[torch.isfinite(points) & (points.abs() <= limit)].unique()
    amax = blocks.abs().amax(1, keepdim=True)
    exponent = torch.where(amax > 0, torch.floor(torch.log2(amax)) - element.emax, 0.0)
    scaled = (blocks * torch.exp2(-exponent)).clamp(-limit, limit).contiguous()
    high = torch.searchsorted(points, scaled).clamp(1, len(points) - 1)
    below, above = scaled - points[high - 1], points[high] - scaled
    is_even = (high - int((points == 0).nonzero())) % 2 == 0  # every second point, from zero
    tie_up = scaled > 0 if is_away else is_even
    up = (above < below) | ((above == below) & tie_up)
    values = torch.where(up, points[high], points[high - 1]) * torch.exp2(exponent)
    whole = values.reshape(*moved.shape[:-1], length + missing)[..., :length]
    return whole.movedim(-1, axis)


def flow(torch, layer, x, dy, formats, *, vector="float32", is_away=False, gemms=GEMMS):
    """Return Y, dX, dW and the gradient of the bias, in float64 and the vector type."""
    weights, activations, gradients = formats
    kind = getattr(torch, vector)

    def rounded(t):
        return t.to(kind).double()

    def q(t, name, axis, gemm):
        is_taken = name is not None and gemm in gemms
        return fake(torch, t, name, axis, is_away=is_away) if is_taken else t

    rows = rounded(x.detach().reshape(-1, x.shape[-1]))
    upstream = rounded(dy.reshape(-1, dy.shape[-1]))
    w = rounded(layer.weight.detach())
    y = rounded(q(rows, activations, 1, GEMMS[0]) @ q(w, weights, 1, GEMMS[0]).T)
    if layer.bias is not None:
        y = rounded(y + rounded(layer.bias.detach()))
    dx = rounded(q(upstream, gradients, 1, GEMMS[1]) @ q(w, weights, 0, GEMMS[1]))
    dw = rounded(q(upstream, gradients, 0, GEMMS[2]).T @ q(rows, activations, 0, GEMMS[2]))
    return y.reshape(dy.shape), dx.reshape(x.shape), dw, rounded(upstream.sum(0))


def on_grid(torch, *shape, seed=0):
    """Multiples of 1/32 below 8: sums of a few hundred products are exact in float32, in any order,
    and yet no element format holds them all. Patches of 8 x 8 differ in size, so that blocks along
    one axis have other scales than blocks along the other."""
    generator = torch.Generator().manual_seed(seed)
    whole = torch.randint(-255, 256, shape, generator=generator)
    if len(shape) > 1:
        patches = [*shape[:-2], -(-shape[-2] // 8), -(-shape[-1] // 8)]
        down = torch.randint(0, 6, patches, generator=generator)
        down = down.repeat_interleave(8, -1).repeat_interleave(8, -2)
        whole = whole >> down[..., : shape[-2], : shape[-1]]
    return whole.float() / 32


def layer_on_grid(torch, mx, n_in, n_out, recipe, *, bias=True):
    layer = mx.MXLinear(n_in, n_out, bias=bias, recipe=recipe)
    with torch.no_grad():
        layer.weight.copy_(on_grid(torch, n_out, n_in, seed=1))
        if bias:
            layer.bias.copy_(on_grid(torch, n_out, seed=2))
    return layer


def run(layer, x, dy):
    x = x.clone().requires_grad_()
    y = layer(x)
    y.backward(dy)
    of_bias = None if layer.bias is None else layer.bias.grad
    return y.detach(), x.grad, layer.weight.grad, of_bias


def assert_same(torch, ours, theirs):
    for name, one, other in zip(("y", "dx", "dw", "dbias"), ours, theirs, strict=True):
        if one is not None:
            assert torch.equal(one.double(), other.double()), name


# --- the three products ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vector", "matmul"), [("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "exact")]
)
@pytest.mark.parametrize("name", FORMATS)
def test_all_three_products(torch, mx, name, vector, matmul):
    for is_away in (False, True):
        policy = AWAY if is_away else "ocp"
        recipe = mx.MXRecipe(
            weights=name, activations=name, gradients=name, policy=policy, vector=vector,
            matmul=matmul,
        )  # fmt: skip
        layer = layer_on_grid(torch, mx, 96, 64, recipe)
        x, dy = on_grid(torch, 128, 96, seed=3), on_grid(torch, 128, 64, seed=4)
        expected = flow(torch, layer, x, dy, [name] * 3, vector=vector, is_away=is_away)
        ours = run(layer, x, dy)
        assert_same(torch, ours, expected)
        plain = flow(torch, layer, x, dy, [None] * 3, vector=vector)
        assert all(not torch.equal(a.double(), b) for a, b in zip(ours[:3], plain[:3], strict=True))


@pytest.mark.parametrize("matmul", ["float32", "exact"])
def test_each_tensor_has_a_format_of_its_own(torch, mx, matmul):
    formats = ("mxfp4", "mxfp6_e2m3", "mxfp8_e5m2")
    recipe = mx.MXRecipe(
        weights=formats[0], activations=formats[1], gradients=formats[2], matmul=matmul
    )
    layer = layer_on_grid(torch, mx, 64, 96, recipe)
    x, dy = on_grid(torch, 2, 32, 64, seed=3), on_grid(torch, 2, 32, 96, seed=4)
    ours = run(layer, x, dy)
    assert_same(torch, ours, flow(torch, layer, x, dy, formats, vector="bfloat16"))
    for other in ((1, 0, 2), (0, 2, 1), (2, 1, 0)):
        swapped = flow(torch, layer, x, dy, [formats[i] for i in other], vector="bfloat16")
        assert not torch.equal(ours[1].double(), swapped[1]) or not torch.equal(
            ours[2].double(), swapped[2]
        )


def test_the_transposed_copy_is_quantized_separately(torch, mx):
    """One quantized copy, transposed where it is needed, would give other gradients."""
    recipe = mx.MXRecipe(weights="mxfp4", activations="mxfp4", gradients="mxfp4", vector="float32")
    layer = layer_on_grid(torch, mx, 64, 96, recipe, bias=False)
    x, dy = on_grid(torch, 64, 64, seed=3), on_grid(torch, 64, 96, seed=4)
    y, dx, dw, _ = run(layer, x, dy)
    w = layer.weight.detach()
    rows, columns = fake(torch, w, "mxfp4", 1), fake(torch, w, "mxfp4", 0)
    assert not torch.equal(rows, columns)
    over_out = fake(torch, dy, "mxfp4", 1)
    assert torch.equal(dx.double(), over_out @ columns)
    assert not torch.equal(dx.double(), over_out @ rows)  # codes of the forward pass, transposed
    over_rows = fake(torch, dy, "mxfp4", 0)
    assert torch.equal(dw.double(), over_rows.T @ fake(torch, x, "mxfp4", 0))
    assert not torch.equal(dw.double(), over_out.T @ fake(torch, x, "mxfp4", 0))
    assert not torch.equal(dw.double(), over_rows.T @ fake(torch, x, "mxfp4", 1))
    assert torch.equal(y.double(), fake(torch, x, "mxfp4", 1) @ rows.T)


@pytest.mark.parametrize("gemm", GEMMS)
def test_products_that_are_not_quantized(torch, mx, gemm):
    name = "mxfp6_e3m2"
    recipe = mx.MXRecipe(
        weights=name, activations=name, gradients=name, gemms=[gemm], vector="float32"
    )
    layer = layer_on_grid(torch, mx, 64, 32, recipe)
    x, dy = on_grid(torch, 64, 64, seed=3), on_grid(torch, 64, 32, seed=4)
    expected = flow(torch, layer, x, dy, [name] * 3, gemms=[gemm])
    assert_same(torch, run(layer, x, dy), expected)


@pytest.mark.parametrize("role", ["weights", "activations", "gradients"])
def test_a_tensor_without_a_format(torch, mx, role):
    formats = {"weights": "mxfp4", "activations": "mxfp4", "gradients": "mxfp4", role: None}
    layer = layer_on_grid(torch, mx, 64, 32, mx.MXRecipe(**formats, vector="float32"))
    x, dy = on_grid(torch, 64, 64, seed=3), on_grid(torch, 64, 32, seed=4)
    assert_same(torch, run(layer, x, dy), flow(torch, layer, x, dy, list(formats.values())))


@pytest.mark.parametrize("name", FORMATS)
def test_exact_sums_of_any_numbers(torch, mx, name):
    """float64 holds these sums without an error, so it says what rounding once must give."""
    recipe = mx.MXRecipe(
        weights=name, activations=name, gradients=name, vector="float32", matmul="exact"
    )
    torch.manual_seed(0)
    layer = mx.MXLinear(64, 96, bias=False, recipe=recipe)
    x, dy = torch.randn(64, 64), torch.randn(64, 96)
    ours = run(layer, x, dy)
    assert_same(torch, ours, flow(torch, layer, x, dy, [name] * 3))
    fast = mx.MXLinear.from_linear(layer, recipe.replace(matmul="float32"))
    layer.weight.grad = None
    for one, other in zip(run(fast, x, dy)[:3], ours[:3], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=float(other.abs().max()) * 1e-5)


def test_a_machine(torch, mx):
    """Whatever a model of `mxref.matmul` gives for the very same operands."""
    model = "ocp-fp32"
    recipe = mx.MXRecipe(vector="float32", matmul=model)
    torch.manual_seed(0)
    layer = mx.MXLinear(64, 32, bias=False, recipe=recipe)
    x, dy = torch.randn(32, 64), torch.randn(32, 32)
    y, dx, dw, _ = run(layer, x, dy)

    def by_hand(a, b):
        qa, qb = mxref.quantize(a, "mxfp8_e4m3", 1), mxref.quantize(b, "mxfp8_e4m3", 0)
        return torch.from_numpy(mxref.matmul(qa, qb, accumulate=model))

    w = layer.weight.detach()
    assert torch.equal(y, by_hand(x, w.T))
    assert torch.equal(dx, by_hand(dy, w))
    assert torch.equal(dw, by_hand(dy.T, x))


@pytest.mark.parametrize("name", ["mx9", "mx6", "msfp12", "nvfp4"])
def test_relatives(torch, mx, name):
    """The same flow over the values that their own conversions give."""
    recipe = mx.MXRecipe(weights=name, activations=name, gradients=name, vector="float32")
    torch.manual_seed(0)
    layer = mx.MXLinear(64, 48, bias=False, recipe=recipe)
    x, dy = torch.randn(40, 64), torch.randn(40, 48)
    w = layer.weight.detach()

    def q(t, axis):
        return torch.from_numpy(mxref.quantize(t, name, axis, pad=True).dequantize()).double()

    expected = q(x, 1) @ q(w, 1).T, q(dy, 1) @ q(w, 0), q(dy, 0).T @ q(x, 0)
    fast = run(layer, x, dy)[:3]
    layer.weight.grad = None
    exact = run(mx.MXLinear.from_linear(layer, recipe.replace(matmul="exact")), x, dy)[:3]
    for one, other, wanted in zip(fast, exact, expected, strict=True):
        near = float(wanted.abs().max()) * 2**-20
        torch.testing.assert_close(one.double(), wanted, rtol=0, atol=near)
        torch.testing.assert_close(other.double(), wanted, rtol=0, atol=near)
        if name != "nvfp4":  # float64 holds the sums; decoded NVFP4 has been rounded to float32
            assert torch.equal(other, wanted.float())
    batch = torch.randn(2, 3, 16, 32), torch.randn(2, 3, 32, 16)
    one = mx.mx_matmul(*batch, recipe)
    torch.testing.assert_close(
        mx.mx_matmul(*batch, recipe.replace(matmul="exact")), one, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("mxfp4", "ocp:rounding=stochastic-a"),
        ("mx6", "bdr-paper:rounding=stochastic-a"),
        ("nvfp4", "te-1d:rounding=stochastic"),
    ],
)
def test_stochastic_rounding_of_gradients(torch, mx, name, policy):
    """Random bits come from torch's generator, so that its seed repeats them."""
    for matmul in ("float32", "exact"):
        recipe = mx.MXRecipe(
            weights=name, activations=name, gradients=name, vector="float32",
            policy={"gradients": policy}, matmul=matmul,
        )  # fmt: skip
        layer = layer_on_grid(torch, mx, 32, 32, recipe, bias=False)
        x, dy = on_grid(torch, 32, 32, seed=3), on_grid(torch, 32, 32, seed=4)

        def gradient(seed, layer=layer, x=x, dy=dy):
            torch.manual_seed(seed)
            return run(layer, x, dy)[1]

        assert torch.equal(gradient(0), gradient(0))
        assert not torch.equal(gradient(0), gradient(1))
        torch.manual_seed(0)
        bits = torch.randint(0, 1 << recipe.random_bits["gradients"], dy.shape, dtype=torch.int32)
        drawn = bits.numpy().view(np.uint32)
        over_out = mxref.quantize(dy, name, 1, policy, random=drawn).dequantize()
        columns = mxref.quantize(layer.weight.detach(), name, 0).dequantize()
        by_hand = torch.from_numpy(over_out.astype(np.float64) @ columns.astype(np.float64))
        torch.testing.assert_close(gradient(0).double(), by_hand, rtol=0, atol=1e-4)
        fixed = mx.MXLinear.from_linear(layer, recipe.replace(policy=None))
        mean = torch.stack([gradient(seed) for seed in range(40)]).double().mean(0)
        exact = dy.double() @ torch.from_numpy(columns).double()
        assert (mean - exact).abs().mean() < (run(fixed, x, dy)[1] - exact).abs().mean()


# --- torch's own layer, and drop-in use -----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_without_formats_it_is_torchs_own_layer(torch, mx, dtype):
    torch.manual_seed(0)
    theirs = torch.nn.Linear(40, 24).to(getattr(torch, dtype))
    ours = mx.MXLinear.from_linear(copy.deepcopy(theirs), "fp32")
    x = torch.randn(3, 5, 40).to(getattr(torch, dtype)).requires_grad_()
    z = x.detach().clone().requires_grad_()
    one, other = theirs(x), ours(z)
    assert torch.equal(one, other)
    dy = torch.randn(3, 5, 24).to(one.dtype)
    one.backward(dy)
    other.backward(dy)
    assert torch.equal(x.grad, z.grad)
    assert torch.equal(theirs.weight.grad, ours.weight.grad)
    assert torch.equal(theirs.bias.grad, ours.bias.grad)
    if dtype == "float64":
        assert torch.autograd.gradcheck(ours, (z,))


def test_only_rounding_to_the_vector_type(torch, mx):
    """No format and bfloat16: what a layer in bfloat16 gives, over exact sums."""
    layer = layer_on_grid(torch, mx, 64, 32, "bf16")
    x, dy = on_grid(torch, 64, 64, seed=3), on_grid(torch, 64, 32, seed=4)
    assert_same(torch, run(layer, x, dy), flow(torch, layer, x, dy, [None] * 3, vector="bfloat16"))


def test_ragged_lengths(torch, mx):
    """Every one of the three sums ends inside a block."""
    for matmul in ("float32", "exact"):
        recipe = mx.MXRecipe(weights="mxfp4", activations="mxfp4", gradients="mxfp4", matmul=matmul)
        layer = layer_on_grid(torch, mx, 40, 21, recipe)
        x, dy = on_grid(torch, 3, 11, 40, seed=3), on_grid(torch, 3, 11, 21, seed=4)
        expected = flow(torch, layer, x, dy, ["mxfp4"] * 3, vector="bfloat16")
        assert_same(torch, run(layer, x, dy), expected)
    strict = mx.MXLinear.from_linear(layer, mx.MXRecipe(pad=False))
    with pytest.raises(ValueError, match="length 40"):
        strict(x)


def test_block_sizes(torch, mx):
    recipe = mx.MXRecipe(
        weights="mxfp4", activations="mxfp4", gradients="mxfp4", block_size=16, vector="float32"
    )
    assert recipe.weights == "mxfp4/16"
    layer = layer_on_grid(torch, mx, 64, 32, recipe)
    x, dy = on_grid(torch, 48, 64, seed=3), on_grid(torch, 48, 32, seed=4)
    assert_same(torch, run(layer, x, dy), flow(torch, layer, x, dy, ["mxfp4/16"] * 3))


@pytest.mark.parametrize("shape", [(64,), (0, 64), (1, 64), (2, 3, 0, 64), (2, 1, 5, 64)])
def test_shapes(torch, mx, shape):
    for recipe in ("mxfp8", mx.MXRecipe(matmul="exact")):
        layer = layer_on_grid(torch, mx, 64, 32, recipe)
        x = on_grid(torch, *shape, seed=3)
        dy = on_grid(torch, *shape[:-1], 32, seed=4)
        is_away = recipe == "mxfp8"
        expected = flow(torch, layer, x, dy, ["mxfp8_e4m3"] * 3, vector="bfloat16", is_away=is_away)
        assert_same(torch, run(layer, x, dy), expected)


def test_types(torch, mx):
    """Master weights keep their type, whatever type the activations have."""
    layer = layer_on_grid(torch, mx, 64, 32, "mxfp8")
    x, dy = on_grid(torch, 32, 64, seed=3), on_grid(torch, 32, 32, seed=4)
    wide = run(layer, x, dy)
    layer.weight.grad = layer.bias.grad = None
    narrow = run(layer, x.bfloat16(), dy.bfloat16())
    kinds = [t.dtype for t in narrow]
    assert kinds == [torch.bfloat16, torch.bfloat16, torch.float32, torch.float32]
    for one, other in zip(wide, narrow, strict=True):
        assert torch.equal(one.bfloat16(), other.bfloat16())
    half = layer.bfloat16()
    half.weight.grad = half.bias.grad = None
    assert [t.dtype for t in run(half, x, dy)] == [torch.float32] * 2 + [torch.bfloat16] * 2


def test_only_what_is_asked_for_is_computed(torch, mx):
    layer = layer_on_grid(torch, mx, 64, 32, "mxfp8")
    x = on_grid(torch, 32, 64)
    layer(x).sum().backward()
    assert x.grad is None
    assert layer.weight.grad is not None
    frozen = layer_on_grid(torch, mx, 64, 32, "mxfp8").requires_grad_(False)
    z = x.clone().requires_grad_()
    frozen(z).sum().backward()
    assert frozen.weight.grad is None
    assert z.grad is not None
    with torch.inference_mode():
        assert torch.equal(layer(x), frozen(x))


def test_weights_changed_between_the_passes_are_noticed(torch, mx):
    layer = layer_on_grid(torch, mx, 64, 32, "mxfp8")
    y = layer(on_grid(torch, 32, 64).requires_grad_())
    with torch.no_grad():
        layer.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_second_derivatives_are_refused(torch, mx):
    layer = layer_on_grid(torch, mx, 64, 32, "mxfp8")
    x = on_grid(torch, 32, 64).requires_grad_()
    (first,) = torch.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_autocast_does_not_narrow_the_sums(torch, mx):
    recipe = mx.MXRecipe(weights="mxint8", activations="mxint8", vector="float32")
    layer = layer_on_grid(torch, mx, 64, 32, recipe)
    x = on_grid(torch, 32, 64)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("matmul", ["float32", "exact"])
def test_compiled_in_one_graph(torch, mx, matmul):
    net = torch.nn.Sequential(
        layer_on_grid(torch, mx, 64, 32, mx.MXRecipe(matmul=matmul)), torch.nn.ReLU()
    )
    x, dy = on_grid(torch, 32, 64, seed=3), on_grid(torch, 32, 32, seed=4)
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    first = net(one)
    first.backward(dy)
    of_weight = net[0].weight.grad
    net[0].weight.grad = None
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    second = compiled(two)
    second.backward(dy)
    assert torch.equal(first, second)
    assert torch.equal(one.grad, two.grad)
    assert torch.equal(of_weight, net[0].weight.grad)


def test_torch_says_that_the_operators_are_sound(torch, mx):
    mx.mx_linear(torch.ones(32, 32), torch.ones(32, 32))
    mx.mx_linear(torch.ones(32, 32), torch.ones(32, 32), recipe=mx.MXRecipe(matmul="exact"))
    x = torch.randn(4, 64)
    torch.library.opcheck(torch.ops.mxref.block_values.default, (x, "mxfp4", "ocp", False, None))
    given = (x, "mxfp4", "ocp", None, x.T, "mxfp4", "ocp", None, False, "exact", "bfloat16")
    torch.library.opcheck(torch.ops.mxref.block_product.default, given)


# --- products without weights ---------------------------------------------------------------------


@pytest.mark.parametrize("matmul", ["float32", "exact"])
def test_a_product_of_two_activations(torch, mx, matmul):
    name = "mxfp6_e2m3"
    recipe = mx.MXRecipe(
        weights="mxfp4", activations=name, gradients="mxfp8_e5m2", matmul=matmul, vector="float32"
    )
    a, b = on_grid(torch, 2, 3, 40, 64, seed=3), on_grid(torch, 2, 3, 64, 33, seed=4)
    dc = on_grid(torch, 2, 3, 40, 33, seed=5)
    a.requires_grad_()
    b.requires_grad_()
    c = mx.mx_matmul(a, b, recipe)
    c.backward(dc)

    def q(t, axis, name=name):
        return fake(torch, t.detach(), name, axis)

    assert torch.equal(c.double(), q(a, -1) @ q(b, -2))
    assert torch.equal(a.grad.double(), q(dc, -1, "mxfp8_e5m2") @ q(b, -1).mT)
    assert torch.equal(b.grad.double(), q(a, -2).mT @ q(dc, -2, "mxfp8_e5m2"))
    views = mx.mx_matmul(a.mT.contiguous().mT, b.mT.contiguous().mT, recipe)
    assert torch.equal(views, c)
    assert torch.equal(mx.mx_matmul(a, b, "fp32"), torch.matmul(a, b))
    with pytest.raises(ValueError, match=r"one K and the same axes in front"):
        mx.mx_matmul(a, b[0], recipe)


# --- modules --------------------------------------------------------------------------------------


def test_state_and_copies(torch, mx):
    layer = mx.MXLinear(64, 32, recipe="mxfp4-mxfp6")
    assert isinstance(layer, torch.nn.Linear)
    assert list(layer.state_dict()) == ["weight", "bias"]
    theirs = torch.nn.Linear(64, 32)
    layer.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(layer.state_dict())
    stream = io.BytesIO()
    torch.save(layer, stream)
    stream.seek(0)
    x = on_grid(torch, 32, 64)
    for other in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(stream, weights_only=False),
    ):
        assert other.recipe == layer.recipe
        assert torch.equal(other(x), layer(x))
    assert "weights=mxfp4, activations=mxfp6_e3m2" in repr(layer)


def test_from_linear_shares_the_parameters(torch, mx):
    theirs = torch.nn.Linear(64, 32, bias=False).eval()
    ours = mx.MXLinear.from_linear(theirs)
    assert ours.weight is theirs.weight
    assert ours.bias is None
    assert not ours.training
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Linear, got Conv1d"):
        mx.MXLinear.from_linear(torch.nn.Conv1d(1, 1, 1))


def test_convert(torch, mx):
    net = torch.nn.ModuleDict(
        {
            "one": torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.GELU()),
            "head": torch.nn.Linear(64, 8),
            "norm": torch.nn.LayerNorm(64),
        }
    )
    net["again"] = net["one"][0]  # one layer in two places stays one
    kept = [id(p) for p in net.parameters()]
    assert mx.convert(net, "mxfp4", skip=["head"]) is net
    assert [id(p) for p in net.parameters()] == kept
    assert type(net["one"][0]) is mx.MXLinear
    assert net["again"] is net["one"][0]
    assert type(net["head"]) is torch.nn.Linear
    mx.convert(net, "mxfp8", skip=lambda name, _: name == "head")
    assert net["one"][0].recipe == mx.MXRecipe(policy=AWAY)
    assert type(mx.convert(torch.nn.Linear(4, 4))) is mx.MXLinear
    with pytest.raises(ValueError, match="'haed', but the model has no layer"):
        mx.convert(net, skip=["haed"])
    with pytest.raises(ValueError, match=r"no torch\.nn\.Linear left"):
        mx.convert(torch.nn.ReLU())
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module, got list"):
        mx.convert([])


def test_torchs_fast_path_does_not_read_past_the_layers(torch, mx, monkeypatch):
    """TransformerEncoderLayer takes the weights of its layers itself, in evaluation."""
    encoder = torch.nn.TransformerEncoderLayer(64, 2, 64, dropout=0.0, batch_first=True)
    encoder = mx.convert(torch.nn.TransformerEncoder(encoder, 2), "mxfp4").eval()
    ran = []
    original = mx.MXLinear.forward
    monkeypatch.setattr(
        mx.MXLinear, "forward", lambda self, x: ran.append(self) or original(self, x)
    )
    with torch.no_grad():
        encoder(torch.randn(2, 32, 64))
    layers = [layer for layer in encoder.modules() if type(layer) is mx.MXLinear]
    assert len(layers) == 4
    assert ran == layers


def test_a_step_of_training(torch, mx):
    torch.manual_seed(0)
    net = mx.convert(
        torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)),
        "mxfp6-e3m2",
    )
    x = torch.randn(256, 64)
    wanted = x[:, :1].abs()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = ((net(x) - wanted) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


# --- recipes --------------------------------------------------------------------------------------


def test_recipes(mx):
    recipe = mx.MXRecipe(
        weights="MXFP4", activations=block_format("mxint8"), gradients=None,
        policy={"activations": mxref.get_policy("te-mxfp8")},
    )  # fmt: skip
    facts = recipe.as_dict()
    assert facts == json.loads(json.dumps(facts))
    assert facts["policy"] == {"weights": "ocp", "activations": "te-mxfp8"}
    assert (facts["weights"], facts["activations"]) == ("mxfp4", "mxint8")
    assert mx.MXRecipe(**facts) == recipe
    assert hash(mx.MXRecipe(**facts)) == hash(recipe)
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert recipe.replace(gemms=["forward"]) != recipe
    assert recipe.replace(gradients="mxfp4").policy["activations"] == "te-mxfp8"
    assert mx.MXRecipe(gemms=[]).replace(vector="float32").is_plain
    assert not mx.MXRecipe(gemms=[]).is_plain


def test_bad_recipes(mx):
    for kind, text, given in (
        (ValueError, "weights: unknown .*'mxfp5'", {"weights": "mxfp5"}),
        (ValueError, "gradients: unknown policy 'opc'", {"policy": {"gradients": "opc"}}),
        (ValueError, "unknown role in policy 'weight'", {"policy": {"weight": "ocp"}}),
        (ValueError, "weights: policy .*for scales", {"policy": "ocp:scale_rule=stochastic"}),
        (
            ValueError,
            "weights: policy .*shares random bits",
            {"policy": "ocp:rounding=stochastic-a,stochastic=ptx-x4"},
        ),
        (
            ValueError,
            "weights: .*unknown policy 'ocp'.*bdr-paper",
            {"weights": "mx9", "policy": "ocp"},
        ),
        (ValueError, "block_size=16 is for the OCP formats", {"weights": "mx9", "block_size": 16}),
        (TypeError, "weights: a block format is a name", {"weights": 3}),
        (ValueError, "unknown vector type 'half'", {"vector": "half"}),
        (ValueError, "unknown matmul 'exakt'.*'exact'", {"matmul": "exakt"}),
        (ValueError, "unknown gemm 'fwd'", {"gemms": ["fwd"]}),
        (TypeError, "expected a collection", {"gemms": "forward"}),
        (ValueError, "needs both operands", {"matmul": "exact", "weights": None}),
    ):
        with pytest.raises(kind, match=text):
            mx.MXRecipe(**given)
    with pytest.raises(ValueError, match="unknown field of a recipe 'weight'"):
        mx.MXRecipe().replace(weight="mxfp4")
    with pytest.raises(TypeError, match=r"bias is True or False, got 'mx9'.*recipe='mx9'"):
        mx.MXLinear(4, 4, "mx9")
    with pytest.raises(ValueError, match="unknown recipe 'mxfp9'"):
        mx.MXLinear(4, 4, recipe="mxfp9")
    with pytest.raises(TypeError, match="expected an MXRecipe, or a name"):
        mx.MXLinear(4, 4, recipe={})


def test_bad_tensors(torch, mx):
    layer = mx.MXLinear(64, 32)
    for kind, text, x in (
        (TypeError, "x must be a torch.Tensor, got ndarray", np.ones((4, 64), np.float32)),
        (
            TypeError,
            "x has dtype torch.float64; expected torch.float32",
            torch.ones(4, 64).double(),
        ),
        (ValueError, r"x has shape \(4, 63\) and the weight \(32, 64\)", torch.ones(4, 63)),
        (ValueError, r"x has shape \(\)", torch.tensor(1.0)),
    ):
        with pytest.raises(kind, match=text):
            layer(x)
    with pytest.raises(ValueError, match=r"bias has shape \(31,\); expected \(32,\)"):
        mx.mx_linear(torch.ones(4, 64), layer.weight, torch.ones(31))

    class Remote(torch.Tensor):
        device = torch.device("cuda:1")

    with pytest.raises(TypeError, match=r"x is on cuda:1; mxref computes on the CPU"):
        layer(torch.ones(4, 64).as_subclass(Remote))


# --- the emulator of the paper's authors ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mxfp8_e4m3", "fp8_e4m3"),
        ("mxfp6_e3m2", "fp6_e3m2"),
        ("mxfp6_e2m3", "fp6_e2m3"),
        ("mxfp4", "fp4_e2m1"),
        ("mxint8", "int8"),
    ],
)
def test_microxcaling(torch, mx, name, theirs):
    """Its layer gives the same bits, once it rounds to bfloat16 half to even, as torch does."""
    reason = "no index has it: pip install git+https://github.com/microsoft/microxcaling"
    module = pytest.importorskip("mx.linear", reason=reason)
    specs = importlib.import_module("mx").finalize_mx_specs(
        {
            "w_elem_format": theirs,
            "a_elem_format": theirs,
            "scale_bits": 8,
            "block_size": 32,
            "bfloat": 16,
            "custom_cuda": False,
        }
    )
    for key in ("round_output", "round_weight", "round_grad_weight", "round_grad_input"):
        specs[key] = "even"  # by default half away from zero, as its elements are rounded
    torch.manual_seed(0)
    other = module.Linear(128, 96, bias=True, mx_specs=specs)
    recipe = mx.MXRecipe(weights=name, activations=name, gradients=name, policy=AWAY)
    layer = mx.MXLinear(128, 96, recipe=recipe)
    layer.load_state_dict(other.state_dict())
    x, dy = torch.randn(64, 128), torch.randn(64, 96)
    for ours, wanted in zip(run(layer, x, dy), run(other, x, dy), strict=True):
        assert torch.equal(ours, wanted)
