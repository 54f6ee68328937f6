"""The page: well formed, self-contained, and true to what is missing."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from made_up import item_grades
from made_up_pages import GROWTH, SETTINGS, page, tables

from growthpace.analysis.compare import compare
from growthpace.analysis.curves import pace, points
from growthpace.figures.drawing import svg
from growthpace.figures.panels import overall
from growthpace.figures.report import count, inline_svg, shorten_hashes, wall
from growthpace.figures.summary import in_points, not_above_chance, signed, summarise
from growthpace.figures.tables import Tables

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Reader(HTMLParser):
    """Checks nesting and gathers ids, references and text."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.text, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "data", "action"):
                self.references.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def html():
    return page()


@pytest.fixture(scope="module")
def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_it_is_one_page_that_needs_no_network(html, read):
    assert "http://" not in html
    assert "https://" not in html
    assert not {"link", "iframe", "img"} & set(read.tags)
    assert not re.search(r"@import|url\((?!#)|<script[^>]* src=", html)
    assert all(reference.startswith("#") for reference in read.references)
    assert {reference[1:] for reference in read.references} <= set(read.ids)
    assert "default-src 'none'" in html


def test_its_policy_lets_its_own_scripts_run_and_no_others(html):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html).group(1)
    allowed = re.search(r"script-src ([^;]+);", policy).group(1).split()
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 2
    assert allowed == [f"'sha256-{found}'" for found in hashes]


def test_ids_are_unique_and_labels_exist(html, read):
    assert len(read.ids) == len(set(read.ids))
    for labels in re.findall(r'aria-labelledby="([^"]+)"', html):
        assert labels in read.ids
    assert '<html lang="en">' in html
    assert "prefers-color-scheme: dark" in html
    assert html.count('role="img"') == len(GROWTH)


def test_what_is_missing_is_shown_as_missing(html, read):
    text = " ".join(" ".join(read.text).split())
    assert "29 of 32 runs are complete" in text
    assert html.count('class="seed missing"') == 3
    assert "small, curated-640, seed 1: training" in text
    assert "1 of 2 seeds" in text
    assert "n=1" in text
    scores = html[html.index('<section id="scores"') : html.index('<section id="comparisons"')]
    assert not re.search(r"tiny</th><td class=\"word\">synthetic-160", scores)


def test_it_says_what_it_claims_and_by_which_rule(read):
    text = " ".join(" ".join(read.text).split())
    assert "A made-up world." in text
    assert "±1 point per fourfold data" in text
    assert "interval at 90 %" in text
    assert "Averaged over all abilities, model" in text
    assert "curated is better than synthetic in" in text
    assert "Physics" in text
    assert "out of domain" in text
    assert "12,346" in text
    assert " at 0x" not in text
    assert "not known" in text


def test_it_says_which_pool_is_drawn_without_balancing(html):
    said = "are not labelled by ability: its datasets are drawn from one general pool, without balancing"
    assert said not in html
    assert f"Items of synthetic {said}" in page(unbalanced=["synthetic"])


def test_text_from_a_study_is_escaped():
    html = page(notice="<script>alert(1)</script>", missing=(), drawn=False, models=(("tiny", 1), ("small", 2)))
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;not bold" in html
    assert "All 32 runs of this study are complete." in html


def test_the_same_tables_give_the_same_page():
    # The figures' own bytes are compared in test_figures_panels.
    assert page(drawn=False) == page(drawn=False)


def test_a_study_with_hardly_anything_still_reports():
    html = page(notice="", sources=(), missing=(), drawn=False)
    assert "no growth curve yet" in html
    assert "nothing to compare" in html
    assert "No advice" in html
    assert 'class="notice"' not in html
    two = page(volumes=(40, 160), seeds=(0,), missing=(), drawn=False)
    assert "too few volumes" in two
    assert "No growth curve has three volumes" in two
    assert "items only" in page(seeds=(0,), missing=(), drawn=False)


def test_figures_are_taken_in_without_their_own_addresses():
    text = '<?xml version="1.0"?><svg xmlns="http://x" width="72pt" height="9pt" viewBox="0 0 72 9" version="1.1">'
    text += '<metadata>http://y</metadata><g id="a" style="fill: #22272e"><use xlink:href="#a"/></g></svg>'
    found = inline_svg(text, "f")
    assert "http" not in found
    assert 'viewBox="0 0 72 9"' in found
    assert 'id="f-a" style="fill: var(--figure-ink)"' in found
    assert 'href="#f-a"' in found
    assert "max-width: 96px" in found


def test_numbers_read_well():
    assert [signed(v) for v in (2.34, -0.44, -0.01, float("nan"))] == ["+2.3", "−0.4", "0.0", "not known"]
    assert [wall(v) for v in (45, 720, 12_240, None)] == ["45 s", "12 min", "3.4 h", "not known"]
    assert [count(v) for v in (1234.5, None)] == ["1,234", "not known"]


