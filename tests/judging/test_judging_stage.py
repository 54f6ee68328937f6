"""From predictions to verdicts, grades and scores, with a server that answers well, badly or not at all."""

import json

import numpy as np
import pandas as pd
import pytest
from faulty_server import KEY, Server, says, status
from judged import RUN, judged_content, make_item, ready, said, scored, shown, won

from growthpace.analysis.scores import collect
from growthpace.analysis.stage import grade_metadata
from growthpace.cli import app
from growthpace.data.pools import suite_items
from growthpace.errors import InputError
from growthpace.evaluation.grading import grade_file, read_grades
from growthpace.evaluation.judgements import read_judgements
from growthpace.files import read_json, read_metadata
from growthpace.grid import Grid
from growthpace.judging.foresight import foreseen, told
from growthpace.judging.stage import judge_suite, report_judge
from growthpace.study import load_study
from small_study import changed, write_study

ITEMS = [make_item(f"item-{n}", f"Question {n}?") for n in range(6)]
PREDICTIONS = [said(f"item-{n}", f"mine {n}") for n in range(6)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_KEY", KEY)


def nobody(line):
    pass


def grades_of(study, paths):
    target = paths.grades(RUN, "open", 0)
    metadata = grade_metadata(study, RUN, "open", 0, paths)
    answers, verdicts = paths.prediction(RUN, "open", 0), paths.judgements(RUN, "open", 0)
    grade_file(paths.suite("open"), answers, target, metadata, judgements_path=verdicts)
    return read_grades(target).to_pandas()


def number_in(body):
    return int(shown(body).split("mine ")[1][0])


def test_points_become_grades_and_a_changed_scorer_asks_nobody(tmp_path):
    with Server(lambda body, _: says(scored(number_in(body) % 5 + 1))) as server:
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS, second_pass=1.0)
        found = judge_suite(study, RUN, "open", 0, paths, nobody)
        assert server.requests == 12
        assert found["agreement"]["same"]["share"] == 1
        assert (found["judges"], found["missing"]) == (["judge-dated"], {})
        assert grades_of(study, paths)["grade"].tolist() == [0, 0.25, 0.5, 0.75, 1, 0]
        assert server.requests == 12
        before = paths.judgements(RUN, "open", 0).read_bytes()
        judge_suite(study, RUN, "open", 0, paths, nobody)
        assert (server.requests, paths.judgements(RUN, "open", 0).read_bytes()) == (12, before)


def test_a_changed_rubric_is_judged_anew(tmp_path):
    with Server(lambda body, _: says(scored(3))) as server:
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS)
        judge_suite(study, RUN, "open", 0, paths, nobody)
        other, _ = ready(tmp_path, server.url, ITEMS, PREDICTIONS, rubric="Is it funny?")
        assert Grid(study).judging_settings() != Grid(other).judging_settings()
        assert Grid(study).grading_settings() == Grid(other).grading_settings()
        judge_suite(other, RUN, "open", 0, paths, nobody)
        assert server.requests == 12


def test_pairs_are_judged_in_both_orders(tmp_path):
    """Item 0 wins, item 1 loses, item 2 ties, item 3 follows the position, item 4 wins one order and ties the other."""

    def behave(body, _):
        text, number = shown(body), number_in(body)
        first = text.index("mine") < text.index("the reference")
        says_of = {
            0: "first" if first else "second",
            1: "second" if first else "first",
            2: "tie",
            3: "first",
            4: "first" if first else "tie",
            5: "first" if first else "third",
        }
        return says(won(says_of[number]))

    with Server(behave) as server:
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS, mode="pairwise", retries=0)
        found = judge_suite(study, RUN, "open", 0, paths, nobody)
    assert server.requests == 12
    grades = grades_of(study, paths)
    assert grades["grade"].tolist()[:5] == [1, 0, 0.5, 0.5, 0.75]
    assert np.isnan(grades["grade"][5])
    assert grades["missing"].tolist() == [False] * 5 + [True]
    assert found["position_bias"]["follows_position"]["count"] == 1
    assert found["missing"] == {"malformed": 1}
    assert found["position_bias"]["follows_position"]["of"] == 5


def test_what_is_missing_is_in_no_mean(tmp_path):
    def behave(body, _):
        return says(None, refusal="no") if number_in(body) == 2 else says(scored(5))

    lines = []
    with Server(behave) as server:
        prices = {"prices": {"prompt": 2.0, "answer": 8.0}, "limits": {"money": 1.0, "requests_per_minute": 6000}}
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS, **prices)
        judge_suite(study, RUN, "open", 0, paths, lines.append)
    assert "6 requests to send (0 are answered already): likely" in lines[0]
    assert "cost 0." in lines[0]
    assert "money 1.0" in lines[0]
    assert "5 verdicts on 6 items, 1 missing (1 refused)" in lines[-1]
    rows = {verdict.item_id: verdict for verdict in read_judgements(paths.judgements(RUN, "open", 0))}
    assert (rows["item-2"].missing, rows["item-2"].score, rows["item-2"].attempts) == ("refused", None, 2)
    assert rows["item-1"].score == 5
    grades = grades_of(study, paths)
    assert grades["missing"].tolist() == [n == 2 for n in range(6)]
    scores, items = collect([paths.grades(RUN, "open", 0)], 0.95)
    (row,) = scores[scores["ability"] == "biology"].to_dict("records")
    assert (row["score"], row["items"], row["missing"]) == (1.0, 5, 1)
    assert items["grade"].isna().sum() == items["missing"].sum() == 1


