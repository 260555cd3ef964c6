"""``python -m mxref`` is ``mxref``."""

from __future__ import annotations

from mxref.cli.main import main

if __name__ == "__main__":
    main(prog_name="mxref")
