"""Versions of an item: what a reviewer changed, and the hash by which a verdict knows what it was given on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from growthpace.data.importers.references import scoring_of
from growthpace.data.items import Item, Message, check_item
from growthpace.errors import InputError
from growthpace.files import fingerprint


@dataclass(frozen=True)
class Revision:
    """What a version says instead of the source's item; None where it says the same."""

    instruction: str | None = None
    """The user's last turn."""
    answer: str | None = None
    """The reference: the assistant's last turn."""

    @property
    def empty(self) -> bool:
        return self.instruction is None and self.answer is None


def instruction_of(item: Item) -> str:
    """The user's last turn."""
    return item.messages[-2].content


def answer_of(item: Item) -> str:
    """The reference: the assistant's last turn."""
    return item.messages[-1].content


def content_of(item: Item) -> str:
    """Hash of all that a reviewer judges of an item: its ability, turns, candidates and references. `c-` and 16 hex
    digits: no spreadsheet takes it for a number."""
    turns = [[message.role, message.content] for message in item.messages]
    return f"c-{fingerprint([item.ability, turns, item.candidates, item.references])}"


def tidied(text: str) -> str:
    """A revised text as it is kept: line ends are `\\n`, without blank lines around it and blanks at its end. What
    spreadsheets and browsers add there is no revision."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").rstrip()


def same_text(one: str, other: str) -> bool:
    """Whether two texts say the same but for white space around them and the kind of line ends."""
    return tidied(one).strip() == tidied(other).strip()


def revision_to(item: Item, instruction: str | None, answer: str | None) -> Revision:
    """The revision that gives an item these texts (None: as they are); a text that is the `same_text` as the item's
    own changes nothing."""
    return Revision(
        None if instruction is None or same_text(instruction, instruction_of(item)) else tidied(instruction),
        None if answer is None or same_text(answer, answer_of(item)) else tidied(answer),
    )


def revised(item: Item, revision: Revision) -> Item:
    """The item in its revised form, with the same id; checked.

    How it is scored is told from the new text where it was told from the old one (letters, true or false, a blank to
    fill in); a perplexity item's right candidate becomes the new answer; an answer that was the whole reference becomes
    the new reference. Of any other new reference nobody knows what its scorer would compare, so the item only trains
    (`none`). Raises `InputError` for a revision that makes no item, such as a letter that no option has.
    """
    if revision.empty:
        return item
    *before, user, assistant = item.messages
    user = user if revision.instruction is None else Message("user", revision.instruction)
    assistant = assistant if revision.answer is None else Message("assistant", revision.answer)
    found = _scored(item, replace(item, messages=(*before, user, assistant)), revision)
    try:
        check_item(replace(found, origin=""))
    except InputError as error:  # whoever revised it says where that stands
        raise InputError(str(error).removeprefix(f"{item.id}: ")) from None
    return found


def _scored(old: Item, new: Item, revision: Revision) -> Item:
    several = old.scorer == "letters"
    known = scoring_of(old.messages, several)[0]
    if old.scorer != "none" and (known.scorer, known.answer, known.candidates) == (
        old.scorer, old.answer, old.candidates
    ):  # fmt: skip
        told, fault = scoring_of(new.messages, several)
        if fault:
            raise InputError(fault)
        return replace(new, scorer=told.scorer, answer=told.answer, candidates=told.candidates, chance=told.chance)
    if revision.answer is None or old.scorer in ("none", "judge"):
        return new
    if old.scorer == "perplexity":
        return replace(new, answer=revision.answer, candidates=(revision.answer, *old.candidates[1:]))
    if old.scorer != "code" and old.answer.strip() == answer_of(old).strip():
        return replace(new, answer=revision.answer)
    return replace(new, scorer="none", answer="", candidates=(), chance=0.0, references=(), tests="")
