"""Limits: requests per minute, tokens and money, over all threads and processes that share a cache's folder."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from growthpace.endpoint.cache import Ledger, held
from growthpace.endpoint.requests import Request, Settings, Spent
from growthpace.errors import InputError


class Pace:
    """Spaces requests evenly, and holds all of them back while the endpoint asks for a pause."""

    def __init__(self, folder: Path, requests_per_minute: float | None):
        self.path, self.spacing = folder / "pace", 60 / requests_per_minute if requests_per_minute else 0.0

    def wait_for(self) -> float:
        """Takes the next slot and says in how many seconds it is."""
        with held(self.path) as handle:
            now = time.time()
            at = max(now, self._next(handle, now))
            self._write(handle, at + self.spacing)
        return at - now

    def pause(self, seconds: float) -> None:
        """Lets no request start within so many seconds."""
        with held(self.path) as handle:
            now = time.time()
            self._write(handle, max(self._next(handle, now), now + seconds))

    @staticmethod
    def _next(handle, now: float) -> float:
        handle.seek(0)
        try:
            at = float(handle.read() or 0)
        except ValueError:
            return now
        return at if at < now + 24 * 3600 else now  # a clock that was wrong must not hold everything up

    @staticmethod
    def _write(handle, at: float) -> None:
        handle.seek(0)
        handle.truncate()
        handle.write(repr(at).encode())
        handle.flush()
        os.fsync(handle.fileno())


class LimitReached(InputError):  # noqa: N818
    """The next request could pass a limit."""


class Budget:
    """Keeps tokens and money within their limits: what a request can take at most is set aside before it is sent."""

    def __init__(self, settings: Settings, ledger: Ledger):
        self.settings, self.ledger = settings, ledger
        self._reserved = Spent()
        self._changed = threading.Condition()

    def most(self, request: Request) -> Spent:
        """The most that a request takes."""
        return self.settings.cost(request.most_prompt_tokens, request.most_answer_tokens)

    def reserve(self, wanted: Spent) -> None:
        """Sets it aside, waiting for requests in flight that may take less than was set aside for them.

        Raises `LimitReached` where it would not fit even so.
        """
        settings = self.settings
        if settings.most_tokens is None and settings.most_money is None:
            return
        with self._changed:
            while over := self.passes(self.ledger.refresh() + self._reserved + wanted):
                if self._reserved.tokens == 0:
                    raise LimitReached(f"{over}; answers so far are kept, raise the limit and run it again")
                self._changed.wait(timeout=1)
            self._reserved += wanted

    def release(self, wanted: Spent) -> None:
        """Gives back what was set aside; what was really taken stands in the ledger by then."""
        if self.settings.most_tokens is None and self.settings.most_money is None:
            return
        with self._changed:
            self._reserved -= wanted
            self._changed.notify_all()

    def passes(self, spent: Spent) -> str:
        """Which limit so much would pass, in words; empty for none."""
        settings = self.settings
        if settings.most_tokens is not None and spent.tokens > settings.most_tokens:
            return f"limits.tokens: {settings.most_tokens:,} would be passed ({spent.tokens:,})"
        if settings.most_money is not None and spent.money > settings.most_money * (1 + 1e-12):
            return f"limits.money: {settings.most_money:g} would be passed ({spent.money:,.4f})"
        return ""
