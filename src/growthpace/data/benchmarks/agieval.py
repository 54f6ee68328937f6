"""AGIEval v1 (Zhong et al. 2023): exams in Chinese and English, in the JSON lines of its release.

`data/v1/{subject}.jsonl` is the test. `data/few_shot_prompts.csv` holds up to five examples a subject: a column for
each, in which Python literals of the test's form and explanations take turns.

Single-answer rule: an item with options counts where its label is one letter. Others (in `jec-qa-*`, `gaokao-physics`
and `gaokao-mathqa`) are left out and counted, as are worked examples of that kind, so that some subjects offer fewer.
The subjects without options (`math`, `gaokao-mathcloze`) are scored by their final answer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from growthpace.data.benchmarks.base import Shelf, asked, lettered, shared, unlettered
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, HUB, ROOT, SHOTS = "agieval", 1, None, "data", 5
RELEASE = "https://raw.githubusercontent.com/ruixiangcui/AGIEval/5c77d073fda993f1652eaae3cf5d04cc5fd21d40/data"
FEWER = True
ENGLISH = (
    "lsat-ar", "lsat-lr", "lsat-rc", "logiqa-en", "sat-math", "sat-en", "sat-en-without-passage", "aqua-rat",
    "gaokao-english", "math",
)  # fmt: skip
CHINESE = (
    "logiqa-zh", "jec-qa-kd", "jec-qa-ca", "gaokao-chinese", "gaokao-geography", "gaokao-history", "gaokao-biology",
    "gaokao-chemistry", "gaokao-physics", "gaokao-mathqa", "gaokao-mathcloze",
)  # fmt: skip
SUBJECTS = (*ENGLISH, *CHINESE)
GROUPS = {
    "english": ENGLISH,
    "chinese": CHINESE,
    "paper": tuple(subject for subject in CHINESE if subject != "gaokao-mathcloze"),
}
"""`paper`: the ten Chinese sets of arXiv 2310.19651."""
WITHOUT_OPTIONS = ("math", "gaokao-mathcloze")
PROMPTS = "few_shot_prompts.csv"
INSTRUCTIONS = {
    ("english", "letter"): "Answer the question with the letter of the right option.",
    ("english", "math"): "Answer the question and end with the final answer.",
    ("chinese", "letter"): "以下是一道单项选择题，请直接给出正确选项的字母。",
    ("chinese", "math"): "请回答问题，并在最后给出最终答案。",
}
FINAL = {"english": "The answer is {answer}", "chinese": "答案是{answer}"}
"""How the worked examples without options state their final answer."""


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [f"v1/{subject}.jsonl", *([PROMPTS] if shots else [])]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.lines(f"v1/{subject}.jsonl")):
        item = _item(record, subject)
        if item is None:
            shelf.left_out[f"{subject}: several right answers"] += 1
            continue
        yield replace(item, id=f"{NAME}/{subject}/{row}")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    column = "sat-en" if subject == "sat-en-without-passage" else subject
    rows = shelf.table(PROMPTS, ("",), more=None)
    if column not in rows[0].content:
        raise rows[0].wrong(f"no column {column!r} (it has: {', '.join(filter(None, rows[0].content))})")
    for sample, explanation in zip(rows[::2], rows[1::2], strict=False):
        text = sample.content[column].strip()
        if not text:
            continue
        try:
            content = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise sample.wrong(f"{column}: not a Python literal") from None
        record = replace(sample, content=sample.typed(content, dict, column))
        item = _item(record, subject, explanation.content[column].strip())
        if item is None:
            shelf.left_out[f"{subject}: worked examples with several right answers"] += 1
            continue
        yield item


def _item(record: Record, subject: str, explanation: str = "") -> Item | None:
    """An item without id; None for one with several right answers. `explanation` comes before a final answer."""
    language = "english" if subject in ENGLISH else "chinese"
    passage = "" if subject == "sat-en-without-passage" else record.field("passage", str, required=False) or ""
    question = "\n".join(filter(None, [passage.strip(), record.field("question", str).strip()]))
    common: dict[str, Any] = {"subject": subject, "group": shared(NAME, subject, passage), "origin": record.origin}
    if subject in WITHOUT_OPTIONS:
        answer = record.field("answer", str).strip()
        told = "\n".join(filter(None, [explanation, FINAL[language].format(answer=answer)]))
        messages = asked(f"{INSTRUCTIONS[language, 'math']}\n{question}", told)
        return Item("", "", messages, "math", answer=answer, **common)
    label = record.field("label", (str, list))
    letters = "".join("".join(record.typed(part, str, "label") for part in label).split())
    if len(letters) > 1:
        return None
    options = _options(record)
    return Item("", "", **lettered(record, INSTRUCTIONS[language, "letter"], question, options, letters), **common)


def _options(record: Record) -> list[str]:
    """The options' texts; one of the examples has all of them in one text, with tabs between."""
    options = [record.typed(option, str, "options") for option in record.field("options", list)]
    return unlettered(options[0].split("\t") if len(options) == 1 else options)
