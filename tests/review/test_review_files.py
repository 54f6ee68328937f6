"""Reviewers' files: any text survives, spreadsheets run and change nothing, whatever saves them is read back."""

import csv
import io
import json
import xml.etree.ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewing import SAVED, fill, label_studio, rows_of

from growthpace.data.items import Item, Message
from growthpace.errors import InputError
from growthpace.review.columns import COLUMNS, FILLED, Task
from growthpace.review.label_studio import INTERFACE, read_export, task_of, write_tasks
from growthpace.review.sheets import cells_of, plain_text, read_sheet, safe_cell, write_sheet

SPECIAL = "=+-@'\"\t\r\n,;1.5eE\u2028　＝e/TRUEmay -"
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(SPECIAL), min_size=1, max_size=30)
visible = texts.filter(str.strip)


def item(number, question="Q?", answer="A", more=()):
    turns = [Message(role, text) for role, text in more]
    return Item(f"i{number}", "history", (*turns, Message("user", question), Message("assistant", answer)), "none")


@given(texts)
def test_a_cell_gives_back_its_text_and_begins_no_formula(text):
    cell = safe_cell(text)
    assert plain_text(cell) == text
    assert cell[0] not in "=+-@\t\r\n＝＋－＠"
    assert plain_text(safe_cell(cell)) == cell


@pytest.mark.parametrize("text", [
    "=1+1", "+49", "-5", "@SUM(A1)", "\tx", "00012", "1,234", "1/2", "2024-05-01", "1e5", "TRUE", "false",
    "May 3", "50 %", "12345678901234567", "3:45 pm", "7", "'=1",
])  # fmt: skip
def test_what_a_spreadsheet_would_change_is_kept_as_text(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "'tis true", "It's", "Q?", "In 1848 the March Revolution", "biology:12", "c-12e4"]
)
def test_other_cells_are_left_alone(text):
    assert safe_cell(text) == text
    assert plain_text(text) == text


