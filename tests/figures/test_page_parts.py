"""What the page is filled with: further tables, examples, the curves' data and downloads."""

import base64
import gzip
import io
import json
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import item_grades
from made_up_pages import EVIL, NAN, examples, many_points, page, record, tables

from growthpace.analysis.curves import points
from growthpace.analysis.scores import OVERALL, write_frame
from growthpace.figures import embedded
from growthpace.figures.embedded import as_json, chart, download, shown_downloads, size
from growthpace.figures.examples import EACH, SHORT, best_run, choose, shortened
from growthpace.figures.sections import KINDS, PARTS, PLAIN, SECTIONS, plain, shown, written


def texts(found):
    return {c.label: [row["cells"][n]["text"] for row in found["rows"]] for n, c in enumerate(found["columns"])}


def smalls(found):
    return {c.label: [row["cells"][n]["small"] for row in found["rows"]] for n, c in enumerate(found["columns"])}


def test_sections_are_whole():
    assert set(tables()) == {*SECTIONS, *PLAIN, "law_curves"}
    for section in SECTIONS.values():
        assert section.part in PARTS
        assert section.explanation.endswith(".")
        labels = [column.label for column in section.columns]
        assert len(labels) == len(set(labels))
        assert all(column.kind in KINDS for column in section.columns)
        assert not any("_" in label for label in labels)


@pytest.mark.parametrize("key", SECTIONS)
def test_every_table_is_written_down(key):
    table = tables()[key]
    found = shown(key, table, "test")
    assert len(found["rows"]) == len(table)
    assert all(len(row["cells"]) == len(found["columns"]) > 2 for row in found["rows"])
    assert "nan" not in json.dumps([row["cells"] for row in found["rows"]], default=str).lower()


def test_what_is_not_known_is_said_to_be():
    found = shown("laws", tables()["laws"], "test")
    assert texts(found)["Ceiling (%)"][:2] == ["none, or not identified", "70.0"]
    assert smalls(found)["Ceiling (%)"][1] == "60.0 to 80.0"
    assert smalls(found)["Items to 90 % of the ceiling"][1] == "300 or more"
    assert texts(found)["Held out: inside the interval"][:5] == ["no", "yes", "yes", "no", "not known"]
    assert texts(found)["Why refused, or what is not told"][4] == "fewer than five items for each point"
    refused = found["rows"][4]["cells"]
    assert [cell["sort"] for cell in refused if cell["text"] == "not known"] == [None] * 3


def test_open_ends_of_volumes_are_open():
    table = tables()["equivalence"].assign(low=[0.0, 0.0, 40.0] * 2, high=[80.0, float("inf"), 80.0] * 2)
    assert smalls(shown("equivalence", table, "test"))["Equal volume of the first"][:3] == [
        "up to 80", "not bounded", "40 to 80",
    ]  # fmt: skip


def test_a_column_that_says_nothing_is_left_out_and_other_suites_too():
    laws = tables()["laws"].assign(status="fitted", reason="")
    assert "Why refused, or what is not told" not in texts(shown("laws", laws, "test"))
    assert shown("laws", laws, "another") is None
    assert len(shown("generalisation", tables()["generalisation"], "test")["rows"]) == 2
    assert shown("laws", laws.drop(columns="ceiling"), "test")["columns"][6].name != "ceiling"


@given(st.floats(allow_nan=False), st.sampled_from(["percent", "points", "decimal", "count", "number"]))
def test_every_number_is_written_with_a_real_minus(value, kind):
    text = written(value, kind)
    assert "-" not in re.sub(r"e-", "", text)
    assert text not in ("", "nan", "inf")


def test_a_kind_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="allowed: word, text, ability"):
        written(1.0, "money")


def test_nested_values_become_pairs_tables_and_blocks():
    block = plain(tables()["allocation"])
    assert block["pairs"] == [("Budget", "10,000")]
    assert block["tables"][0]["heads"] == ["Ability", "Items", "Share"]
    assert block["tables"][0]["rows"] == [["biology", "4,000", "0.4"]]
    assert block["inside"][0]["pairs"] == [("Points", "1.5"), ("Interval", "0.2 to 2.8")]
    assert plain({"held": None, "gain": NAN, "why": []})["pairs"] == [
        ("Held", "not known"), ("Gain", "not known"), ("Why", "none"),
    ]  # fmt: skip


def test_the_page_shows_what_is_there_and_nothing_else():
    full, bare = (page(missing=(), drawn=False, further=further) for further in ({"tables": tables()}, None))
    for key in (*SECTIONS, *PLAIN):
        assert f'id="table-{key}"' in full
        assert f'id="table-{key}"' not in bare
    for part in ("laws", "generalisation", "transfer", "examples"):
        assert f'href="#{part}"' not in bare
    with pytest.raises(ValueError, match="called guesses"):
        page(missing=(), drawn=False, further={"tables": {"guesses": pd.DataFrame()}})


