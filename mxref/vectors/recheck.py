"""Expected values, worked out a second time: by the kernels behind `mxref.arrays`.

The generator asks ``mxref.exact``; the kernels share no arithmetic with it. Where the two disagree,
one of them is wrong, or the file was edited.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from mxref import arrays
from mxref._policy_base import Choices
from mxref.formats import block_format
from mxref.policy import Policy
from mxref.vectors import second_dot
from mxref.vectors._families import alternatives
from mxref.vectors.choices import with_choices
from mxref.vectors.compare import same_output
from mxref.vectors.driver import Subject, answers
from mxref.vectors.gemm import second
from mxref.vectors.gemm.recheck import matmul_problems
from mxref.vectors.model import Case, Member, VectorFile
from mxref.vectors.operations import (
    RELATIVES,
    Output,
    input_digits,
    output_digits,
    output_tokens,
)
from mxref.vectors.relatives.second import relative_kernels

__all__ = ["expectation_problems", "kernels"]

_WIDTH = 100
_Choices = tuple[tuple[str, str], ...]


def expectation_problems(file: VectorFile) -> Iterator[str]:
    """Yield a sentence for each expectation of a file with which the kernels disagree.

    A case is asked under every combination of the policy fields that its labels name; exactly one
    member must claim each. Under the file's own policy the first member is compared bit for bit.
    Members without a label (another NaN that the standard allows) have no computation behind them.
    Products of matrices have labels of their own, and are checked by `mxref.vectors.gemm.recheck`.
    """
    if file.operation == "matmul":
        yield from matmul_problems(file)
        return
    asked: dict[_Choices, list[tuple[Case, Member]]] = {}
    for case in file.cases:
        for choices, members in _claims(file, case):
            if len(members) == 1:
                asked.setdefault(choices, []).append((case, members[0]))
                continue
            yield (
                f"{file.path}: case {case.id}: {len(members) or 'no'} members are labelled with "
                f"the policy {with_choices(file.policy, choices).name}, expected one"
            )
    for choices, pairs in asked.items():
        policy = with_choices(file.policy, choices)
        subject = kernels(file.operation, file.format, policy)
        found = answers(file.operation, [case for case, _ in pairs], subject)
        for (case, member), got in zip(pairs, found, strict=True):
            if not _agree(file, case, got, member, policy):
                yield _disagreement(file, case, got, member.out, policy)


def _claims(file: VectorFile, case: Case) -> Iterator[tuple[_Choices, list[Member]]]:
    """Each combination of the fields in the labels of a case, and the members that claim it."""
    conditions = [condition for member in case.members for condition in member.when]
    fields = sorted({field for condition in conditions for field in condition})
    options = (alternatives(file.policy, f) for f in fields)
    for combination in itertools.product(*options):
        choices = tuple(zip(fields, combination, strict=True))
        held = dict(choices).items()
        claiming = [m for m in case.members if any(when.items() <= held for when in m.when)]
        own = tuple(c for c in choices if getattr(file.policy, c[0]) != c[1])
        yield own, claiming


def _agree(
    file: VectorFile, case: Case, got: Output | None, member: Member, policy: Choices
) -> bool:
    if policy == file.policy:
        return got == member.out and member is case.members[0]
    if got is None or member.out is None:
        return got is member.out
    return same_output(file, case, got, member.out)


def _disagreement(
    file: VectorFile, case: Case, got: Output | None, want: Output | None, policy: Choices
) -> str:
    lane = 0 if len(case.inputs.bits) == 1 else None
    if file.operation in RELATIVES:
        return (
            f"{file.path}: case {case.id} ({case.comment}) under the policy {policy.name}: the "
            f"file expects {_whole(file.operation, want)}, a second computation gives "
            f"{_whole(file.operation, got)}"
        )
    if got is not None and want is not None and got.scale == want.scale:
        pairs = enumerate(zip(got.bits, want.bits, strict=True))
        lane = next((lane for lane, (a, b) in pairs if a != b), lane)
    where = "" if file.operation != "quantize" or lane is None else f" in lane {lane}"
    given = ""
    if lane is not None:
        kind = case.inputs.type or "code"
        given = f" of {kind} {case.inputs.bits[lane]:0{input_digits(case.inputs)}x}"
    return (
        f"{file.path}: case {case.id} ({case.comment}): {file.operation}{given}{where} under the "
        f"policy {policy.name}: the file expects {_shown(file.operation, want, lane)}, "
        f"mxref.arrays gives {_shown(file.operation, got, lane)}"
    )


def _shown(operation: str, out: Output | None, lane: int | None) -> str:
    if out is None:
        return "a refusal"
    if lane is None:
        return f"scale {out.scale:02x}"
    return f"{out.bits[lane]:0{output_digits(operation)}x}"


def _whole(operation: str, out: Output | None) -> str:
    """All parts of an output, cut to what fits a message."""
    text = "a refusal" if out is None else " ".join(output_tokens(operation, out))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


# --- asking the kernels ----------------------------------------------------------------------


def kernels(operation: str, format_name: str, policy: Choices) -> Subject:
    """Return mxref's kernels in the signature of an operation (see `mxref.vectors.driver`).

    Of products it is a second computation instead: of dot products float64 arithmetic with a single
    rounding (`mxref.vectors.second_dot`), of matrices integers (`mxref.vectors.gemm.second`).

    Examples
    --------
    >>> import numpy as np
    >>> kernels("decode", "e2m1", Policy())(np.array([7], np.uint8))
    array([6.], dtype=float32)
    """
    if not isinstance(policy, Policy):
        return relative_kernels(operation, format_name, policy)
    match operation:
        case "encode":
            return lambda x, random: arrays.encode(x, format_name, policy=policy, random=random)
        case "decode":
            return lambda codes: arrays.decode(codes, format_name, policy=policy)
        case "quantize":
            return lambda x: _quantized(x, -1, format_name, policy)
        case "dequantize":
            return lambda scales, codes: arrays.dequantize(
                codes, scales[:, None], format_name, policy=policy
            )
        case "dot":
            a, _, b = format_name.partition("-")
            fmt_a, fmt_b = block_format(a), block_format(b)
            return lambda k, *operands: second_dot.dot(
                k, operands[0], operands[1], operands[2], operands[3], fmt_a, fmt_b
            )
        case "matmul":
            a, _, b = format_name.partition("-")
            fmts = block_format(a), block_format(b)
            return functools.partial(second.matmul, fmts)
        case "quantize_tensor":
            return lambda x, axis: _quantized(x, axis, format_name, policy)
    return lambda *stored: _from_store(stored, format_name, policy)


def _quantized(x: Any, axis: int, format_name: str, policy: Policy) -> tuple[Any, Any]:
    pad = policy.block_tail == "zero-pad"
    q = arrays.quantize(x, format_name, axis=axis, policy=policy, pad=pad)
    return (q.scales[:, 0] if axis == -1 else q.scales), q.codes


def _from_store(stored: tuple[Any, ...], format_name: str, policy: Policy) -> Any:
    elements, scales, shape, axis, packing, scale_layout = stored
    codes = elements
    if packing == "nibbles-low-first":
        codes = np.stack([elements & 15, elements >> 4], -1).ravel()
    codes = codes[: shape[0] * shape[1]].reshape(shape)
    plane = list(shape)
    plane[axis] = -(-shape[axis] // block_format(format_name).block_size)
    scales = np.asarray(scales)
    if scale_layout == "128x4":
        # The plane has the blocks in its columns, whatever the axis.
        rows, columns = plane[1 - axis], plane[axis]
        across = -(-columns // 4)
        tiles = scales.reshape(-(-rows // 128), across, 32, 4, 4)
        full = tiles.transpose(0, 3, 2, 1, 4).reshape(-1, across * 4)[:rows, :columns]
        scales = full if axis == 1 else full.T
    return arrays.dequantize(codes, scales.reshape(plane), format_name, axis=axis, policy=policy)
