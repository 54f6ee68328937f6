"""GAOKAO-Bench (Zhang et al. 2023): the objective questions of the Chinese entrance exam, 2010 to 2022.

A part is a paper. A question with several answers (a reading text, a text with blanks) is as many items, which share a
group; where its parts are numbered so that they can be told apart, each item has its own part alone below the text.
Exams have no splits: shares say what is kept for valid and test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf, asked, texts
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "gaokao_bench", 1, "Data/Objective_Questions", None
RELEASE = (
    "https://raw.githubusercontent.com/OpenLMLab/GAOKAO-Bench/6dbb24f8d8439041e5431c4c184a582182a6ce9c"
    "/Data/Objective_Questions"
)
PAPERS = {
    "biology": "2010-2022_Biology_MCQs",
    "chemistry": "2010-2022_Chemistry_MCQs",
    "chinese": "2010-2022_Chinese_Lang_and_Usage_MCQs",
    "chinese_reading": "2010-2022_Chinese_Modern_Lit",
    "english": "2010-2013_English_MCQs",
    "english_blanks": "2010-2022_English_Fill_in_Blanks",
    "english_reading": "2010-2022_English_Reading_Comp",
    "english_sentences": "2012-2022_English_Cloze_Test",
    "geography": "2010-2022_Geography_MCQs",
    "history": "2010-2022_History_MCQs",
    "math_1": "2010-2022_Math_I_MCQs",
    "math_2": "2010-2022_Math_II_MCQs",
    "physics": "2010-2022_Physics_MCQs",
    "politics": "2010-2022_Political_Science_MCQs",
}
PARTS = tuple(PAPERS)
SPLITS = {"train": ("all",)}
THEIRS = ("all",)
LETTERS = {"english_sentences": "ABCDEFG"}
"""Options of a paper; A to D elsewhere. Five of its seven sentences fit into a text."""
ENGLISH = ("Answer with the letter of the right option.", "Answer number {number} of {of}.")
CHINESE = ("请给出正确选项的字母。", "请回答其中第{number}题（共{of}题）。")
SEVERAL = "可能有多个正确选项，请给出所有正确选项的字母。"
_NUMBERED = re.compile(r"(?m)^[ \t]*[(（]?(\d+)[)）.．、][ \t]*")


def files(part: str, split: str) -> list[str]:
    return [f"{PAPERS[part]}.json"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    letters = LETTERS.get(part, "ABCD")
    instruction, which = ENGLISH if part.startswith("english") else CHINESE
    if part == "physics":
        instruction = SEVERAL
    for record in shelf.under(f"{PAPERS[part]}.json", "example"):
        name = f"{NAME}/{part}/{record.field('index', int)}"
        question, answers = _tidy(record.field("question", str), part), texts(record, "answer")
        if not answers:
            raise record.wrong("answer: empty")
        apart = _apart(question, len(answers))
        for number, answer in enumerate(answers, start=1):
            if not answer or not set(answer) <= set(letters):
                raise record.wrong(f"answer[{number}]: {answer!r} (allowed: letters of {letters})")
            asking = [instruction, apart[number - 1] if apart else question]
            if len(answers) > 1 and not apart:
                asking.append(which.format(number=number, of=len(answers)))
            several = part == "physics"  # the exam does not say how many are right, so neither does the scorer
            yield Item(
                name if len(answers) == 1 else f"{name}/{number}",
                "",
                asked("\n".join(asking), "".join(sorted(answer))),
                "letters" if several else "letter",
                "".join(sorted(answer)),
                tuple(letters),
                1 / (2 ** len(letters) - 1) if several else 1 / len(letters),
                name if len(answers) > 1 else "",
                record.origin,
            )


def _tidy(text: str, part: str) -> str:
    """Lines without the spaces that the files were printed with; in `english` a wide gap was a blank to fill in."""
    if part == "english":
        text = re.sub(r"_+|[ 　]{4,}", " ____ ", text.strip())
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def _apart(question: str, count: int) -> list[str]:
    """The text with each of its numbered questions alone below it; empty where it does not have `count` of them, with
    options each, at its end."""
    found = list(_NUMBERED.finditer(question))[-count:]
    numbers = [int(match[1]) for match in found]
    if count < 2 or numbers != list(range(numbers[0], numbers[0] + count)) if numbers else True:
        return []
    ends = [match.start() for match in found[1:]] + [len(question)]
    own = [question[match.start() : end].strip() for match, end in zip(found, ends, strict=True)]
    if not all(re.search(rf"(?<![A-Za-z]){letter}\s*[.．、]", text) for text in own for letter in "ABCD"):
        return []
    return [f"{question[: found[0].start()].strip()}\n{text}" for text in own]
