"""The pytest plugin: conformance as tests of your own project.

``pytest --mxref-target TARGET`` adds a test for each kernel of a target, whatever else is
collected. In a test of your own, the fixture ``mxref_check`` does the same for a function. Known
defects go into a file (``--mxref-expect``), which `mxref.check.expectations` keeps honest.

pytest loads this module in every project that has mxref installed, so that it imports nothing of
weight before an option of its own was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mxref.check.expectations import Expectation
    from mxref.check.report import Report
    from mxref.check.target import Kernel, Target

__all__ = ["MxrefItem", "mxref_check"]

_LEVELS = ("smoke", "core", "full", "exhaustive")  # those of mxref.check.kernel


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("mxref", "conformance to the OCP Microscaling formats")
    group.addoption(
        "--mxref-target",
        metavar="TARGET",
        help="Check this target: ml_dtypes, py:MODULE:FUNCTION, cmd:PROGRAM, so:LIBRARY:SYMBOL.",
    )
    group.addoption("--mxref-format", metavar="FORMAT", help="Only this format.")
    group.addoption("--mxref-op", metavar="OP", help="Only this operation.")
    group.addoption(
        "--mxref-profile",
        metavar="POLICY",
        help="The policy that is claimed, such as ocp or cuda:rounding=toward-zero; without it any "
        "legal policy passes.",
    )
    group.addoption(
        "--mxref-level", choices=_LEVELS, default="core", help="How much is tried; default core."
    )
    group.addoption(
        "--mxref-expect",
        metavar="FILE",
        help="TOML file of known defects: [[expect]] tables with id, reason, url, op and format.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the file of known defects and the policy: what is wrong there must show at once."""
    config.addinivalue_line("markers", "mxref: a check of --mxref-target")
    config.stash[_EXPECTED] = ()
    path, policy = config.getoption("mxref_expect"), config.getoption("mxref_profile")
    if policy is not None:
        from mxref.faults.legal import require_judgeable
        from mxref.policy import get_policy

        try:
            require_judgeable(get_policy(policy))
        except (TypeError, ValueError) as error:
            raise pytest.UsageError(f"--mxref-profile: {error}") from None
    if path is not None:
        from mxref.check.expectations import ExpectationError, read_expectations

        try:
            config.stash[_EXPECTED] = read_expectations(path)
        except ExpectationError as error:
            raise pytest.UsageError(f"--mxref-expect: {error}") from None


_EXPECTED: pytest.StashKey[Iterable[Expectation]] = pytest.StashKey()
_TARGET: pytest.StashKey[Target] = pytest.StashKey()


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a test for each kernel of the target, and one for the file of known defects."""
    name = config.getoption("mxref_target")
    if name is None:
        return
    from mxref.check.target import TargetError, load_target

    try:
        target = load_target(name, config.getoption("mxref_format"), config.getoption("mxref_op"))
    except TargetError as error:
        raise pytest.UsageError(f"--mxref-target: {error}") from None
    config.stash[_TARGET] = target
    items.extend(
        _item(session, MxrefItem, f"{kernel.op}-{kernel.format}", kernel=kernel)
        for kernel in target.kernels
    )
    if config.stash[_EXPECTED]:
        kernels = [(kernel.op, kernel.format) for kernel in target.kernels]
        items.append(_item(session, _Unmatched, "expectations", kernels=kernels))


def _item(session: pytest.Session, cls: Any, name: str, **keywords: Any) -> Any:
    return cls.from_parent(session, name=name, nodeid=f"mxref::{name}", **keywords)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the processes of the target."""
    target = config.stash.get(_TARGET, None)
    if target is not None:
        target.close()


class _NotAsExpectedError(Exception):
    """A test of this plugin failed; the message is all that there is to show."""


class MxrefItem(pytest.Item):
    """The check of one kernel as a test."""

    def __init__(self, *, kernel: Kernel, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.kernel = kernel
        self.add_marker("mxref")

    def runtest(self) -> None:
        """Drive the kernel and judge it."""
        kernel = self.kernel
        asked = self.config.getoption("mxref_profile") or kernel.policy
        _run(self.config, kernel.fn, kernel.format, kernel.op, asked)

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Name the test."""
        return "mxref", None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the report, not a traceback of ours."""
        if isinstance(excinfo.value, _NotAsExpectedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class _Unmatched(pytest.Item):
    """Fails if an entry of the file of known defects is about no kernel."""

    def __init__(self, *, kernels: list[tuple[str, str]], **keywords: Any) -> None:
        super().__init__(**keywords)
        self.kernels = kernels
        self.add_marker("mxref")

    def runtest(self) -> None:
        """Look for entries that match nothing."""
        from mxref.check.expectations import unmatched

        lost = unmatched(self.config.stash[_EXPECTED], self.kernels)
        if lost:
            listed = "\n".join(f"  {entry}" for entry in lost)
            raise _NotAsExpectedError(
                f"these entries of {self.config.getoption('mxref_expect')} match no kernel:\n"
                f"{listed}\nCorrect op and format, or delete them."
            )

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Name the test."""
        return "mxref", None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the message, not a traceback of ours."""
        if isinstance(excinfo.value, _NotAsExpectedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


def _run(
    config: pytest.Config,
    fn: Callable[..., Any],
    format_name: str,
    op: str,
    claimed: str | None = None,
    **options: Any,
) -> Report:
    """Check a kernel with the options of the command line; raise what is not as expected."""
    from mxref.check.expectations import judge_expected
    from mxref.check.kernel import kernel as check_kernel

    policy = claimed or config.getoption("mxref_profile")
    level = options.pop("level", None) or config.getoption("mxref_level")
    try:
        report = check_kernel(fn, format_name, op, policy, level, **options)
    except (TypeError, ValueError) as error:
        raise _NotAsExpectedError(f"mxref_check: {error}") from None
    if report.trouble is not None and report.trouble.kind == "not-claimed":
        pytest.skip(report.trouble.text)
    expected, problem = judge_expected(report, config.stash[_EXPECTED])
    if problem:
        raise _NotAsExpectedError(f"{problem}\n\n{report}")
    if expected:
        known = ", ".join(dict.fromkeys(f.id for f in report.findings)) or str(report.verdict)
        pytest.xfail(f"known: {known}")
    return report


@pytest.fixture
def mxref_check(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Check a function as the options of the command line ask.

    The fixture is a function ``(fn, format, op="quantize", policy=None, **options)`` with the
    arguments of `mxref.check.kernel`; it returns the report, fails the test with the report as its
    message, and honours ``--mxref-expect``.

    Examples
    --------
    ::

        def test_my_kernel(mxref_check):
            mxref_check(my_project.quantize, "mxfp4")
    """

    def check(
        fn: Callable[..., Any],
        format: str,  # noqa: A002
        op: str = "quantize",
        policy: str | None = None,
        **options: Any,
    ) -> Report:
        __tracebackhide__ = True
        try:
            return _run(request.config, fn, format, op, policy, **options)
        except _NotAsExpectedError as error:
            pytest.fail(str(error), pytrace=False)

    return check
