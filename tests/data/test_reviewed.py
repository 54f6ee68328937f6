"""Pools that demand reviewed items, and what a revision makes of an item."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from growthpace.checks import check_study
from growthpace.data.items import Item, Message, read_items
from growthpace.data.pools import make_dataset, make_pool
from growthpace.data.reviewed.revision import Revision, content_of, revised, revision_to
from growthpace.errors import InputError
from growthpace.files import read_metadata
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import load_study
from growthpace.wiring import Plan
from small_study import ABILITIES, CONTENT, POOL, changed, record, write_lines

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "review"))
from reviewing import Review

DEMANDED = changed("sources.curated.reviewed", "reviews/curated")
NEW = "Which is it now?\nA. one\nB. two\nC. three\nD. four"


def reviewed(folder, number=10, content=DEMANDED):
    """A study whose first items of each ability were kept, number 3 of them revised; one more was rejected."""
    review = Review(folder, content)
    passed = {f"{ability}:{n}": ("pass",) for ability in ABILITIES for n in range(number)}
    passed |= {f"{ability}:3": ("revise", NEW, "A") for ability in ABILITIES}
    passed |= {f"{ability}:{POOL - 1}": ("reject",) for ability in ABILITIES}
    review.judge({"anna": passed, "ben": passed})
    return review


def test_a_pool_takes_what_both_passed_in_its_revised_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load_study(reviewed(tmp_path).config)
    paths = Paths(study)
    assert make_pool(study, "curated", "history", paths) == 10
    items = read_items(paths.pool("curated", "history"))
    assert [item.id for item in items] == [f"history:{n}" for n in range(10)]
    changed_item = items[3]
    assert [message.content for message in changed_item.messages] == [NEW, "A"]
    assert (changed_item.scorer, changed_item.answer, changed_item.candidates) == ("letter", "A", tuple("ABCD"))
    assert items[4].messages[0].content.startswith("curated history 4?")
    assert read_metadata(paths.pool("curated", "history"))["left_out"] == {"not passed by two reviewers": 10}


def test_nested_over_what_is_kept(tmp_path, monkeypatch):
    """A later review adds items to a pool; what a dataset takes of the old ones keeps its order."""
    monkeypatch.chdir(tmp_path)
    review = reviewed(tmp_path)
    study = load_study(review.config)
    paths = Paths(study)
    found = {}
    for ability in ABILITIES:
        make_pool(study, "curated", ability, paths)
    for dataset in ("curated-4", "curated-16"):
        make_dataset(study, dataset, 1, paths)
        found[dataset] = [item.id for item in read_items(paths.dataset(dataset, 1))]
    assert set(found["curated-4"]) < set(found["curated-16"])
    more = {f"{ability}:{n}": ("pass",) for ability in ABILITIES for n in range(10, 19)}
    review.judge({"anna": more, "ben": more})
    for ability in ABILITIES:
        assert make_pool(study, "curated", ability, paths) == 19
    make_dataset(study, "curated-16", 1, paths)
    again = [item.id for item in read_items(paths.dataset("curated-16", 1))]
    assert [key for key in found["curated-16"] if key in again] == [key for key in again if key in found["curated-16"]]


def test_check_says_what_is_left_and_refuses_larger_volumes(tmp_path):
    review = reviewed(tmp_path)
    found = check_study(load_study(review.config))
    assert found["items"]["sources.curated/history"] == 10
    assert found["reviewed"]["sources.curated/history"] == "of 20 offered, 10 not passed by two reviewers"
    few = reviewed(tmp_path / "few", 7)
    with pytest.raises(InputError, match="16 needs 8 items of 'biology' from 'curated', but its pool holds 7"):
        check_study(load_study(few.config))


def test_without_a_review_the_next_step_is_told(tmp_path):
    review = Review(tmp_path, DEMANDED)
    with pytest.raises(InputError) as caught:
        check_study(load_study(review.config))
    assert str(caught.value).splitlines()[0] == (
        f"sources.curated.reviewed: {tmp_path}/reviews/curated/kept/biology.jsonl: no such file "
        "(growthpace review import writes it)"
    )
    review.judge({"anna": {"biology:1": ("pass",)}, "ben": {}})
    with pytest.raises(InputError) as caught:
        check_study(load_study(review.config))
    assert str(caught.value).splitlines()[0] == (
        "sources.curated.reviewed: no item of 'biology' was kept (20 not passed by two reviewers); growthpace review "
        "report says what is left to do"
    )


def test_an_item_that_changed_since_is_left_out(tmp_path):
    review = reviewed(tmp_path)
    items = [
        record(f"curated history {n}?\nA. one\nB. two\nC. three\nD. four", "ABCD"[n % 4], idx=n) for n in range(20)
    ]
    items[0] = record("another 0?\nA. one\nB. two", "B", idx=0)
    write_lines(tmp_path / "items/curated/history.json", items)
    found = check_study(load_study(review.config))["reviewed"]["sources.curated/history"]
    assert found == "of 20 offered, 1 changed since they were reviewed, 10 not passed by two reviewers"
    path = review.folder / "kept/history.jsonl"
    path.write_text(path.read_text("utf-8").replace("Which is it now?", "What is it now?"), "utf-8")
    with pytest.raises(InputError, match=r"kept/history.jsonl:4: not the text that was passed"):
        check_study(load_study(review.config))


def test_a_verdict_that_decides_nothing_touches_no_pool(tmp_path):
    review = reviewed(tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in (review.folder / "kept").iterdir()}
    review.judge({"anna": {"history:12": ("pass",)}})
    assert {p.name: p.stat().st_mtime_ns for p in (review.folder / "kept").iterdir()} == before
    review.judge({"ben": {"history:12": ("pass",)}})
    after = {p.name: p.stat().st_mtime_ns for p in (review.folder / "kept").iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"history.jsonl"}


def test_the_pool_rule_depends_on_its_own_decisions_alone(tmp_path):
    review = reviewed(tmp_path)
    plan = Plan(review.config)
    files = [tmp_path / "items/curated/history.json", review.folder / "kept/history.jsonl"]
    assert plan.source_files("curated", "history") == list(map(str, files))
    assert plan.grid.pool_settings("curated")["reviewed"] is True
    plain = Grid(load_study(Review(tmp_path / "plain", CONTENT).config))
    assert "reviewed" not in plain.pool_settings("curated")
    assert plain.dataset_settings("curated-4", 1) == plan.grid.dataset_settings("curated-4", 1)


def item(scorer="none", question="Q?", answer="A"):
    return Item("i", "math", (Message("user", question), Message("assistant", answer)), scorer)


@pytest.mark.parametrize(("old", "revision", "expected"), [
    (replace(item("math", "1+1?", "1+1=2 #### 2"), answer="2"), Revision("What is 1+1?", None), ("math", "2", ())),
    (replace(item("math", "1+1?", "1+1=3 #### 3"), answer="3"), Revision(None, "1+1=2 #### 2"), ("none", "", ())),
    (replace(item("exact_match", "Capital?", "Rome"), answer="Rome"), Revision(None, "Paris"),
     ("exact_match", "Paris", ())),
    (replace(item("perplexity", "Go on", "good"), answer="good", candidates=("good", "bad")), Revision(None, "better"),
     ("perplexity", "better", ("better", "bad"))),
    (replace(item("cloze", "Who?", "Li Bai"), answer="Li Bai"), Revision(None, "Du Fu"), ("cloze", "Du Fu", ())),
    (replace(item("true_false", "So?", "True"), answer="True", candidates=("True", "False"), chance=0.5),
     Revision(None, "False"), ("true_false", "False", ("True", "False"))),
    (item(), Revision("Say it.", "It is."), ("none", "", ())),
])  # fmt: skip
def test_how_a_revised_item_is_scored(old, revision, expected):
    found = revised(old, revision)
    assert (found.scorer, found.answer, found.candidates) == expected
    assert (found.id, found.ability, found.origin) == (old.id, old.ability, old.origin)
    assert content_of(found) != content_of(old)


def test_a_revision_that_makes_no_item_is_refused():
    old = replace(item("perplexity", "Go on", "good"), answer="good", candidates=("good", "bad"))
    with pytest.raises(InputError, match="the candidate 'bad' is given twice"):
        revised(old, Revision(None, "bad"))


def test_what_a_program_adds_around_a_text_is_no_revision():
    old = item("none", "a\r\nb", "  code")
    assert revision_to(old, "a\nb\n\n", "  code \r\n").empty
    assert revision_to(old, None, "  more\r\n").answer == "  more"
