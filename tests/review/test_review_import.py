"""From reviewers' files to what is kept: the rule, partial reviews, conflicts, faults, the history."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewing import SAVED, TODAY, Review, fill, label_studio, rows_of

from growthpace.data.reviewed.decisions import CONFLICT, KEPT, REJECTED, UNDECIDED
from growthpace.data.reviewed.history import read_history
from growthpace.errors import InputError
from small_study import ABILITIES, POOL, record, write_lines

NEW = "Which is it now?\nA. one\nB. two\nC. three\nD. four"
OTHER = "And which is it now?\nA. one\nB. two\nC. three\nD. four"


def standing(review, item="history:3"):
    found = review.source.outcomes()[item]
    return found.state, found.revision.instruction, found.revision.answer


def both(anna, ben, item="history:3"):
    return {"anna": {item: anna}, "ben": {item: ben}}


@pytest.mark.parametrize(("anna", "ben", "expected"), [
    (("pass",), ("pass",), (KEPT, None, None)),
    (("reject",), ("reject",), (REJECTED, None, None)),
    (("pass",), ("reject",), (CONFLICT, None, None)),
    (("pass",), (), (UNDECIDED, None, None)),
    ((), (), (UNDECIDED, None, None)),
    (("revise", NEW), (), (UNDECIDED, None, None)),  # the other judges the source's version first
    (("revise", NEW), ("pass",), (UNDECIDED, NEW, None)),
    (("revise", NEW), ("reject",), (CONFLICT, None, None)),
    (("revise", NEW), ("revise", NEW + "\n"), (KEPT, NEW, None)),
    (("revise", NEW, "A"), ("revise", NEW, "A"), (KEPT, NEW, "A")),
    (("revise", NEW), ("revise", OTHER), (CONFLICT, None, None)),
])  # fmt: skip
def test_what_two_first_verdicts_come_to(tmp_path, anna, ben, expected):
    review = Review(tmp_path)
    review.judge(both(anna, ben))
    assert standing(review) == expected
    assert standing(review, "history:4") == (UNDECIDED, None, None)


@pytest.mark.parametrize(("second", "expected"), [
    (("pass",), (KEPT, NEW, None)),
    (("reject",), (CONFLICT, NEW, None)),
    (("revise", "", "A"), (UNDECIDED, NEW, "A")),
    (("revise", "curated history 3?\nA. one\nB. two\nC. three\nD. four"), (CONFLICT, NEW, None)),  # back again
])  # fmt: skip
def test_a_revision_needs_the_other_s_pass(tmp_path, second, expected):
    review = Review(tmp_path)
    review.judge(both(("revise", NEW), ("pass",)))
    (path,) = [paths[0] for name, paths in review.export(reviewers=("anna", "ben")).items() if name == "ben"]
    row = next(row for row in rows_of(path) if row["item_id"] == "history:3")
    assert row["conversation"] == NEW
    anna = review.home / "round-2/curated-anna.csv"
    assert "history:3" not in {row["item_id"] for row in rows_of(anna)}
    fill(path, {"history:3": second})
    review.take(path)
    assert standing(review) == expected
    if expected[0] == UNDECIDED:
        review.judge({"anna": {"history:3": ("pass",)}})
        assert standing(review) == (KEPT, NEW, "A")


@pytest.mark.parametrize(("verdict", "expected"), [
    (("pass",), (KEPT, None, None)),
    (("reject",), (REJECTED, None, None)),
    (("revise", OTHER), (KEPT, OTHER, None)),
])  # fmt: skip
def test_a_third_person_decides_a_conflict(tmp_path, verdict, expected):
    review = Review(tmp_path)
    review.judge(both(("revise", NEW, "", "unclear"), ("reject", "", "", "wrong")))
    ((name, (path,)),) = review.export(adjudicator="clara").items()
    (row,) = rows_of(path)
    assert (name, row["role"], row["item_id"]) == ("clara", "adjudicator", "history:3")
    assert row["notes"] == f"anna: revise\ninstruction: {NEW}\ncomment: unclear\n\nben: reject\ncomment: wrong"
    fill(path, {"history:3": verdict})
    review.take(path)
    assert standing(review) == expected
    assert review.source.outcomes()["history:3"].adjudicator == "clara"
    assert review.export(adjudicator="clara") == {}


def test_reviewers_and_adjudicators_are_different_people(tmp_path):
    review = Review(tmp_path)
    review.judge(both(("pass",), ("reject",)))
    (path,) = review.export(adjudicator="anna")["anna"]
    fill(path, {"history:3": ("pass",)})
    with pytest.raises(InputError, match="anna has reviewed this item and cannot adjudicate it"):
        review.take(path)
    (path,) = review.export(adjudicator="clara")["clara"]
    fill(path, {"history:3": ("pass",)})
    review.take(path)
    assert "history:3" not in {row["item_id"] for row in rows_of(review.export(reviewers=("anna", "dora"))["dora"][0])}
    text = path.read_text("utf-8-sig").replace("adjudicator", "reviewer").replace("clara", "dora")
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match="anna and ben have reviewed this item, dora is a third"):
        review.take(path)


def test_a_partial_review_goes_on(tmp_path):
    review = Review(tmp_path)
    files = review.export(sample=3)
    assert {name: len(rows_of(path)) for name, (path,) in files.items()} == {"anna": 6, "ben": 6}
    (anna,), (ben,) = files["anna"], files["ben"]
    ids = [row["item_id"] for row in rows_of(anna)]
    assert sorted(ids) == sorted(row["item_id"] for row in rows_of(ben))
    assert ids != [row["item_id"] for row in rows_of(ben)]  # an order for each
    fill(anna, dict.fromkeys(ids[:2], ("pass",)))
    (found,) = review.take(anna)
    assert (found.verdicts["pass"], found.undecided, len(found.new)) == (2, 4, 2)
    fill(anna, dict.fromkeys(ids[:5], ("pass",)))
    (found,) = review.take(anna)
    assert (found.verdicts["pass"], found.undecided, len(found.new)) == (5, 1, 3)
    left = review.export(sample=3)  # only what is left, for each
    assert {name: len(rows_of(path)) for name, (path,) in left.items()} == {"anna": 1, "ben": 6}
    larger = review.export(sample=4)
    assert {row["item_id"] for row in rows_of(larger["ben"][0])} > set(ids)
    assert len(read_history(review.folder)) == 5


def test_importing_again_changes_nothing(tmp_path):
    review = Review(tmp_path)
    files = review.export(sample=2)
    (anna,) = files["anna"]
    ids = [row["item_id"] for row in rows_of(anna)]
    fill(anna, {ids[0]: ("pass",), ids[1]: ("revise", NEW), ids[2]: ("reject", "", "", "why")})
    first = anna.read_bytes()
    review.take(anna)

    def files_there():
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in review.folder.rglob("*.jsonl")}

    before = files_there()
    assert len(before) == 3
    (found,) = review.take(anna)
    assert not found.new
    fill(anna, {}, SAVED[3])  # other bytes, same verdicts
    assert not review.take(anna)[0].new
    assert files_there() == before

    anna.write_bytes(first)
    fill(anna, {ids[0]: ("reject",)})  # thought better of
    assert len(review.take(anna)[0].new) == 1
    anna.write_bytes(first)
    assert not review.take(anna)[0].new  # an old file does not undo it
    entries = [entry for entry in read_history(review.folder) if entry.item_id == ids[0]]
    assert [entry.verdict for entry in entries] == ["pass", "reject"]
    assert review.source.outcomes()[ids[0]].first == {"anna": "pass"}


def test_the_history_says_who_when_and_what(tmp_path):
    review = Review(tmp_path)
    review.judge({"anna": {"history:3": ("Revise ", NEW, "A", "old one was wrong")}})
    (line,) = (review.folder / "history.jsonl").read_text("utf-8").splitlines()
    found = json.loads(line)
    assert found["content"] != found["revised_content"]
    assert len(found.pop("file_sha256")) == 64
    assert {key: found[key] for key in found if "content" not in key} == {
        "item_id": "history:3", "ability": "history", "reviewer": "anna", "role": "reviewer", "verdict": "revise",
        "revised_instruction": NEW, "revised_answer": "A", "comment": "old one was wrong", "date": TODAY,
        "file": "curated-anna.csv", "before_instruction": "curated history 3?\nA. one\nB. two\nC. three\nD. four",
        "before_answer": "D",
    }  # fmt: skip
    (review.folder / "history.jsonl").write_text(line.replace('"revise"', '"rewrite"') + "\n", "utf-8")
    with pytest.raises(InputError, match=r"history.jsonl:1: verdict: 'rewrite' \(allowed: pass, revise, reject\)"):
        read_history(review.folder)


@pytest.mark.parametrize("minimal", [False, True])
def test_label_studio_s_exports_are_taken(tmp_path, minimal):
    review = Review(tmp_path)
    paths = review.export(formats="jsonl", sample=2)["anna"]
    assert (paths[0].parent / "label-studio.xml").exists()
    ids = sorted(json.loads(line)["data"]["item_id"] for line in paths[0].read_text("utf-8").split("\n") if line)
    exported = label_studio(paths[0], {ids[0]: ("pass",), ids[1]: ("revise", NEW)}, minimal)
    (found,) = review.take(exported)
    assert dict(found.verdicts) == {"pass": 1, "revise": 1}
    assert found.undecided == 2
    assert read_history(review.folder)[0].date.startswith("2024-05-01T10:00")
    assert {entry.revised_answer for entry in found.new} == {None}  # what was left as it was is no revision


def faults(tmp_path, change, verdicts=None):
    """What an import says of a table in which `change` was made to the row of history:3."""
    review = Review(tmp_path)
    (path,) = review.export()["anna"]
    fill(path, verdicts or {"history:3": ("pass",)})
    rows = rows_of(path)
    at = next(n for n, row in enumerate(rows) if row["item_id"] == "history:3")
    change(rows, at)
    path.write_bytes(SAVED[0](list(rows[0]), rows))
    with pytest.raises(InputError) as caught:
        review.take(path)
    assert not (review.folder / "history.jsonl").exists()
    first, last = str(caught.value).splitlines()[0], str(caught.value).splitlines()[-1]
    assert last == "nothing was imported"
    assert first.startswith(f"{path}:")
    line, row, what = first.removeprefix(f"{path}:").split(": ", 1)[0], at + 2, first.split(", item ", 1)[1]
    assert path.read_text("utf-8-sig").splitlines()[int(line) - 1].startswith('"')
    assert f" row {row}, " in first or "no such item" in what or "already" in what
    return what.split(": ", 1)[1]


def put(**values):
    return lambda rows, at: rows[at].update(values)


@pytest.mark.parametrize(("change", "message"), [
    (put(item_id="history:999"), "sources.curated has no such item (is this another source's file, or was "
     "it removed?)"),
    (put(content="c-0123456789abcdef"), "the item has changed since the export (export it again; this verdict was on "
     "another text)"),
    (put(content=""), "content: empty (keep what growthpace review export wrote)"),
    (put(reviewer=""), "reviewer: empty (keep what growthpace review export wrote)"),
    (put(role="boss"), "role: 'boss' (allowed: reviewer, adjudicator)"),
    (put(verdict="ok"), "verdict: 'ok' (allowed: pass, revise, reject, or empty for an item not judged yet)"),
    (put(verdict="", comment="hm"), "comment without a verdict (allowed: pass, revise, reject)"),
    (put(verdict="", revised_answer="A"), "revised_answer without a verdict (allowed: pass, revise, reject)"),
    (put(verdict="revise"), "verdict: revise, but neither revised_instruction nor revised_answer says anything new "
     "(allowed: a changed text in one of them, or pass or reject)"),
    (put(verdict="revise", revised_answer=" D "), "verdict: revise, but neither revised_instruction nor revised_answer "
     "says anything new (allowed: a changed text in one of them, or pass or reject)"),
    (put(revised_answer="A"), "verdict: pass, but revised_answer is filled in (allowed: revise, or no text)"),
    (put(verdict="revise", revised_answer="E"), "the revised text makes no item: the answer 'E' is no choice of the "
     "question's options (A, B, C, D)"),
    (lambda rows, at: rows.append(dict(rows[at])), "anna has judged this item already in "),
])  # fmt: skip
def test_a_fault_is_one_line_and_nothing_is_imported(tmp_path, change, message):
    assert faults(tmp_path, change).startswith(message)


def test_all_faults_are_told_at_once_and_not_too_many(tmp_path):
    review = Review(tmp_path)
    (path,) = review.export()["anna"]
    fill(path, {f"{ability}:{n}": ("fine",) for ability in ABILITIES for n in range(POOL)})
    with pytest.raises(InputError) as caught:
        review.take(path)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-2:]) == (22, ["and 20 more faults", "nothing was imported"])


def test_a_table_in_another_format_is_named(tmp_path):
    review = Review(tmp_path)
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"a.xlsx: cannot read .xlsx \(allowed: .csv, .*; save the table as CSV UTF-8"):
        review.take(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match=r"b.csv: no such file"):
        review.take(tmp_path / "b.csv")


def test_an_item_that_changes_in_the_source_is_undecided_again(tmp_path):
    review = Review(tmp_path)
    review.judge(both(("pass",), ("pass",)))
    (path,) = review.export()["anna"]
    fill(path, {"history:4": ("pass",)})
    items = [record(f"new {n}?\nA. one\nB. two\nC. three\nD. four", "ABCD"[n % 4], idx=n) for n in range(POOL)]
    write_lines(tmp_path / "items/curated/history.json", items)
    with pytest.raises(InputError, match="history:4': the item has changed since the export"):
        review.take(path)
    found = review.source.outcomes()["history:3"]
    assert (found.state, found.reviewers, found.outdated) == (UNDECIDED, (), 2)


def test_what_an_export_finds_there_stays(tmp_path):
    review = Review(tmp_path)
    (path,) = review.export()["anna"]
    review.rounds = 0
    with pytest.raises(InputError, match=r"exists already, and verdicts may stand in it; import it first"):
        review.export()
    said = []
    review.export(report=said.append, sample=1)
    assert any("next: growthpace review import" in line and "curated-anna.csv" in line for line in said)
    assert path.exists()


def test_the_next_step_is_told(tmp_path):
    review = Review(tmp_path)
    said = []
    review.judge({"anna": {"history:1": ("pass",), "history:2": ("revise", NEW)}, "ben": {"history:1": ("reject",)}})
    review.judge({"ben": {"history:2": ("pass",)}})
    (path,) = review.export(sample=20)["ben"]
    review.take(path, report=said.append)
    assert said == [
        f"{path}: 0 pass, 0 revise, 0 reject, 39 not judged yet; 0 new verdicts",
        "review curated: 0 kept, 0 rejected, 1 in conflict, 1 undecided, 38 not judged by anybody",
        f"next: 1 revision waits for the other reviewer: growthpace review export {review.config} curated --reviewers "
        "anna,ben --to FOLDER",
        f"next: 1 conflict waits for a third person: growthpace review export {review.config} curated --adjudicator "
        "NAME --to FOLDER",
    ]  # fmt: skip


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_any_verdicts_in_any_order_of_files_come_to_the_same(tmp_path_factory, data):
    """Two people's verdicts decide the same whoever's file is read first, and a pass of both is kept, nothing else."""
    kinds = st.sampled_from([(), ("pass",), ("reject",), ("revise", NEW), ("revise", OTHER)])
    given_ = {name: {f"history:{n}": data.draw(kinds) for n in range(6)} for name in ("anna", "ben")}
    review, found = Review(tmp_path_factory.mktemp("review")), []
    files = review.export()
    for name, (path,) in files.items():
        fill(path, given_[name], data.draw(st.sampled_from(SAVED)))
    for names in (("anna", "ben"), ("ben", "anna")):
        (review.folder / "history.jsonl").unlink(missing_ok=True)
        for name in names:
            review.take(*files[name])
        outcomes = review.source.outcomes()
        found.append({key: (o.state, o.content) for key, o in outcomes.items()})
    assert found[0] == found[1]
    for key in given_["anna"]:
        anna, ben = given_["anna"][key], given_["ben"][key]
        assert (found[0][key][0] == KEPT) == (anna == ben and anna[:1] in (("pass",), ("revise",)))
