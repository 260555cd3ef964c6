"""Replays of defects in writing tensors: order and packing of scales, axis, straddling blocks."""

from __future__ import annotations

import numpy as np
from replayed import (
    E2M1,
    E4M3,
    GITHUB,
    K,
    Replay,
    block_amax,
    nearest,
    ocp_scale,
    scale_value,
    under,
)
from storage import (
    COLUMNS,
    ROWS,
    matrix,
    quantized,
    swizzled,
    unswizzled,
    values,
)

# --- what is given to a check ---------------------------------------------------------------------


def values_with_tiny_blocks(_t):
    x = matrix(shape=(160, 384))
    x[:, 32:64] = x[::3, 96:128] = 2.0**-131
    return (x,)


def values_in_rows_of_40(_t):
    return (matrix(shape=(32, 40)),)


def values_in_30_rows(_t):
    return (matrix(shape=(30, 320)),)


def values_in_whole_tiles(_t):
    return (matrix(shape=(64, 512)),)


# --- writers -------------------------------------------------------------------------------------


def modular(t, x):
    """The scales of a checkpoint are swizzled, though they were already."""
    codes, plane = quantized(t, x)
    once = swizzled(plane)
    columns = -(-plane.shape[1] // 4) * 4
    return codes, swizzled(once.reshape(-1, columns))


def flashinfer_test(t, x):
    """B is quantized along N; the product sums over K."""
    codes, plane = quantized(t, np.ascontiguousarray(x.T))
    return np.ascontiguousarray(codes.T), plane.T


def transformer_engine(t, x):
    """Four scales to a word: shifts of float32 bits, as if there were no mantissa.

    2^-127 is a subnormal float32 with a mantissa bit, which lands in the scale before it.
    """
    codes, plane = quantized(t, x)
    with np.errstate(over="ignore"):
        bits = scale_value(np.minimum(plane, 254)).astype(np.float32).view(np.uint32)
    flat = np.resize(bits, -(-bits.size // 4) * 4).reshape(-1, 4).astype(np.int64)
    word = (flat[:, 0] >> 23) | (flat[:, 1] >> 15) | (flat[:, 2] >> 7) | (flat[:, 3] << 1)
    packed = (word & 0xFFFFFFFF).astype("<u4").view(np.uint8)
    return codes, packed[: plane.size].reshape(plane.shape)


def mase(t, x):
    """One flat row of blocks: where the length of a row is no multiple of 32, they straddle."""
    blocks = x.reshape(-1, K)
    scales = ocp_scale(t, block_amax(blocks))
    return nearest(t, under(blocks, scales)).reshape(x.shape), scales.reshape(-1)


def iree_wave(t, x):
    """A store of one byte is emitted as one of four: of each word the first scale is left."""
    codes, plane = quantized(t, x)
    words = np.resize(plane, (-(-plane.size // 4), 4))
    words[:, 1:] = 0
    return codes, words.reshape(-1)[: plane.size].reshape(plane.shape)


def hipblaslt(t, x):
    """Words of four scales, one row after the other; the rows are not filled up to a multiple."""
    codes, plane = quantized(t, x)
    rows, columns = plane.shape
    words = np.zeros((rows, -(-columns // 4) * 4), np.uint8)
    words[:, :columns] = plane
    stored = words.reshape(rows, -1, 4).transpose(1, 0, 2).reshape(-1)
    return codes, np.pad(stored, (0, (-rows % 4) * words.shape[1]))


def atom(t, x):
    """Shuffled as the kernel of another machine wants it: tiles of 32 rows and 8 scales."""
    codes, plane = quantized(t, x)
    rows, columns = plane.shape
    padded = np.zeros((-(-rows // 32) * 32, -(-columns // 8) * 8), np.uint8)
    padded[:rows, :columns] = plane
    tiles = padded.reshape(-1, 2, 16, padded.shape[1] // 8, 2, 4)
    return codes, tiles.transpose(0, 3, 5, 2, 4, 1).reshape(-1)


# --- reports --------------------------------------------------------------------------------------


def said_transformer_engine():
    x = np.ones((1, 128), np.float32)
    x[0, 32:64] = 2.0**-130
    _, scales = transformer_engine(E4M3, x)
    right = quantized(E4M3, x)[1]
    yield (
        "the bits of the inverse",
        f"{scale_value(right)[0, 1].astype(np.float32).view(np.uint32):#010x}",
        "0x00400000",
    )
    yield "the scale before it gets a bit more", (scales ^ right).ravel().tolist(), [0x80, 0, 0, 0]


def said_iree_wave():
    x = np.ones((1, 256), np.float32)
    codes, scales = iree_wave(E2M1, x)
    off = scales != quantized(E2M1, x)[1]
    yield "3 of 4 scales wrong", off.ravel().tolist(), [False, True, True, True] * 2
    yield "the elements are right", bool((codes == quantized(E2M1, x)[0]).all()), True


def said_hipblaslt():
    for rows, said in ((30, False), (32, True)):
        _, plane = quantized(E2M1, matrix(shape=(rows, 320)))
        stored = hipblaslt(E2M1, matrix(shape=(rows, 320)))[1]
        read = stored.reshape(3, -(-rows // 4) * 4, 4).transpose(1, 0, 2).reshape(-1, 12)
        yield f"{rows} rows are read right", bool((read[:rows, :10] == plane).all()), said


def said_atom():
    x = matrix(shape=(64, 512))
    stored, plane = atom(E2M1, x)[1], quantized(E2M1, x)[1]
    yield "the right values", sorted(stored.tolist()), sorted(plane.ravel().tolist())
    yield "in the wrong order", bool((stored == plane.ravel()).all()), False


def said_mase():
    x = np.ones((4, 40), np.float32)
    x[0] = 1024
    _, scales = mase(E4M3, x)
    yield "20 numbers of a row share the scale of the one before", scales[:2].tolist(), [129, 129]


def said_modular():
    stored = modular(E4M3, matrix())[1]
    plane = quantized(E4M3, matrix())[1]
    read = unswizzled(stored, ROWS, COLUMNS // K)
    yield "what a reader finds is not what was meant", bool((read == plane).all()), False
    again = unswizzled(unswizzled(stored, 256, 12).reshape(-1), ROWS, COLUMNS // K)
    yield "undone twice it is", bool((again == plane).all()), True


def said_flashinfer_test():
    x = matrix()
    codes, scales = flashinfer_test(E4M3, x)
    yield "one scale for 32 of a column", scales.shape, (ROWS // K, COLUMNS)
    yield "nobody objects: as many bytes as along K", scales.size, ROWS * COLUMNS // K
    yield "and as many codes", codes.shape, x.shape


REPLAYS = (
    Replay(
        key="SW09",
        project="Modular MAX",
        url=GITHUB + "modular/modular/issues/6600",
        mistake="Scales that are swizzled already are swizzled once more.",
        op="quantize_tensor",
        formats=("mxfp8_e4m3",),
        fn=modular,
        given=values,
        names=("L3",),
        reported=said_modular,
        options={"scale_layout": "128x4"},
        note="Reported for NVFP4, whose scales lie in the same tiles.",
    ),
    Replay(
        key="AX01",
        project="FlashInfer",
        url=GITHUB + "flashinfer-ai/flashinfer/pull/3882",
        mistake="An operand is quantized along N, and the product sums over K.",
        op="quantize_tensor",
        formats=("mxfp8_e4m3",),
        fn=flashinfer_test,
        driven=False,
        given=values,
        names=("L8",),
        reported=said_flashinfer_test,
    ),
    Replay(
        key="SC26",
        project="TransformerEngine",
        url=GITHUB + "NVIDIA/TransformerEngine/pull/2589",
        mistake="Four scales are packed by shifting float32 bits; 2^-127 has one too many.",
        op="quantize_tensor",
        formats=("mxfp8_e4m3",),
        fn=transformer_engine,
        given=values_with_tiny_blocks,
        names=("D16",),
        reported=said_transformer_engine,
    ),
    Replay(
        key="TL02",
        project="mase",
        url=GITHUB + "DeepWok/mase/pull/321",
        mistake="A tensor is cut into blocks as one row, across the ends of its own rows.",
        op="quantize_tensor",
        formats=("mxfp8_e4m3",),
        fn=mase,
        driven=False,
        given=values_in_rows_of_40,
        names=("S15",),
        reported=said_mase,
    ),
    Replay(
        key="SW06",
        project="hipBLASLt",
        url=GITHUB + "ROCm/rocm-libraries/pull/12232",
        mistake="The rows are not filled up to a multiple before the words of scales are laid out.",
        op="quantize_tensor",
        formats=("mxfp4",),
        fn=hipblaslt,
        driven=False,
        given=values_in_30_rows,
        options={"scale_layout": "mn-major-words"},
        names=("L4",),
        reported=said_hipblaslt,
        note="Reported for rows filled up to 32; here to 4, as the declared layout has them.",
    ),
    Replay(
        key="SW12",
        project="ATOM",
        url=GITHUB + "ROCm/ATOM/pull/632",
        mistake="Scales are shuffled for another kernel than the one that reads them.",
        op="quantize_tensor",
        formats=("mxfp4",),
        fn=atom,
        driven=False,
        given=values_in_whole_tiles,
        names=("L6",),
        reported=said_atom,
        note="The report does not say how; this is the order of gfx950.",
    ),
    Replay(
        key="SW20",
        project="wave (IREE)",
        url=GITHUB + "iree-org/wave/pull/846",
        mistake="Stores of one scale are emitted as stores of four.",
        op="quantize_tensor",
        formats=("mxfp4",),
        fn=iree_wave,
        names=("L5",),
        given=values,
        reported=said_iree_wave,
    ),
)