def level(grades, chance):
    """The share of the first items that `chance` asks for answered right, by every run alike."""
    order = grades["item_id"].str[-4:].astype(int)
    return grades.assign(grade=(order < chance * (order.max() + 1)).astype(float))


def told(grades):
    slopes = pace(grades, 0.95, 1.0)
    parts = summarise("test", points(grades, 0.95), slopes, compare(grades, 0.95), [])
    return [part["text"] for part in parts], [entry for part in parts for entry in part.get("entries", [])]


def test_the_best_of_curves_at_chance_does_not_do_best():
    assert any("does best" in text for text in told(item_grades())[0])
    for share, words in ((0.25, "not told apart from chance"), (0.02, "below chance")):
        texts = told(level(item_grades(seeds=(0,)), share))[0]
        assert not any("does best" in text for text in texts)
        assert any(f"but is {words}" in text for text in texts)


def test_a_source_with_too_few_volumes_is_named():
    grades = item_grades()
    few = grades[(grades["source"] != "synthetic") | (grades["volume"] <= 160)]
    assert "synthetic: 2 volumes, too few for a pace." in told(few)[0]
    one = grades[(grades["source"] != "synthetic") | (grades["model"] != "tiny") | (grades["volume"] <= 40)]
    assert "tiny on synthetic: 1 volume, too few for a pace." in told(one)[0]
    assert "curated: 2 volumes, too few for a pace." in told(item_grades(volumes=(40, 160)))[0]
    assert not any("too few" in text for text in told(grades)[0])


def test_growth_that_has_not_left_chance_is_marked():
    study = {"abilities": {"biology": 9.0}, "items": 200, "models": (("tiny", 1),), "sources": ("curated",)}
    grades = item_grades(**study)
    assert "still not above chance" not in told(grades)[1][0]["text"]
    low = grades.assign(chance=0.9)
    assert "still not above chance" in told(low)[1][0]["text"]
    html = page(missing=(), drawn=False, outside=(), chance=0.25, **study)
    assert "still not above chance" not in html
    template = pace(low, 0.95, 1.0)
    assert not_above_chance(template).all()
    assert "still not above chance" in page(missing=(), drawn=False, outside=(), change={"chance": 0.9}, **study)


def test_one_point_is_singular_and_hashes_are_short():
    assert [in_points(v) for v in (1.0, 2.0, 0.5)] == ["1 point", "2 points", "0.5 points"]
    assert shorten_hashes(f"sha256:{'ab' * 32} of 1234567890") == f"sha256:{'ab' * 8} of 1234567890"
    html = page(missing=(), drawn=False, hashes={"scores": "0123456789abcdef" * 4})
    assert "<code>0123456789abcdef</code>" in html
    assert not re.search(r"(?<![\d.])1 points", html)


def test_a_figure_on_the_page_has_one_title():
    grades = item_grades(items=8)
    drawn = svg(overall(Tables("test", {"points": points(grades, 0.95)}), SETTINGS, "Overall, study demo"))
    assert drawn.count(">Overall") == 1
    assert ">Overall" not in inline_svg(drawn, "overall")


def test_a_comparison_by_a_floor_says_so():
    grades = item_grades(items=21)
    assert "<small>items by a floor</small>" in page(missing=(), drawn=False, change={"grade": 1.0})
    assert "<small>items by a floor</small>" not in page(missing=(), drawn=False, items=60)
    assert not compare(level(grades, 0.5), 0.95)["stands"].any()


def test_the_summary_tells_of_further_tables_that_are_there():
    grades = item_grades(items=8)
    given = (points(grades, 0.95), pace(grades, 0.95, 1.0), compare(grades, 0.95), [])
    bare, full = (" ".join(part["text"] for part in summarise("test", *given, found)) for found in (None, tables()))
    for text in (
        "one item of curated is worth 2 of synthetic (1.3 to 3.2) for tiny at 640 synthetic items; not to be matched "
        "for small at 640 synthetic items",
        "foretold the score there within their interval in 5 of 6 curves; the middle error is 2 points.",
        "chosen by their scores on valid, which makes those scores too good by +0.4 points",
        "The advice held.",
    ):
        assert text in full
        assert text not in bare


def test_growth_that_has_flattened_has_words_of_its_own():
    grades = item_grades(items=8)
    slopes = pace(grades, 0.95, 1.0).assign(**{"class": "saturating"})
    parts = summarise("test", points(grades, 0.95), slopes, compare(grades, 0.95), [])
    leads = {entry["lead"] for part in parts for entry in part.get("entries", [])}
    assert leads == {"Grew, and has flattened"}
