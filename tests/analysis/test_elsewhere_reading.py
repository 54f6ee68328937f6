"""A table and its map: what is read, which epoch counts, and what every fault is called."""

from __future__ import annotations

import json
import random
import re

import from_elsewhere as made
import numpy as np
import pandas as pd
import pytest
import yaml

from growthpace.analysis.elsewhere.chosen import choose, datasets
from growthpace.analysis.elsewhere.reading import read_scores
from growthpace.analysis.elsewhere.score_map import FIELDS, load_map
from growthpace.errors import InputError

ROWS = made.rows(seeds=(1, 2), models=("small",), volumes=(40, 160, 640))


def read(folder, table=ROWS, name="scores.csv", **changes) -> pd.DataFrame:
    return read_scores(made.write_csv(folder, table, name), load_map(made.write_map(folder, **changes)))


def chosen(folder, table=ROWS, **changes) -> pd.DataFrame:
    score_map = load_map(made.write_map(folder, **changes))
    return choose(datasets(read_scores(made.write_csv(folder, table), score_map), score_map.mixes), score_map)


def with_epochs(epochs=(1, 2, 3)) -> list[dict]:
    return [{**row, "epoch": epoch, "acc": row["acc"] - 0.01 * abs(epoch - 2)} for row in ROWS for epoch in epochs]


