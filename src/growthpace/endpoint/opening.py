"""From a study's section to the client's settings, with the key from the environment."""

from __future__ import annotations

import os

from growthpace.endpoint.requests import Settings
from growthpace.errors import InputError
from growthpace.study import Endpoint

NO_KEY = "none"
"""Sent to an endpoint without keys."""


def endpoint_settings(endpoint: Endpoint, section: str, asks: bool = True) -> Settings:
    """How an endpoint is asked; `section` is its key in the study, for messages. `InputError` where the environment
    does not hold the key, unless nothing is to be asked."""
    key = NO_KEY if endpoint.key_variable is None or not asks else os.environ.get(endpoint.key_variable, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {endpoint.key_variable} is not set: it holds the key of {endpoint.base_url} "
            f"({section}.key_variable names another, or null for an endpoint without keys)"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            f"the environment variable {endpoint.key_variable} holds no key (spaces, or letters beyond ASCII)"
        )
    return Settings(
        base_url=endpoint.base_url,
        key=key,
        concurrency=endpoint.concurrency,
        timeout=endpoint.timeout,
        retries=endpoint.retries,
        requests_per_minute=endpoint.limits.requests_per_minute,
        most_tokens=endpoint.limits.tokens,
        most_money=endpoint.limits.money,
        prompt_price=endpoint.prices.prompt if endpoint.prices else None,
        answer_price=endpoint.prices.answer if endpoint.prices else None,
        batch=endpoint.batch,
    )


def limits_told(endpoint: Endpoint) -> str:
    """`; limits: money 20, tokens 5,000,000`; empty where there are none."""
    known = endpoint.limits.model_dump(exclude_none=True)
    return f"; limits: {', '.join(f'{name} {value:,}' for name, value in known.items())}" if known else ""
