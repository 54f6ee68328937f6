"""How far a judge can be trusted: position bias, agreement with itself, what is missing, what it took.

Small pure functions over verdicts of `evaluation.judgements`. Proportions have Wilson's interval (Wilson 1927, JASA
22); items count as independent. For kappa the verdicts on one item are one cluster: a pair is judged in two orders.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from growthpace.analysis.agreement import Kappa, differs, kappa, squared, told
from growthpace.analysis.uncertainty import quantile, wilson
from growthpace.evaluation.judgements import ALONE, ANSWER_FIRST, REFERENCE_FIRST, Verdict
from growthpace.evaluation.scorers.judge import worth_of

Row = dict[str, Any]


def proportion(count: int, total: int, confidence: float) -> Row:
    """{count, of, share, low, high}; share and interval are None where `total` is 0."""
    if not total:
        return {"count": count, "of": 0, "share": None, "low": None, "high": None}
    low, high = wilson(count / total, total, quantile((1 + confidence) / 2, math.inf))
    return {"count": count, "of": total, "share": count / total, "low": low, "high": high}


def position_bias(verdicts: Sequence[Verdict], confidence: float) -> Row:
    """Whether the judge goes by the order in which two answers are shown; {} without pairs.

    follows_position: of the items with a verdict in both orders, the share where the same place won both times (the
    verdict turned round with the order). consistent: the share where the same answer won both times, or both are ties.
    What is neither is a tie in one order alone. first_wins: of all verdicts that are no tie, the share that the first
    answer won; 0.5 without bias, since each answer is shown first once.
    """
    pairs: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        if verdict.shown != ALONE and not verdict.second_pass and not verdict.missing:
            pairs.setdefault(verdict.item_id, {})[verdict.shown] = verdict
    whole = [pair for pair in pairs.values() if len(pair) == 2]
    if not pairs:
        return {}
    follows = sum(
        pair[ANSWER_FIRST].winner == pair[REFERENCE_FIRST].winner and pair[ANSWER_FIRST].winner != "tie"
        for pair in whole
    )
    consistent = sum(worth_of(pair[ANSWER_FIRST]) == worth_of(pair[REFERENCE_FIRST]) for pair in whole)
    winners = Counter(verdict.winner for pair in whole for verdict in pair.values())
    return {
        "follows_position": proportion(follows, len(whole), confidence),
        "consistent": proportion(consistent, len(whole), confidence),
        "first_wins": proportion(winners["first"], winners["first"] + winners["second"], confidence),
    }


def agreement(verdicts: Sequence[Verdict], confidence: float) -> Row:
    """How well the second pass agrees with the first; {} where nothing was asked twice.

    same: share of equal verdicts. kappa: {value, error, low, high} of `analysis.agreement.kappa`, clustered by item,
    over winners; over scores with quadratic weights, where correlation is Pearson's with Fisher's interval. None where
    it cannot be told: fewer than two pairs (four for the correlation's interval), or no spread.
    """
    first = {(v.item_id, v.shown): v for v in verdicts if not v.second_pass and not v.missing}
    second = {(v.item_id, v.shown): v for v in verdicts if v.second_pass and not v.missing}
    if not any(verdict.second_pass for verdict in verdicts):
        return {}
    keys = [key for key in second if key in first]
    pairs = [(first[key], second[key]) for key in keys]
    items = [item for item, _ in keys]
    scores = [(a.score, b.score) for a, b in pairs if a.score is not None]  # a judge gives scores or winners
    if scores or (pairs and pairs[0][0].shown == ALONE):
        found = correlation(scores, confidence)
        return {
            "same": proportion(sum(a == b for a, b in scores), len(scores), confidence),
            "kappa": asdict(kappa(scores, confidence, items, squared)),
            "correlation": found,
        }
    winners = [(a.winner, b.winner) for a, b in pairs]
    return {
        "same": proportion(sum(a == b for a, b in winners), len(winners), confidence),
        "kappa": asdict(kappa(winners, confidence, items, differs)),
    }


def correlation(pairs: Sequence[tuple[float, float]], confidence: float) -> Row | None:
    """Pearson's {value, low, high}, by Fisher's z with standard error 1 / sqrt(n - 3); None without spread."""
    n = len(pairs)
    if n < 2:
        return None
    mean_a, mean_b = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    spread_a = math.fsum((a - mean_a) ** 2 for a, _ in pairs)
    spread_b = math.fsum((b - mean_b) ** 2 for _, b in pairs)
    if not spread_a or not spread_b:
        return None
    value = math.fsum((a - mean_a) * (b - mean_b) for a, b in pairs) / math.sqrt(spread_a * spread_b)
    value = max(-1.0, min(1.0, value))
    if n < 4 or abs(value) > 1 - 1e-12:
        return {"value": value, "low": None, "high": None}
    half = quantile((1 + confidence) / 2, math.inf) / math.sqrt(n - 3)
    return {"value": value, "low": math.tanh(math.atanh(value) - half), "high": math.tanh(math.atanh(value) + half)}


def summary(verdicts: Sequence[Verdict], confidence: float) -> Row:
    """All that is told of some verdicts: how many, which are missing and why, tokens, judges, bias, agreement."""
    return {
        "verdicts": len(verdicts),
        "items": len({verdict.item_id for verdict in verdicts}),
        "missing": dict(sorted(Counter(v.missing for v in verdicts if v.missing).items())),
        "attempts": sum(verdict.attempts for verdict in verdicts),
        "prompt_tokens": sum(verdict.prompt_tokens for verdict in verdicts),
        "answer_tokens": sum(verdict.answer_tokens for verdict in verdicts),
        "judges": sorted({verdict.judge for verdict in verdicts if verdict.judge}),
        "position_bias": position_bias(verdicts, confidence),
        "agreement": agreement(verdicts, confidence),
    }


def lines(found: Row) -> list[str]:
    """A summary in words, one fact a line."""
    lacking = sum(found["missing"].values())
    reasons = f" ({', '.join(f'{n} {why}' for why, n in found['missing'].items())})" if lacking else ""
    said = [f"{found['verdicts'] - lacking:,} verdicts on {found['items']:,} items, {lacking:,} missing{reasons}"]
    if bias := found["position_bias"]:
        said.append(
            f"position bias: {_told(bias['follows_position'])} of the items follow the position, "
            f"{_told(bias['consistent'])} are consistent; the first wins {_told(bias['first_wins'])} of what is no tie"
        )
    if found["agreement"]:
        same, value = found["agreement"]["same"], Kappa(**found["agreement"]["kappa"])
        line = f"second pass: {_told(same)} of {same['of']:,} verdicts are the same, kappa {told(value)}"
        if known := found["agreement"].get("correlation"):
            line += f", correlation {known['value']:.2f}"
            line += f" ({known['low']:.2f} to {known['high']:.2f})" if known["low"] is not None else ""
        said.append(line)
    return said


def _told(found: Row) -> str:
    if found["share"] is None:
        return "none known"
    return f"{100 * found['share']:.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f})"
