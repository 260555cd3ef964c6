"""A case is found by its id or by enough of it, and by nothing else."""

import pytest

from mxref.vectors import VectorError, iter_cases, load
from mxref.vectors.explain_case import find_case


@pytest.fixture
def root(write_set, one_file, tmp_path):
    return write_set(tmp_path / "set", one_file(), one_file("decode/e4m3.ocp.json"))


def test_every_id_finds_its_case(root):
    for file, case in list(iter_cases(root))[::20]:
        found = find_case(root, case.id)
        assert found == (file, case)


def test_a_prefix_is_enough_if_it_is_unique(root):
    ids = [case.id for _, case in iter_cases(root)]
    for identity in ids[::20]:
        sharing = [other for other in ids if other.startswith(identity[:6])]
        assert sharing == [identity]
        assert find_case(root, identity[:6])[1].id == identity
        assert find_case(root, f" {identity.upper()}")[1].id == identity


def test_an_ambiguous_prefix_lists_whom_it_means(root):
    ids = [case.id for _, case in iter_cases(root)]
    prefix = next(i[:2] for i in ids if 1 < sum(o.startswith(i[:2]) for o in ids) <= 10)
    with pytest.raises(VectorError) as caught:
        find_case(root, prefix)
    message = str(caught.value)
    for identity in ids:
        assert (identity in message) is identity.startswith(prefix)
    assert "decode/e4m3.ocp" in message
    assert "give more digits" in message


def test_many_are_cut_short(root):
    digit = max("0123456789abcdef", key=lambda d: sum(c.id[0] == d for _, c in iter_cases(root)))
    with pytest.raises(VectorError, match=r"and [0-9]+ more; give more digits"):
        find_case(root, digit)


@pytest.mark.parametrize("identity", ["", "g", "12 34", "fb5b6912dacf0", "../x", "'"])
def test_what_is_no_id(root, identity):
    with pytest.raises(VectorError, match="is no id of a case: an id has 12 hexadecimal digits"):
        find_case(root, identity)


def test_nobody_has_it(root):
    with pytest.raises(VectorError, match="no case has an id that begins with 0123456789ab"):
        find_case(root, "0123456789ab")


def test_a_damaged_file_says_so(root):
    path = root / "decode/e2m1.ocp.json"
    identity = load(path).cases[0].id
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(VectorError, match="truncated"):
        find_case(root, identity)


def test_a_core_set_does_not_make_ids_ambiguous(root, write_set, one_file):
    write_set(root / "core", one_file())
    file = one_file()
    assert find_case(root, file.cases[3].id)[1] == file.cases[3]
