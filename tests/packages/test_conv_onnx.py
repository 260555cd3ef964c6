"""Layout onnx: initializers that onnx.numpy_helper reads and DequantizeLinear of its evaluator."""

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, values

from mxref.layouts.conventions import layout, pack, unpack

pytestmark = peers("onnx")

TYPES = {
    "mxfp8_e4m3": "FLOAT8E4M3FN",
    "mxfp8_e5m2": "FLOAT8E5M2",
    "mxfp6_e3m2": "FLOAT6E3M2",
    "mxfp6_e2m3": "FLOAT6E2M3",
    "mxfp4": "FLOAT4E2M1",
    "nvfp4": "FLOAT4E2M1",
}


def tensor(label, kind, shape, array):
    import onnx

    number = onnx.TensorProto.DataType.Value(kind)
    return onnx.helper.make_tensor(label, number, shape, array.tobytes(), raw=True)


@pytest.mark.parametrize("name", TYPES)
def test_onnx_reads_our_initializers(name):
    import onnx

    fields = random_fields(name, (6, 64))
    parts = pack(fields, "onnx", name)
    codes = tensor("x", TYPES[name], fields.codes.shape, parts["codes"])
    read = onnx.numpy_helper.to_array(codes)
    np.testing.assert_array_equal(read.view(np.uint8), fields.codes)
    kind = "FLOAT8E4M3FN" if name == "nvfp4" else "FLOAT8E8M0"
    scales = onnx.numpy_helper.to_array(tensor("s", kind, fields.scales.shape, parts["scales"]))
    np.testing.assert_array_equal(scales.view(np.uint8), fields.scales)


@pytest.mark.parametrize("name", TYPES)
def test_onnx_initializers_are_read(name):
    import onnx

    fields = random_fields(name, (6, 64), seed=1)
    kind = onnx.TensorProto.DataType.Value(TYPES[name])
    flat = fields.codes.reshape(-1).view(onnx.helper.tensor_dtype_to_np_dtype(kind))
    made = onnx.numpy_helper.from_array(flat.reshape(fields.codes.shape))
    stored = np.frombuffer(made.raw_data, np.uint8).reshape(6, -1)
    back = unpack({"codes": stored, "scales": fields.scales}, "onnx", name)
    np.testing.assert_array_equal(back.codes, fields.codes)


def test_dequantize_linear_gives_the_values():
    import onnx
    from onnx.reference import ReferenceEvaluator

    # The evaluator multiplies by float32 scales; those of E8M0 are cast in the graph.
    fields = random_fields("mxfp4", (6, 64))
    parts = pack(fields, "onnx", "mxfp4")
    names = layout("onnx").names("w", "mxfp4")
    onnx_type = onnx.TensorProto
    initializers = [
        tensor(names["codes"], "FLOAT4E2M1", fields.codes.shape, parts["codes"]),
        tensor(names["scales"], "FLOAT8E8M0", fields.scales.shape, parts["scales"]),
    ]
    node = onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            node("Cast", [names["scales"]], ["s"], to=onnx_type.FLOAT),
            node("DequantizeLinear", [names["codes"], "s"], ["y"], axis=1, block_size=32),
        ],
        "g",
        [],
        [onnx.helper.make_tensor_value_info("y", onnx_type.FLOAT, fields.codes.shape)],
        initializers,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 25)])
    (y,) = ReferenceEvaluator(model).run(None, {})
    np.testing.assert_array_equal(y, values(fields, "mxfp4").astype(np.float32))
