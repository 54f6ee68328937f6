"""How a budget of items is divided over abilities, so that the expected mean score is largest; and what that gains.

    found = allocate(responses, pools, budget=10_000, weights={}, confidence=0.95)
    found.status, found.counts, found.gain, found.low, found.high

The division maximises sum_a w_a f_a(n_a) under sum_a n_a = budget and what pools hold, with f_a an ability's fitted
curve over its own items (`responses`, which states the assumption). It is a dynamic program (Bellman 1957), exact on
its grid of steps whether or not curves are concave, and exact where a step is one item.

Curves first: with noise in them, some seem to grow more than others where none does. The deviations of the abilities'
curves from their mean curve are multiplied by

    kept = max(0, 1 - (df - 2) / Q)        Q = sum_a r_a' S^-1 r_a over differences along volumes, df = (A - 1) (K - 1)

(James and Stein 1961, Proceedings of the 4th Berkeley Symposium 1; towards a mean: Efron and Morris 1973, Journal of
the American Statistical Association 68), so that abilities which cannot be told apart get the same curve and no gain.

Then the gain: a division chosen by the same scores that its gain is read from looks better than it is. `allocate` plays
the whole choice again on draws: scores of a world whose true curves are known, with the errors of items and seeds, are
shrunk, fitted and divided as the real ones were, and the gain that a draw claims for its own division is set against
what that division is worth in the world. With D the claimed less the true gain,

    gain = apparent - mean(D)        interval: apparent - quantiles of D        (the basic bootstrap interval, Davison
                                                                                 and Hinkley 1997, section 5.2)

which takes out the optimism and says what is not known at the same time. Two worlds are played: one has the shrunk and
fitted curves, the other goes straight through the points that were seen. The truth lies between: less uneven than what
was seen, more than what was fitted. The gain is the first world's, the interval covers both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from growthpace.analysis.responses import BEYOND, Response, scores, through
from growthpace.analysis.uncertainty import POINTS
from growthpace.sharing import equal_shares

STEPS = 200
"""Steps that a budget, less the least items of each ability, is divided into at most."""
DRAWS = 400
TIE = 1e-7
"""Score that a division may lose to lie nearer to the equal one: flat curves leave it a choice."""
LEAST_GAIN = 0.005
"""Points: what is shown as 0.00 is no gain."""
ADVISED, REFUSED = "advised", "refused"
NAN = float("nan")


@dataclass(frozen=True)
class Allocation:
    """A division of a budget, or why there is none."""

    status: str
    """`advised`, or `refused`: `counts` is then the equal division, where there is one."""
    reason: str
    budget: int
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """{(source, ability): items}, abilities in the study's order; an ability takes all of its items from one source."""
    equal: dict[tuple[str, str], int] = field(default_factory=dict)
    """The division that it is set against: equal over abilities, from the first source, as far as pools go."""
    gain: float = NAN
    """Points that the weighted mean score is expected to gain over the equal division, less the choice's optimism."""
    low: float = NAN
    high: float = NAN
    apparent: float = NAN
    """The gain that the curves themselves show, optimism included."""
    kept: float = NAN
    """Share of the differences between abilities' curves (on the first source) that is more than noise; 0 to 1."""
    beyond: tuple[str, ...] = ()
    """Abilities that get more items than were swept."""
    draws: int = DRAWS


def divide(tables: Sequence[np.ndarray], units: int) -> np.ndarray:
    """[R, A] numbers k_a >= 0 with sum `units` that maximise sum_a tables[a][:, k_a], for each row on its own.

    tables: for each of A abilities [R, M_a + 1], what 0, 1, ..., M_a units are worth to it (-inf: not allowed). Raises
    ValueError where the abilities hold fewer units than there are.
    """
    if sum(table.shape[1] - 1 for table in tables) < units:
        raise ValueError("the abilities hold fewer units than there are to divide")
    rows = len(tables[0])
    worth = np.full((rows, units + 1), -np.inf)
    worth[:, 0] = 0.0
    taken = []
    for table in tables:
        new = np.full_like(worth, -np.inf)
        choice = np.zeros(worth.shape, np.int32)
        for k in range(min(table.shape[1] - 1, units) + 1):
            candidate = worth[:, : units + 1 - k] + table[:, k, None]
            better = candidate > new[:, k:]
            np.copyto(new[:, k:], candidate, where=better)
            np.copyto(choice[:, k:], k, where=better)
        worth = new
        taken.append(choice)
    left, every = np.full(rows, units), np.arange(rows)
    found = np.zeros((rows, len(tables)), int)
    for ability in reversed(range(len(tables))):
        found[:, ability] = taken[ability][every, left]
        left = left - found[:, ability]
    return found


