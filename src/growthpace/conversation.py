"""The one encoder from messages to token ids and loss mask.

Training calls `Encoder.encode`, evaluation `Encoder.prompt` and `Encoder.answer`, and an answer's ids are the same in
both (invariant 2): every text is tokenised by itself, never across the border between prompt and answer. Loss falls on
assistant text and its end-of-turn token, in every turn, and nowhere else (invariant 3).

Two formats:

- `paper`: `<user>` text `<eot>` `<assistant>` text `<eot>` ..., without a beginning-of-sequence token, as in the
  paper's released code. A system message is rendered as the beginning of the first user message, after it a newline.
- `chat_template`: the tokenizer's own template. What the template adds between a prompt with its generation cue and
  the same conversation with the answer is the answer; it is learned up to and including the end-of-turn token. A
  special token that a message's text spells out is text, as in the other format.

Needs no torch: a tokenizer of transformers is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from growthpace.data.items import Message
from growthpace.errors import InputError

USER, ASSISTANT, END_OF_TURN = "<user>", "<assistant>", "<eot>"
PAPER_TOKENS = (USER, ASSISTANT, END_OF_TURN)
FORMATS = ("paper", "chat_template")


@dataclass(frozen=True)
class Encoded:
    """Token ids of a conversation, and which of them are learned."""

    ids: tuple[int, ...]
    mask: tuple[bool, ...]
    """As long as ids; True where loss falls (on predicting that token)."""

    def __post_init__(self):
        assert len(self.ids) == len(self.mask)


class Encoder:
    """Encodes conversations with one tokenizer in one format.

    Raises `InputError` if the tokenizer lacks what the format needs.
    """

    def __init__(self, tokenizer: Any, form: str):
        if form not in FORMATS:
            raise InputError(f"format: {form!r} is unknown (allowed: {', '.join(FORMATS)})")
        self.tokenizer, self.form = tokenizer, form
        if form == "paper":
            self._special = {token: self._single_id(token) for token in PAPER_TOKENS}
            self.end_of_turn: int = self._special[END_OF_TURN]
        else:
            if not getattr(tokenizer, "chat_template", None):
                raise InputError("format: chat_template, but this tokenizer has no chat template (use format: paper)")
            added = tokenizer.added_tokens_decoder
            self._end_ids = {*tokenizer.all_special_ids, *added} - {None}
            self._spelt = {*tokenizer.all_special_tokens, *(token.content for token in added.values() if token.special)}
            self._trims = self._template_trims()
            self.end_of_turn = self._template_end()

    def _single_id(self, token: str) -> int:
        known = self.tokenizer.convert_tokens_to_ids(token)
        if known is None or known == self.tokenizer.unk_token_id:
            raise InputError(f"the tokenizer lacks the token {token}, which format: paper needs")
        return known

    def text(self, text: str) -> list[int]:
        """Ids of a text by itself: no special token is added around it, and none is read into what it says."""
        return list(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))

    def answer(self, text: str) -> list[int]:
        """Ids of an assistant's answer, as learned in training, without its end-of-turn token."""
        return self.text(self._shown(text))

    def answer_text(self, text: str) -> str:
        """An assistant's answer as the format writes it."""
        return self._shown(text)

    @property
    def end_of_turn_text(self) -> str:
        """The end-of-turn token, spelt out."""
        return self.tokenizer.convert_ids_to_tokens(self.end_of_turn)

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """What `prompt` encodes as one text, with the format's tokens spelt out. Encoding it as a whole may give other
        ids, at the borders of texts and where a message spells out a token itself."""
        if self.form == "chat_template":
            return self._render(messages, True)
        roles = {"user": USER, "assistant": ASSISTANT}
        turns = (f"{roles[message.role]}{message.content}{END_OF_TURN}" for message in _without_system(messages))
        return "".join([*turns, ASSISTANT])

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids up to where the assistant's next answer begins; the last message must be the user's."""
        if self.form == "paper":
            ids: list[int] = []
            for message in _without_system(messages):
                ids += [self._special[USER if message.role == "user" else ASSISTANT], *self.text(message.content)]
                ids.append(self.end_of_turn)
            return [*ids, self._special[ASSISTANT]]
        return [token for segment, _ in self._template_segments([*messages, None]) for token in segment]

    def encode(self, messages: Sequence[Message]) -> Encoded:
        """Ids and loss mask of a whole conversation, which ends with the assistant's message."""
        ids: list[int] = []
        mask: list[bool] = []

        def add(tokens: Sequence[int], learned: bool):
            ids.extend(tokens)
            mask.extend([learned] * len(tokens))

        if self.form == "paper":
            for message in _without_system(messages):
                answered = message.role == "assistant"
                add([self._special[ASSISTANT if answered else USER]], False)
                add(self.text(message.content), answered)
                add([self.end_of_turn], answered)
        else:
            for segment, learned in self._template_segments(messages):
                add(segment, learned)
        return Encoded(tuple(ids), tuple(mask))

    # --- chat templates ---

    def _shown(self, answer: str) -> str:
        """An answer as the format writes it: many templates trim."""
        return answer.strip() if self.form == "chat_template" and self._trims else answer

    def _render(self, messages: Sequence[Message], cue: bool) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=cue)

    def _template_trims(self) -> bool:
        question, answer = Message("user", "a"), " b "
        before, whole = self._render([question], True), self._render([question, Message("assistant", answer)], False)
        return not whole[len(before) :].startswith(answer)

    def _template_end(self) -> int:
        """The special token that ends an assistant's turn in the template."""
        _, _, tail = self._split([Message("user", "a"), Message("assistant", "b")])
        ids = self._markup(tail)
        if not ids or ids[0] not in self._end_ids:
            raise InputError(
                f"format: chat_template, but after an answer this template writes {tail!r}, which does not begin with "
                "a special token, so nothing would end the answer; use format: paper"
            )
        return ids[0]

    def _split(self, messages: Sequence[Message]) -> tuple[str, str, str]:
        """Rendered text before the last (assistant's) answer, the answer's text, and what follows it."""
        before, whole = self._render(messages[:-1], True), self._render(messages, False)
        answer = self._shown(messages[-1].content)
        if not whole.startswith(before + answer):
            raise InputError(
                "format: chat_template, but this template does not put an answer as it is after the prompt with its "
                "cue (a reasoning template?), so training and evaluation would not see the same tokens; "
                "use format: paper"
            )
        return before, answer, whole[len(before) + len(answer) :]

    def _template_segments(self, messages: Sequence[Message | None]):
        """(ids, learned) pieces; a final None instead of the last answer gives the prompt alone."""
        done = ""
        for position, message in enumerate(messages):
            if message is not None and message.role != "assistant":
                continue
            if message is None:
                before = self._render(messages[:position], True)
            else:
                before, answer, tail = self._split(messages[: position + 1])
            if not before.startswith(done):
                raise InputError("format: chat_template, but this template rewrites earlier turns; use format: paper")
            yield self._markup(before, len(done), self._spelt_out(messages[:position], before)), False
            if message is None:
                return
            yield self.text(answer), True
            end = self._markup(tail)
            if end[:1] != [self.end_of_turn]:
                raise InputError("format: chat_template, but this template does not end every answer alike")
            yield end[:1], True
            yield end[1:], False
            done = before + answer + tail

    def _markup(self, text: str, start: int = 0, spelt_out: Sequence[tuple[int, int]] = ()) -> list[int]:
        """Ids of what a chat template wrote from `start` on, special tokens included but where they are `spelt_out`."""
        ids: list[int] = []
        for first, last in spelt_out:
            if first >= start:
                ids += [*self._markup(text[start:first]), *self.text(text[first:last])]
                start = last
        return ids + list(self.tokenizer.encode(text[start:], add_special_tokens=False))

    def _spelt_out(self, messages: Sequence[Message], rendered: str) -> list[tuple[int, int]]:
        """Where in the rendered prompt there are messages whose text spells out a special token.

        They are found by rendering the messages again with marks in place of these texts.
        """
        suspect = [n for n, m in enumerate(messages) if any(token in m.content for token in self._spelt)]
        if not suspect:
            return []
        marks = {f"\ue000{n}\ue001": messages[n].content for n in suspect}  # of Unicode's private use
        names = dict(zip(suspect, marks, strict=True))
        marked = self._render([Message(m.role, names.get(n, m.content)) for n, m in enumerate(messages)], True)
        spans, position = [], 0
        for part in re.split(f"({'|'.join(marks)})", marked):
            text = marks.get(part, part)
            if part in marks and not rendered.startswith(text, position):
                text = text.strip()  # many templates trim
            if not rendered.startswith(text, position):
                raise InputError(
                    "format: chat_template, but this template changes what messages say; use format: paper"
                )
            if part in marks:
                spans.append((position, position + len(text)))
            position += len(text)
        return spans


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The turns, with a system message put at the beginning of the first user message."""
    if messages and messages[0].role == "system":
        first = messages[1]
        return [Message("user", f"{messages[0].content}\n{first.content}"), *messages[2:]]
    return list(messages)
