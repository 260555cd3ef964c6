"""`identify_data`: arguments in the wrong order are named, not stumbled over."""

import numpy as np
import pytest

import mxref
from mxref.check.identify import identify_data


@pytest.mark.parametrize("count", [1, 32])
def test_the_operation_comes_first(count):
    x = np.ones(count, np.float32)
    q = mxref.quantize(x, "mxfp4", pad=True)
    with pytest.raises(TypeError, match="the first argument is the operation, got ndarray"):
        identify_data(x, q.codes, q.scales, format="mxfp4")


def test_an_operation_that_does_not_exist():
    with pytest.raises(ValueError, match="did you mean 'quantize'"):
        identify_data("quantise", np.ones(32), format="mxfp4")
