"""What the tests of the views share: independent decoding, and a reader of their HTML."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import NamedTuple

import ml_dtypes
import numpy as np

DTYPES = {
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "mxfp8_e5m2": ml_dtypes.float8_e5m2,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp4": ml_dtypes.float4_e2m1fn,
}
VOID = {"br", "img", "rect", "path"}


def decoded(codes, scales, name, axis, size=32):
    """Values as float64, by ml_dtypes and ldexp: nothing of mxref takes part."""
    if name == "mxint8":
        elements = codes.view(np.int8).astype(np.float64) / 64
    else:
        elements = codes.view(DTYPES[name]).astype(np.float64)
    powers = np.where(scales == 255, np.nan, np.ldexp(1.0, scales.astype(int) - 127))
    spread = np.repeat(powers, size, axis).take(range(codes.shape[axis]), axis)
    return elements * spread


def number(text):
    """The float that a text of a view stands for."""
    text = text.removeprefix("~")
    if found := re.fullmatch(r"(-?)(?:(\d+)\*)?2\^(-?\d+)", text):
        sign, factor, power = found.groups()
        return math.ldexp(int(factor or 1), int(power)) * (-1 if sign else 1)
    return float(text)


class Element(NamedTuple):
    index: tuple[int, ...]
    code: int
    bits: str
    value: str
    rest: str
    text: str
    styles: str


TITLE = re.compile(
    r"\[(?P<index>[^\]]*)\] code (?P<code>0x[0-9a-f]+) = (?P<bits>[01|]+): .* = "
    r"(?P<value>[^ ;]+)(?P<rest>.*)"
)


class Reader(HTMLParser):
    """Rows of the table of a view, each with its elements; fails on tags that do not nest."""

    def __init__(self, given):
        super().__init__()
        self.open, self.rows, self.words, self.tags = [], [], [], []
        self._element = None
        self.feed(given)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "tr":
            self.rows.append([])
        if "title" in given and tag == "span":
            self._element = [given["title"], "", ""]
            self._depth = len(self.open)
        elif self._element is not None:
            self._element[2] += given.get("style", "") + ";"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if self._element is not None and len(self.open) == self._depth:
            title, text, styles = self._element
            found = TITLE.fullmatch(title)
            assert found, title
            index = tuple(int(i) for i in found["index"].split(",") if i.strip())
            parts = (int(found["code"], 16), found["bits"], found["value"], found["rest"])
            self.rows[-1].append(Element(index, *parts, text, styles))
            self._element = None

    def handle_data(self, data):
        self.words.append(data)
        if self._element is not None:
            self._element[1] += data

    @property
    def elements(self):
        return [element for row in self.rows for element in row]

    @property
    def text(self):
        return " ".join(self.words)
