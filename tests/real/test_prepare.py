"""The prepared items are complete, short, disjoint and read by the importers with a scorer each."""

import json
from collections import Counter

import pytest
from prepare import ABILITIES, LONGEST, SIZES, prepare_items

from growthpace.data.audit import audit
from growthpace.data.importers import read_items_of
from growthpace.data.items import Item, Message, check_unique
from growthpace.study import AlpacaItems, DoitItems

pytestmark = pytest.mark.real

SCORERS = {
    "biology": ("letter", 1 / 4),
    "history": ("letter", 1 / 4),
    "code": ("perplexity", 1 / 3),
    "creative_writing": ("perplexity", 1 / 3),
    "language": ("letter", 1 / 4),
    "role_play": ("perplexity", 1 / 3),
    "logical_reasoning": ("letter", 1 / 3),
    "math": ("math", 0),
    "ethics": ("letters", 1 / 15),
}


def items_of(folder, split):
    settings = DoitItems(importer="doit", folder=folder, files=f"curated/{split}/{{ability}}.json")
    return {ability: check_unique(read_items_of(settings, [ability], None), ability) for ability in ABILITIES}


@pytest.fixture(scope="module")
def synthetic(real_items):
    settings = AlpacaItems(importer="alpaca", folder=real_items, files="synthetic/gpteacher.json")
    return check_unique(read_items_of(settings, None, None), "synthetic")


def test_all_ten_abilities_are_there_and_scored(real_items):
    assert len(ABILITIES) == 10
    for split, size in SIZES.items():
        for ability, items in items_of(real_items, split).items():
            expected = {"train": 64, "valid": 20, "test": 21}[split] if ability == "language" else size
            assert len(items) == expected, (split, ability)
            for item in items:
                if ability == "dialogue_understanding":
                    assert (item.scorer, item.chance) in {("letter", 1 / 3), ("letter", 1 / 4)}
                    assert item.group
                else:
                    assert (item.scorer, item.chance) == SCORERS[ability], item.origin


def test_every_item_fits_the_base_model(real_items, synthetic, stories260k):
    from growthpace.conversation import Encoder
    from growthpace.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(stories260k)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<user>", "<assistant>", "<eot>"]})
    encoder = Encoder(tokenizer, "paper")
    everything = [i for split in SIZES for items in items_of(real_items, split).values() for i in items] + synthetic
    for item in everything:
        assert sum(len(m.content) for m in item.messages) <= LONGEST
        assert len(encoder.encode(item.messages).ids) <= 512, item.origin


def test_letters_are_not_lopsided(real_items):
    for ability, items in items_of(real_items, "train").items():
        if SCORERS.get(ability, ("letter",))[0] == "letter":
            assert max(Counter(i.answer for i in items).values()) < 0.55 * len(items), ability


def test_synthetic_source_is_large_enough(synthetic):
    assert len(synthetic) >= 640
    assert {item.scorer for item in synthetic} == {"none"}


def test_language_questions_have_their_blank(real_items):
    for split in SIZES:
        for item in items_of(real_items, split)["language"]:
            assert "____" in item.messages[0].content, item.origin


def test_no_leak_from_training_into_evaluation(real_items):
    pools = {"curated": [i for items in items_of(real_items, "train").values() for i in items]}
    suites = {s: [i for items in items_of(real_items, s).values() for i in items] for s in ("valid", "test")}
    assert Counter(audit(pools, suites).findings["kind"].to_pylist())["leak"] == 0


def test_answers_are_spread_evenly(real_items):
    pools = {split: [i for items in items_of(real_items, split).values() for i in items] for split in SIZES}
    findings = [row for row in audit(pools, {}).findings.to_pylist() if row["kind"] == "label_imbalance"]
    # MMLU's own: 20 of the 40 answers are D
    assert [(f["source"], f["ability"]) for f in findings] == [("test", "biology")]


def test_audit_finds_the_known_overlap_of_two_benchmarks(real_data):
    """GAOKAO-Bench holds at least 80 of AGIEval's 210 biology questions (by 20-grams; see the data's README)."""

    def item(number, question):
        return Item(str(number), "biology", (Message("user", question), Message("assistant", "A")), "none")

    path = real_data / "gaokao_bench/Data/Objective_Questions/2010-2022_Biology_MCQs.json"
    known = [item(n, example["question"]) for n, example in enumerate(json.loads(path.read_text())["example"])]
    lines = (real_data / "agieval_permissive/data/v1/gaokao-biology.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    asked = [item(n, "\n".join([row["passage"] or "", row["question"], *row["options"]])) for n, row in enumerate(rows)]
    assert len(asked) == 210
    kinds = Counter(audit({"gaokao": known}, {"agieval": asked}).findings["kind"].to_pylist())
    assert 80 <= kinds["leak"] + kinds["partial_leak"] + kinds["possible_leak"] <= 95


def test_two_runs_give_the_same_bytes(real_items, real_data, tmp_path):
    prepare_items(tmp_path, real_data)
    for path in sorted(real_items.rglob("*.json")):
        assert path.read_bytes() == (tmp_path / path.relative_to(real_items)).read_bytes()
    assert json.loads((tmp_path / "synthetic/gpteacher.json").read_text())[0].keys() == {
        "instruction",
        "input",
        "response",
    }
