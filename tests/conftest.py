"""What all tests share."""

import sys

import pytest

collect_ignore_glob = ["matmul/recordings/*.py"]  # programs for a machine with a GPU

_OF_TESTS = ("mine", "broken", "leaving", "lacking")


@pytest.fixture(autouse=True)
def no_module_of_another_test():
    """Many tests write a module `mine` into a folder of their own and load it in this process."""
    path = list(sys.path)
    for name in _OF_TESTS:
        sys.modules.pop(name, None)
    yield
    sys.path[:] = path  # a target is looked for in the current folder, which is put there
    for name in _OF_TESTS:
        sys.modules.pop(name, None)
