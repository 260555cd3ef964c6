"""What a user asks of `quantize_checkpoint`: names looked up, and checked against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mxref import __version__
from mxref.checkpoints.store import CheckpointError
from mxref.formats import BLOCK_FORMATS, BlockFormat, block_format
from mxref.layouts._layout import Layout
from mxref.policy import Policy, get_policy

__all__ = ["Options", "format_and_layout", "name_of", "require_policy"]


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments.

    Attributes
    ----------
    source : Path
        As the user named it.
    fmt : BlockFormat
    layout : Layout
    policy : Policy
    policy_name : str
        As the user named it.
    include, exclude : sequence of str
    shard_size : int or None
    """

    source: Path
    fmt: BlockFormat
    layout: Layout
    policy: Policy
    policy_name: str
    include: Sequence[str] | None
    exclude: tuple[str, ...]
    shard_size: int | None

    def made_by(self) -> dict[str, str]:
        """Who made it and how, for the headers: nothing that differs between two runs."""
        made = {
            "mxref.version": __version__,
            "mxref.format": self.fmt.name,
            "mxref.layout": self.layout.name,
            "mxref.policy": self.policy_name,
        }
        if self.policy_name != str(self.policy):
            # What a profile is may change with a version; the choices that were made may not.
            made["mxref.policy.choices"] = str(self.policy)
        return made


def name_of(policy: Policy | str | None) -> str:
    """The name by which the user knows the policy; a `Policy` has only its choices."""
    return policy.strip() if isinstance(policy, str) else str(get_policy(policy))


def format_and_layout(
    format: str | BlockFormat,  # noqa: A002
    name: str,
) -> tuple[BlockFormat, Layout]:
    """Look both up, and refuse what does not go together."""
    from mxref.layouts.conventions import LAYOUTS, layout

    convention = layout(name)
    if isinstance(format, str) and format.strip().lower() == "nvfp4":
        raise CheckpointError(
            f"mxref reads and checks nvfp4, but does not quantize to it; it makes "
            f"{', '.join(BLOCK_FORMATS)}"
        )
    fmt = block_format(format)
    if fmt.name not in convention.formats:
        others = [each.name for each in LAYOUTS.values() if fmt.name in each.formats]
        files = [name for name in others if LAYOUTS[name].container != "memory"]
        held = ", ".join(one for one in convention.formats if one in BLOCK_FORMATS)
        raise CheckpointError(
            f"layout {name!r} cannot hold {fmt.name}, it holds {held}; {fmt.name} can be written "
            f"in {', '.join(files) or 'none of the layouts'}"
        )
    return fmt, convention


def require_policy(options: Options) -> None:
    """Refuse now what suits no weight, such as a policy that wants random bits."""
    import numpy as np

    from mxref.arrays import quantize

    block = np.zeros((1, options.fmt.block_size), np.float32)
    try:
        quantize(block, options.fmt, policy=options.policy)
    except ValueError as error:
        raise CheckpointError(f"policy {options.policy_name}: {error}") from None