def test_all_formats_say_the_same(tmp_path):
    expected = read(tmp_path)
    assert list(expected.columns) == [*FIELDS, "flagged"]
    assert len(expected) == len(ROWS)
    assert expected["parameters"].unique() == [1_000_000]
    pd.testing.assert_frame_equal(read(tmp_path, name="scores.tsv"), expected)
    score_map = load_map(made.write_map(tmp_path))
    frame = pd.DataFrame(ROWS)
    frame.to_parquet(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(read_scores(tmp_path / "scores.parquet", score_map), expected)
    lines = "\n".join(json.dumps(row) for row in ROWS)
    (tmp_path / "scores.jsonl").write_text(lines, encoding="utf-8")
    pd.testing.assert_frame_equal(read_scores(tmp_path / "scores.jsonl", score_map), expected)


def test_percent_and_a_byte_order_mark(tmp_path):
    """Percent become fractions, and a byte order mark of a spreadsheet is no part of a name."""
    table = [{**row, "acc": 100 * row["acc"]} for row in ROWS]
    path = made.write_csv(tmp_path, table)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    changes = {"scale": "percent", "columns": made.columns(chance={"value": 25})}
    found = read_scores(path, load_map(made.write_map(tmp_path, **changes)))
    assert np.allclose(found["score"], [row["acc"] for row in ROWS])
    assert set(found["chance"]) == {0.25}


def test_datasets_are_named_as_in_a_study(tmp_path):
    table = [*ROWS, *({**row, "data": "best", "n": 161} for row in ROWS if row["n"] == 160)]
    found = chosen(tmp_path, table, mixes=["best"])
    assert set(found["dataset"]) == {"untuned", "curated-40", "curated-160", "curated-640", "best"}
    assert dict(zip(found["dataset"], found["kind"], strict=True))["best"] == "mix"
    assert set(found.loc[found["kind"] == "untuned", "source"]) == {""}


def test_the_last_epoch(tmp_path):
    found = chosen(tmp_path, with_epochs(), columns=made.columns(epoch="epoch"), epochs={"rule": "last"})
    assert set(found["epoch"]) == {3}
    assert len(found) == len(ROWS)


def test_the_best_epoch_of_a_suite_that_is_not_reported(tmp_path):
    table = [{**row, "suite": suite} for row in with_epochs() for suite in ("valid", "test")]
    changes = {
        "columns": made.columns(epoch="epoch", suite="suite"), "epochs": {"rule": "best", "suite": "valid"},
    }  # fmt: skip
    found = chosen(tmp_path, table, **changes)
    assert set(found["epoch"]) == {2}
    assert set(found["suite"]) == {"test"}
    with pytest.raises(InputError, match="is the only suite"):
        chosen(tmp_path, [row for row in table if row["suite"] == "valid"], **changes)


def test_the_flagged_epoch(tmp_path):
    table = [{**row, "chosen": "yes" if row["epoch"] == 2 else "no"} for row in with_epochs()]
    changes = {"columns": made.columns(epoch="epoch"), "epochs": {"rule": "flagged", "column": "chosen"}}
    assert set(chosen(tmp_path, table, **changes)["epoch"]) == {2}
    table[0]["chosen"] = "yes"
    with pytest.raises(InputError, match=r"small/untuned/1 needs one flagged epoch, found: 1, 2"):
        chosen(tmp_path, table, **changes)


def test_each_epoch_is_a_suite(tmp_path):
    changes = {"columns": made.columns(epoch="epoch"), "epochs": {"rule": "each"}}
    untuned_once = [row for row in with_epochs((5, 10)) if row["n"] or row["epoch"] == 5]
    found = chosen(tmp_path, untuned_once, **changes)
    assert set(found["suite"]) == {"test-epoch-05", "test-epoch-10"}
    assert (found[found["kind"] == "untuned"].groupby("suite").size() == 2).all()


def test_more_epochs_than_the_rule_says(tmp_path):
    with pytest.raises(InputError, match=r"rule: only, but small/untuned/1 has epochs 1, 2, 3 \(allowed then: last"):
        chosen(tmp_path, with_epochs(), columns=made.columns(epoch="epoch"))


@pytest.mark.parametrize(("row", "field", "value", "message"), [
    (3, "acc", "1.2", "row 4, column acc: found '1.2', allowed: 0 to 1 (the map's scale is fraction)"),
    (3, "acc", "nan", "row 4, column acc: found 'nan', allowed: 0 to 1"),
    (0, "acc", "", "row 1, column acc: found nothing, allowed: 0 to 1"),
    (5, "acc", "half", "row 6, column acc: found 'half', allowed: 0 to 1"),
    (2, "items", "0", "row 3, column items: found '0', allowed: a whole number from 1"),
    (2, "items", "1e400", "row 3, column items: found '1e400', allowed: a whole number from 1"),
    (2, "items", "99.5", "row 3, column items: found '99.5', allowed: a whole number from 1"),
    (2, "n", "-40", "row 3, column n: found '-40', allowed: a whole number from 0"),
    (2, "n", "10k", "row 3, column n: found '10k', allowed: a whole number from 0"),
    (4, "seed", "first", "row 5, column seed: found 'first', allowed: a whole number from 0"),
    (4, "task", " ", "row 5, column task: found ' ', allowed: a text, not empty"),
    (4, "data", "", "row 5, column data: found nothing, allowed: a text, not empty"),
    (1, "model", "huge", "row 2, column model: 'huge' is not in the map's columns.parameters.values (there: small, "
     "large)"),
    (1, "task", "overall", "row 2: ability 'overall' is reserved for the mean over abilities"),
    (1, "data", "untuned", "row 2: source 'untuned' is reserved for the models themselves: give them volume 0"),
    (2, "seed", "1", "row 3: a second score for model small, source curated, volume 40, seed 1, epoch 3, suite test, "
     "ability code; the first is row 2"),
])  # fmt: skip
def test_a_bad_row_is_named(tmp_path, row, field, value, message):
    table = [dict(one) for one in ROWS]
    table[row][field] = value
    with pytest.raises(InputError, match=re.escape(f"scores.csv: {message}")):
        read(tmp_path, table)


def test_rows_that_contradict_each_other(tmp_path):
    chances = [{**row, "chance": 0.5 if place == 2 else 0.25} for place, row in enumerate(ROWS)]
    message = "row 3: chance of suite test, ability code is 0.5, in an earlier row 0.25; it must be one"
    with pytest.raises(InputError, match=message):
        read(tmp_path, chances, columns=made.columns(chance="chance"))
    sizes = [{**row, "size": 10 + (place == 4)} for place, row in enumerate(ROWS)]
    with pytest.raises(
        InputError, match="row 5: parameters of model small is 11, in an earlier row 10; it must be one"
    ):
        read(tmp_path, sizes, columns=made.columns(parameters="size"))


def test_typed_values_that_are_no_numbers(tmp_path):
    for value, shown in ((True, "True"), (None, "nothing"), ([1], r"\[1\]"), ({"a": 1}, "{'a': 1}")):
        table = [*ROWS[:2], {**ROWS[2], "acc": value}]
        path = tmp_path / "scores.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in table), encoding="utf-8")
        with pytest.raises(InputError, match=f"row 3, column acc: found {shown}, allowed: 0 to 1"):
            read_scores(path, load_map(made.write_map(tmp_path)))


@pytest.mark.parametrize(("name", "content", "message"), [
    ("none.csv", None, "no such file"),
    ("a.xlsx", b"", "a table of scores ends in .csv, .tsv, .parquet, .jsonl"),
    ("a.csv", b"", "empty"),
    ("a.csv", b"model,n\n", "holds no rows"),
    ("a.csv", b"model,n,n\nx,1,2\n", "the column 'n' is given twice"),
    ("a.csv", b"model,n\nx,1,2\n", "row 1: 3 values, but the header has 2 columns"),
    ("a.csv", b"model,n\n\xff,1\n", "not UTF-8 at byte 9; save it as UTF-8"),
    ("a.csv", b'model,n\n"x,1\n', "cannot be read as CSV"),
    ("a.csv", b"model,n\nx,1\n", "no column 'data', which the map names as columns.source (columns: model, n)"),
    ("a.parquet", b"PAR1", "no Parquet file"),
    ("a.jsonl", b"{", "a.jsonl:1: not a JSON object"),
])  # fmt: skip
def test_files_that_are_no_tables(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)):
        read_scores(path, load_map(made.write_map(tmp_path)))


