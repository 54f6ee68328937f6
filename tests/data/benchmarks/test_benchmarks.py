"""Every benchmark in its publisher's layout: what becomes an item, its shots, and what is refused."""

import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import predictions
from publishers import EXAMPLES, ITEMS, OFFERS_SHOTS, WRITERS, read, settings

from growthpace.data.benchmarks import BENCHMARKS
from growthpace.data.benchmarks.base import unlettered, with_shots
from growthpace.data.importers import local_files, read_items_of
from growthpace.data.items import Item, Message, check_item
from growthpace.errors import InputError
from growthpace.evaluation.grading import grade_predictions
from growthpace.evaluation.scorers import SCORERS


def first(name: str, folder: Path, shots: int = 0, **changes) -> Item:
    return read(settings(name, folder, shots, **changes))[0]


# --- all benchmarks alike ---


def test_every_benchmark_is_tried_here():
    assert set(WRITERS) == set(BENCHMARKS)
    for name, benchmark in BENCHMARKS.items():
        assert name == benchmark.NAME
        assert len(set(benchmark.SUBJECTS)) == len(benchmark.SUBJECTS)
        for subjects in getattr(benchmark, "GROUPS", {}).values():
            assert set(subjects) <= set(benchmark.SUBJECTS)


@pytest.mark.parametrize("name", WRITERS)
def test_items_are_whole_and_say_where_they_are_from(tmp_path, name):
    given_ = settings(name, tmp_path)
    items = read(given_)
    parts = Counter(item.subject for item in items)
    expected = dict.fromkeys(given_.subjects or [""], ITEMS)
    if name == "mt_bench":  # one file of all subjects
        expected = dict.fromkeys(expected, ITEMS // 2)
    assert parts == expected
    for item in items:
        assert item.ability == name
        assert item.shots == 0
        assert item.id.startswith(f"{name}/")
        file, _, line = item.origin.rpartition(":")
        assert int(line) >= 1
        assert str(tmp_path) not in file
        if item.scorer in ("letter", "true_false"):
            assert item.chance == 1 / len(item.candidates)
        elif item.scorer != "judge":
            assert item.chance == 0
            assert item.answer


@pytest.mark.parametrize("name", OFFERS_SHOTS)
@pytest.mark.parametrize("shots", [1, EXAMPLES])
def test_shots_are_whole_turns_before_the_same_question(tmp_path, name, shots):
    zero, few = read(settings(name, tmp_path)), read(settings(name, tmp_path, shots))
    assert len(zero) == len(few)
    tests = {item.messages for item in zero}
    for without, with_ in zip(zero, few, strict=True):
        assert with_.shots == shots
        assert with_.messages[2 * shots :] == without.messages
        assert len(with_.messages) == 2 * shots + len(without.messages)
        for position in range(shots):
            question, answer = with_.messages[2 * position : 2 * position + 2]
            assert (question.role, answer.role) == ("user", "assistant")
            if with_.scorer == "letter":
                assert len(answer.content) == 1
        assert without.messages not in {with_.messages[2 * n : 2 * n + 2] for n in range(shots)}
        assert (with_.id, with_.answer, with_.candidates, with_.chance, with_.tests) == (
            without.id, without.answer, without.candidates, without.chance, without.tests,
        )  # fmt: skip
    assert tests == {item.messages[2 * shots :] for item in few}


@pytest.mark.parametrize("name", WRITERS)
def test_more_shots_than_the_publisher_has_are_refused(tmp_path, name):
    given_ = settings(name, tmp_path, 1000)
    with pytest.raises(InputError, match=rf"benchmark {name}.*shots: 1000 \(allowed: (up to \d+|0)"):
        read(given_)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [Fraction(0), Fraction(3, 10), Fraction(1)])
def test_a_planted_model_scores_exactly_its_share(tmp_path, name, share):
    items = read(settings(name, tmp_path))
    scorers = {item.scorer for item in items}
    if missing := {scorer for scorer in scorers if scorer not in SCORERS or scorer == "judge"}:
        pytest.skip(f"no scorer that grades by itself: {', '.join(missing)}")
    right = len(items) * share
    assert right == int(right)
    grades = grade_predictions(items, predictions(items, int(right))).to_pandas()
    assert Fraction(int(grades["grade"].sum()), len(items)) == share
    assert set(grades["grade"]) <= {0.0, 1.0}
    assert list(grades["subject"]) == [item.subject for item in items]


# --- what is particular to each ---


