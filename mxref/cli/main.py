"""The group ``mxref``: finds each command when it is used, and turns every end into an exit code.

Nothing here imports numpy, numba or rich, so that ``mxref show e4m3 0x7e`` answers at once.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import IO, Any

import click

from mxref import __version__
from mxref._suggest import unknown_name

__all__ = ["main"]

# In the order of the help: validate, generate, learn, look after. Name -> module.
_COMMANDS = {
    "conform": "mxref.cli.conform",
    "check": "mxref.cli.check",
    "identify": "mxref.cli.identify",
    "vectors": "mxref.cli.vectors",
    "sweep": "mxref.cli.sweep",
    "quantize": "mxref.cli.quantize",
    "layouts": "mxref.cli.layouts",
    "show": "mxref.cli.show",
    "explain": "mxref.cli.explain",
    "diff": "mxref.cli.diff",
    "look": "mxref.cli.look",
    "compare": "mxref.cli.compare",
    "profiles": "mxref.cli.profiles",
    "doctor": "mxref.cli.doctor",
    "completion": "mxref.cli.completion",
}
_COMPLETE = "_MXREF_COMPLETE"  # click's convention: set by the shell while it completes
_INTERRUPTED = 130
_BROKEN_PIPE = 141  # as though SIGPIPE had ended the process; 1 would say "does not conform"
_COULD_NOT_RUN = 2


class _LazyGroup(click.Group):
    """A group whose commands live in modules of their own, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        if _COMPLETE in os.environ:  # a shell asks what may come next
            from mxref.cli.completion import attach

            return attach(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(unknown_name("command", args[0], _COMMANDS), ctx)
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  # click's signature
        **extra: Any,
    ) -> Any:
        """Run a command line and exit with one of the codes of ``mxref.cli``."""
        if _COMPLETE in os.environ:
            importlib.import_module("mxref.cli.completion")  # knows how bash cuts words
        if not standalone_mode or _COMPLETE in os.environ:
            return super().main(
                args, prog_name or "mxref", complete_var, standalone_mode=standalone_mode, **extra
            )
        given = sys.argv[1:] if args is None else args
        sys.exit(self._exit_code(list(given), prog_name or "mxref", extra))

    def _exit_code(self, args: list[str], prog_name: str, extra: dict[str, Any]) -> int:
        _never_fail_on_encoding(sys.stdout, sys.stderr)
        try:
            with self.make_context(prog_name, args, **extra) as ctx:
                self.invoke(ctx)
            sys.stdout.flush()
        except click.exceptions.Exit as end:
            return _flushed(end.exit_code)
        except click.ClickException as error:
            error.show()
            return _COULD_NOT_RUN  # usage errors and ours alike
        except (KeyboardInterrupt, click.Abort):
            click.echo("mxref: interrupted", err=True)
            return _INTERRUPTED
        except BrokenPipeError:
            return _closed_pipe()
        except Exception:  # noqa: BLE001  # a bug of ours must not look like "does not conform"
            traceback.print_exc()
            click.echo("mxref: internal error, please report it with the lines above", err=True)
            return _COULD_NOT_RUN
        return 0


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _closed_pipe()
    return code


def _closed_pipe() -> int:
    """Whoever read our output has enough: end quietly, also when Python flushes at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):  # no real file, such as a test's buffer
        os.dup2(devnull, sys.stdout.fileno())
    return _BROKEN_PIPE


def _never_fail_on_encoding(*streams: IO[str]) -> None:
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if not value or ctx.resilient_parsing:
        return
    click.echo(f"mxref {__version__}")
    ctx.exit()


@click.group("mxref", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Version."
)
def main() -> None:
    """Tell whether Microscaling (MX) arithmetic is right, and if not, what is wrong with it.

    Exit code 0: conforms, or done. 1: does not conform. 2: could not run.
    """


if __name__ == "__main__":
    main(prog_name="mxref")
