"""The command line: thin commands over everything else.

Standard output carries the answer and nothing else; progress and errors go to standard error.
Exit code 0: conforms, or done. 1: does not conform. 2: could not run. 130: interrupted.
"""

from __future__ import annotations

__all__: list[str] = []
