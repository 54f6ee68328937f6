"""What abilities are like: features of their items, of what a model knows before tuning, and of transfer.

The features are growthpace's own; the paper has none. `FEATURES` states each one's formula, and `prediction` how well
they tell pace. By hand:

    table = features(texts, item_grades, transfer_table, "test", abilities)

A token is a word (of letters and digits, in lower case), one Chinese or Japanese character, or one punctuation mark:
the same for all models. What depends on how much text there is (type-token ratio, compressed size, entropy) is taken of
equally much of every ability: its first n tokens or bytes, n being what the ability with the least of them has. The
items are those of the source's dataset of largest volume, which is balanced; values are means over its seeds.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from growthpace.analysis.transfer import matrix_of
from growthpace.study.transfer import ALL_BUT, ALONE

COMPLEXITY, TRANSFER = "complexity", "transfer"
COLUMNS = ["suite", "source", "model", "ability", "group", "feature", "value", "unit", "formula"]
_HAN_AND_KANA = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_HAN_AND_KANA}]|[^\W{_HAN_AND_KANA}]+|[^\w\s]")

Texts = Mapping[str, Sequence[tuple[str, str]]]
"""{ability: (what is asked, what is answered) of its items}, in the dataset's order."""


@dataclass(frozen=True)
class Feature:
    """One number that describes an ability."""

    group: str
    """COMPLEXITY or TRANSFER."""
    unit: str
    formula: str


FEATURES = {
    "answer_length": Feature(COMPLEXITY, "log2 tokens", "log2 of the mean number of tokens of an item's answers"),
    "type_token_ratio": Feature(
        COMPLEXITY, "fraction", "distinct tokens / tokens, of the first n answer tokens, n equal for all abilities"
    ),
    "answer_entropy": Feature(
        COMPLEXITY, "bits per token", "-sum_t p_t log2 p_t, p_t the share of token t in the first n answer tokens"
    ),
    "compressed_size": Feature(
        COMPLEXITY,
        "bytes per byte",
        "bytes after zlib at level 9 / bytes, of the items' first n bytes, n equal for all",
    ),
    "subjects": Feature(COMPLEXITY, "log2 subjects", "log2 of the number of subjects that the suite's items name"),
    "untuned_score": Feature(
        COMPLEXITY, "fraction", "(score - chance) / (1 - chance) of the untuned model: what it knows already"
    ),
    "untuned_margin": Feature(
        COMPLEXITY, "nats", "mean lead of the untuned model's best candidate answer over its second in log-probability"
    ),
    "self_effect": Feature(TRANSFER, "points", "effect of training on the ability alone on itself"),
    "received": Feature(TRANSFER, "points", "mean effect on the ability of training on each other ability alone"),
    "given": Feature(TRANSFER, "points", "mean effect of training on the ability alone on each other ability"),
    "self_addition": Feature(TRANSFER, "points", "what the ability's items add for itself to those of all others"),
    "received_addition": Feature(TRANSFER, "points", "mean of what each other ability's items add for the ability"),
    "given_addition": Feature(TRANSFER, "points", "mean of what the ability's items add for each other ability"),
}
"""Every feature by name."""
OF_TRANSFER = {
    ALONE: ("self_effect", "received", "given"),
    ALL_BUT: ("self_addition", "received_addition", "given_addition"),
}
"""Names of an effect's diagonal, and its means over what is trained and over what is tested."""


def features(
    texts: Mapping[str, Iterable[Texts]],
    item_grades: pd.DataFrame,
    transfer_table: pd.DataFrame | None,
    suite: str,
    abilities: Sequence[str],
) -> pd.DataFrame:
    """One row per source, model, ability of the study and feature; a value that is not known is NaN.

    texts: {labelled source: one `Texts` for each seed}. item_grades as `scores.collect` gives it, transfer_table as
    `transfer.transfer` does (None: the study has no such runs, and no rows of these features). suite: where the untuned
    models' scores and the effects are from. Columns: `COLUMNS`; the last three are those of `FEATURES`.
    """
    chosen = item_grades[(item_grades["suite"] == suite) & item_grades["selected"].astype(bool)]
    grid = chosen[chosen["kind"] == "grid"]
    subjects = {a: _subjects(own) for a, own in chosen.groupby("ability", sort=False)}
    rows = []
    for source, seeds in texts.items():
        of_texts = _means([text_features(own) for own in seeds])
        for model in grid.loc[grid["source"] == source, "model"].drop_duplicates():
            untuned = chosen[(chosen["kind"] == "untuned") & (chosen["model"] == model)]
            moved = {} if transfer_table is None else _transfer_features(transfer_table, suite, model, abilities)
            for ability in abilities:
                known = {
                    **dict.fromkeys(_asked(transfer_table), float("nan")),
                    **of_texts.get(ability, {}),
                    "subjects": subjects.get(ability, float("nan")),
                    **untuned_features(untuned[untuned["ability"] == ability]),
                    **moved.get(ability, {}),
                }
                rows += [
                    (suite, source, model, ability, about.group, name, known[name], about.unit, about.formula)
                    for name, about in FEATURES.items()
                    if name in known
                ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"value": float})


