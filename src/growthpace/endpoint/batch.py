"""Asking through the Batch API: a file of requests, answered within a day.

A batch is noted in the cache's folder before and after it is made, and found again by the name that it carries, so
that a killed process pays for none twice: the next one waits for it and collects it, before it asks for what is left.
Answers go into the same cache, under the same names, as those that are asked for one by one.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growthpace.endpoint.failures import Trouble, read_answer, status_trouble
from growthpace.endpoint.requests import Check, Spent, canonical
from growthpace.errors import InputError
from growthpace.files import read_json, write_json

if TYPE_CHECKING:
    from growthpace.endpoint.client import Client, Progress

ADDRESS = "/v1/chat/completions"
MOST_REQUESTS = 50_000
"""In one batch, as the API's documentation says."""
MOST_BYTES = 190_000_000
"""Of its file; the API takes 200 MB."""
OVER = ("completed", "failed", "expired", "cancelled")
"""States that a batch does not leave."""


def complete_in_batches(client: Client, waiting: list[Progress], check: Check) -> None:
    """Settles the requests, in as many rounds as their attempts take. Raises `InputError` where what they may cost
    would pass a limit, and where the endpoint refuses a batch as a whole."""
    for note in sorted(_folder(client).glob("*.json")):
        with contextlib.suppress(FileNotFoundError):  # another process may have collected it
            if set(read_json(note)["identities"]) & {one.identity(client.settings) for one in waiting}:
                _collect(client, note, waiting, check)
    while waiting := [one for one in waiting if one.result is None]:
        most = sum((client.budget.most(one.request) for one in waiting), Spent())
        client.budget.reserve(most)
        try:
            for part in _parts(waiting):
                _collect(client, _start(client, part), part, check)
        finally:
            client.budget.release(most)


def _folder(client: Client) -> Path:
    return client.cache.folder / "batches"


def _line(client: Client, one: Progress) -> str:
    content = {"custom_id": one.identity(client.settings), "method": "POST", "url": ADDRESS, "body": one.request.body}
    return canonical(content) + "\n"


def _parts(waiting: list[Progress]) -> Iterator[list[Progress]]:
    part, size = [], 0
    for one in waiting:
        length = len(canonical(one.request.body).encode()) + 200
        if part and (len(part) == MOST_REQUESTS or size + length > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += length
    if part:
        yield part


def _start(client: Client, part: list[Progress]) -> Path:
    """Notes a batch that is to be made, under a name of its own; returns the note."""
    note = _folder(client) / f"{uuid.uuid4().hex}.json"
    write_json(note, {"identities": sorted(one.identity(client.settings) for one in part), "batch": None})
    return note


def _made(client: Client, note: Path, waiting: list[Progress]) -> str:
    """The id of a note's batch, which is made if there is none by its name."""
    noted = read_json(note)
    if noted["batch"]:
        return noted["batch"]
    batch = _patiently(client, lambda: _by_name(client, note.stem))
    if batch is None:
        wanted = set(noted["identities"])
        lines = "".join(_line(client, one) for one in waiting if one.identity(client.settings) in wanted).encode()
        file = _patiently(
            client, lambda: client.endpoint.files.create(file=(f"{note.stem}.jsonl", lines), purpose="batch")
        )
        batch = _patiently(
            client,
            lambda: (
                _by_name(client, note.stem)
                or client.endpoint.batches.create(
                    input_file_id=file.id,
                    endpoint=ADDRESS,
                    completion_window="24h",
                    metadata={"growthpace": note.stem},
                )
            ),
        )
    write_json(note, {**noted, "batch": batch.id})
    return batch.id


def _by_name(client: Client, name: str) -> Any:
    """The batch that carries a name, among the endpoint's latest; None if there is none."""
    for position, batch in enumerate(client.endpoint.batches.list(limit=100)):
        if (batch.metadata or {}).get("growthpace") == name:
            return batch
        if position >= 1000:
            return None
    return None


def _collect(client: Client, note: Path, waiting: list[Progress], check: Check) -> None:
    """Waits for a batch, keeps its answers, and settles what they answer; the note goes when all is kept."""
    identity = _made(client, note, waiting)
    while (batch := _patiently(client, lambda: client.endpoint.batches.retrieve(identity))).status not in OVER:
        time.sleep(client.settings.poll)
    if batch.status == "failed":
        note.unlink(missing_ok=True)
        said = "; ".join(str(error.message) for error in (batch.errors.data if batch.errors else None) or [])
        raise InputError(f"{client.settings.base_url}: the batch {identity} was refused ({said or 'no reason given'})")
    by_identity = {one.identity(client.settings): one for one in waiting if one.result is None}
    answered: set[str] = set()
    fatal: InputError | None = None
    for file in filter(None, (batch.output_file_id, batch.error_file_id)):
        text = client.without_key(_patiently(client, lambda file=file: client.endpoint.files.content(file).text))
        for line in text.splitlines():
            try:
                found = json.loads(line)
                one = by_identity[found["custom_id"]]
            except (ValueError, TypeError, KeyError):
                continue  # what has no answer is asked again
            if found["custom_id"] not in answered:
                answered.add(found["custom_id"])
                try:
                    _take(client, one, found, check)
                except InputError as error:  # the other lines are paid for: all of them are kept first
                    fatal = fatal or error
    for name, one in by_identity.items():
        if name not in answered:
            one.tries += 1
            client.fail(one, Trouble(f"batch {batch.status} without it", True))
    note.unlink(missing_ok=True)
    if fatal:
        raise fatal


def _take(client: Client, one: Progress, found: dict[str, Any], check: Check) -> None:
    """Settles a request by its line of a batch's output, or counts an attempt."""
    try:
        response = found.get("response") or {}
        status, body = response.get("status_code"), response.get("body")
        if status != 200:
            error = found.get("error") or {}
            if status is None:  # expired or cancelled before its turn
                raise Trouble(str(error.get("code") or "no response"), True, detail=str(error.get("message", ""))[:300])
            raise status_trouble(status, body, {}, client.settings.base_url)
        answer = read_answer(json.dumps(body), one.request)
    except Trouble as trouble:
        one.tries += 1
        if trouble.paid:
            client.count_unread(one)
        client.fail(one, trouble)
        return
    client.keep(one, answer)
    client.take(one, answer, check)


def _patiently(client: Client, call: Callable[[], Any]) -> Any:
    """What the call gives; errors that may pass are waited out, as often as a request is tried again."""
    import openai

    for attempt in range(client.settings.retries + 1):
        try:
            return call()
        except openai.APIStatusError as error:
            trouble = client.described(error)
        except openai.APIConnectionError as error:
            trouble = Trouble("connection", True, detail=client.without_key(error.__cause__ or error))
        if attempt < client.settings.retries:
            time.sleep(max(trouble.wait, min(60.0, client.settings.backoff * 2**attempt)))
    raise InputError(
        f"{client.settings.base_url}: the Batch API does not answer ({trouble.reason}: {trouble.detail}); "
        "answers so far are kept, run it again"
    )
