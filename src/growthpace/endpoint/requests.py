"""What is asked of an endpoint, and what comes back: small values without behaviour."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

BYTES_PER_TOKEN = 3
"""Tokens are estimated from above as UTF-8 bytes over this: English has about four bytes a token, Chinese three bytes a
character and at most about one token."""
TOKENS_PER_MESSAGE = 8
"""Added for the marks around a message."""


@dataclass(frozen=True)
class Request:
    """One chat completion to ask for."""

    name: str
    """For people: what it is about. Not sent."""
    body: dict[str, Any]
    """Everything that is sent: model, messages, temperature, max_tokens, ..."""
    repeat: int = 0
    """Another number asks the same once more, instead of taking the known answer."""

    def identity(self, base_url: str, attempt: int) -> str:
        """Hex SHA-256 of what is sent and where to (never the key), of `repeat` and of the attempt."""
        content = {"base_url": base_url, "body": self.body, "repeat": self.repeat, "attempt": attempt}
        return hashlib.sha256(canonical(content).encode()).hexdigest()

    @property
    def most_prompt_tokens(self) -> int:
        """Estimate, from above, of the tokens sent."""
        messages = self.body["messages"]
        size = sum(len(message["content"].encode()) for message in messages)
        size += len(canonical(self.body.get("response_format", "")).encode())
        return math.ceil(size / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * (len(messages) + 1)

    @property
    def most_answer_tokens(self) -> int:
        """Most tokens that come back."""
        return self.body["max_tokens"]


def canonical(content: Any) -> str:
    """JSON that is equal for equal content."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Answer:
    """What the endpoint answered to one attempt, and was paid for."""

    text: str
    """Empty where it refused."""
    refusal: str
    """Why it refused, empty where it did not."""
    finish: str
    """`stop`, `length`, `content_filter`, ..., as the endpoint calls it."""
    model: str
    """The model as the endpoint calls it."""
    prompt_tokens: int
    answer_tokens: int
    counted: bool
    """Whether the endpoint counted the tokens; else they are estimated from above."""
    date: str = field(default="", compare=False)
    """Day on which it came (UTC), `YYYY-MM-DD`; empty where an older version kept it."""

    @property
    def content(self) -> dict[str, Any]:
        """All but the date, as it is kept and summed."""
        return {key: value for key, value in asdict(self).items() if key != "date"}


class Malformed(ValueError):  # noqa: N818 (what an answer is, no failure of the program)
    """An answer that is not what was asked for; says what is wrong with it."""


Check = Callable[[Request, str], Any]
"""Makes of an answer's text what the caller wants of it, or raises `Malformed`."""


@dataclass(frozen=True)
class Result:
    """What became of a request."""

    value: Any
    """What the check made of the answer; None where it is missing."""
    missing: str
    """Why there is no answer: `refused`, `cut off`, `malformed`, `too long`, `timeout`, `connection`, `HTTP 429`, ...;
    empty where there is one."""
    attempts: int
    """Answers and errors that it took, those of earlier processes that the cache knows included."""
    identity: str
    """Of the last attempt; names the cached answer."""
    model: str
    """The model as the endpoint called it, empty where it never answered."""
    prompt_tokens: int
    """Of all attempts."""
    answer_tokens: int
    detail: str = ""
    """More about why it is missing."""
    date: str = field(default="", compare=False)
    """Day of the last answer, see `Answer`."""


@dataclass(frozen=True)
class Spent:
    """Tokens and money."""

    prompt_tokens: int = 0
    answer_tokens: int = 0
    money: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.prompt_tokens + other.prompt_tokens,
            self.answer_tokens + other.answer_tokens,
            self.money + other.money,
        )

    def __sub__(self, other: Spent) -> Spent:
        return self + Spent(-other.prompt_tokens, -other.answer_tokens, -other.money)

    @property
    def tokens(self) -> int:
        """Sent and received."""
        return self.prompt_tokens + self.answer_tokens


@dataclass(frozen=True)
class Estimate:
    """What asking would take, before anything is asked."""

    requests: int
    """That would be sent, if each is answered well at once."""
    cached: int
    """That are answered already."""
    most: Spent
    """From above: bytes over three, and answers of full length."""
    likely: Spent
    """By what answers of this cache took so far (tokens per byte, tokens per answer); equal to `most` until 20 are
    known."""
    spent: Spent
    """So far, over everything in this cache."""
    priced: bool
    """Whether prices are known; else all money is 0."""

    def __str__(self) -> str:
        def told(spent: Spent) -> str:
            money = f", cost {spent.money:,.4f}" if self.priced else ""
            return f"{spent.prompt_tokens:,} + {spent.answer_tokens:,} tokens{money}"

        lines = f"{self.requests:,} requests to send ({self.cached:,} are answered already)"
        if self.requests:
            lines += f": likely {told(self.likely)}, at most {told(self.most)}"
        return f"{lines}; spent so far {told(self.spent)}"


@dataclass(frozen=True)
class Settings:
    """How an endpoint is asked. Nothing here changes an answer but `base_url`."""

    base_url: str
    key: str
    """The secret; `none` for an endpoint without keys. Never written, logged or shown."""
    concurrency: int = 4
    timeout: float = 120
    """Seconds that an answer may take."""
    retries: int = 5
    """Further attempts after the first."""
    requests_per_minute: float | None = None
    most_tokens: int | None = None
    """Limit of all tokens in this cache."""
    most_money: float | None = None
    """Limit of all money in this cache."""
    prompt_price: float | None = None
    """Money for a million tokens sent."""
    answer_price: float | None = None
    """Money for a million tokens received."""
    again: bool = True
    """Whether a request is repeated whose answer refuses, is cut off or malformed; else it is missing at once."""
    batch: bool = False
    """Ask through the Batch API."""
    backoff: float = 1.0
    """Seconds of the first wait after an error; doubles each time, up to a minute."""
    poll: float = 30.0
    """Seconds between two looks at a batch."""

    def __repr__(self) -> str:  # a traceback or a log must not show the key
        return f"Settings(base_url={self.base_url!r})"

    @property
    def priced(self) -> bool:
        """Whether money can be counted."""
        return self.prompt_price is not None

    def cost(self, prompt_tokens: int, answer_tokens: int) -> Spent:
        """The tokens with what they cost."""
        money = (prompt_tokens * (self.prompt_price or 0) + answer_tokens * (self.answer_price or 0)) / 1e6
        return Spent(prompt_tokens, answer_tokens, money)