@pytest.mark.parametrize(("changes", "message"), [
    ({"scale": None}, "scale: missing (allowed: fraction, percent; it goes with columns)"),
    ({"columns": None}, "found none, allowed: exactly one of columns (a table), harness (result files)"),
    ({"confidence": 95}, "confidence: found 95, allowed: a number above 0.5 below 1"),
    ({"margin": 0}, "margin: found 0, allowed: a number above 0"),
    ({"names": "x"}, "names: unknown key (did you mean name? allowed: "),
    ({"in_domain": ["code", "code"]}, "in_domain: 'code' is given twice"),
    ({"in_domain": ["overall"]}, "in_domain: 'overall' is reserved for the mean over abilities"),
    ({"epochs": {"rule": "best"}}, "epochs: suite missing with rule: best"),
    ({"epochs": {"rule": "last", "column": "x"}}, "epochs: column without effect with rule: last"),
    ({"epochs": {"rule": "first"}}, "epochs.rule: found 'first', allowed: only, last, best, flagged, each"),
    ({"columns": {**made.COLUMNS, "seed": {"by": "model"}}}, "give either value, or by and values together"),
    ({"columns": {**made.COLUMNS, "seed": 3}}, "columns.seed: found 3, allowed: "),
    ({"item_correlation": 1.5}, "item_correlation: found 1.5, allowed: "),
    ({"comparisons": "some"}, "comparisons: found 'some', allowed: equal_volume, all"),
])  # fmt: skip
def test_faults_of_a_map_are_named(tmp_path, changes, message):
    path = made.write_map(tmp_path, **changes)
    with pytest.raises(InputError, match=re.escape(f"{path}: ")) as caught:
        load_map(path)
    assert message in str(caught.value)


def test_a_value_by_a_field_that_is_no_column(tmp_path):
    changes = {"columns": made.columns(items={"by": "suite", "values": {"test": 5}})}
    with pytest.raises(InputError, match=r"columns.items.by: suite is no column of the table"):
        read(tmp_path, **changes)


def test_mixes_that_are_none(tmp_path):
    with pytest.raises(InputError, match="mixes: 'best' needs one volume, found: no row has it as its source"):
        chosen(tmp_path, mixes=["best"])
    with pytest.raises(InputError, match="mixes: 'curated' needs one volume, found: 40, 160, 640"):
        chosen(tmp_path, mixes=["curated"])


def test_a_broken_map_is_always_a_message(tmp_path):
    """300 maps with a key taken away or made nonsense: read as they are, or one message, never a traceback."""
    chance, refused = random.Random(4), 0
    junk = [None, True, -1, 0, 1e9, "", "x", [], {}, [1], {"value": None}, {"by": "model", "values": {"a": 1}}, "nan"]
    for _ in range(300):
        content = json.loads(json.dumps(made.MAP))
        place = content
        while True:
            key = chance.choice(list(place))
            if isinstance(place[key], dict) and place[key] and chance.random() < 0.6:
                place = place[key]
                continue
            break
        if chance.random() < 0.3:
            del place[key]
        else:
            place[key] = chance.choice(junk)
        path = tmp_path / "map.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            read_scores(made.write_csv(tmp_path, ROWS[:6]), load_map(path))
        except InputError:
            refused += 1
    assert refused > 200
