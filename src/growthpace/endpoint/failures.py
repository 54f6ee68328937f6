"""What goes wrong between a request and its answer: what is tried again, what ends one request, what ends the job."""

from __future__ import annotations

import email.utils
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from growthpace.endpoint.requests import Answer, Request
from growthpace.errors import InputError

REFUSED = "refused"
CUT_OFF = "cut off"
MALFORMED = "malformed"
TOO_LONG = "too long"

LONGEST_PAUSE = 600.0
"""Seconds; an endpoint that asks for a longer pause is asked again after this."""
PASSING = (408, 409, 425, 429)
"""Statuses below 500 that pass by themselves."""
FILTERED = ("content_filter", "content_policy_violation")
NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached")


@dataclass(eq=False)  # not frozen: whatever handles an exception may set its traceback
class Trouble(Exception):  # noqa: N818
    """An attempt without an answer."""

    reason: str
    """See `Result.missing`."""
    again: bool
    """Whether it may pass."""
    wait: float = 0.0
    """Seconds that the endpoint asks to wait."""
    everyone: bool = False
    """Whether all requests should wait."""
    detail: str = ""
    paid: bool = False
    """Whether an answer was sent that could not be read."""


def status_trouble(status: int, body: Any, headers: Any, where: str) -> Trouble:
    """What an HTTP status other than 200 means for its request.

    body: the decoded JSON, or text; headers: a mapping, without regard to case; where: the endpoint and model.
    Raises `InputError` for what no other request would fare better with: a wrong key, model or address.
    """
    error = body.get("error", body) if isinstance(body, dict) else {}
    error = error if isinstance(error, dict) else {"message": str(error)}
    code, said = str(error.get("code") or error.get("type") or ""), str(error.get("message") or body or "")[:300]
    if code in FILTERED:
        return Trouble(REFUSED, again=False, detail=said)
    if code == "context_length_exceeded":
        return Trouble(TOO_LONG, again=False, detail=said)
    if code in NO_MONEY:
        raise InputError(f"{where}: the account is out of money (HTTP {status}: {said})")
    if status in PASSING or status >= 500:
        return Trouble(f"HTTP {status}", True, asked_to_wait(headers), status in (429, 503), said)
    advice = {
        401: "the key is wrong, or there is none: see key_variable",
        403: "the key may not use this model or endpoint",
        404: "no such model or address: see model and base_url (which ends in /v1 as a rule)",
    }.get(status, "the endpoint does not take such requests: see model, answer_format and max_tokens")
    raise InputError(f"{where}: HTTP {status}: {advice} ({said})")


def asked_to_wait(headers: Any) -> float:
    """Seconds of a Retry-After header, given in milliseconds, seconds or as a date, up to `LONGEST_PAUSE`; 0 without
    one."""
    try:
        text = headers.get("retry-after") or ""
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif text.replace(".", "", 1).isdigit():
            seconds = float(text)
        else:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time() if text else 0.0
    except (TypeError, ValueError):
        return 0.0
    return min(max(0.0, seconds), LONGEST_PAUSE)


def read_answer(text: str, request: Request) -> Answer:
    """The answer in a response's body; `Trouble` where it is not JSON of the shape that an answer has."""
    try:
        body = json.loads(text)
        choice = body["choices"][0]
        message = choice["message"]
        said, refusal = message.get("content") or "", message.get("refusal") or ""
        usage = body.get("usage") or {}
        counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
        counted = all(isinstance(count, int) and count >= 0 for count in counts)
        if not isinstance(said, str) or not isinstance(refusal, str):
            raise TypeError("content is no text")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Trouble("broken answer", True, detail=f"{type(error).__name__}: {error}", paid=True) from None
    if not counted:
        counts = [request.most_prompt_tokens, request.most_answer_tokens]
    return Answer(
        text=said,
        refusal=refusal,
        finish=str(choice.get("finish_reason") or ""),
        model=str(body.get("model") or ""),
        prompt_tokens=counts[0],
        answer_tokens=counts[1],
        counted=counted,
        date=datetime.now(UTC).date().isoformat(),
    )
