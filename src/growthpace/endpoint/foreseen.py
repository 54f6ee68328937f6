"""What asking will take at most, as rows of a check and a plan, and in words."""

from __future__ import annotations

import math
from typing import Any

from growthpace.endpoint.requests import Spent
from growthpace.study import Prices

Row = dict[str, Any]


def money_of(prices: Prices | None, prompt_tokens: int, answer_tokens: int) -> float:
    """What tokens cost; NaN without prices."""
    return (prompt_tokens * prices.prompt + answer_tokens * prices.answer) / 1e6 if prices else math.nan


def row_of(who: str, requests: int, most: Spent) -> Row:
    """{who, requests, prompt_tokens, answer_tokens, money}; money None where prices are not known."""
    money = None if math.isnan(most.money) else most.money
    return {
        "who": who,
        "requests": requests,
        "prompt_tokens": most.prompt_tokens,
        "answer_tokens": most.answer_tokens,
        "money": money,
    }


def part_of(row: Row, part: float) -> Row:
    """A part of a row, from 0 to 1; whole numbers are rounded up."""
    counts = {key: math.ceil(row[key] * part) for key in ("requests", "prompt_tokens", "answer_tokens")}
    return {**row, **counts, "money": None if row["money"] is None else row["money"] * part}


def told(row: Row) -> str:
    """A row in words."""
    tokens = f"at most {row['prompt_tokens']:,} + {row['answer_tokens']:,} tokens"
    money = "" if row["money"] is None else f", cost {row['money']:,.2f}"
    more = ", if nothing is dropped" if row["who"] == "teacher" else ""
    return f"{row['requests']:,} requests to the {row['who']}{more}, {tokens}{money}"
