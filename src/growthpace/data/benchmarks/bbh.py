"""BIG-Bench Hard (Suzgun et al. 2022): 27 tasks that language models used to fail.

`bbh/{task}.json`, {"examples": [{"input", "target"}]}, is the test. `cot-prompts/{task}.txt` holds three worked
examples a task. Their reasoning is not shown: what is scored here is the answer itself, and an example that begins to
reason would ask for something else (the publisher calls this answer-only prompting).

How a task is scored, by its targets: options in the text with a target such as `(B)` by letter; two words such as Yes
and No by true_false; anything else by exact match. A few targets of lettered tasks are an option's text, which is then
taken for its letter, or no option at all, which is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import LETTERS, Shelf, asked, lettered
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "bbh", 1, "", 3
TWO_WORDS = {
    "boolean_expressions": ("True", "False"),
    "causal_judgement": ("Yes", "No"),
    "formal_fallacies": ("valid", "invalid"),
    "navigate": ("Yes", "No"),
    "sports_understanding": ("yes", "no"),
    "web_of_lies": ("Yes", "No"),
}
"""Tasks with two targets, the affirming one first."""
FREE = ("dyck_languages", "multistep_arithmetic_two", "object_counting", "word_sorting")
"""Tasks whose target must be written."""
LETTERED = (
    "date_understanding", "disambiguation_qa", "geometric_shapes", "hyperbaton", "logical_deduction_five_objects",
    "logical_deduction_seven_objects", "logical_deduction_three_objects", "movie_recommendation",
    "penguins_in_a_table", "reasoning_about_colored_objects", "ruin_names", "salient_translation_error_detection",
    "snarks", "temporal_sequences", "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects",
)  # fmt: skip
SUBJECTS = tuple(sorted((*TWO_WORDS, *FREE, *LETTERED)))
HUB = Hub(
    "SaylorTwift/bbh",
    file="bbh/{config}.json",
    columns=("input", "target"),
    splits={"": "test"},
    examples=False,
)
INSTRUCTIONS = {
    "letter": "Answer with the letter of the right option.",
    "true_false": "Answer with {} or {}.",
    "exact_match": "Answer with nothing but the result.",
}
_OPTION = re.compile(r"^\(([A-Z])\)[ \t]*(.*)$", re.MULTILINE)
_FINAL = re.compile(r"[Tt]he answer is (.+?)\.?[ \t]*$", re.MULTILINE)


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [f"bbh/{subject}.json", *([f"cot-prompts/{subject}.txt"] if shots else [])]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    record = shelf.whole(f"bbh/{subject}.json")
    for row, example in enumerate(record.field("examples", list)):
        asked_ = replace(record, content=record.typed(example, dict, f"examples[{row + 1}]"))
        item = _item(asked_, subject, asked_.field("input", str).strip(), asked_.field("target", str).strip())
        if item is None:
            shelf.left_out[f"{subject}: the target is no option"] += 1
            continue
        yield replace(item, id=f"{NAME}/{subject}/{row}")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    name = f"cot-prompts/{subject}.txt"
    text = shelf.text(name)
    # First a note that this is test data, a line of dashes and what the task is; then Q: and A: take turns.
    for match in re.finditer(r"^Q: (.*?)^A: (.*?)(?=^Q: |\Z)", text, re.MULTILINE | re.DOTALL):
        record = Record({}, shelf.path(name), name, text.count("\n", 0, match.start()) + 1)
        finals = _FINAL.findall(match[2])
        item = _item(record, subject, match[1].strip(), finals[-1].strip()) if finals else None
        if item is None:
            raise record.wrong("no final answer among the options (`So the answer is ...`)")
        yield item


def _item(record: Record, subject: str, question: str, target: str) -> Item | None:
    """An item without id; None where the target is no option."""
    common = {"subject": subject, "origin": record.origin}
    if subject in TWO_WORDS:
        words = TWO_WORDS[subject]
        if target not in words:
            raise record.wrong(f"the target {target!r} is not one of {', '.join(words)}")
        messages = asked(f"{INSTRUCTIONS['true_false'].format(*words)}\n{question}", target)
        return Item("", "", messages, "true_false", target, words, 1 / 2, **common)
    if subject in FREE:
        messages = asked(f"{INSTRUCTIONS['exact_match']}\n{question}", target)
        return Item("", "", messages, "exact_match", target, **common)
    options = _OPTION.findall(question)
    if [letter for letter, _ in options] != list(LETTERS[: len(options)]) or len(options) < 2:
        raise record.wrong("input: no options (lines of the form `(A) text`)")
    stem = _OPTION.split(question)[0].strip().removesuffix("Options:").strip()
    named = [letter for letter, text in options if target in (f"({letter})", text)]
    if len(named) != 1:
        return None
    fields = lettered(record, INSTRUCTIONS["letter"], stem, [text for _, text in options], named[0])
    return Item("", "", **fields, **common)
