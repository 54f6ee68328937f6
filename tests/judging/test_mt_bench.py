"""MT-Bench from its publisher's file to scores: a tiny model answers both turns, a server of this test judges them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from faulty_server import KEY, Server, says
from judged import JUDGE, PAIRS, scored, shown, won

import tiny
from growthpace.analysis.scores import collect
from growthpace.analysis.stage import grade_metadata
from growthpace.data.items import read_items
from growthpace.data.pools import make_suite
from growthpace.errors import InputError
from growthpace.evaluation.grading import grade_file, read_grades
from growthpace.evaluation.predict import predict
from growthpace.evaluation.predictions import read_predictions
from growthpace.grid import Grid, Run
from growthpace.judging.foresight import foreseen
from growthpace.judging.stage import judge_suite
from growthpace.models.base import make_ready
from growthpace.paths import Paths
from growthpace.study import Study
from tiny import silent

RUN = Run("small", "untuned", 0)
ROWS = [
    {"question_id": 81, "category": "writing", "turns": ["w1 w2", "w3"]},
    {"question_id": 82, "category": "writing", "turns": ["w4", "w5 w6 w7"]},
    {"question_id": 111, "category": "math", "turns": ["w8 w9", "w10"], "reference": ["w11 w12", "w13"]},
    {"question_id": 112, "category": "math", "turns": ["w14", "w15 w16"], "reference": ["w17", "w18 w19"]},
    {"question_id": 113, "category": "math", "turns": ["w20", "w21"], "reference": ["w22", ""]},
]
"""As the publisher's: with references to both turns, to one, and without."""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_KEY", KEY)