def test_an_endpoint_that_answers_nothing_is_an_error_and_leaves_no_file(tmp_path):
    with Server(lambda body, _: status(500)) as server:
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS, retries=0)
        with pytest.raises(InputError, match=r"not one of 6 requests was answered \(HTTP 500"):
            judge_suite(study, RUN, "open", 0, paths, nobody)
        assert not paths.judgements(RUN, "open", 0).exists()


def test_a_limit_is_refused_beforehand(tmp_path):
    with Server(lambda body, _: says(scored(5))) as server:
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS, limits={"tokens": 100})
        with pytest.raises(InputError, match=r"limits\.tokens: 100 would be passed .*so nothing was asked"):
            judge_suite(study, RUN, "open", 0, paths, nobody)
        assert server.requests == 0


@pytest.mark.parametrize(
    ("key", "message"),
    [(None, "JUDGE_KEY is not set"), ("  ", "JUDGE_KEY is not set"), ("a b", "holds no key"), ("ключ", "holds no key")],
)
def test_a_missing_key(tmp_path, monkeypatch, key, message):
    monkeypatch.delenv("JUDGE_KEY") if key is None else monkeypatch.setenv("JUDGE_KEY", key)
    study, paths = ready(tmp_path, "http://127.0.0.1:1/v1", ITEMS, PREDICTIONS)
    with pytest.raises(InputError, match=message):
        judge_suite(study, RUN, "open", 0, paths, nobody)


@pytest.mark.parametrize(
    ("items", "predictions", "message"),
    [
        (ITEMS[:1], [], "no prediction to judge"),
        ([make_item("item-0", "a", "b")], PREDICTIONS[:1], "1 answers for 2 turns"),
        ([make_item("x", "a", scorer="exact_match", answer="b")], [said("x", "b")], "none of its items has the scorer"),
    ],
)
def test_what_cannot_be_judged(tmp_path, items, predictions, message):
    study, paths = ready(tmp_path, "http://127.0.0.1:1/v1", items, predictions)
    with pytest.raises(InputError, match=message):
        judge_suite(study, RUN, "open", 0, paths, nobody)


def test_a_judged_item_without_verdicts_cannot_be_graded(tmp_path):
    study, paths = ready(tmp_path, "http://127.0.0.1:1/v1", ITEMS, PREDICTIONS)
    metadata = grade_metadata(study, RUN, "open", 0, paths)
    with pytest.raises(InputError, match="'item-0': nobody has judged its answer"):
        grade_file(paths.suite("open"), paths.prediction(RUN, "open", 0), tmp_path / "grades", metadata)


def test_the_command_line_and_the_report(tmp_path, capsys):
    """As a job's log says it; and the key is in nothing that was written or printed."""
    with Server(lambda body, _: says(scored(4))) as server:
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS)
        for verb in (["spec", "study.yaml", "judge"], ["judge", "study.yaml", str(RUN), "open", "0"],
                     ["judge-report", "study.yaml"], ["grade", "study.yaml", str(RUN), "open", "0"]):  # fmt: skip
            with pytest.raises(SystemExit) as stop:
                app(verb)
            assert stop.value.code == 0
    content = read_json(paths.root / "analysis" / "judge.json")
    assert content["suites"]["open"]["verdicts"] == 6
    assert content["suites"]["open"]["files"][0]["run"] == str(RUN)
    metadata = read_metadata(paths.judgements(RUN, "open", 0))
    assert metadata["settings"]["rubric"].startswith("Judge the quality")
    assert read_json(paths.root / "specs" / "judge.json") == metadata["settings"]
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    content = study.judge.model_dump() | {"rubric": "correctness"}
    write_study(tmp_path, judged_content(json.loads(json.dumps(content))))
    with pytest.raises(InputError, match=r"the config has changed since this job was planned .*rubric"):
        app(["judge", "study.yaml", str(RUN), "open", "0"])


def test_the_report_tells_checkpoints_apart(tmp_path):
    with Server(lambda body, _: says(won("first"))) as server:
        study, paths = ready(tmp_path, server.url, ITEMS, PREDICTIONS, mode="pairwise")
        judge_suite(study, RUN, "open", 0, paths, nobody)
        other = paths.judgements(Grid(study).run("m/untuned/seed-0"), "open", 0)
        other.parent.mkdir(parents=True)
        other.write_bytes(paths.judgements(RUN, "open", 0).read_bytes())
        found = report_judge(study, paths, nobody)["suites"]["open"]
    assert (found["verdicts"], found["items"], len(found["files"])) == (24, 12, 2)
    assert found["position_bias"]["follows_position"]["share"] == 1


