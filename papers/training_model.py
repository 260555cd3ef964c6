"""A small generative transformer, and one run of its training: the same in every format.

Products, those of attention included, go through `MXLinear` and `mx_matmul`; everything else is a
vector operation, computed in float32 and rounded to the recipe's vector type.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from papers.training_text import Text, load_text

__all__ = ["FULL", "QUICK", "Size", "train", "train_alone"]


@dataclass(frozen=True)
class Size:
    """How large the model is, and how long it learns."""

    width: int = 128
    layers: int = 2
    heads: int = 4
    context: int = 64
    batch: int = 16
    steps: int = 1200
    warmup: int = 60
    rate: float = 3e-3
    least_rate: float = 1e-4
    decay: float = 0.1
    every: int = 60  # steps between measurements
    windows: int = 64  # held-out windows of each measurement
    last_windows: int = 1024  # of the last one


FULL = Size()
QUICK = Size(width=64, layers=1, heads=2, batch=8, steps=40, warmup=5, every=10, last_windows=64)


def train_alone(
    recipe: str, seed: int, size: Size, cache: Path, done: Callable[[float], None]
) -> dict[str, Any]:
    """Do one run on one thread, so that its numbers do not depend on how many there are."""
    os.environ["NUMBA_NUM_THREADS"] = "1"  # read when the first kernel is compiled
    import torch

    torch.set_num_threads(1)
    return train(load_text(cache), recipe, seed, size, done)


def train(
    text: Text, recipe: str, seed: int, size: Size, done: Callable[[float], None]
) -> dict[str, Any]:
    """Train one model and return what was measured.

    The seed decides the first weights and which windows are seen when; the recipe has no say in
    either, so that runs of one seed can be compared in pairs.
    """
    import torch

    torch.manual_seed(seed)
    model = _model(len(text.characters), recipe, size)
    windows = _Windows(text, size, seed)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": size.decay},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=size.rate,
        betas=(0.9, 0.95),
    )
    began = time.perf_counter()
    curve: list[dict[str, float]] = []
    seen: list[float] = []
    for step in range(size.steps):
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, size)
        loss = model(*windows.next())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen.append(loss.item())
        if (step + 1) % size.every == 0 or step + 1 == size.steps:
            held_out = _held_out(model, windows, size.windows)
            curve.append({"step": step + 1, "train": float(np.mean(seen)), "held_out": held_out})
            seen = []
        done((step + 1) / size.steps)
    return {
        "recipe": recipe,
        "seed": seed,
        "curve": curve,
        "final": _held_out(model, windows, size.last_windows),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": time.perf_counter() - began,
        "size": asdict(size),
    }


def _rate(step: int, size: Size) -> float:
    if step < size.warmup:
        return size.rate * (step + 1) / size.warmup
    through = (step - size.warmup) / max(1, size.steps - size.warmup)
    return size.least_rate + (size.rate - size.least_rate) * (1 + math.cos(math.pi * through)) / 2


def _held_out(model: Any, windows: _Windows, count: int) -> float:
    import torch

    with torch.no_grad():
        losses = [float(model(*part)) * len(part[0]) for part in windows.held_out(count)]
    return sum(losses) / count


class _Windows:
    """Pieces of the text, and what follows each of their characters."""

    def __init__(self, text: Text, size: Size, seed: int) -> None:
        self.text, self.size = text, size
        self.random = np.random.default_rng(seed)

    def next(self) -> tuple[Any, Any]:
        last = len(self.text.train) - self.size.context - 1
        return self._at(self.text.train, self.random.integers(0, last, self.size.batch))

    def held_out(self, count: int) -> list[tuple[Any, Any]]:
        """Return windows in equal distances, the same for every model, in small batches."""
        last = len(self.text.held_out) - self.size.context - 1
        starts = np.linspace(0, last, count).astype(np.int64)
        batch = 32
        return [
            self._at(self.text.held_out, starts[at : at + batch]) for at in range(0, count, batch)
        ]

    def _at(self, text: Any, starts: Any) -> tuple[Any, Any]:
        import torch

        places = starts[:, None] + np.arange(self.size.context + 1)
        found = torch.from_numpy(text[places])
        return found[:, :-1], found[:, 1:]


def _model(characters: int, recipe_name: str, size: Size) -> Any:
    """Return the model: a pre-norm transformer with learned places, whose call gives the loss."""
    import torch
    from torch.nn import functional

    from mxref.interop.torch import MXLinear, mx_matmul, recipe_of

    recipe = recipe_of(recipe_name)
    vector = getattr(torch, recipe.vector)
    width = size.width

    class Norm(torch.nn.LayerNorm):
        def forward(self, x: Any) -> Any:
            return super().forward(x.float()).to(vector)

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.behind = Norm(width), Norm(width)
            self.three = MXLinear(width, 3 * width, recipe=recipe)
            self.out = MXLinear(width, width, recipe=recipe)
            self.up = MXLinear(width, 4 * width, recipe=recipe)
            self.down = MXLinear(4 * width, width, recipe=recipe)

        def forward(self, x: Any) -> Any:
            x = x + self.attend(self.before(x))
            inner = functional.gelu(self.up(self.behind(x)).float()).to(vector)
            return x + self.down(inner)

        def attend(self, x: Any) -> Any:
            rows, length, _ = x.shape
            parts = self.three(x).view(rows, length, 3, size.heads, width // size.heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4).contiguous()
            scores = mx_matmul(q, k.mT, recipe) * (width // size.heads) ** -0.5
            future = torch.ones(length, length, dtype=torch.bool).triu(1)
            weights = scores.float().masked_fill(future, -math.inf).softmax(-1).to(vector)
            mixed = mx_matmul(weights, v, recipe)
            return self.out(mixed.transpose(1, 2).reshape(rows, length, width))

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.meaning = torch.nn.Embedding(characters, width)
            self.place = torch.nn.Embedding(size.context, width)
            self.blocks = torch.nn.Sequential(*(Block() for _ in range(size.layers)))
            self.last = Norm(width)
            self.head = MXLinear(width, characters, bias=False, recipe=recipe)
            for name, p in self.named_parameters():
                if p.ndim > 1:
                    is_residual = name.endswith(("out.weight", "down.weight"))
                    deviation = 0.02 / math.sqrt(2 * size.layers) if is_residual else 0.02
                    torch.nn.init.normal_(p, std=deviation)
                elif name.endswith("bias"):
                    torch.nn.init.zeros_(p)

        def forward(self, x: Any, then: Any) -> Any:
            start = (self.meaning(x) + self.place.weight).to(vector)
            logits = self.head(self.last(self.blocks(start)))
            return functional.cross_entropy(logits.float().flatten(0, 1), then.flatten())

    return Model()
