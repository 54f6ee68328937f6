"""The optimism of the best epoch: on made-up runs whose truth is known, and against a plain loop."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from growthpace.analysis.matrix import positions
from growthpace.analysis.scores import write_frame
from growthpace.analysis.selection_bias import COLUMNS, READ, read_candidates, selection_bias
from growthpace.errors import InputError

ABILITIES = ("a", "b")


def candidates(seed, truth, runs=1, items=50, group_size=1, models=("m",), shared=0.95) -> pd.DataFrame:
    """Grades of `runs` runs at len(truth) epochs whose expected scores are `truth`; the best mean is chosen.

    Answers of one run at different epochs are alike: `shared` is the share of an answer's chance that they share."""
    rng = np.random.default_rng(seed)
    latent = np.sqrt(shared) * rng.normal(size=(len(models), runs, len(ABILITIES), items, 1))
    latent = latent + np.sqrt(1 - shared) * rng.normal(size=(*latent.shape[:-1], len(truth)))
    grades = (latent < ndtri(np.array(truth))).astype(float)
    chosen = grades.mean(axis=(2, 3)).argmax(axis=-1)
    model, run, ability, item, epoch = (own.ravel() for own in np.indices(grades.shape))
    frame = {
        "model": np.array(models)[model], "parameters": 1, "dataset": "curated-10", "kind": "grid",
        "source": "curated", "volume": 10, "seed": run, "epoch": epoch + 1, "selected": epoch == chosen[model, run],
        "suite": "valid", "ability": np.array(ABILITIES)[ability],
        "item_id": [f"{ABILITIES[a]}-{i}" for a, i in zip(ability, item, strict=True)],
        "group": [f"g{i // group_size}" if group_size > 1 else "" for i in item],
        "grade": grades.ravel(), "in_domain": True,
    }  # fmt: skip
    return pd.DataFrame(frame)[READ]


def realised(grades: pd.DataFrame, truth) -> np.ndarray:
    """Per run, in points: how far the chosen epoch's score is above its expectation, less the mean epoch's."""
    means = grades.groupby(["seed", "epoch"])["grade"].mean().unstack()
    above = 100 * (means.to_numpy() - np.array(truth))
    chosen = means.to_numpy().argmax(axis=1)
    return above[np.arange(len(above)), chosen] - above.mean(axis=1)


@pytest.mark.parametrize("truth", [(0.5,) * 10, tuple(0.5 + 0.01 * np.arange(6)), (0.2, 0.5, 0.8)])
def test_the_estimate_is_the_truth_on_average(truth):
    """Epochs that are alike, epochs that differ by about as much as luck, and epochs that cannot be confused."""
    real, estimated = [], []
    for seed in range(30):
        grades = candidates(seed, truth, runs=8)
        found = selection_bias(grades, "valid", 1, 200, 0.95)
        real.append(realised(grades, truth).mean())
        estimated.append(found.loc[found["level"] == "mean", "optimism"].iloc[0])
    error = np.std(np.subtract(estimated, real), ddof=1) / np.sqrt(30)
    assert error < 0.25
    assert np.mean(estimated) == pytest.approx(np.mean(real), abs=3 * error)


def test_a_clear_winner_has_no_optimism():
    found = selection_bias(candidates(0, (0.2, 0.5, 0.8), runs=2), "valid", 1, 200, 0.95)
    assert (found["other_epoch"] == 0).all()
    assert (found["loss"] == 0).all()
    assert found["optimism"].abs().max() < 0.3
    assert found["spread_kept"].min() > 0.95
    assert (found["epoch"].iloc[1:] == 3).all()


def first_best(scores) -> int:
    return int(np.flatnonzero(scores > scores.max() - 1e-9)[0])


