"""How good a format is for some numbers, and what it costs.

`qsnr` measures what quantization did to an array, `qsnr_lower_bound` and `worst_block` say what it
cannot exceed, `cost` what a format takes to store and to multiply. `mxref.compare` puts all of it
side by side for an array.
"""

from mxref.quality._bounds import qsnr_lower_bound
from mxref.quality._cost import Cost, cost
from mxref.quality._estimate import Estimate, estimate_mean, estimate_ratio
from mxref.quality._formats import any_format
from mxref.quality._ratio import qsnr
from mxref.quality._worst import WorstBlock, worst_block

__all__ = [
    "Cost",
    "Estimate",
    "WorstBlock",
    "any_format",
    "cost",
    "estimate_mean",
    "estimate_ratio",
    "qsnr",
    "qsnr_lower_bound",
    "worst_block",
]