def ready(url: str, judge: dict, rows=ROWS, **changes) -> tuple[Study, Paths]:
    """The study with the benchmark's suite `open`, made, and the untuned model's predictions on it."""
    file = Path("FastChat/fastchat/llm_judge/data/mt_bench/question.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    base = Path("base") if Path("base").exists() else tiny.save_model(Path("base"))
    plain = tiny.describe_study(base)
    items = {"importer": "benchmark", "name": "mt_bench", "folder": Path("FastChat").resolve()} | changes
    suite = {"items": items, "epochs": "selected", "max_new_tokens": 4, "judged": True}
    suites = {name: settings.model_dump() for name, settings in plain.suites.items()} | {"open": suite}
    study = tiny.describe_study(base, suites=suites, judge={**judge, "base_url": url})
    paths = Paths(study)
    make_ready(study, "small", paths.model("small"), silent)
    make_suite(study, "open", paths)
    predict(study, RUN, "open", 0, paths, silent)
    return study, paths


def judged(study: Study, paths: Paths) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the judge's verdicts become: grades by item, and scores."""
    judge_suite(study, RUN, "open", 0, paths, silent)
    answers, verdicts = paths.prediction(RUN, "open", 0), paths.judgements(RUN, "open", 0)
    target, metadata = paths.grades(RUN, "open", 0), grade_metadata(study, RUN, "open", 0, paths)
    grade_file(paths.suite("open"), answers, target, metadata, judgements_path=verdicts)
    scores, _ = collect([target], study.analysis.confidence)
    return read_grades(target).to_pandas().set_index("item_id"), scores


def of(row: dict, text: str) -> bool:
    """Whether a request shows the judge this question."""
    return f"\n{row['turns'][0]}\n<<END USER" in text


def test_both_turns_are_answered_judged_and_scored():
    """The judge gives the first three items points, speaks no verdict on the fourth and refuses the fifth."""
    seen, points = set(), (5, 3, 1)

    def behave(body, _):
        seen.add(shown(body))
        (number,) = (number for number, row in enumerate(ROWS) if of(row, shown(body)))
        if number < len(points):
            return says(scored(points[number]))
        return says("I would rather not say.") if number == 3 else says(None, refusal="no")

    with Server(behave) as server:
        study, paths = ready(server.url, JUDGE)
        grades, scores = judged(study, paths)
    items = {item.id: item for item in read_items(paths.suite("open"))}
    predictions = {prediction.item_id: prediction for prediction in read_predictions(paths.prediction(RUN, "open", 0))}
    assert list(items) == [f"mt_bench/{row['question_id']}" for row in ROWS]
    assert set(predictions) == set(items)
    assert len(seen) == len(ROWS)
    for row, item in zip(ROWS, items.values(), strict=True):
        prediction = predictions[item.id]
        (first,) = prediction.earlier
        assert first.strip()
        (text,) = (text for text in seen if of(row, text))
        # The whole conversation in its order, each turn between its own marks.
        asked, again = row["turns"]
        turns = (("USER", asked), ("ASSISTANT", first), ("USER", again), ("ASSISTANT", prediction.text))
        places = [text.index(f">>\n{said}\n<<END {who} ") for who, said in turns]
        assert places == sorted(places)
        references = list(filter(None, row.get("reference", [])))
        assert text.count("<<REFERENCE ") == len(references)
        for reference in references:
            assert f">>\n{reference}\n<<END REFERENCE" in text
        assert ("A reference answer to turn 1, for you alone:" in text) == (len(references) == 1)
    assert grades.loc[list(items), "grade"].fillna(-1).tolist() == [1, 0.5, 0, -1, -1]
    assert grades.loc[list(items), "missing"].tolist() == [False, False, False, True, True]
    assert grades["subject"].to_dict() == {item.id: item.subject for item in items.values()}
    (row,) = scores[scores["ability"] == "mt_bench"].to_dict("records")
    assert (row["score"], row["items"], row["missing"], row["in_domain"]) == (0.5, 3, 2, False)
    assert row["score_macro"] == (0.75 + 0) / 2
    assert row["chance"] == 0


def test_a_later_turn_is_answered_in_view_of_the_first():
    _, paths = ready("http://127.0.0.1:1/v1", JUDGE)
    before = read_predictions(paths.prediction(RUN, "open", 0))
    rows = [row | {"turns": ["w30 w31 w32", row["turns"][1]]} for row in ROWS]
    _, paths = ready("http://127.0.0.1:1/v1", JUDGE, rows)
    after = read_predictions(paths.prediction(RUN, "open", 0))
    assert not {prediction.prompt_hash for prediction in before} & {prediction.prompt_hash for prediction in after}
    assert any(one.text != other.text for one, other in zip(before, after, strict=True))


def test_pairs_are_judged_where_the_publisher_gave_references():
    """Against both reference answers, in both orders: the first item wins, the second follows the position."""
    seen = []

    def behave(body, _):
        seen.append(text := shown(body))
        if of(ROWS[3], text):
            return says(won("first"))
        first, _, _ = text.partition("The conversation with the second assistant:")
        return says(won("second" if "\nw11 w12\n" in first else "first"))

    with Server(behave) as server:
        study, paths = ready(server.url, PAIRS, ROWS[:4], subjects=["math"])
        grades, scores = judged(study, paths)
    assert len(seen) == 4
    predictions = {prediction.item_id: prediction for prediction in read_predictions(paths.prediction(RUN, "open", 0))}
    for row in ROWS[2:4]:
        prediction = predictions[f"mt_bench/{row['question_id']}"]
        texts = [text for text in seen if of(row, text)]
        assert len(texts) == 2
        for text in texts:
            assert text.count("\n<<END ") == 8  # two conversations of four turns
            for said in (*row["reference"], *prediction.earlier, prediction.text):
                assert f">>\n{said}\n<<END " in text
    assert grades["grade"].to_dict() == {"mt_bench/111": 1, "mt_bench/112": 0.5}
    (row,) = scores[scores["ability"] == "mt_bench"].to_dict("records")
    assert (row["score"], row["items"], row["missing"]) == (0.75, 2, 0)


@pytest.mark.parametrize(("rows", "number"), [(ROWS, 81), (ROWS[2:], 113)])
def test_pairs_without_a_reference_to_every_turn_are_refused_beforehand(rows, number):
    study, paths = ready("http://127.0.0.1:1/v1", PAIRS, rows)
    message = (
        rf"'mt_bench/{number}' .*question\.jsonl:\d\): judge\.mode: pairwise, but the item has no reference answer"
    )
    with pytest.raises(InputError, match=message):
        judge_suite(study, RUN, "open", 0, paths, silent)
    with pytest.raises(InputError, match=message):  # as growthpace check does
        foreseen(study, "open", read_items(paths.suite("open")))


def test_what_it_costs_is_foreseen():
    with Server(lambda body, _: says(scored(4))) as server:
        study, paths = ready(server.url, JUDGE)
        requests, _ = foreseen(study, "open", read_items(paths.suite("open")))
        judge_suite(study, RUN, "open", 0, paths, silent)
        grid = Grid(study)
        assert requests == len(ROWS) * (len(grid.runs) + len(grid.untuned_runs))
        assert server.requests == len(ROWS)
