"""The code blocks of a page in Markdown: of what kind, on which lines, and what is said of each.

Comments right above a fence say what is to be done with the block::

    <!-- file: NAME -->        the block is a file; later blocks of the page find it
    <!-- runs: GROUP -->       run only where the tools or packages of GROUP are
    <!-- needs: MODULE -->     run only where Python can import MODULE
    <!-- not run: REASON -->   never run, and why

CONTRIBUTING.md says which kinds there are and what becomes of each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
DIRECTIVE = re.compile(r"^ *<!-- (?P<key>file|runs|needs|not run): (?P<value>.*?) -->$")


@dataclass(frozen=True)
class Block:
    """A block: its kind (the first word behind the fence), its text, and its place.

    `first` and `last` are numbers of lines, from 0: those of the text, the second exclusive.
    """

    kind: str
    body: str
    first: int
    last: int
    indent: int = 0
    said: dict[str, str] = field(default_factory=dict)

    @property
    def file(self):
        return self.said.get("file")

    @property
    def is_doctest(self):
        return self.kind == "python" and self.body.lstrip().startswith(">>>")


def _said(lines, fence):
    """What the comments right above line `fence` say."""
    said = {}
    for line in reversed(lines[:fence]):
        found = DIRECTIVE.match(line)
        if not found:
            break
        said[found["key"]] = found["value"]
    return said


def blocks(text):
    """Every block of a page, in order.

    Raises
    ------
    ValueError
        Where a fence is never closed.
    """
    lines = text.splitlines()
    found, at = [], 0
    while at < len(lines):
        opened = FENCE.match(lines[at])
        if not opened:
            at += 1
            continue
        first = at + 1
        closing = re.compile(rf"^ *{re.escape(opened['fence'])}{opened['fence'][0]}*$")
        last = next((i for i in range(first, len(lines)) if closing.match(lines[i])), None)
        if last is None:
            raise ValueError(f"line {first}: {lines[at].strip()} is never closed")
        indent = len(opened["indent"])
        body = "".join(f"{line[indent:]}\n" for line in lines[first:last])
        kind = (opened["info"].split() or [""])[0]
        found.append(Block(kind, body, first, last, indent, _said(lines, at)))
        at = last + 1
    return found


def replaced(text, bodies):
    """A page with other texts in some of its blocks: `bodies` maps blocks' first lines to them."""
    lines = text.splitlines()
    for block in reversed(blocks(text)):
        if block.first in bodies:
            margin = " " * block.indent
            new = [f"{margin}{line}".rstrip() for line in bodies[block.first].splitlines()]
            lines[block.first : block.last] = new
    return "\n".join(lines) + ("\n" if text.endswith("\n") else "")
