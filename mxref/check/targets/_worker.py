"""The other side of `mxref.check.targets.isolated`: loads one function and calls it when told.

It runs in a process of its own and owns nothing but two pipes. It answers every message, also when
the function raises; if it does not answer, the function has ended or stopped the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mxref.check._call import Caller, RefusalError
from mxref.check.target import TargetError, describe_error
from mxref.check.targets._wire import Reader, pack, packed_tree, unpacked_tree, write_all

__all__ = ["serve"]

Call = Callable[[dict[str, Any], tuple[Any, ...]], Any]


def serve(requests: int, answers: int) -> None:
    """Answer messages until the other side has gone."""
    reader = Reader(requests)
    call: Call | None = None
    while True:
        try:
            head, arrays = reader.message()
        except EOFError:
            return
        packed: list[Any] = []
        try:
            if "load" in head:
                call, said = _loaded(head["load"])
                answer = {"result": packed_tree(said, packed)}
            else:
                assert call is not None  # noqa: S101  # the other side loads first
                result = call(head["what"], unpacked_tree(head["call"], arrays))
                answer = {"result": packed_tree(result, packed)}
        except TargetError as error:
            is_refusal = isinstance(error, RefusalError)
            answer = {"error": str(error), "kind": error.kind, "refusal": is_refusal}
        except KeyboardInterrupt:
            return
        except BaseException as error:  # noqa: BLE001  # asyncio and others raise such ones
            answer = {"error": f"the target raised {describe_error(error)}", "kind": "raised"}
            answer["refusal"] = False
        try:
            write_all(answers, pack(answer, packed))
        except BrokenPipeError:
            return


def _loaded(source: dict[str, Any]) -> tuple[Call, Any]:
    """Return how to call the function, and what is to be said about it."""
    if source["how"] == "so":
        from mxref.check.targets._library import Library

        library = Library(source["path"])
        return library.call, library.symbols(source["symbols"])
    from mxref.check.targets.foreign import adapted, numpy_result
    from mxref.check.targets.functions import find_function

    function = adapted(find_function(source["module"], source["attribute"]), source["arrays"])
    caller = Caller(function, source["signature"])

    def call(_: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
        return numpy_result(caller(*inputs))

    return call, None
