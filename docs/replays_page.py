"""The page of real defects that `mxref.check` names: ``docs/real-defects.md``."""

from __future__ import annotations

import sys
from pathlib import Path

REPLAYS = Path(__file__).resolve().parents[1] / "tests" / "replays"


def replays_page(note):
    """Run every replay of tests/replays, and show what each was called."""
    sys.path.insert(0, str(REPLAYS))
    try:
        import table
    finally:
        sys.path.remove(str(REPLAYS))
    return f"""# Real defects, replayed and named

{note}
Each row is a defect from a public tracker, written anew from the text of its issue as the mistake
that it describes (`tests/replays/`, which knows nothing of the catalogue's models), and what
`mxref.check` calls it. A test holds each replay to the numbers that its report gives. *Wrong, and
explained*: how many outputs differ from the definition on the designed inputs, and how many of them
the named causes reproduce bit for bit. What is legal under a policy is marked so.

[faults.md](faults.md) describes the ids; the projects have mended most of these long ago.

{table.markdown()}
"""
