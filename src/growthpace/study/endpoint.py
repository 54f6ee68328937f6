"""Models behind OpenAI-compatible endpoints, paid by the token: what a judge and a teacher have in common.

The key is no part of a study: `key_variable` names the environment variable that holds it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Count, Positive, Strict


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


class Prices(Strict):
    """What the endpoint charges, in any one currency, for a million tokens."""

    prompt: Annotated[float, Field(ge=0)]
    """Tokens sent."""
    answer: Annotated[float, Field(ge=0)]
    """Tokens received."""


class Limits(Strict):
    """What may be used. None changes an answer. Money and tokens are over all jobs and attempts: a judge's of the
    study, a teacher's of its source."""

    requests_per_minute: Positive | None = None
    """Over all jobs on this machine; as fast as the endpoint allows when absent."""
    tokens: Count | None = None
    """Sent and received."""
    money: Positive | None = None
    """In the currency of `prices`."""


class Endpoint(Strict):
    """Who is asked, and how."""

    model: Annotated[str, Field(min_length=1)]
    """As the endpoint calls it. A dated name such as `gpt-4o-2024-08-06` stays what it is."""
    base_url: Annotated[str, AfterValidator(_endpoint)]
    """The endpoint's address, up to and with `/v1`."""
    key_variable: Annotated[str, AfterValidator(_variable)] | None = "OPENAI_API_KEY"
    """Environment variable that holds the key; null for an endpoint without keys. Changes no answer."""
    max_tokens: Count
    """Longest answer. A judge's reasoning and verdict, or a teacher's instructions of one request, and each answer."""
    answer_format: Literal["json_schema", "json_object", "text"]
    """How the endpoint is told to answer in JSON: by a schema, as any JSON, or by the prompt alone, for a server that
    knows neither. Every answer is checked in the same way."""
    prices: Prices | None = None
    """Needed by `limits.money`. Changes no answer."""
    limits: Limits = Limits()
    concurrency: Count = 4
    """Requests at once. Changes no answer."""
    timeout: Positive = 120
    """Seconds that an answer may take."""
    retries: Annotated[int, Field(ge=0)] = 5
    """Further attempts after an error (a judge's also after an answer that is no verdict); what then has no answer is
    missing."""
    batch: bool = False
    """Ask through the endpoint's Batch API: within a day, and often at half the price (state the price you pay)."""

    @model_validator(mode="after")
    def _affordable(self):
        if self.limits.money is not None and self.prices is None:
            raise ValueError("prices missing: limits.money cannot be kept without them")
        return self