def test_letters_are_written_as_in_items_to_train_on(tmp_path):
    item = first("mmlu", tmp_path, 1)
    assert [message.content for message in item.messages] == [
        "The following is a multiple choice question about anatomy. Answer with the letter of the right option.\n"
        "dev 0, which?\nA. 0-w\nB. 0-x\nC. 0-y\nD. 0-z",
        "A",
        "The following is a multiple choice question about anatomy. Answer with the letter of the right option.\n"
        "test 0, which?\nA. 0-w\nB. 0-x\nC. 0-y\nD. 0-z",
        "A",
    ]
    assert (item.id, item.origin) == ("mmlu/anatomy/test/0", "data/test/anatomy_test.csv:1")
    chinese = first("cmmlu", tmp_path)
    assert chinese.messages[0].content.startswith(
        "以下是一道单项选择题，请直接给出正确选项的字母。\ntest 第0题？\nA. 0-w\n"
    )
    assert chinese.origin == "data/test/agronomy.csv:2"
    assert first("ceval", tmp_path).id == "ceval/physician/val/0"


def test_agieval_keeps_single_answers_and_counts_the_others(tmp_path):
    left_out = Counter()
    items = read(settings("agieval", tmp_path, 5), left_out)
    assert left_out == {
        "gaokao-physics: several right answers": 3,
        "gaokao-physics: worked examples with several right answers": 1,
    }
    letter, free = items[0], items[-1]
    assert letter.id == "agieval/gaokao-physics/3"
    assert letter.shots == EXAMPLES  # fewer than asked for: its publisher offers no more
    assert letter.messages[2].content.endswith("text 30\n61?\nA. 61-w\nB. 61-x\nC. 61-y\nD. 61-z")
    assert letter.messages[-2].content.endswith("text 0\n0?\nA. 0-w\nB. 0-x\nC. 0-y\nD. 0-z")
    assert len({item.group for item in items if item.scorer == "letter"}) == ITEMS / 2
    assert (free.scorer, free.answer, free.group) == ("math", str(ITEMS), "")
    assert free.messages[1].content == "one more\nThe answer is 61"


def test_agievals_groups_are_the_papers_sets(tmp_path):
    benchmark = BENCHMARKS["agieval"]
    assert len(benchmark.GROUPS["paper"]) == 10
    assert set(benchmark.GROUPS["paper"]) < set(benchmark.GROUPS["chinese"])
    assert len(benchmark.SUBJECTS) == 21
    names = [path.name for path in local_files(settings("agieval", tmp_path, subjects=["paper"]), ["agieval"])]
    assert "jec-qa-ca.jsonl" in names
    assert len(names) == 10


def test_bbh_is_scored_by_what_its_targets_are(tmp_path):
    folder = tmp_path / "bbh"
    items = {item.subject: item for item in read(settings("bbh", tmp_path, 2))}
    assert {subject: item.scorer for subject, item in items.items()} == {
        "snarks": "letter", "web_of_lies": "true_false", "object_counting": "exact_match",
    }  # fmt: skip
    assert items["snarks"].messages[-2].content == (
        "Answer with the letter of the right option.\n19?\nA. one 19\nB. two 19"
    )
    assert items["snarks"].messages[1].content == "A"  # without the reasoning
    assert items["web_of_lies"].candidates == ("Yes", "No")
    assert items["object_counting"].messages[1].content == "51"

    path = folder / "snarks.json"
    content = json.loads(path.read_text())
    content["examples"][0]["target"] = "two 0"  # an option's text
    content["examples"][1]["target"] = "no option"
    path.write_text(json.dumps(content))
    left_out = Counter()
    found = read(settings("bbh", tmp_path, subjects=["snarks"]), left_out)
    assert found[0].answer == "B"
    assert left_out == {"snarks: the target is no option": 1}


def test_gsm8k_shows_solutions_without_calculator_marks(tmp_path):
    item = first("gsm8k", tmp_path, 1)
    assert item.messages[1].content == "It is 0+1=1.\n#### 1"
    assert item.answer == "1"


def test_math_reads_the_box_with_its_braces(tmp_path):
    items = read(settings("hendrycks_math", tmp_path))
    assert [item.id.rpartition("/")[2] for item in items] == [str(n) for n in range(ITEMS)]  # by number, not by text
    assert items[3].answer == r"\frac{3}{7}"


def test_code_items_hold_a_program_and_what_tries_it_out(tmp_path):
    completed = first("human_eval", tmp_path)
    assert completed.candidates[0] in completed.messages[0].content
    for item in (completed, *read(settings("mbpp", tmp_path, 2))):
        assert "\r" not in item.answer + item.tests
        exec(item.answer + "\n" + item.tests, {})
        with pytest.raises((AssertionError, NameError)):
            exec("def add(x):\n    return 0\ndef add_0(x):\n    return 0\n" + item.tests, {})
    assert "assert add(0) == 11\n" in first("mbpp", tmp_path).messages[-2].content


