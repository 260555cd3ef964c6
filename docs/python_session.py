"""Runs the Python of a page in a process of its own: one line of JSON in, one line out, a block.

In: ``{"code": ..., "line": ..., "doctest": ...}``. Out: ``{"failed": ...}``, the report of what
went wrong, empty where nothing did. All blocks share one namespace. What a script prints is lost.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import sys
import traceback
from pathlib import Path

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def of_doctest(code, line, names):
    test = doctest.DocTestParser().get_doctest(code, names, "page", "page", line)
    report = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append, clear_globs=False)
    names.update(test.globs)  # the test works on a copy
    return "".join(report)


def of_script(code, line, names):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile("\n" * line + code, "page", "exec"), names)
    except BaseException:  # noqa: BLE001  # a page may not end the session, whatever it raises
        return traceback.format_exc()
    return ""


def main():
    sys.path.insert(0, str(Path.cwd()))  # files of the page are modules
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what programs below Python print goes to stderr
    names = {"__name__": "__main__"}
    for request in sys.stdin:
        asked = json.loads(request)
        run = of_doctest if asked["doctest"] else of_script
        failed = run(asked["code"], asked["line"], names)
        answers.write(json.dumps({"failed": failed}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
