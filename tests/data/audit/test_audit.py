"""The audit finds what was planted, and nothing in sets that share nothing."""

import random
import time

import pyarrow as pa
import pytest

from growthpace.data.audit import KINDS
from growthpace.data.audit import audit as full_audit
from growthpace.data.audit.page import ROWS_SHOWN, audit_html
from growthpace.data.items import Item, Message
from growthpace.files import write_table

SERIOUS = KINDS[: KINDS.index("empty")]
WORDS = [f"word{n}" for n in range(5000)]


def audit(pools, suites):
    return full_audit(pools, suites).findings


def item(identifier, prompt, answer="An answer.", ability="history", **fields):
    fields = {"scorer": "none"} | fields
    return Item(identifier, ability, (Message("user", prompt), Message("assistant", answer)), **fields)


def text(seed, length=60):
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def pool(name, count, length=60):
    return [item(f"{name}{n}", text(f"{name}{n}", length), text(f"answer {name}{n}", 5)) for n in range(count)]


def serious(table):
    rows = [row for row in table.to_pylist() if row["kind"] in SERIOUS]
    return [(r["kind"], r["source"], r["id"], r["other_source"], r["other_id"], round(r["value"], 2)) for r in rows]


def test_disjoint_sets_have_no_findings():
    pools = {"curated": pool("c", 50), "synthetic": pool("s", 50)}
    suites = {"valid": pool("v", 20), "test": pool("t", 20)}
    assert serious(audit(pools, suites)) == []


def test_exact_leak_in_spite_of_case_and_space():
    pools = {"curated": [*pool("c", 5), item("leaked", "Who  was FIRST?\n", "Ann")]}
    suites = {"test": [*pool("t", 5), item("asked", "who was first?", "Bob")]}
    assert serious(audit(pools, suites)) == [("leak", "curated", "leaked", "test", "asked", 1.0)]


def test_a_question_with_other_options_may_leak():
    """Possible: it is on a list of its own, for the policy drop_possible, and not among what surely leaks."""
    question = text("question", 40)

    def options(seed):
        return "".join(f"\n{letter}. {text(f'{seed}{letter}', 20)}" for letter in "ABCD")

    def asked(identifier, options):
        messages = (Message("user", question + options), Message("assistant", "B"))
        return Item(identifier, "history", messages, "letter", "B", tuple("ABCD"), 0.25)

    pools = {"curated": [*pool("c", 5), asked("other", options("o"))]}
    suites = {"test": [*pool("t", 5), asked("asked", options("p"))]}
    found = full_audit(pools, suites)
    assert serious(found.findings) == [("possible_leak", "curated", "other", "test", "asked", 1.0)]
    assert (found.leaked, found.possible) == ({}, {("curated", "history"): ["other"]})
    same = full_audit({"curated": [asked("same", options("p"))]}, suites)
    assert (same.leaked, same.possible) == ({("curated", "history"): ["same"]}, {})


@pytest.mark.parametrize(("copied", "value"), [(1.0, 1.0), (0.75, 0.75), (0.55, 0.55)])
def test_partial_leak_has_its_share(copied, value):
    question = text("question", 200)
    part = " ".join(question.split()[: int(200 * copied)])
    pools = {"curated": [*pool("c", 5), item("leaked", f"{text('before', 9)} {part} {text('after', 9)}")]}
    suites = {"test": [*pool("t", 5), item("asked", question, "yes")]}
    found = audit(pools, suites)
    assert serious(found) == [("partial_leak", "curated", "leaked", "test", "asked", value)]
    (row,) = [row for row in found.to_pylist() if row["kind"] == "partial_leak"]
    words = 200 * copied - 12  # n-grams of 13 words in the part, of 188 in the question
    assert row["ngram_13"] == pytest.approx(words / 188, abs=0.001)
    assert row["ngram_20"] == pytest.approx(copied, abs=0.02)


def test_less_than_half_is_no_leak():
    question = text("question", 200)
    pools = {"curated": [item("c", " ".join(question.split()[:80]))]}
    assert serious(audit(pools, {"test": [item("t", question)]})) == []


def test_every_leaking_item_and_the_worst_of_each_pool_are_named():
    question = text("question", 100)
    some, most = (" ".join(question.split()[:n]) for n in (70, 90))
    pools = {"a": [item("some", some), item("most", most)], "b": [item("most", most)]}
    found = serious(audit(pools, {"test": [item("asked", question)]}))
    found = [(kind, source, known) for kind, source, known, *_ in found if kind == "partial_leak"]
    assert found == [
        ("partial_leak", "a", "most"),
        ("partial_leak", "a", "some"),
        ("partial_leak", "b", "most"),
    ]


def test_chinese_is_compared_by_characters():
    question = "在下列关于细胞膜结构与功能的叙述中，哪一项是不正确的，请说明理由并给出例子"
    pools = {"curated": [item("leaked", "考题：" + question[:-4] + "。")]}
    found = serious(audit(pools, {"test": [item("asked", question, "甲")]}))
    assert [row[:5] for row in found] == [("partial_leak", "curated", "leaked", "test", "asked")]


def test_answers_and_earlier_turns_count():
    tale = text("tale", 80)
    turns = (Message("user", "Hi"), Message("assistant", tale), Message("user", "More"), Message("assistant", "No"))
    pools = {"curated": [Item("leaked", "history", turns, "none")]}
    found = serious(audit(pools, {"test": [item("asked", "Tell me a tale.", tale)]}))
    assert [row[0] for row in found] == ["partial_leak"]


def test_a_prompt_leaks_also_with_another_answer():
    question = text("question", 40)
    pools = {"curated": [item("leaked", f"Please. {question}", text("long answer", 90))]}
    found = serious(audit(pools, {"test": [item("asked", question, text("other long answer", 90))]}))
    assert found == [("partial_leak", "curated", "leaked", "test", "asked", 1.0)]