def test_it_is_the_plain_loop():
    grades = candidates(3, (0.45, 0.5, 0.52, 0.5), runs=2, items=30, group_size=3)
    found = selection_bias(grades, "valid", 2, 100, 0.9)  # the first epoch is no candidate
    assert list(found) == COLUMNS
    runs = found[found["level"] == "run"].set_index("seed")
    kept = runs["spread_kept"].iloc[0]
    rng = np.random.default_rng(0)
    draws = [rng.multinomial(10, np.full(10, 0.1), size=100) for _ in ABILITIES]
    optimism = np.zeros((2, 100))
    for run, own in grades[grades["epoch"] > 1].groupby("seed"):
        # clusters in the order of their names' text, as items are sorted; all of three items
        scores = own.groupby(["ability", "epoch"])["grade"].mean().unstack().mean().to_numpy()
        truth = scores.mean() + kept * (scores - scores.mean())
        changed = []
        for draw in range(100):
            drawn = []
            for ability, counts in zip(ABILITIES, draws, strict=True):
                part = own[own["ability"] == ability]
                by_cluster = part.groupby(["group", "epoch"])["grade"].mean().unstack().to_numpy()
                drawn.append(counts[draw] @ by_cluster / 10)
            moved = np.mean(drawn, axis=0) - scores
            best = (truth + moved).argmax()
            optimism[run, draw] = 100 * (moved[best] - moved.mean())
            changed.append(first_best(scores + moved) + 2 != runs.loc[run, "epoch"])
        assert runs.loc[run, "other_epoch"] == pytest.approx(np.mean(changed))
        assert runs.loc[run, "optimism"] == pytest.approx(optimism[run].mean())
        assert runs.loc[run, ["low", "high"]].tolist() == pytest.approx(np.quantile(optimism[run], [0.05, 0.95]))
        assert runs.loc[run, "expected"] == pytest.approx(runs.loc[run, "score"] - optimism[run].mean() / 100)
    mean = found[found["level"] == "mean"].iloc[0]
    assert mean["optimism"] == pytest.approx(optimism.mean())
    assert [mean["low"], mean["high"]] == pytest.approx(np.quantile(optimism.mean(axis=0), [0.05, 0.95]))
    assert (mean["runs"], mean["epochs"], mean["items"], mean["clusters"]) == (2, 3, 60, 20)


def test_nothing_is_chosen_where_there_is_one_candidate():
    grades = candidates(0, (0.4, 0.5, 0.6), models=("m", "n"))
    for found in (selection_bias(grades, "valid", None, 50, 0.95),
                  selection_bias(grades[grades["selected"]], "valid", 1, 50, 0.95)):  # fmt: skip
        assert set(found["status"]) == {"one candidate"}
        assert found["optimism"].isna().all()
        assert (found["epochs"] == 1).all()
        assert len(found) == 4
    assert selection_bias(grades[:0], "valid", 1, 50, 0.95).empty
    assert selection_bias(grades.assign(kind="untuned"), "valid", 1, 50, 0.95).empty


def test_what_is_missing_is_left_out_and_order_changes_nothing(tmp_path):
    grades = candidates(5, (0.4, 0.5, 0.5), runs=3, models=("m", "n"))
    lost = (grades["item_id"] == "a-7") & (grades["epoch"] == 2) & (grades["seed"] == 1)
    holed = grades.assign(grade=grades["grade"].mask(lost))
    found = selection_bias(holed, "valid", 1, 100, 0.95)
    pd.testing.assert_frame_equal(found, selection_bias(grades[grades["item_id"] != "a-7"], "valid", 1, 100, 0.95))
    assert found["items"].iloc[0] == 99
    more = pd.concat([holed.assign(suite="test"), holed], ignore_index=True)
    write_frame(tmp_path / "items.parquet", more, {})
    again = selection_bias(read_candidates(tmp_path / "items.parquet", "valid"), "valid", 1, 100, 0.95)
    for name in COLUMNS:
        assert again[name].tolist() == pytest.approx(found[name].tolist(), nan_ok=True) or again[name].equals(
            found[name]
        )
    write_frame(tmp_path / "one", found, {})
    write_frame(tmp_path / "two", selection_bias(holed.sample(frac=1, random_state=1).sort_values(
        ["model", "seed", "epoch"], kind="stable"), "valid", 1, 100, 0.95), {})  # fmt: skip
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_positions_are_those_of_equal_rows():
    rows = pd.DataFrame({"a": ["x", "y", "x", "z"], "b": [2, 10, 10, 2]})
    of = pd.DataFrame({"b": [2, 10, 10, 2], "a": ["z", "x", "y", "x"]})
    for own in (rows, rows.astype("category")):
        assert positions(own, of).tolist() == [3, 2, 1, 0]


def test_a_chosen_epoch_that_was_no_candidate_is_refused():
    with pytest.raises(InputError, match="epoch 1 is chosen, but candidates are those from 2 on"):
        selection_bias(candidates(0, (0.9, 0.2, 0.2)), "valid", 2, 10, 0.95)
