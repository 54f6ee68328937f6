"""Judge: the grade is what a judging model said of the answer (see `growthpace.judging`), 0 to 1.

pointwise: (score - lowest) / (highest - lowest). pairwise: the mean over both orders of 1 where the answer wins over
the reference, 0.5 for a tie and 0 where it loses. Without a verdict, or with one for one order only, the grade is
missing, which is not 0.
"""

from growthpace.errors import InputError
from growthpace.evaluation.scorers.base import Grade

NAME = "judge"
VERSION = 1
NEEDS = "generation"
END_OF_TURN = False


def grade(item, prediction) -> Grade:
    """Raises `InputError`: the answer by itself says nothing, see `graded`."""
    raise InputError(f"item {item.id!r}: nobody has judged its answer; growthpace judge does (suites.X.judged: true)")


def graded(item, verdicts) -> Grade:
    """The grade that the item's verdicts (of `evaluation.judgements`) make; chance is the item's own.

    `parsed` says what they were. Raises `InputError` naming the item where it has no verdict, not even a missing one,
    or not one for each way of showing it.
    """
    own = [verdict for verdict in verdicts if verdict.item_id == item.id and not verdict.second_pass]
    if sorted(verdict.shown for verdict in own) not in (["alone"], ["answer_first", "reference_first"]):
        raise InputError(f"item {item.id!r}: {len(own)} verdicts (needed: one, or one for each order); judge it again")
    if lacking := [verdict.missing for verdict in own if verdict.missing]:
        return Grade(None, item.chance, f"missing: {', '.join(lacking)}")
    if own[0].shown == "alone":
        score, lowest, highest = own[0].score, own[0].lowest, own[0].highest
        return Grade((score - lowest) / (highest - lowest), item.chance, f"{score} of {lowest} to {highest}")
    worth = [worth_of(verdict) for verdict in own]
    return Grade(sum(worth) / 2, item.chance, ", ".join(f"{v.shown}: {v.winner}" for v in own))


def worth_of(verdict) -> float:
    """What a verdict on a pair is worth for the answer: 1 for a win, 0.5 for a tie, 0 for a loss."""
    if verdict.winner == "tie":
        return 0.5
    return float((verdict.winner == "first") == (verdict.shown == "answer_first"))