def tokens(text: str) -> list[str]:
    """The tokens of a text, see the module."""
    return _TOKEN.findall(text.lower())


def text_features(texts: Texts) -> dict[str, dict[str, float]]:
    """{ability: {feature: value}} of the items of one dataset; NaN for an ability without any."""
    answers = {ability: [tokens(answer) for _, answer in items] for ability, items in texts.items()}
    streams = {ability: [token for answer in own for token in answer] for ability, own in answers.items()}
    joined = {a: "\n".join(f"{asked}\n{answer}" for asked, answer in items).encode() for a, items in texts.items()}
    least = min((len(stream) for stream in streams.values() if stream), default=0)
    fewest = min((len(text) for text in joined.values() if text), default=0)
    found = {}
    for ability, own in answers.items():
        stream, text = streams[ability][:least], joined[ability][:fewest]
        nothing = not stream or not text
        counts = np.unique(stream, return_counts=True)[1] / max(1, len(stream))
        found[ability] = dict.fromkeys(TEXT_FEATURES, float("nan")) if nothing else {
            "answer_length": float(np.log2(np.mean([len(answer) for answer in own]))),
            "type_token_ratio": len(counts) / len(stream),
            "answer_entropy": float(np.abs((counts * np.log2(counts)).sum())),
            "compressed_size": len(zlib.compress(text, 9)) / len(text),
        }  # fmt: skip
    return found


TEXT_FEATURES = ("answer_length", "type_token_ratio", "answer_entropy", "compressed_size")


def untuned_features(untuned: pd.DataFrame) -> dict[str, float]:
    """Pre-knowledge and mean margin from an untuned model's item grades of one ability; NaN where there are none. The
    margin is known only where every item has candidates to compare."""
    graded = untuned[untuned["grade"].notna()]
    if graded.empty:
        return {"untuned_score": float("nan"), "untuned_margin": float("nan")}
    score, chance = graded["grade"].mean(), graded["chance"].mean()
    margin = graded["margin"].to_numpy(float) if "margin" in graded else np.array([np.nan])
    return {"untuned_score": float((score - chance) / (1 - chance)), "untuned_margin": float(margin.mean())}


def _transfer_features(table: pd.DataFrame, suite: str, model: str, abilities: Sequence[str]) -> dict[str, dict]:
    """{ability: {feature: points}} from one model's matrices; NaN where a cell that it takes is missing."""
    found: dict[str, dict[str, float]] = {ability: {} for ability in abilities}
    own = table[(table["suite"] == suite) & (table["model"] == model)]
    others = max(1, len(abilities) - 1)
    for kind in table["kind"].unique():
        effects = matrix_of(own[own["kind"] == kind], abilities, abilities)
        diagonal = np.diag(effects)
        values = (diagonal, (effects.sum(axis=0) - diagonal) / others, (effects.sum(axis=1) - diagonal) / others)
        for name, column in zip(OF_TRANSFER[kind], values, strict=True):
            for ability, value in zip(abilities, column, strict=True):
                found[ability][name] = float(value)
    return found


def _asked(transfer_table: pd.DataFrame | None) -> list[str]:
    kinds = [] if transfer_table is None else transfer_table["kind"].unique()
    return [*TEXT_FEATURES, *(name for kind in kinds for name in OF_TRANSFER[kind])]


def _subjects(own: pd.DataFrame) -> float:
    named = own.loc[own["subject"] != "", "subject"] if "subject" in own else own["ability"].iloc[:0]
    return float(np.log2(max(1, named.nunique())))


def _means(found: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The mean over seeds of every ability's features."""
    abilities = found[0] if found else {}
    return {a: {name: float(np.mean([seed[a][name] for seed in found])) for name in abilities[a]} for a in abilities}
