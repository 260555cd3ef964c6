import json

import pytest

from mxref.sweep import ChunkResult, Difference, Journal, JournalError, journal

DIGEST = "ab" * 32


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "state"
    state = Journal(found)
    for chunk in range(3):
        state.add("e2m1.nearest-even", ChunkResult(chunk, DIGEST), oracle=True)
    state.add("e2m1.nearest-even", ChunkResult(3, DIGEST), oracle=False)
    return found


def known(path, **options):
    state = Journal(path, **options)
    return [c for c in range(256) if state.digest_of("e2m1.nearest-even", c) == DIGEST]


def test_what_was_added_is_there(path):
    assert known(path) == [0, 1, 2, 3]
    assert Journal(path).digest_of("e2m1.up", 0) is None


def test_chunks_that_no_oracle_saw_do_not_count_where_it_is_asked(path):
    assert known(path, oracle=True) == [0, 1, 2]


def test_a_chunk_with_a_difference_is_looked_at_again(path):
    result = ChunkResult(9, DIGEST, 1, Difference(9 << 24, 1, 2))
    Journal(path).add("e2m1.nearest-even", result, oracle=True)
    assert 9 not in known(path)


@pytest.mark.parametrize("cut", [1, 20, 90])
def test_a_line_that_a_killed_process_left_is_cut_off(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])
    assert known(path) == [0, 1, 2]
    Journal(path).add("e2m1.nearest-even", ChunkResult(7, DIGEST), oracle=True)
    assert known(path) == [0, 1, 2, 7]


def test_a_file_that_was_cut_in_its_first_line_starts_anew(path):
    path.write_bytes(path.read_bytes()[:5])
    assert known(path) == []
    assert known(path) == []


def test_an_empty_file_is_a_new_one(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    assert known(path) == []
    assert path.read_text()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "\x00\xff",
        '{"subject": "a", "chunk": 1}',
        json.dumps({"subject": "a", "chunk": 256, "digest": DIGEST, "oracle": True}),
        json.dumps({"subject": "a", "chunk": -1, "digest": DIGEST, "oracle": True}),
        json.dumps({"subject": "a", "chunk": True, "digest": DIGEST, "oracle": True}),
        json.dumps({"subject": "a", "chunk": 1, "digest": DIGEST[1:], "oracle": True}),
        json.dumps({"subject": "a", "chunk": 1, "digest": DIGEST.upper(), "oracle": True}),
        json.dumps({"subject": "a", "chunk": 1, "digest": DIGEST, "oracle": 1}),
        json.dumps({"subject": "a", "chunk": 1, "digest": DIGEST, "oracle": True, "more": 1}),
    ],
)
def test_a_damaged_line_is_named(path, line):
    lines = path.read_text().splitlines()
    lines[2] = line
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalError, match="line 3 is damaged"):
        Journal(path)


def test_another_state_of_the_kernels_is_refused(path, monkeypatch):
    monkeypatch.setattr(journal, "cache_directory", lambda: path.parent / "others")
    with pytest.raises(JournalError, match="not of this mxref"):
        Journal(path)


def test_files_that_cannot_be_used(tmp_path):
    with pytest.raises(JournalError):
        Journal(tmp_path)
    with pytest.raises(JournalError):
        Journal(tmp_path / "no" / "state")
    (tmp_path / "poem").write_text("no journal\n")
    with pytest.raises(JournalError, match="line 1 is damaged"):
        Journal(tmp_path / "poem")
    state = Journal(tmp_path / "state")
    (tmp_path / "state").unlink()
    (tmp_path / "state").mkdir()
    with pytest.raises(JournalError):
        state.add("a", ChunkResult(0, DIGEST), oracle=True)
