"""The one encoder from messages to token ids and loss mask.

Training and evaluation both call `encode` and `encode_prompt`, so that an answer's ids are the same in both
(invariant 2): every text is tokenised by itself, never across the border between prompt and answer. Loss falls on
assistant text and its end-of-turn token, in every turn, and nowhere else (invariant 3).

Two formats:

- `paper`: `<user>` text `<eot>` `<assistant>` text `<eot>` ..., without a beginning-of-sequence token, as in the
  paper's released code. A system message is rendered as the beginning of the first user message, after it a newline.
- `chat_template`: the tokenizer's own template. What the template adds between a prompt with its generation cue and
  the same conversation with the answer is the answer; it is learned up to and including the end-of-turn token.

Needs no torch: a tokenizer of transformers is passed in.
"""

from __future__ import annotations

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
            self.end_of_turn = self._template_end()

    def _single_id(self, token: str) -> int:
        known = self.tokenizer.convert_tokens_to_ids(token)
        if known is None or known == self.tokenizer.unk_token_id:
            raise InputError(f"the tokenizer lacks the token {token}, which format: paper needs")
        return known

    def text(self, text: str) -> list[int]:
        """Ids of a text by itself: no special token is added around it, and none is read into what it says."""
        return list(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))

    def _markup(self, text: str) -> list[int]:
        """Ids of what a chat template wrote, special tokens included."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def answer(self, text: str) -> list[int]:
        """Ids of an assistant's answer, as learned in training, without its end-of-turn token."""
        return self.text(text)

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

    def _render(self, messages: Sequence[Message], cue: bool) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=cue)

    def _template_end(self) -> int:
        """The token that ends an assistant's turn in the template: the first after the answer's text."""
        _, _, tail = self._split([Message("user", "a"), Message("assistant", "b")])
        ids = self._markup(tail)
        if not ids:
            raise InputError("this chat template has no token that ends an assistant's turn")
        return ids[0]

    def _split(self, messages: Sequence[Message]) -> tuple[str, str, str]:
        """Rendered text before the last (assistant's) answer, the answer's text, and what follows it."""
        before, whole = self._render(messages[:-1], True), self._render(messages, False)
        if not whole.startswith(before):
            raise InputError(
                "this chat template renders a prompt differently once it is answered (a reasoning template?), "
                "so training and evaluation would not see the same tokens; use format: paper"
            )
        rest = whole[len(before) :]
        for answer in (messages[-1].content, messages[-1].content.strip()):  # many templates trim
            if rest.startswith(answer):
                return before, answer, rest[len(answer) :]
        raise InputError("this chat template changes an answer's text, so it cannot be used for tuning")

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
                raise InputError("this chat template rewrites earlier turns; use format: paper")
            yield self._markup(before[len(done) :]), False
            if message is None:
                return
            yield self.text(answer), True
            end = self._markup(tail)
            yield end[:1], True
            yield end[1:], False
            done = before + answer + tail


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The turns, with a system message put at the beginning of the first user message."""
    if messages and messages[0].role == "system":
        first = messages[1]
        return [Message("user", f"{messages[0].content}\n{first.content}"), *messages[2:]]
    return list(messages)
