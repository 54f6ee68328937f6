"""How answers without a reference that a program can compare are judged: by a model behind an OpenAI-compatible
endpoint, which is paid by the token.

The key is no part of a study: `key_variable` names the environment variable that holds it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Count, Positive, Share, Strict

RUBRICS = {
    "quality": (
        "Judge the quality of the assistant's answers: whether they do what the user asks, whether what they say is "
        "right, whether they are complete without padding, and whether they are clear and in the user's language. "
        "Length is no merit of its own. In a conversation of several turns every answer counts."
    ),
    "correctness": (
        "Judge whether what the assistant's answers state and conclude is correct, and whether it follows from the "
        "steps they give. Style and length do not count. Where a reference answer is shown it is correct; an answer "
        "that reaches the same by other means is as good."
    ),
}
"""Rubrics by name."""


def _endpoint(url: str) -> str:
    """The URL without a slash at its end; ValueError where it is none, or holds what belongs in the environment."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a server (allowed: such as https://api.openai.com/v1)")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("holds more than an address (allowed: no user, key or query; a key is read from key_variable)")
    return url.rstrip("/")


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", name):  # it may be the key: not to be shown
        raise ValueError("no name of an environment variable (allowed: capitals, digits and _; never the key itself)")
    return name


def _rubric(text: str) -> str:
    if len(text.split()) < 2 and text not in RUBRICS:
        raise ValueError(f"{text!r} is no rubric (allowed: {', '.join(RUBRICS)}, or a text of your own)")
    return text


class Prices(Strict):
    """What the endpoint charges, in any one currency, for a million tokens."""

    prompt: Annotated[float, Field(ge=0)]
    """Tokens sent."""
    answer: Annotated[float, Field(ge=0)]
    """Tokens received."""


class Limits(Strict):
    """What judging may use. None changes a verdict. Money and tokens are the study's, over all jobs and attempts."""

    requests_per_minute: Positive | None = None
    """Over all jobs of the study on this machine; as fast as the endpoint allows when absent."""
    tokens: Count | None = None
    """Sent and received."""
    money: Positive | None = None
    """In the currency of `prices`."""


class Judge(Strict):
    """The judge of all suites that are `judged`."""

    model: Annotated[str, Field(min_length=1)]
    """As the endpoint calls it. A dated name such as `gpt-4o-2024-08-06` stays what it is."""
    base_url: Annotated[str, AfterValidator(_endpoint)]
    """The endpoint's address, up to and with `/v1`."""
    key_variable: Annotated[str, AfterValidator(_variable)] | None = "OPENAI_API_KEY"
    """Environment variable that holds the key; null for an endpoint without keys. Does not change a verdict."""
    mode: Literal["pointwise", "pairwise"]
    """`pointwise`: a score on `scale`. `pairwise`: against the item's own reference answer, in both orders; the grade
    is the mean of both, 1 for a win, 0.5 for a tie, 0 for a loss."""
    rubric: Annotated[str, Field(min_length=1), AfterValidator(_rubric)]
    """`quality`, `correctness`, or a text of your own."""
    scale: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    """Lowest and highest score, such as [1, 10], which become the grades 0 and 1. Goes with `pointwise`."""
    max_tokens: Count
    """Longest answer of the judge: its reasoning and its verdict."""
    answer_format: Literal["json_schema", "json_object", "text"]
    """How the endpoint is told to answer in JSON: by a schema, as any JSON, or by the prompt alone, for a server that
    knows neither. Every answer is checked in the same way."""
    second_pass: Share
    """Share of the items that are judged twice, to report how well the judge agrees with itself; 0 for none."""
    prices: Prices | None = None
    """Needed by `limits.money`. Does not change a verdict."""
    limits: Limits = Limits()
    concurrency: Count = 4
    """Requests at once. Does not change a verdict."""
    timeout: Positive = 120
    """Seconds that an answer may take."""
    retries: Annotated[int, Field(ge=0)] = 5
    """Further attempts after an error or an answer that is no verdict; what then has none is missing."""
    batch: bool = False
    """Ask through the endpoint's Batch API: within a day, and often at half the price (state the price you pay)."""

    @model_validator(mode="after")
    def _joined(self):
        if self.mode == "pointwise" and self.scale is None:
            raise ValueError("scale missing: mode: pointwise gives scores on it (such as [1, 10])")
        if self.mode == "pairwise" and self.scale is not None:
            raise ValueError(f"scale {self.scale} would have no effect with mode: pairwise")
        if self.scale is not None and self.scale[0] >= self.scale[1]:
            raise ValueError(
                f"scale {self.scale}: the lowest score is not below the highest (allowed: such as [1, 10])"
            )
        if self.limits.money is not None and self.prices is None:
            raise ValueError("prices missing: limits.money cannot be kept without them")
        return self

    @property
    def rubric_text(self) -> str:
        """The rubric in full."""
        return RUBRICS.get(self.rubric, self.rubric)

    @property
    def requests_per_item(self) -> float:
        """Requests of an item, on average, when none has to be repeated."""
        return (2 if self.mode == "pairwise" else 1) * (1 + self.second_pass)
