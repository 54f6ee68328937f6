"""Perplexity: the right text must have the strictly lowest mean negative log-likelihood per token of k texts.

mean NLL of a candidate = -(summed log-probability of its tokens and end-of-turn) / (number of those tokens), in nats;
its exponential is the candidate's perplexity, so that the order is the same. Chance is 1/k for a guesser that picks
uniformly; it is no floor for a model, since an untuned one already leans towards some texts (fault B22): compare with
the untuned model instead.
"""

from growthpace.errors import InputError
from growthpace.evaluation.scorers.base import Grade, best_candidate, right_candidate

NAME = "perplexity"
VERSION = 1
NEEDS = "candidates"
END_OF_TURN = True


def grade(item, prediction) -> Grade:
    """1 if the first candidate, which is the answer, has strictly the lowest mean NLL, else 0.

    `parsed` is the index of the lowest and its margin in nats per token, such as `0 (margin 0.123)`: how far the next
    lowest mean NLL lies above it. On a tie it is empty. Raises `InputError` for a NaN, for a token count below 1 and
    for an item whose first candidate is not its answer.
    """
    if right_candidate(item) != 0:
        raise InputError(f"item {item.id!r}: its first candidate must be the answer")
    if len(prediction.tokens) != len(prediction.logprobs) or any(count < 1 for count in prediction.tokens):
        raise InputError(
            f"item {item.id!r}: token counts {list(prediction.tokens)} for {len(prediction.logprobs)} candidates "
            "(one for each is needed, at least 1)"
        )
    means = [total / count for total, count in zip(prediction.logprobs, prediction.tokens, strict=True)]
    best = best_candidate(item, means)
    chance = 1 / len(item.candidates)
    if best is None:
        return Grade(0.0, chance, "")
    margin = means[best] - max(mean for index, mean in enumerate(means) if index != best)
    return Grade(float(best == 0), chance, f"{best} (margin {margin:.3f})")
