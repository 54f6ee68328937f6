"""The client: `Client(settings, folder).complete(requests, check)` gives one result for each request.

    client = Client(settings, Path("results/demo/asked"))
    print(client.estimate(requests, check))
    results = client.complete(requests, check)

An answer that is known (see `cache`) is not asked for again. An error that may pass, and an answer that is none (it
refuses, is cut off, or `check` finds it malformed), is tried again, with waits that double; after `retries` the request
is missing, with its reason. A wrong key, model or address, and a limit that is reached, end the call with one
`InputError`, once the requests in flight have been answered and kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from growthpace.endpoint import failures
from growthpace.endpoint.cache import Cache, Ledger
from growthpace.endpoint.failures import Trouble, read_answer, status_trouble
from growthpace.endpoint.limits import Budget, Pace
from growthpace.endpoint.requests import Answer, Check, Estimate, Malformed, Request, Result, Settings, Spent
from growthpace.errors import InputError

LONGEST_BACKOFF = 60.0
"""Seconds."""
KNOWN_ENOUGH = 20
"""Answers from which on an estimate goes by what they took."""


def as_text(request: Request, text: str) -> str:
    """The check that takes any answer."""
    return text


class Progress:
    """What has become of one request so far."""

    def __init__(self, request: Request):
        self.request = request
        self.attempt = 1
        """Number of the next answer; part of its identity."""
        self.tries = 0
        """Answers and errors."""
        self.spent = Spent()
        self.model = self.date = ""
        self.trouble = Trouble("not asked", True)
        self.result: Result | None = None

    def identity(self, settings: Settings) -> str:
        return self.request.identity(settings.base_url, self.attempt)

    def finish(self, value: Any, settings: Settings) -> None:
        """Settles it: with a value, or as missing for its last trouble where that is None."""
        missing = "" if value is not None else self.trouble.reason
        attempt = self.attempt if value is not None else max(1, self.attempt - 1)
        identity = self.request.identity(settings.base_url, attempt)
        detail, date, spent = "" if value is not None else self.trouble.detail, self.date, self.spent
        self.result = Result(
            value, missing, self.tries, identity, self.model, spent.prompt_tokens, spent.answer_tokens, detail, date
        )


class Client:
    """An endpoint, with its cache, limits and patience. Safe to use from one thread at a time."""

    def __init__(self, settings: Settings, folder: Path):
        """folder: of the cache; what it holds counts against the limits."""
        try:
            import openai  # takes half a second
        except ModuleNotFoundError:
            raise InputError("the library openai is not installed here: pip install 'growthpace[judge]'") from None
        self.settings = settings
        self.cache = Cache(folder, settings)
        self.ledger = Ledger(folder, settings)
        self.budget = Budget(settings, self.ledger)
        self.pace = Pace(folder, settings.requests_per_minute)
        self.endpoint = openai.OpenAI(
            base_url=settings.base_url, api_key=settings.key, timeout=settings.timeout, max_retries=0
        )
        self._stop = threading.Event()

    def estimate(self, requests: Sequence[Request], check: Check = as_text) -> Estimate:
        """What asking would take, without asking."""
        waiting = [p.request for p in self._replayed(requests, check).values() if p.result is None]
        most = sum((self.budget.most(request) for request in waiting), Spent())
        likely, ledger = most, self.ledger
        if ledger.answers >= KNOWN_ENOUGH:
            prompts = round(most.prompt_tokens * ledger.counted.prompt_tokens / ledger.estimated)
            answers = round(len(waiting) * ledger.counted.answer_tokens / ledger.answers)
            likely = self.settings.cost(prompts, min(answers, most.answer_tokens))
        known = len({self._key(request) for request in requests}) - len(waiting)
        return Estimate(len(waiting), known, most, likely, ledger.refresh(), self.settings.priced)

    def known(self, requests: Sequence[Request], check: Check = as_text) -> list[Result | None]:
        """What the cache knows, without asking; None for a request that is still to be settled."""
        progress = self._replayed(requests, check)
        return [progress[self._key(request)].result for request in requests]

    def refuse_beyond_limits(self, estimate: Estimate) -> None:
        """Raises `InputError` where what is likely to be spent would pass a limit."""
        if estimate.requests and (over := self.budget.passes(estimate.spent + estimate.likely)):
            raise InputError(f"{over}, so nothing was asked; raise the limit or ask less ({estimate})")

    def complete(
        self, requests: Sequence[Request], check: Check = as_text, report: Callable[[int], None] = lambda done: None
    ) -> list[Result]:
        """One result for each request, in their order; equal requests are asked once.

        report: told how many of them are settled, as that changes.
        """
        self._stop.clear()
        progress = self._replayed(requests, check)
        waiting = [one for one in progress.values() if one.result is None]
        done = len(progress) - len(waiting)
        report(done)
        if self.settings.batch:
            from growthpace.endpoint.batch import complete_in_batches

            complete_in_batches(self, waiting, check)
            report(len(progress))
            return [progress[self._key(request)].result for request in requests]
        first: Exception | None = None
        lock = threading.Lock()

        def settle(one: Progress) -> None:
            nonlocal done, first
            try:
                if not self._stop.is_set():
                    self._ask_until_settled(one, check)
                with lock:
                    done += one.result is not None
                    report(done)
            except Exception as error:
                with lock:
                    first = first or error
                self._stop.set()

        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            try:
                list(pool.map(settle, waiting))
            except BaseException:  # Ctrl-C: what is in flight is still waited for
                self._stop.set()
                raise
        if first is not None:
            raise first
        return [progress[self._key(request)].result for request in requests]

    # --- one request ---

    def _key(self, request: Request) -> str:
        return request.identity(self.settings.base_url, 1)

    def _replayed(self, requests: Sequence[Request], check: Check) -> dict[str, Progress]:
        """Each different request, with what the cache knows of it."""
        found: dict[str, Progress] = {}
        for request in requests:
            if (key := self._key(request)) in found:
                continue
            one = found[key] = Progress(request)
            while one.result is None and (answer := self.cache.get(request, one.attempt)) is not None:
                self.take(one, answer, check)
        return found

    def take(self, one: Progress, answer: Answer, check: Check) -> None:
        """Settles a request by an answer, or counts a further attempt where the answer is none."""
        one.tries += 1
        one.spent += Spent(answer.prompt_tokens, answer.answer_tokens)
        one.model, one.date = answer.model, answer.date
        value, trouble, again = None, None, self.settings.again
        if answer.refusal or answer.finish == "content_filter":
            trouble = Trouble(failures.REFUSED, again, detail=answer.refusal[:300])
        elif answer.finish == "length":
            trouble = Trouble(failures.CUT_OFF, again, detail=f"after {answer.answer_tokens} tokens")
        else:
            try:
                value = check(one.request, answer.text)
            except Malformed as error:
                trouble = Trouble(failures.MALFORMED, again, detail=str(error)[:300])
        if trouble is None:
            one.finish(value, self.settings)
            return
        one.attempt += 1
        self.fail(one, trouble)

    def fail(self, one: Progress, trouble: Trouble) -> None:
        """Notes why an attempt gave no answer, and settles the request as missing where it was the last."""
        one.trouble = trouble
        if not trouble.again or one.tries > self.settings.retries:
            one.finish(None, self.settings)

    def _ask_until_settled(self, one: Progress, check: Check) -> None:
        while one.result is None:
            if (answer := self.cache.get(one.request, one.attempt)) is None:  # another process may have asked
                try:
                    answer = self._ask(one)
                except Trouble as trouble:
                    one.tries += 1
                    self.fail(one, trouble)
                    answer = None
            if answer is not None:
                self.take(one, answer, check)
            if one.result is None and self._stop.wait(self._backoff(one)):
                return

    def _ask(self, one: Progress) -> Answer:
        """Sends the request; its answer is kept before anything else is done with it."""
        wanted = self.budget.most(one.request)
        self.budget.reserve(wanted)
        try:
            if self._stop.wait(self.pace.wait_for()):
                raise Trouble("not asked", True)
            answer = read_answer(self._send(one.request), one.request)
            self.keep(one, answer)
            return answer
        except Trouble as trouble:
            if trouble.everyone and trouble.wait:
                self.pace.pause(trouble.wait)
            if trouble.paid:
                self.count_unread(one)
            raise
        finally:
            self.budget.release(wanted)

    def keep(self, one: Progress, answer: Answer) -> None:
        """Writes an answer down, then what it took."""
        self.cache.put(one.request, one.attempt, answer)
        self.ledger.add(one.identity(self.settings), one.request, answer)

    def count_unread(self, one: Progress) -> None:
        """Counts an answer that could not be read: it was paid for, nobody knows how much, so all that it may cost."""
        most = self.budget.most(one.request)
        self.ledger.add("", one.request, Answer("", "", "", "", most.prompt_tokens, most.answer_tokens, False))

    def _send(self, request: Request) -> str:
        import openai

        try:
            found = self.endpoint.chat.completions.with_raw_response.create(**request.body)
            return self.without_key(found.http_response.text)
        except openai.APITimeoutError:
            raise Trouble("timeout", True, detail=f"no answer in {self.settings.timeout:g} s") from None
        except openai.APIConnectionError as error:
            raise Trouble("connection", True, detail=self.without_key(error.__cause__ or error)) from None
        except openai.APIStatusError as error:
            raise self.described(error) from None

    def described(self, error: Any) -> Trouble:
        """The trouble of an openai.APIStatusError; `InputError` where no other request would fare better."""
        text = self.without_key(error.response.text)
        try:
            body = json.loads(text)
        except ValueError:
            body = text
        return status_trouble(error.status_code, body, error.response.headers, f"{self.settings.base_url}")

    def without_key(self, text: Any) -> str:
        """The text without the secret, which an endpoint may repeat."""
        return str(text).replace(self.settings.key, "***") if len(self.settings.key) >= 8 else str(text)

    def _backoff(self, one: Progress) -> float:
        """Seconds to wait before the next attempt: doubling, scattered between half and all of it by the request's
        identity, so that many requests do not come back at once and a test knows when."""
        longest = min(LONGEST_BACKOFF, self.settings.backoff * 2 ** (one.tries - 1))
        scatter = int(one.identity(self.settings)[:8], 16) / 0xFFFFFFFF
        return max(one.trouble.wait, longest * (0.5 + 0.5 * scatter))