def test_reading_items_of_one_text_share_a_group(tmp_path):
    for name, stem in (("c3", "c3-d-test"), ("dream", "test")):
        items = read(settings(name, tmp_path / name))
        assert len({item.group for item in items}) == len(items) / 2
        assert items[0].messages[0].content.splitlines()[1:4] == [f"M: {stem} 0", "W: yes", "0?"]
    english, chinese = (
        [item for item in read(settings("logiqa2", tmp_path)) if item.subject == subject]
        for subject in ("english", "chinese")
    )
    for one, other in zip(english, chinese, strict=True):
        options = [item.messages[0].content.splitlines()[-4:] for item in (one, other)]
        assert options[0] == options[1]  # the letters that the Chinese file writes are not doubled


def test_mt_bench_leaves_the_assistants_turns_to_the_model(tmp_path):
    items = read(settings("mt_bench", tmp_path))
    assert [message.content for message in items[0].messages] == ["0?", "", "Again?", ""]
    assert items[0].references == ()
    assert items[-1].references == (f"{ITEMS - 1}.", "")


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"subjects": ["botany"]},
            r"benchmark mmlu: subjects: unknown subject 'botany' \(allowed: abstract_algebra, anat",
        ),
        (
            {"subjects": {"biology": ["anatomy"], "history": ["anatomy"]}},
            "'anatomy' is given twice, for biology and for",
        ),
    ],
)
def test_settings_that_a_benchmark_cannot_serve(tmp_path, changes, message):
    given_ = settings("mmlu", tmp_path, **changes)
    for call in (read, lambda s: local_files(s, s.abilities)):
        with pytest.raises(InputError, match=message):
            call(given_)


def test_without_a_usual_dataset_the_release_is_read(tmp_path, monkeypatch):
    given_ = settings("agieval", tmp_path / "there", shots=1)
    monkeypatch.setattr(BENCHMARKS["agieval"], "RELEASE", (tmp_path / "there/data").as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetched = given_.model_copy(update={"folder": None})
    assert local_files(fetched, fetched.abilities) == []
    known = read(given_)
    assert [(i.id, i.messages, i.answer) for i in read(fetched)] == [(i.id, i.messages, i.answer) for i in known]
    (tmp_path / "there").rename(tmp_path / "gone")
    assert read(fetched)  # of what was fetched before
    (tmp_path / "cache").rename(tmp_path / "lost")
    with pytest.raises(InputError, match=r"cannot be fetched .*give its folder"):
        read(fetched)


def test_a_benchmark_without_subjects_says_so(tmp_path):
    with pytest.raises(InputError, match=r"unknown subject 'x' \(allowed: no such key, it has no subjects"):
        read(settings("gsm8k", tmp_path, subjects=["x"]))


def test_subjects_count_as_abilities(tmp_path):
    given_ = settings("mmlu", tmp_path, subjects={"body": ["anatomy"], "germs": ["virology"]})
    assert given_.abilities == ["body", "germs"]
    assert Counter((i.ability, i.subject) for i in read(given_)) == {
        ("body", "anatomy"): ITEMS, ("germs", "virology"): ITEMS,
    }  # fmt: skip
    items = read_items_of(settings("mmlu", tmp_path), ["biology"])  # the whole benchmark as one ability
    assert {item.ability for item in items} == {"biology"}


# --- properties ---


def test_options_lose_their_publishers_letters_and_nothing_else():
    assert unlettered(["(A)5", "(C) x", "（D）", "none"]) == ["5", "x", "", "none"]
    assert unlettered(["A. one", " B．two", "C,three"]) == ["one", "two", "three"]
    assert unlettered(["A. Einstein", "N. Bohr"]) == ["A. Einstein", "N. Bohr"]


TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@given(question=TEXT, answers=st.lists(TEXT, max_size=6))
def test_shots_never_change_the_last_question(question, answers):
    def item(text: str, answer: str) -> Item:
        messages = (Message("user", text), Message("assistant", answer))
        return Item("x", "a", messages, "exact_match", answer, origin="x:1")

    last = item(question, "yes")
    shown = check_item(with_shots(last, [item(f"{answer}?", answer) for answer in answers]))
    assert shown.messages[-2:] == last.messages
    assert shown.shots == len(answers) == (len(shown.messages) - 2) // 2
    assert [message.content for message in shown.messages[1:-2:2]] == answers
    assert with_shots(last, []) == last


def test_the_docs_list_every_benchmark():
    text = (Path(__file__).parents[3] / "docs/benchmarks.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert rows == sorted(BENCHMARKS)


def test_reading_benchmarks_is_light():
    code = (
        "import sys, growthpace.data.benchmarks\n"
        "print([m for m in ('torch', 'pyarrow', 'datasets', 'huggingface_hub', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
