import math
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from scoring import make_item, said, scored

from growthpace.data.items import write_items
from growthpace.errors import InputError
from growthpace.evaluation import grading, paper_rules
from growthpace.evaluation.predictions import Prediction, read_predictions, write_predictions
from growthpace.evaluation.scorers import SCORERS, VERSIONS
from growthpace.files import read_metadata

ITEMS = [
    make_item("letter", "B", "ABCD", id="one"),
    make_item("true_false", "正确", ("正确", "错误"), id="two"),
    make_item("math", r"\sqrt{12}", id="three"),
    make_item("letters", "AC", "ABCDE", id="four"),
    make_item("cloze", "李白", id="five"),
    make_item("perplexity", "x", "xyz", id="six"),
    make_item("exact_match", "red", chance=0.5, id="seven"),
    make_item("token_f1", "the red house", id="eight"),
]
PREDICTIONS = [
    scored(-3.0, -1.0, -2.0, -4.0, id="one"),
    scored(-1.0, -1.0, id="two"),
    said(r"答案是 $2\sqrt{3}$。", id="three"),
    said("A、C", id="four"),
    said("答案：李白", id="five"),
    Prediction("six", None, None, (-4.0, -4.0, -9.0), (4, 2, 3), 100, 0, 7, "f" * 16),
    said("Blue.", id="seven"),
    said("A red door.", id="eight"),
]


def test_rows_follow_the_items():
    table = grading.grade_predictions(ITEMS, reversed(PREDICTIONS))
    assert table.schema == grading.SCHEMA
    assert table.column("item_id").to_pylist() == [item.id for item in ITEMS]
    assert table.column("grade").to_pylist() == [1, 0, 1, 1, 1, 1, 0, 0.5]
    assert table.column("chance").to_pylist() == [1 / 4, 1 / 2, 0, 1 / 31, 0, 1 / 3, 1 / 2, 0]
    parsed = ["B", "", r"2\sqrt{3}", "AC", "李白", "0 (margin 1.000)", "blue", "red door"]
    assert table.column("parsed").to_pylist() == parsed
    assert table.column("cut").to_pylist() == [False] * 5 + [True, False, False]
    leads = table.column("margin").to_pylist()
    assert leads == [1.0, 0.0, None, None, None, 1.0, None, None], "nats; of perplexity nats a token"


@pytest.mark.parametrize(
    ("items", "predictions", "message"),
    [
        (ITEMS, PREDICTIONS[2:], "no prediction: 'one', 'two'$"),
        (ITEMS, [*PREDICTIONS, PREDICTIONS[3]], "more than one prediction: 'four'"),
        (ITEMS[1:], PREDICTIONS, "not among the items: 'one'"),
        ([*ITEMS, ITEMS[0]], PREDICTIONS, "twice among the items: 'one'"),
        ([make_item("none", "", id="one")], PREDICTIONS[:1], "cannot grade: 'one'"),
        (ITEMS, [], "'five' and 3 more"),
        (ITEMS[:1], [scored(-1.0, math.nan, -1.0, -1.0, id="one")], "'one'.*nan"),
    ],
)
def test_predictions_that_do_not_fit_the_items(items, predictions, message):
    with pytest.raises(InputError, match=message):
        grading.grade_predictions(items, predictions)


def test_grading_a_file_twice_gives_the_same_bytes(tmp_path):
    write_items(tmp_path / "items.parquet", ITEMS, {})
    write_predictions(tmp_path / "predictions.parquet", PREDICTIONS, {"study": "demo"})
    for name in ("first", "second"):
        grading.grade_file(
            tmp_path / "items.parquet", tmp_path / "predictions.parquet", tmp_path / name, {"study": "demo"}
        )
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert grading.read_grades(tmp_path / "first").equals(grading.grade_predictions(ITEMS, PREDICTIONS))
    metadata = read_metadata(tmp_path / "first")
    assert metadata["study"] == "demo"
    assert metadata["scorers"] == {item.scorer: VERSIONS[item.scorer] for item in ITEMS}
    assert "paper_rules" not in metadata


