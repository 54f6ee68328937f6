"""What a reviewer's file holds, whether it is a table or a task of Label Studio: one task for each item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from growthpace.data.items import Item
from growthpace.data.reviewed.revision import answer_of, content_of, instruction_of
from growthpace.errors import InputError

KEYS = ("item_id", "content", "reviewer", "role")
"""By these a verdict finds its item: which, in which version, by whom, as what."""
SHOWN = ("ability", "conversation", "reference", "candidates", "notes")
FILLED = ("verdict", "revised_instruction", "revised_answer", "comment")
"""What the reviewer fills in."""
COLUMNS = (*KEYS, *SHOWN, *FILLED)


@dataclass(frozen=True)
class Task:
    """One item as a reviewer gets it."""

    item: Item
    """In the version that is to be judged."""
    reviewer: str
    role: str
    notes: str = ""
    """For an adjudicator: what the reviewers said."""

    @property
    def keys(self) -> dict[str, str]:
        """The values of KEYS."""
        return {
            "item_id": self.item.id,
            "content": content_of(self.item),
            "reviewer": self.reviewer,
            "role": self.role,
        }

    @property
    def instruction(self) -> str:
        return instruction_of(self.item)

    @property
    def reference(self) -> str:
        return answer_of(self.item)

    @property
    def conversation(self) -> str:
        """All turns before the reference; where there is more than the instruction, each with who speaks."""
        turns = self.item.messages[:-1]
        if len(turns) == 1:
            return turns[0].content
        return "\n\n".join(f"[{message.role}]\n{message.content}" for message in turns)

    @property
    def candidates(self) -> str:
        """The candidates, numbered, a line each; none where they are the letters of options that the question shows."""
        if self.item.scorer in ("letter", "letters"):
            return ""
        return "\n".join(f"{n}. {text}" for n, text in enumerate(self.item.candidates, start=1))


@dataclass(frozen=True)
class Answered:
    """One task as it came back; what was not filled in is empty."""

    item_id: str
    content: str
    reviewer: str
    role: str
    verdict: str
    revised_instruction: str
    revised_answer: str
    comment: str
    date: str
    """When it was given, where the file says so."""
    path: Path
    line: int
    row: int
    """Its number among the file's rows or tasks, from 1 (a table's heading is row 1)."""

    @property
    def undecided(self) -> bool:
        return not (self.verdict or self.comment) and not (self.revised_instruction or self.revised_answer)

    def wrong(self, what: str) -> InputError:
        """The error that says what is wrong with it, and where."""
        return InputError(f"{self.path}:{self.line}: row {self.row}, item {self.item_id!r}: {what}")


def answered(values: Mapping[str, str], path: Path, line: int, row: int, date: str = "") -> Answered:
    """A task from its values by column; a text that is blank counts as not filled in."""

    def plain(key: str) -> str:
        return values.get(key, "").strip()

    def text(key: str) -> str:
        return values.get(key, "") if plain(key) else ""

    return Answered(
        item_id=values["item_id"],
        content=plain("content"),
        reviewer=plain("reviewer"),
        role=plain("role"),
        verdict=plain("verdict").lower(),
        revised_instruction=text("revised_instruction"),
        revised_answer=text("revised_answer"),
        comment=plain("comment").replace("\r\n", "\n").replace("\r", "\n"),
        date=date,
        path=path,
        line=line,
        row=row,
    )


Reader = Callable[[Path], list[Answered]]
