"""Lets the tests here import `implementations` and `stimuli`, which lie beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