def test_a_template_is_no_leak():
    template = text("instructions that every item repeats", 60)
    pools = {"curated": [item(f"c{n}", f"{template} {text(n, 5)}") for n in range(30)]}
    suite = [item(f"t{n}", f"{template} {text(1000 + n, 5)}") for n in range(30)]
    assert {row[0] for row in serious(audit(pools, {"test": suite}))} == {"near_within"}  # most of each is the template


def test_short_items_are_compared_whole():
    pools = {"curated": [item("a", "one two"), item("b", "one two three")]}
    found = serious(audit(pools, {"test": [item("t", "One two")]}))
    assert [row[2] for row in found] == ["a"]


def test_duplicates():
    one = item("one", "The same?", "Yes")
    pools = {
        "curated": [one, item("two", "the  same?", "yes"), item("other", "The same?", "No")],
        "synthetic": [item("three", "The same?", "Yes")],
    }
    assert serious(audit(pools, {})) == [
        ("duplicate_within", "curated", "two", "curated", "one", 1.0),
        ("duplicate_between", "synthetic", "three", "curated", "one", 1.0),
    ]


def test_suites_that_overlap():
    suites = {"valid": [item("v", "Who?")], "test": [item("t", "who?")], "other": [item("o", "What?")]}
    assert serious(audit({}, suites)) == [("suite_overlap", "valid", "v", "test", "t", 1.0)]


def test_label_imbalance():
    def lettered(answers):
        return [
            Item(f"i{n}", "history", item("", text(n), answer).messages, "letter", answer, tuple("ABCD"), 1 / 4)
            for n, answer in enumerate(answers)
        ]

    def found(answers):
        table = audit({"curated": lettered(answers)}, {}).to_pylist()
        return [(r["detail"], r["value"]) for r in table if r["kind"] == "label_imbalance"]

    assert found("A" * 60 + "BCD" * 30) == [("A: 60 of 150, an even share is 0.25", 0.4)]
    assert found("ABCD" * 8) == []
    assert found("A" * 12 + "BCD" * 6) == []  # the same shares, but too few to tell
    assert found("AAAB") == []
    shares = [r for r in audit({"c": lettered("AAAB")}, {}).to_pylist() if r["kind"] == "label_share"]
    assert [(r["ability"], r["detail"], r["value"]) for r in shares] == [
        ("history", "A: 3 of 4", 0.75),
        ("history", "B: 1 of 4", 0.25),
    ]


def test_lengths():
    rows = audit({"curated": [item("a", "x" * 10, "y"), item("b", "x" * 30, "y"), item("c", "x" * 20, "y")]}, {})
    lengths = {r["kind"]: (r["value"], r["id"]) for r in rows.to_pylist() if r["kind"].startswith("length")}
    assert lengths == {"length_median": (21, ""), "length_longest": (31, "b")}


def test_empty_sets():
    assert audit({}, {}).num_rows == 0
    assert audit({"curated": []}, {"test": []}).num_rows == 0
    assert serious(audit({"curated": pool("c", 2)}, {"test": []})) == []


def planted():
    leaked = pool("t", 10)
    pools = {"b": [*pool("c", 20), *leaked[:3]], "a": [*pool("c", 20)[5:], item("x", text("t7") + " more")]}
    return pools, {"test": leaked, "valid": leaked[4:]}


def test_same_bytes_in_any_order(tmp_path):
    pools, suites = planted()
    write_table(tmp_path / "first.parquet", audit(pools, suites), {"stage": "audit"})
    turned = [{name: items[::-1] for name, items in list(sets.items())[::-1]} for sets in (pools, suites)]
    write_table(tmp_path / "second.parquet", audit(*turned), {"stage": "audit"})
    assert (tmp_path / "first.parquet").read_bytes() == (tmp_path / "second.parquet").read_bytes()
    assert {row[0] for row in serious(audit(*turned))} == {"leak", "partial_leak", "suite_overlap", "duplicate_between"}


def test_time_grows_with_the_amount_of_text():
    def seconds(count):
        # Worst case for an index: a template in every item.
        template = text("template", 40)
        items = [item(f"c{n}", f"{template} {text(n, 40)}") for n in range(count)]
        suite = [item(f"t{n}", f"{template} {text(-1 - n, 40)}") for n in range(count)]
        begin = time.perf_counter()
        audit({"curated": items}, {"test": suite})
        return time.perf_counter() - begin

    seconds(50)
    assert seconds(1600) < 10 * seconds(400)  # 16 times, were all pairs compared


def test_page():
    pools, suites = planted()
    pools["b"].append(item("<script>alert(1)</script>", "Who?"))
    suites["test"].append(item("asked", "Who?"))
    table = audit(pools, suites)
    page = audit_html(table, "a & b")
    assert page == audit_html(table, "a & b")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a &amp; b" in page
    assert "http" not in page  # self-contained
    for kind in KINDS:
        assert kind in page
    assert "No leak, no overlap and no duplicate" not in page
    assert "No leak, no overlap and no duplicate" in audit_html(audit({}, {}), "nothing")


def test_page_stays_small():
    same = [item(f"i{n:04}", "The same?") for n in range(ROWS_SHOWN + 51)]
    page = audit_html(audit({"curated": same}, {}), "many")
    assert f"The first {ROWS_SHOWN} of {ROWS_SHOWN + 50}; audit.parquet has all." in page
    assert page.count("<tr>") < 2 * ROWS_SHOWN


def test_schema_is_that_of_every_table():
    assert audit({}, {}).schema == audit(*planted()).schema
    assert audit({}, {}).schema.field("value").type == pa.float64()
