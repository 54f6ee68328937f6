"""Requests, a check and settings for the tests of the client."""

from __future__ import annotations

from faulty_server import KEY

from growthpace.endpoint.requests import Malformed, Request, Settings


def request(text: str, max_tokens: int = 20, repeat: int = 0) -> Request:
    body = {
        "model": "judge",
        "temperature": 0,
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": text}],
    }
    return Request(text, body, repeat)


def number(_: Request, text: str) -> int:
    """The check: an answer is a whole number."""
    if not text.strip().isdigit():
        raise Malformed(f"{text!r} is no number")
    return int(text)


def settings(url: str, **changes) -> Settings:
    return Settings(**{"base_url": url, "key": KEY, "timeout": 5, "backoff": 0.01, "poll": 0.01, **changes})
