"""Where mismatches without a known cause lie, and what that points to.

Races, uninitialised padding, reads out of bounds and single lanes are no rules that a model could
reproduce. They leave traces in the places of the mismatches, in what the wrong values are, and in
how the output changes from run to run: these functions read them.

Examples
--------
>>> import numpy as np
>>> first = np.zeros((256, 8), np.float32)
>>> second = first.copy()
>>> second[::2] = 1
>>> repeat_places([first, second])[1].what
'Where they change: every mismatch lies in rows whose number modulo 2 is 0.'
"""

from __future__ import annotations

from mxref.check.places._kinds import kind_places
from mxref.check.places._localiser import Localiser
from mxref.check.places._runs import padding_places, repeat_places, stability
from mxref.check.places._stages import element_places, scale_places, value_places

__all__ = [
    "Localiser",
    "element_places",
    "kind_places",
    "padding_places",
    "repeat_places",
    "scale_places",
    "stability",
    "value_places",
]
