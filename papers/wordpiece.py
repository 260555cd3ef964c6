"""The tokenizer of uncased BERT: clean, lower, split at spaces and marks, then the longest pieces.

Small and dependency-free, since the model must run where no framework is installed; a test holds
it against the package `tokenizers`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

__all__ = ["WordPiece"]

_LONGEST_WORD = 100  # characters; BERT calls a longer one unknown
_HAN = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


class WordPiece:
    """A vocabulary, and texts cut into its pieces.

    Parameters
    ----------
    vocabulary : sequence of str
        Pieces in the order of their ids; ``##`` marks those that continue a word.

    Examples
    --------
    >>> WordPiece(["[CLS]", "[SEP]", "[UNK]", "un", "##do", "!"]).encode("Undo!  Redo")
    [0, 3, 4, 5, 2, 1]
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: i for i, piece in enumerate(vocabulary)}
        self._first, self._last = self._ids["[CLS]"], self._ids["[SEP]"]
        self._unknown = self._ids["[UNK]"]

    def encode(self, text: str) -> list[int]:
        """Ids of a text's pieces, between [CLS] and [SEP]."""
        ids = [i for word in _words(text) for i in self._pieces(word)]
        return [self._first, *ids, self._last]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._ids.get(mark + word[start:end])
                if piece is not None:
                    found.append(piece)
                    start = end
                    break
            else:
                return [self._unknown]
        return found


def _words(text: str) -> Iterator[str]:
    word = ""
    for char in unicodedata.normalize("NFD", _cleaned(text)).lower():
        if unicodedata.category(char) == "Mn":
            continue  # accents
        if char.isspace() or _is_mark(char):
            if word:
                yield word
            word = ""
            if not char.isspace():
                yield char
        else:
            word += char
    if word:
        yield word


def _cleaned(text: str) -> str:
    """Without control characters, and with Han characters as words of their own."""
    out = []
    for char in text:
        number = ord(char)
        if char in "\t\n\r":
            out.append(" ")
        elif number in (0, 0xFFFD) or unicodedata.category(char) in ("Cc", "Cf", "Cn", "Co"):
            continue
        elif any(low <= number <= high for low, high in _HAN):
            out.append(f" {char} ")
        else:
            out.append(char)
    return "".join(out)


def _is_mark(char: str) -> bool:
    """Punctuation as BERT has it: all ASCII that is neither letter nor digit counts."""
    ascii_mark = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return ascii_mark or unicodedata.category(char).startswith("P")
