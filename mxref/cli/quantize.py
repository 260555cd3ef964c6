"""``mxref quantize``: an array becomes codes and scale codes, a checkpoint becomes a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mxref.cli._executors import executor_option
from mxref.cli._files import INPUT_DTYPES
from mxref.cli._output import json_option
from mxref.cli._progress import progress_option

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_OF_ARRAYS = (
    *("codes", "scales", "subscales", "global_scale"),
    *("axis", "block_size", "pad", "input_dtype"),
)
_OF_CHECKPOINTS = (
    *("layout", "out", "include", "exclude", "shard_size", "restart", "dry_run"),
    *("executor", "progress"),
)


@click.command("quantize")
@click.argument("source", metavar="IN", type=_FILE)
@click.option("--format", "format_name", required=True, help="Block format, such as mxfp4.")
@click.option("--policy", help="Profile, or ocp:field=choice,...; default: ocp, te-1d, bdr-paper.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@json_option
@click.option("--codes", type=_FILE, help="Array: file for the codes (uint8).")
@click.option("--scales", type=_FILE, help="Array: file for the scale codes (uint8).")
@click.option("--subscales", type=_FILE, help="Array: file for the sub-scales of mx9, mx6, ...")
@click.option("--global-scale", type=_FILE, help="Array: file for the global scale of nvfp4.")
@click.option("--axis", default=-1, show_default=True, help="Array: axis along which blocks lie.")
@click.option("--block-size", type=int, help="Array: elements that share a scale; default 32.")
@click.option("--pad", is_flag=True, help="Array: complete the last block with zeros.")
@click.option("--input-dtype", type=click.Choice(INPUT_DTYPES), help="Array: what IN.npy holds.")
@click.option("--layout", help="Checkpoint: how to store it, such as gpt-oss, torchao or gguf.")
@click.option("--out", "-o", type=_FILE, help="Checkpoint: .safetensors or .gguf file, or folder.")
@click.option("--include", multiple=True, help="Checkpoint: pattern of tensors to quantize.")
@click.option("--exclude", multiple=True, help="Checkpoint: pattern of tensors to keep.")
@click.option("--shard-size", metavar="SIZE", help="Checkpoint: bytes in a shard, such as 5GB.")
@click.option("--restart", is_flag=True, help="Checkpoint: throw away what was interrupted.")
@click.option("--dry-run", is_flag=True, help="Checkpoint: say what would be done, with sizes.")
@executor_option
@progress_option
@click.pass_context
def command(ctx: click.Context, /, source: Path, **options: Any) -> None:
    """Quantize an array (IN.npy) or a checkpoint (safetensors, GGUF).

    An array becomes two: --codes with one code a byte, --scales with one scale code a block.

    A checkpoint becomes a checkpoint: --layout says how its weights are stored, -o where.
    Embeddings, heads, norms, routers and what is no matrix of whole blocks are copied byte for
    byte, unless --include says otherwise. The output appears when it is complete; until then all
    is in the folder OUT.partial, and the same command goes on where it was interrupted.

    Existing files are kept unless --force is given; files appear whole or not at all.
    """
    given = {name for name in options if _is_given(ctx, name)}
    if given & {"layout", "out"}:
        _require(given, ("layout", "out"), _OF_ARRAYS, "a checkpoint")
        from mxref.cli import _quantize_checkpoint

        _quantize_checkpoint.run(source, **_without(options, _OF_ARRAYS))
        return
    _require(given, ("codes", "scales"), _OF_CHECKPOINTS, "an array")
    from mxref.cli import _quantize_array

    _quantize_array.run(source, **_without(options, _OF_CHECKPOINTS))


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _require(given: set[str], needed: tuple[str, ...], foreign: tuple[str, ...], what: str) -> None:
    """Refuse a mixture of the two forms, and half of one."""
    strange = sorted(given & set(foreign))
    missing = [name for name in needed if name not in given]
    if strange:
        raise click.UsageError(f"{_option(strange[0])} does not go with {what}; see --help")
    if missing:
        raise click.UsageError(
            f"missing {' and '.join(map(_option, missing))}: an array takes --codes and --scales, "
            f"a checkpoint --layout and -o"
        )


def _option(name: str) -> str:
    return "-o" if name == "out" else f"--{name.replace('_', '-')}"


def _without(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}