def shrunk(observed: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(scores [A, R, K] with their differences in shape shrunk, the share kept [R]), by the module's formula.

    observed [A, R, K]: A abilities, R draws, K volumes; covariance [K, K] of one ability's scores, on average. An
    ability's mean over volumes stays its own.
    """
    abilities, _, volumes = observed.shape
    df = (abilities - 1) * (volumes - 1)
    level = observed.mean(axis=2, keepdims=True)
    shape = observed - level
    common = shape.mean(axis=0)
    apart = shape - common
    steps = np.diff(np.eye(volumes), axis=0)
    metric = steps.T @ np.linalg.inv(steps @ covariance @ steps.T) @ steps
    spread = np.einsum("ark,kl,arl->r", apart, metric, apart)
    kept = np.clip(1 - max(df - 2, 0) / np.maximum(spread, 1e-12), 0, 1)
    return level + common + kept[:, None] * apart, kept


class _World:
    """Curves of every ability and source at the numbers of items that a division may give."""

    def __init__(self, responses: Sequence[Sequence[Response]], at: Sequence[np.ndarray], allowed, weights: np.ndarray):
        self.responses, self.at, self.allowed, self.weights = responses, at, allowed, weights
        self.groups: dict[tuple, list[tuple[int, int]]] = {}
        for a, own in enumerate(responses):
            for s, response in enumerate(own):
                self.groups.setdefault((s, *response.curve.volumes), []).append((a, s))

    def curves(self, observed: Mapping[tuple[int, int], np.ndarray]):
        """(scores {(a, s): [R, L]} at `at`, shrunk scores {(a, s): [R, K]}, share kept on the first source [R])."""
        seen, kept_first = {}, None
        for members in self.groups.values():
            covariance = np.mean([self.responses[a][s].curve.covariance for a, s in members], axis=0)
            values, kept = shrunk(np.stack([observed[member] for member in members]), covariance)
            seen |= dict(zip(members, values, strict=True))
            kept_first = kept if kept_first is None else kept_first
        found = {(a, s): scores(self.responses[a][s].curve, own, self.at[a]) for (a, s), own in seen.items()}
        return found, seen, kept_first

    def choose(self, curves, units: int, equal_units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(steps [R, A], source [R, A]) of the best division. Where nothing is lost by it, the one nearest to equal."""
        tables, best = [], []
        for a, own in enumerate(self.responses):
            of_sources = np.stack([curves[a, s][:, :-1] for s in range(len(own))])  # the last is the equal division's
            of_sources = np.where(self.allowed[a][:, None], of_sources, -np.inf)
            best.append(of_sources.argmax(axis=0))
            steps = np.arange(of_sources.shape[2])
            near = TIE * ((steps - equal_units[a]) / max(units, 1)) ** 2
            tables.append(self.weights[a] * of_sources.max(axis=0) - near)
        steps = divide(tables, units)
        sources = np.stack([own[np.arange(len(own)), steps[:, a]] for a, own in enumerate(best)], axis=1)
        return steps, sources

    def gain(self, curves, steps: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """[R] points that divisions gain over the equal one, read from `curves` (of R rows, or of one for all)."""
        total = np.zeros(len(steps))
        for a, own in enumerate(self.responses):
            of_sources = np.stack([curves[a, s] for s in range(len(own))])
            rows = np.arange(len(steps)) if of_sources.shape[1] > 1 else np.zeros(len(steps), int)
            total += self.weights[a] * (of_sources[sources[:, a], rows, steps[:, a]] - of_sources[0, rows, -1])
        return POINTS * total


def allocate(
    responses: Mapping[str, Sequence[Response]],
    pools: Mapping[tuple[str, str], int],
    budget: int,
    weights: Mapping[str, float],
    confidence: float,
    draws: int = DRAWS,
    seed: int = 0,
) -> Allocation:
    """The division of `budget` items over the abilities of `responses` (in the study's order).

    responses: of each ability one for each source, the same source first for all; what it is first on is what an equal
    division takes. pools: {(source, ability): items that there are}. weights: of abilities in the mean, 1 where none is
    given. No ability gets fewer items than the smallest number that was swept, nor more than its pool holds or
    `BEYOND` times the largest that was swept. Deterministic. Refused where the interval of the gain holds 0, and where
    no division keeps to these bounds.
    """
    abilities = list(responses)
    first = [responses[a][0] for a in abilities]
    floor = max(own.least for own in first)
    limits = [
        [min(pools[own.source, own.ability], BEYOND * own.largest) for own in responses[ability]]
        for ability in abilities
    ]
    equal_limits = [min(pools[own.source, own.ability], budget) for own in first]
    if sum(equal_limits) < budget:
        raise ValueError(f"the pools of {first[0].source} hold {sum(equal_limits)} items, the budget is {budget}")
    even = equal_shares(budget, equal_limits)
    equal = {(own.source, own.ability): number for own, number in zip(first, even, strict=True)}

    def refused(reason: str, **more) -> Allocation:
        return Allocation(REFUSED, reason, budget, equal, equal, draws=draws, **more)

    if len(abilities) < 2:
        return refused("there is one ability: nothing to divide")
    if budget < floor * len(abilities):
        return refused(f"{budget} items are fewer than the smallest volume swept, {floor} of each ability")
    if sum(map(max, limits)) < budget:
        return refused(
            f"curves are followed to {BEYOND} times the largest number of items that was swept and pools to their end: "
            f"{sum(map(max, limits))} items in all"
        )
    over = [own.ability for own, number in zip(first, even, strict=True) if number > BEYOND * own.largest]
    low_pool = [own.ability for own, limit in zip(first, limits, strict=True) if max(limit) < floor]
    if over or low_pool:
        return refused(
            f"the equal division gives {', '.join(over)} more than {BEYOND} times what was swept"
            if over
            else f"the pool of {', '.join(low_pool)} holds fewer than {floor} items, the least that was swept"
        )

    spare = budget - floor * len(abilities)
    unit = max(1, -(-spare // STEPS))
    units = spare // unit
    at, allowed = [], []
    for a, ability in enumerate(abilities):
        levels = floor + unit * np.arange(min((max(limits[a]) - floor) // unit, units) + 1)
        at.append(np.append(levels, even[a]))
        least = [own.least for own in responses[ability]]
        allowed.append(np.stack([(levels >= m) & (levels <= n) for m, n in zip(least, limits[a], strict=True)]))
    if sum(len(own) - 2 for own in at) < units:  # what steps cannot fill, single items could; a budget at the very edge
        return refused("the budget takes all that pools and curves allow: nothing is left to divide")
    share = np.array([weights.get(ability, 1.0) for ability in abilities], float)
    world = _World([responses[a] for a in abilities], at, allowed, share / share.sum())
    equal_units = (np.array(even) - floor) / unit

    members = [(a, s) for a, ability in enumerate(abilities) for s in range(len(responses[ability]))]
    real = {(a, s): world.responses[a][s].curve.scores[None] for a, s in members}
    curves, seen, kept = world.curves(real)
    steps, sources = world.choose(curves, units, equal_units)
    apparent = float(world.gain(curves, steps, sources)[0])
    rng = np.random.default_rng(seed)
    noise = {(a, s): world.responses[a][s].draws(rng, draws) for a, s in members}
    own = {(a, s): world.responses[a][s].curve for a, s in members}
    gains, ends = [], []
    for truth, of in ((seen, scores), (real, through)):  # what is true lies between the two
        played = {m: of(own[m], truth[m], own[m].volumes) + noise[m] for m in members}
        claimed, _, _ = world.curves(played)
        again = world.choose(claimed, units, equal_units)
        true = {(a, s): of(own[a, s], truth[a, s], at[a]) for a, s in members}
        optimism = world.gain(claimed, *again) - world.gain(true, *again)
        gains.append(apparent - float(optimism.mean()))
        ends.append(apparent - np.quantile(optimism, [(1 + confidence) / 2, (1 - confidence) / 2]))
    gain, low, high = gains[0], float(np.min(ends)), float(np.max(ends))

    numbers = floor + unit * steps[0]
    _give_rest(world, responses, abilities, limits, numbers, sources[0], budget)
    chosen = [responses[ability][sources[0, a]] for a, ability in enumerate(abilities)]
    counts = {(own.source, own.ability): int(number) for own, number in zip(chosen, numbers, strict=True)}
    told = {"gain": gain, "low": low, "high": high, "apparent": apparent, "kept": float(kept[0])}
    if low < LEAST_GAIN:
        return refused(
            f"the data cannot tell a division that is better than the equal one: {gain:+.2f} points expected, "
            f"interval {low:+.2f} to {high:+.2f}",
            **told,
        )
    beyond = tuple(own.ability for own, number in zip(chosen, numbers, strict=True) if number > own.largest)
    return Allocation(ADVISED, "", budget, counts, equal, beyond=beyond, draws=draws, **told)


def _give_rest(world: _World, responses, abilities, limits, numbers: np.ndarray, sources: np.ndarray, budget: int):
    """Gives the items that make no whole step (fewer than one step's) to the abilities that gain most from them."""
    rest = budget - int(numbers.sum())
    worth = []
    for a, ability in enumerate(abilities):
        own = responses[ability][sources[a]]
        both = scores(own.curve, own.curve.scores[None], np.array([numbers[a], numbers[a] + rest], float))[0]
        worth.append(world.weights[a] * (both[1] - both[0]))
    for a in np.argsort(-np.array(worth), kind="stable"):
        given = min(rest, limits[a][sources[a]] - int(numbers[a]))
        numbers[a] += given
        rest -= given