def test_suites_and_judges_must_agree(tmp_path):
    study, _ = ready(tmp_path, "http://127.0.0.1:1/v1", ITEMS, PREDICTIONS)
    for settings, items, message in (
        ({"judged": True}, [make_item("x", "a", scorer="exact_match", answer="b")], "judged: would have no effect"),
        ({"judged": False}, ITEMS, "judged: false, but 6 of its items need a judge, such as x:item-0"),
    ):
        suite = study.suites["open"].model_copy(update=settings)
        changed_study = study.model_copy(update={"suites": {**study.suites, "open": suite}})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("growthpace.data.pools.read_items_of", lambda *args, items=items, **named: items)
            with pytest.raises(InputError, match=message):
                suite_items(changed_study, "open")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("suites.open.judged", False, "judge: would have no effect, no suite of this study is judged"),
        ("judge", None, "suites.open.judged: true, but the study has no judge"),
        ("judge.base_url", "api.example.com", "'api.example.com' is no address of a server"),
        ("judge.base_url", "http://user:pass@host/v1", "holds more than an address"),
        ("judge.rubric", "qualty", "'qualty' is no rubric (allowed: quality, correctness, or a text of your own)"),
        ("judge.scale", [5, 1], "the lowest score is not below the highest"),
        ("judge.scale", None, "scale missing"),
        ("judge.limits", {"money": 3.0}, "prices missing: limits.money cannot be kept without them"),
        ("judge.key_variable", "sk-123", "judge.key_variable: no name of an environment variable"),
        ("judge.mode", "pairwise", "scale [1, 5] would have no effect with mode: pairwise"),
        ("judge.second_pass", 2.0, "allowed: a number from 0 to 1"),
    ],
)
def test_a_fault_of_the_section(tmp_path, path, value, message):
    from judged import JUDGE

    with pytest.raises(InputError) as caught:
        load_study(write_study(tmp_path, changed(path, value, judged_content(JUDGE))))
    assert message in str(caught.value)
    assert "sk-123" not in str(caught.value)
    assert "pass@" not in str(caught.value)


def test_a_study_without_a_judge_is_as_it_was(tmp_path):
    from small_study import study_of

    assert "scorer_judge" not in Grid(study_of()).grading_settings()
    with pytest.raises(InputError, match="has no judge"):
        Grid(study_of()).judging_settings()


def test_items_missing_in_one_run_are_compared_in_none():
    from made_up import item_grades

    from growthpace.analysis.curves import points

    frame = item_grades().assign(missing=False)
    whole = points(frame, 0.95)
    some = frame.index[(frame["item_id"] == frame["item_id"].iloc[0]) & (frame["ability"] == frame["ability"].iloc[0])]
    frame.loc[some[0], ["grade", "missing"]] = [np.nan, True]
    fewer = points(frame, 0.95)
    ability = frame["ability"].iloc[0]
    before, after = (t[t["ability"] == ability]["items"].unique().tolist() for t in (whole, fewer))
    assert after == [before[0] - 1]
    others = whole["ability"].ne(ability) & whole["ability"].ne("overall")
    pd.testing.assert_frame_equal(whole[others], fewer[others])
    frame.loc[frame["ability"] == ability, ["grade", "missing"]] = [np.nan, True]
    with pytest.raises(InputError, match="every item's grade is missing"):
        points(frame, 0.95)


def test_what_a_study_costs_at_most_is_foreseen(tmp_path):
    """Never less than what a job estimates for itself once the answers are there."""
    items = [*ITEMS, make_item("turns", "First?", "Second?", reference="", references=("a", "b"))]
    predictions = [*PREDICTIONS, said("turns", "x" * 24, "y" * 24)]  # as long as eight tokens may be
    with Server(lambda body, _: says(won("tie"))) as server:
        settings = {"mode": "pairwise", "second_pass": 1.0, "prices": {"prompt": 1.0, "answer": 2.0}}
        study, paths = ready(tmp_path, server.url, items, predictions, **settings)
        requests, most = foreseen(study, "open", items)
        lines = []
        judge_suite(study, RUN, "open", 0, paths, lines.append)
    grid = Grid(study)
    evaluations = len(grid.runs) + len(grid.untuned_runs)
    assert requests == evaluations * 28
    assert most.answer_tokens == requests * 60
    assert most.money == pytest.approx((most.prompt_tokens + 2 * most.answer_tokens) / 1e6)
    own = int(lines[0].split("at most ")[1].split(" +")[0].replace(",", ""))
    assert 0.8 * most.prompt_tokens / evaluations < own <= most.prompt_tokens / evaluations
    assert f"{requests:,} requests to the judge" in told(study, "open", items)
    with pytest.raises(InputError, match="no reference answer"):
        foreseen(study, "open", [make_item("x", "a", reference="")])