def test_a_suite_is_graded_as_the_papers_code_did(tmp_path):
    items = [*ITEMS[1:6], ITEMS[6]]
    predictions = [replace(PREDICTIONS[1], text="不正确"), *PREDICTIONS[2:5], scored(-4.0, -4.0, -9.0), PREDICTIONS[6]]
    predictions[4] = replace(PREDICTIONS[5], tokens=(4, 4, 3))
    write_items(tmp_path / "items.parquet", items, {})
    write_predictions(tmp_path / "predictions.parquet", predictions, {})
    names = (tmp_path / "items.parquet", tmp_path / "predictions.parquet", tmp_path / "grades")
    grading.grade_file(*names, {}, paper_compatible=True)
    table = grading.read_grades(tmp_path / "grades")
    assert table.column("grade").to_pylist() == [1, 0, 1, 0, 1, 0]
    assert table.column("chance").to_pylist() == [0.5, 0, 1 / 6, 0, 1 / 3, 0.5]
    assert table.column("text_grade").to_pylist() == [None] * 6
    assert read_metadata(tmp_path / "grades")["paper_rules"] == paper_rules.VERSION
    with pytest.raises(InputError, match="paper_compatible would have no effect"):
        grading.grade_predictions(ITEMS[6:], PREDICTIONS[6:], paper_compatible=True)


def test_a_fault_in_a_file_names_the_file(tmp_path):
    write_items(tmp_path / "items.parquet", ITEMS, {})
    write_predictions(tmp_path / "predictions.parquet", PREDICTIONS[1:], {})
    with pytest.raises(InputError, match=r"predictions\.parquet: .*'one'"):
        grading.grade_file(tmp_path / "items.parquet", tmp_path / "predictions.parquet", tmp_path / "grades", {})
    assert not (tmp_path / "grades").exists()


def test_predictions_come_back_as_they_were(tmp_path):
    odd = [
        scored(-math.inf, -0.1, id="infinite"),
        said("", id="empty"),
        Prediction("cut", "李白", False, (), (), 2048, 64, 12, "0123456789abcdef"),
    ]
    write_predictions(tmp_path / "predictions.parquet", odd, {"suite": "test"})
    assert read_predictions(tmp_path / "predictions.parquet") == odd
    assert read_metadata(tmp_path / "predictions.parquet")["suite"] == "test"
    write_predictions(tmp_path / "nan.parquet", [scored(math.nan, -1.0)], {})
    assert math.isnan(read_predictions(tmp_path / "nan.parquet")[0].logprobs[0])


@pytest.mark.parametrize(
    "prediction",
    [
        scored(-1.0, -2.0, tokens=(1,)),
        said(None),
        Prediction("item-1", "text", True, (), (), 1, 1, -1, ""),
    ],
)
def test_predictions_of_a_wrong_shape_are_not_written(tmp_path, prediction):
    with pytest.raises(InputError, match="item-1"):
        write_predictions(tmp_path / "predictions.parquet", [prediction], {})
    assert not (tmp_path / "predictions.parquet").exists()


@pytest.mark.parametrize("filler", ["(", " ", "、", "$", "A(", "不", "not ", "1 ", "^2", "\\boxed{", "9", "answer "])
@pytest.mark.parametrize("head", ["", "A", "答案是A", "正确", "$1"])
def test_degenerate_texts_take_no_time(head, filler):
    """A model that repeats itself up to max_new_tokens must not hang the grading: no pattern backtracks without end."""
    text = head + filler * (1500 // len(filler)) + "x"
    begin = time.process_time()
    for item in (*ITEMS[:5], *ITEMS[6:]):
        SCORERS[item.scorer].grade(item, said(text, id=item.id))
    assert time.process_time() - begin < 2


def test_the_registry_is_whole_and_light():
    for name, scorer in SCORERS.items():
        assert name == scorer.NAME
        assert scorer.NEEDS in ("candidates", "generation")
        assert isinstance(scorer.END_OF_TURN, bool)
        assert isinstance(VERSIONS[name], int)
    heavy = (
        "import sys, growthpace.evaluation.scorers; print({'pyarrow', 'sympy', 'numpy', 'torch'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", heavy], text=True).strip() == "set()"