def test_examples_are_right_and_wrong_and_the_same_every_time():
    records = [record(n, grade=float(n % 2)) for n in range(30)] + [record(99, grade=None)]
    (found,) = choose(records)
    assert (len(found["right"]), len(found["wrong"])) == (EACH, EACH)
    assert found["items"] == 30
    assert found["share"] == 0.5
    assert choose(reversed(records)) == [found]
    assert all(one["grade"] == 1.0 for one in found["right"])
    (few,) = choose([record(0, grade=0.5)])
    assert (len(few["right"]), len(few["wrong"])) == (0, 1)


def test_an_example_says_what_was_expected_and_given():
    def given(**change):
        return choose([record(0, **change)])[0]["right"][0]

    candidates = [{"text": "Paris"}, {"text": "Rome"}]
    likely = given(scorer="perplexity", answer="", text=None, parsed="1 (margin 0.2)", candidates=candidates)
    assert (likely["expected"], likely["given"]) == ("Paris", "Rome")
    chosen = given(text=None, parsed="B", candidates=candidates)
    assert (chosen["given"], chosen["understood"]) == ("B", "")
    assert given(text="")["given"] == "(nothing)"
    assert given(text=None, parsed="")["given"] == "(none of the candidates)"
    long = given(question="word " * 500)
    assert len(long["short"]) <= SHORT + 2 < len(long["question"])


@given(st.text(max_size=900))
def test_a_shortened_text_is_the_beginning_of_the_text(text):
    short = shortened(text, 300)
    assert len(short) <= 302
    assert short == text or text.startswith(short.removesuffix(" …"))


def test_the_best_run_is_of_the_largest_volume():
    table = points(item_grades(items=60), 0.95)
    model, dataset = best_run(table)
    largest = table[(table["volume"] == 2560) & (table["ability"] == OVERALL)]
    assert dataset.endswith("-2560")
    assert largest["score"].max() == largest.set_index(["model", "dataset"]).at[(model, dataset), "score"]
    assert best_run(table[table["kind"] == "untuned"]) is None


def test_examples_stand_on_the_page_escaped():
    html = page(missing=(), drawn=False, further={"examples": examples()})
    assert "&lt;b onclick=x&gt;" in html
    assert "<b onclick" not in html
    assert "The whole question" in html
    assert "No answer is right." in html


def test_the_curves_data_is_complete_and_harmless():
    table = many_points(2, 2, 2, 3).assign(model=EVIL)
    curves = tables(("ability_0",), (EVIL, "another"), ("source-0",))["law_curves"]
    text = as_json(chart(table, curves, "colorblind"))
    assert not set("<>&\u2028\u2029") & set(text)
    found = json.loads(text)
    assert found["models"][0]["name"] == EVIL
    assert [found["points"][key][:1] for key in ("ability", "model", "source", "volume")] == [[0], [0], [0], [40]]
    assert {len(column) for column in found["points"].values()} == {len(table)}
    assert found["points"]["score"] == [round(score, 5) for score in table["score"]]
    assert {len(column) for column in found["laws"].values()} == {40}
    assert as_json(chart(table.assign(low=NAN), None, "colorblind")).count("null") == len(table) + 1


def test_the_curves_know_models_by_size_and_mixes_and_what_is_outside():
    grades = item_grades(items=8, mixes={"reconstruct": 640}, outside=("physics",))
    found = chart(points(grades, 0.95), None, "colorblind")
    assert [model["name"] for model in found["models"]] == ["tiny", "small"]
    assert [source["name"] for source in found["sources"] if source["mix"]] == ["reconstruct"]
    assert [ability["name"] for ability in found["abilities"] if ability["outside"]] == ["physics"]
    assert -1 in found["points"]["source"]  # untuned models have none


def test_downloads_are_carried_up_to_a_limit(tmp_path, monkeypatch):
    table = many_points(1, 1, 2, 3)
    file = tmp_path / "points.parquet"
    write_frame(file, table, {"study": "made-up"})
    (small,) = shown_downloads([download("points", table, file, "analysis/points.parquet")])
    assert base64.b64decode(small["parquet"]) == file.read_bytes()
    csv = gzip.decompress(base64.b64decode(small["csv"]))
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(csv)), table)
    monkeypatch.setattr(embedded, "LARGEST", 100)
    (large,) = shown_downloads([download("points", table, file, "analysis/points.parquet")])
    assert (large["csv"], large["parquet"]) == ("", "")
    html = page(missing=(), drawn=False, further={"downloads": [download("points", table, file, "analysis/p.parquet")]})
    assert "larger than" in html
    assert 'href="analysis/p.parquet"' in html
    assert [size(n) for n in (12, 34_567, 5_000_000)] == ["12 bytes", "35 kB", "5.0 MB"]
