"""The audit finds the overlaps that are known of public data (by 20-grams; see the data's README)."""

import json

import pytest

from growthpace.data.audit import audit
from growthpace.data.items import Item, Message

pytestmark = pytest.mark.real

GAOKAO = "gaokao_bench/Data/Objective_Questions/2010-2022_{}_MCQs.json"
KINDS = ("leak", "partial_leak", "possible_leak", "spread_leak")
TAL = "tal_scq5k/{0}_single_choice_constructed_5K/{0}_single_choice_{1}.jsonl"


def items(questions, origin):
    return [
        Item(str(number), "ability", (Message("user", question), Message("assistant", "A")), "none", origin=origin)
        for number, question in enumerate(questions)
    ]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def gaokao(folder, *papers):
    """Multiple-choice questions of GAOKAO-Bench, options included."""
    files = [json.loads((folder / GAOKAO.format(paper)).read_text(encoding="utf-8")) for paper in papers]
    return items([example["question"] for file in files for example in file["example"]], "gaokao")


def agieval(folder, task):
    rows = lines(folder / f"agieval_permissive/data/v1/{task}.jsonl")
    return items(["\n".join([row["passage"] or "", row["question"], *row["options"]]) for row in rows], "agieval")


def tal(folder, language, split):
    """Problems without their options, which differ where the problem is the same."""
    return items([row["problem"] for row in lines(folder / TAL.format(language, split))], "tal")


def given_away(pool, suite):
    """{kind: ids of evaluated items}, and how many have half of their 20-grams in training."""
    found = audit({"train": pool}, {"test": suite}).findings.to_pylist()
    kinds = {kind: {r["other_id"] for r in found if r["kind"] == kind} for kind in KINDS}
    long = {r["other_id"] for r in found if r["kind"] == "leak" or (r["ngram_20"] or 0) >= 0.5}
    return kinds, len(long)


@pytest.mark.parametrize(
    ("papers", "task", "size", "known", "most"),
    [
        (("Biology",), "gaokao-biology", 210, 80, 95),
        (("Math_I", "Math_II"), "gaokao-mathqa", 351, 103, 140),
    ],
)
def test_gaokao_bench_in_agieval(real_data, papers, task, size, known, most):
    suite = agieval(real_data, task)
    assert len(suite) == size
    kinds, long = given_away(gaokao(real_data, *papers), suite)
    assert known <= long <= most
    assert known <= len(kinds["leak"] | kinds["partial_leak"] | kinds["possible_leak"]) <= most


@pytest.mark.parametrize(("language", "known", "most"), [("ch", 400, 480), ("en", 193, 240)])
def test_tal_in_its_own_training_split(real_data, language, known, most):
    pool, suite = tal(real_data, language, "train_3K"), tal(real_data, language, "test_2K")
    assert (len(pool), len(suite)) == (3000, 2000)
    kinds, long = given_away(pool, suite)
    single = kinds["leak"] | kinds["partial_leak"] | kinds["possible_leak"]
    found = single | kinds["spread_leak"]
    assert known <= len(found) <= most
    assert long >= known - 10
    assert len(single) >= known - 10  # a few only in several items together


def test_unrelated_data_leak_nothing(real_data):
    """Grade-school mathematics and moral scenarios of other publishers: no finding between them."""
    problems = items([row["question"] for row in lines(real_data / "gsm8k/train.jsonl")], "gsm8k")
    premises = [row["premises"] for row in lines(real_data / "folio/folio-validation.jsonl")]
    texts = [text if isinstance(text, str) else "\n".join(text) for text in premises]
    kinds, _ = given_away(problems, items(texts, "folio"))
    assert not any(kinds.values())
