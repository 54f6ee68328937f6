"""FriendsQA (Yang and Choi 2019): questions on scenes of a television show, answered by spans of what is said.

The scene stands before the question, a line an utterance; questions on one scene share a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import Shelf, asked
from growthpace.data.importers.public.base import tidied
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "friendsqa", 1, "dat", None
RELEASE = "https://raw.githubusercontent.com/emorynlp/FriendsQA/9ce6c98a6acf13c87d96b6811e4409b5de43bdfe/dat"
PARTS = ("",)
SPLITS = {"train": ("trn",), "valid": ("dev",), "test": ("tst",)}
THEIRS = ("trn", "dev", "tst")
INSTRUCTION = "Read the scene and answer the question with words of the scene."
NARRATOR = "#NOTE#"


def files(part: str, split: str) -> list[str]:
    return [f"friendsqa_{split}.json"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for scene in shelf.under(f"friendsqa_{split}.json", "data"):
        title = scene.field("title", str)
        for number, entry in enumerate(scene.field("paragraphs", list), start=1):
            paragraph = _inner(scene, entry, f"paragraphs[{number}]")
            said = "\n".join(_said(paragraph, u, n) for n, u in enumerate(paragraph.field("utterances:", list), 1))
            for n, entry in enumerate(paragraph.field("qas", list), start=1):
                question = _inner(paragraph, entry, f"qas[{n}]")
                answers = [
                    tidied(_inner(question, a, f"qas[{n}].answers[{m}]").field("answer_text", str))
                    for m, a in enumerate(question.field("answers", list), start=1)
                ]
                answers = list(dict.fromkeys(filter(None, answers)))
                if not answers:
                    raise question.wrong(f"qas[{n}].answers: empty")
                yield Item(
                    f"{NAME}/{question.field('id', str)}",
                    "",
                    asked(f"{INSTRUCTION}\n\n{said}\n\n{tidied(question.field('question', str))}", answers[0]),
                    "token_f1",
                    answers[0],
                    group=f"{NAME}/{title}",
                    references=tuple(answers[1:]),
                    origin=question.origin,
                )


def _inner(record: Record, entry: object, what: str) -> Record:
    return replace(record, content=record.typed(entry, dict, what))


def _said(paragraph: Record, entry: object, number: int) -> str:
    """One line of a scene; stage directions have no speaker."""
    utterance = _inner(paragraph, entry, f"utterances:[{number}]")
    speakers = " and ".join(utterance.typed(s, str, "speakers") for s in utterance.field("speakers", list))
    text = tidied(utterance.field("utterance", str))
    return text if speakers == NARRATOR else f"{speakers}: {text}"
