"""``mxref explain``: how a number becomes a code, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mxref.cli._files import INPUT_DTYPES, load_numbers
from mxref.cli._output import color_option, emit_json, emit_view, fail, json_option, one_line_errors
from mxref.cli._own_words import command_line_errors
from mxref.cli._signed import SIGNED, SignedCommand

__all__ = ["command"]

_ARRAY, _QUANTIZED = ".npy", ".npz"
_OWNERS = {
    "global_amax": ("nvfp4", "nvfp4"),
    "global_scale": ("nvfp4", "nvfp4"),
    "scale_random": ("mx", "MX formats"),
}


@click.command("explain", cls=SignedCommand, context_settings=SIGNED)
@click.argument("value")
@click.argument("format_name", metavar="[FORMAT]", required=False)
@click.option("--policy", help="Profile, or ocp:field=choice,...; default: ocp, te-1d, bdr-paper.")
@click.option("--at", metavar="I,J", help="The place in FILE.npy to explain, such as 3,70.")
@click.option("--axis", default=-1, show_default=True, help="Axis along which blocks lie.")
@click.option("--pad", is_flag=True, help="Complete a short block with zeros.")
@click.option("--random", metavar="R", help="Random bits of each element: 5, 1,2,3 or a .npy file.")
@click.option("--scale-random", metavar="R", help="Random bits of the scale, likewise.")
@click.option("--global-amax", metavar="A", help="nvfp4: largest magnitude of the whole tensor.")
@click.option(
    "--global-scale", metavar="G", help="nvfp4: its scale g, by which decoding multiplies."
)
@click.option(
    "--input-dtype",
    type=click.Choice(INPUT_DTYPES),
    help="The type that VALUE comes in, and is rounded to first; default float32.",
)
@color_option
@json_option
def command(value: str, format_name: str | None, **options: Any) -> None:
    """Explain how VALUE becomes a code of FORMAT: each step, with its clause.

    VALUE is a decimal (1.3, -0, 1e-40), inf, nan, or bits (0x3fa66666); a block of numbers
    (1,2,-3.3); or a file FILE.npy, of which --at says the place. FILE.npz, which MXArray.save
    wrote, needs no FORMAT: what it holds at a place is explained.

    FORMAT is an element format (e4m3 e5m2 e3m2 e2m3 e2m1 int8), a scale format (e8m0 ue4m3) or a
    block format (mxfp4, mxfp4/4, mxint8, nvfp4, mx9, ...).
    """
    from mxref.show import explain

    if format_name is None and not value.endswith(_QUANTIZED):
        raise click.UsageError(f"missing FORMAT: mxref explain {value} mxfp4, for example")
    at = None if options["at"] is None else tuple(_integers(options["at"], "--at"))
    if at is not None and not value.endswith((_ARRAY, _QUANTIZED)) and "," not in value:
        fail(f"--at picks a place of FILE.npy, and {value} is one number: leave it out")
    with command_line_errors():
        _refuse_unfit(format_name, options)
        view = explain(
            _numbers(value, options["input_dtype"]),
            format_name,
            options["policy"],
            at=at,
            axis=options["axis"],
            pad=options["pad"],
            random=_random(options["random"], "--random"),
            scale_random=_random(options["scale_random"], "--scale-random"),
            global_amax=options["global_amax"],
            global_scale=options["global_scale"],
        )
    if options["as_json"]:
        emit_json(view.to_dict())
    else:
        emit_view(view, options["color"])


def _refuse_unfit(format_name: str | None, options: dict[str, Any]) -> None:
    """Ask for the random bits that a stochastic choice takes; refuse options that do nothing."""
    if format_name is None:
        return
    from mxref.relatives import family_of
    from mxref.show._explain_draws import bits_wanted

    for key, (owner, called) in _OWNERS.items():
        if options[key] is not None and family_of(format_name) != owner:
            fail(f"--{key.replace('_', '-')} goes with {called}, not with {format_name}")
        if options[key] is not None and owner == "nvfp4":
            _refuse_text(options[key], f"--{key.replace('_', '-')}")
    if format_name.strip().lower() == "ue4m3":
        return
    for key, option in (("random", "--random"), ("scale_random", "--scale-random")):
        bits, why = bits_wanted(format_name, options["policy"], key)
        if bits and options[key] is None:
            fail(
                f"{why} needs random bits: add {option} R, a number of {bits} bits"
                + ("" if options["at"] is None else "; with --at, a file of uint32, R.npy")
            )
        if not bits and key == "scale_random" and options[key] is not None and why:
            fail(f"{option} is given, but {why} draws nothing; leave it out")


def _refuse_text(text: str, option: str) -> None:
    """Refuse what is no number, and say which option it came with."""
    from mxref.show._input import read_number

    with one_line_errors(f"{option}: "):
        read_number(text)


def _numbers(value: str, input_dtype: str | None) -> Any:
    """What VALUE stands for: text of a number, a list of such, or an array."""
    if value.endswith(_QUANTIZED):
        from mxref.mxarray import MXArray

        try:
            return MXArray.load(value)
        except OSError as error:
            fail(f"{value}: cannot be read: {error.strerror or error}")
    if value.endswith(_ARRAY):
        return load_numbers(Path(value), input_dtype)
    prefix = "" if input_dtype is None else f"{input_dtype}:"
    if "," in value:
        return [f"{prefix}{part}" for part in value.split(",")]
    return f"{prefix}{value}"


def _integers(text: str, option: str) -> list[int]:
    try:
        return [int(part, 0) for part in text.split(",")]
    except ValueError:
        fail(f"{option}: expected integers such as 3,70, got {text!r}")


def _random(text: str | None, option: str) -> Any:
    if text is None:
        return None
    if text.endswith(_ARRAY):
        return _loaded(Path(text), option)
    found = _integers(text, option)
    return found[0] if len(found) == 1 else found


def _loaded(path: Path, option: str) -> Any:
    """Random bits from a file."""
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        fail(f"{option}: {path} cannot be read: {error}")
    if getattr(array, "dtype", np.dtype(float)).kind not in "iu" or (array < 0).any():
        fail(f"{option}: {path} holds no unsigned integers")
    return array.astype(np.uint32)