@given(st.lists(st.tuples(visible, visible), min_size=1, max_size=5), visible)
@settings(deadline=None)
def test_any_text_survives_both_exports(tmp_path_factory, shown, earlier):
    folder = tmp_path_factory.mktemp("export")
    before = [("user", earlier), ("assistant", earlier)]
    tasks = [Task(item(n, q, a, before), "anna", "reviewer") for n, (q, a) in enumerate(shown)]
    write_sheet(folder / "a.csv", tasks)
    assert (folder / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    rows = rows_of(folder / "a.csv")
    assert [{k: plain_text(v) for k, v in row.items()} for row in rows] == [cells_of(task) for task in tasks]
    assert list(rows[0]) == list(COLUMNS)
    read = read_sheet(folder / "a.csv")
    assert [row.item_id for row in read] == [task.item.id for task in tasks]
    assert all(row.undecided for row in read)

    write_tasks(folder / "a.jsonl", tasks)
    lines = (folder / "a.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    found = [json.loads(line)["data"] for line in lines]
    assert json.loads((folder / "a.json").read_text(encoding="utf-8")) == [task_of(task) for task in tasks]
    for data, (question, answer) in zip(found, shown, strict=True):
        assert (data["instruction"], data["reference"]) == (question, answer)
        assert [turn["text"] for turn in data["turns"]] == [earlier, earlier, question]
    assert all(row.undecided for row in read_export(folder / "a.jsonl"))


def tidy(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


verdicts = st.dictionaries(
    st.integers(0, 5).map("i{}".format),
    st.sampled_from(["pass", "reject"]).flatmap(lambda v: st.tuples(st.just(v), st.just(""), st.just(""), st.just("")))
    | st.tuples(st.just("revise"), visible, visible, visible),
)


@given(verdicts, st.sampled_from(SAVED))
@settings(deadline=None, max_examples=150)
def test_an_edited_table_gives_exactly_the_verdicts(tmp_path_factory, given_, save):
    """Typed texts are put into cells as the export does: what a spreadsheet makes of `=1+1` is not ours to know."""
    path = tmp_path_factory.mktemp("edited") / "a.csv"
    write_sheet(path, [Task(item(n), "anna", "reviewer") for n in range(6)])
    fill(path, {key: tuple(map(safe_cell, value)) for key, value in given_.items()}, save)
    read = {row.item_id: row for row in read_sheet(path)}
    assert len(read) == 6
    for key, row in read.items():
        verdict, instruction, answer, comment = given_.get(key, ("", "", "", ""))
        found = (row.verdict, tidy(row.revised_instruction), tidy(row.revised_answer), row.comment)
        assert found == (verdict, tidy(instruction), tidy(answer), tidy(comment.strip()).strip())
        assert row.undecided == (key not in given_)
        assert (row.reviewer, row.role, row.content[:2]) == ("anna", "reviewer", "c-")


@given(verdicts, st.booleans())
@settings(deadline=None)
def test_an_export_of_label_studio_gives_exactly_the_verdicts(tmp_path_factory, given_, minimal):
    path = tmp_path_factory.mktemp("studio") / "a.jsonl"
    write_tasks(path, [Task(item(n, "Q?", "A"), "anna", "reviewer") for n in range(6)])
    for row in read_export(label_studio(path, given_, minimal)):
        verdict, instruction, answer, comment = given_.get(row.item_id, ("", "", "", ""))
        untouched = ("Q?", "A") if row.item_id in given_ else ("", "")
        assert (row.verdict, row.comment) == (verdict, tidy(comment.strip()).strip())
        assert row.revised_instruction == (instruction or untouched[0])
        assert row.revised_answer == (answer or untouched[1])


def test_the_labelling_interface_names_what_the_tasks_hold():
    tree = xml.etree.ElementTree.fromstring(INTERFACE)
    data = task_of(Task(item(1), "anna", "reviewer"))["data"]
    used = {element.get("value")[1:] for element in tree.iter() if (element.get("value") or "").startswith("$")}
    assert used <= set(data)
    controls = {element.get("name") for element in tree.iter() if element.get("toName")}
    objects = {element.get("name") for element in tree.iter() if element.get("name")} - controls
    assert controls == set(FILLED)
    assert {element.get("toName") for element in tree.iter()} - {None} <= objects
    assert [choice.get("value") for choice in tree.iter("Choice")] == ["pass", "revise", "reject"]
    assert all(value for value in data.values())  # Label Studio shows an empty text as an error


def table(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


HEAD = "item_id,content,reviewer,role,verdict,revised_instruction,revised_answer,comment"


@pytest.mark.parametrize(("text", "message"), [
    ("a,b\n1,2\n", "{path}:1: no column item_id, content, reviewer, role, verdict, revised_instruction, "
     "revised_answer, comment (found: a, b; keep the heading that growthpace review export wrote)"),
    ("", "{path}:1: no column item_id, "),
    (HEAD + ",verdict\n", "{path}:1: the column verdict occurs twice"),
    (HEAD + "\ni1,c-1,anna,reviewer,pass,,,,,x\n", "{path}:2: row 2 has 10 cells, the heading 8"),
    (HEAD + '\ni1,c-1,anna,reviewer,pass,,,\n"i2"x,c\n', "{path}:3: no row of a table ("),
    (HEAD + '\ni1,c-1,anna,reviewer,pass,"\n\n\n', "{path}:2: no row of a table ("),
])  # fmt: skip
def test_what_is_no_table_is_named(tmp_path, text, message):
    path = table(tmp_path / "a.csv", text)
    with pytest.raises(InputError) as caught:
        read_sheet(path)
    assert str(caught.value).startswith(message.replace("{path}", str(path)))


def test_another_encoding_is_named_with_what_to_do(tmp_path):
    path = table(tmp_path / "a.csv", HEAD + "\ni1,c-1,anna,reviewer,pass,,Käse,\n", "cp1252")
    with pytest.raises(InputError, match=r"a.csv:2: not UTF-8 \(save it again as CSV UTF-8"):
        read_sheet(path)


def test_lines_are_those_of_the_file_and_rows_those_of_the_spreadsheet(tmp_path):
    path = table(
        tmp_path / "a.csv", HEAD + '\ni1,c-1,anna,reviewer,pass,"a\nb\nc",,\n,,,,,,,\ni2,c-2,anna,reviewer,,,,\n'
    )
    assert [(row.item_id, row.line, row.row) for row in read_sheet(path)] == [("i1", 2, 2), ("i2", 6, 4)]


def test_long_cells_are_read(tmp_path):
    long = "x" * 200_000
    text = io.StringIO()
    csv.writer(text).writerow(["i1", "c-1", "anna", "reviewer", "revise", "", long, ""])
    path = table(tmp_path / "a.csv", HEAD + "\n" + text.getvalue())
    assert read_sheet(path)[0].revised_answer == long


def test_two_annotations_of_one_task_are_refused_and_skipped_ones_are_undecided(tmp_path):
    write_tasks(tmp_path / "a.jsonl", [Task(item(1), "anna", "reviewer")])
    path = label_studio(tmp_path / "a.jsonl", {"i1": ("pass",)})
    content = json.loads(path.read_text())
    content[0]["annotations"][0]["was_cancelled"] = True
    path.write_text(json.dumps(content))
    assert read_export(path)[0].undecided
    content[0]["annotations"][0]["was_cancelled"] = False
    content[0]["annotations"] *= 2
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"project-a.json:1: 2 annotations of one task"):
        read_export(path)
