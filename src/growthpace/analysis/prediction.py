"""How well features of abilities tell their pace: ridge regression, each ability predicted from the others, and a
permutation test. Ten abilities are few, so that most of what this says is what cannot be told.

    found = predict_pace(features_table, pace_table, "test", confidence=0.95)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from growthpace.analysis.features import COMPLEXITY, FEATURES, TRANSFER
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import POWER, holm

LEAST_ABILITIES = 5
"""Four abilities have 24 orders, of which no test could call one rare at 0.95 and after a correction."""
SPARE = 2
"""Abilities there must be beyond the number of features: one for the mean, one to contradict."""
PERMUTATIONS = 1999
PENALTIES = (float("inf"), *np.logspace(3, -2, 11))
"""Of ridge regression on standardised features; infinite: the mean of the other abilities alone."""
PREDICTED, REFUSED = "predicted", "refused"
LABEL = "features, formulas and prediction are growthpace's own; the paper has none"
METHOD = (
    "Pace in points per fourfold data, mean over the models named, by ridge regression on standardised features. Each "
    "ability is predicted by a regression on the others alone, whose penalty these others choose by their own "
    "leave-one-out error. skill = 1 - sum (pace - predicted)^2 / sum (pace - mean of the others)^2: 0 is no better "
    "than that mean. p = (b + 1) / (m + 1), b of m permutations of pace over abilities having at least that skill; "
    "p_holm is corrected over all predictions here by Holm's method."
)
NOTE = (
    "Abilities are few, so that only strong relations could be found (detectable_correlation). Pace, pre-knowledge and "
    "effects of transfer are measured on the same test items, and the effects share runs with the curves: some of what "
    "transfer features predict is shared noise. A prediction is no cause."
)


def predict_pace(
    features: pd.DataFrame, pace: pd.DataFrame, suite: str, confidence: float, permutations: int = PERMUTATIONS
) -> dict[str, Any]:
    """How well features tell pace, as plain values that JSON can hold.

    features: as `features.features` gives it; pace: as `curves.pace` does. For every source: all models together (the
    mean of their paces and features), with each feature alone, the features of complexity, those of transfer, and all;
    where there are several models also each model with these sets. A feature that is not known for every ability, or
    is the same for all, is left out and named with the reason; so is an ability without a pace in every model. Refused
    with fewer than five abilities, or fewer than there are features and two.

    Returns {label, method, note, suite, permutations, seed, predictions}; predictions: dicts of source, models, set,
    features, left_out, abilities_left_out, abilities, status (`predicted` or `refused`), reason, skill,
    mean_absolute_error and that of the mean of the others (points per fourfold data), detectable_correlation (a true
    correlation of one feature with pace that so many abilities would show four times in five: tanh((z at (1 +
    confidence) / 2 + z at power 0.8) / sqrt(n - 3)), by Fisher's transformation), p, p_holm, and by_ability (ability,
    pace, predicted); numbers are None where refused.
    """
    found = []
    own = pace[(pace["suite"] == suite) & pace["pace"].notna() & (pace["ability"] != OVERALL)]
    for source, described in features[features["suite"] == suite].groupby("source", sort=False):
        models = list(described["model"].drop_duplicates())
        paces = own[own["source"] == source].pivot(index="ability", columns="model", values="pace")
        paces = paces.reindex(index=described["ability"].drop_duplicates(), columns=models)
        for together in [models, *([model] for model in models if len(models) > 1)]:
            chosen = described[described["model"].isin(together)]
            target = paces[together].mean(axis=1, skipna=False)
            for name, members in _sets(chosen, singles=together == models).items():
                entry = {"source": source, "models": together, "set": name}
                found.append(entry | _prediction(_wide(chosen, members), target, confidence, permutations))
    known = np.array([entry["p"] if entry["p"] is not None else np.nan for entry in found])
    for entry, corrected in zip(found, holm(known), strict=True):
        entry["p_holm"] = None if np.isnan(corrected) else _rounded(corrected)
    return {
        "label": LABEL, "method": METHOD, "note": NOTE, "suite": suite, "permutations": permutations, "seed": 0,
        "predictions": found,
    }  # fmt: skip


def cross_validated(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Predictions [n, m] of each row of `targets` [n, m] from `features` [n, k] by a regression on the other rows.

    Ridge: with z the other rows' standardised features and r their targets less the mean, coefficients
    (z'z + penalty)^-1 z'r (Hoerl and Kennard 1970, Technometrics 12). The penalty of `PENALTIES` is chosen for each
    column among the other rows alone, by the sum of their squared leave-one-out residuals r_j / (1 - h_jj) (Allen 1974,
    Technometrics 16; features stay standardised over all of these rows); a larger penalty on a tie.
    """
    count = len(features)
    predicted = np.empty_like(targets, dtype=float)
    for row in range(count):
        rest = np.arange(count) != row
        middle, spread = features[rest].mean(axis=0), features[rest].std(axis=0)
        spread = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(middle)), spread, np.inf)  # says nothing here
        left, sizes, right = np.linalg.svd((features[rest] - middle) / spread, full_matrices=False)
        asked = right @ ((features[row] - middle) / spread)
        centre = targets[rest].mean(axis=0)
        residual = targets[rest] - centre
        along = left.T @ residual
        least, best = np.full(targets.shape[1], np.inf), np.zeros(targets.shape[1])
        for penalty in PENALTIES:
            shrunk = np.zeros_like(sizes) if np.isinf(penalty) else sizes**2 / (sizes**2 + penalty)
            leverage = left**2 @ shrunk + 1 / (count - 1)
            error = (((residual - left @ (shrunk[:, None] * along)) / (1 - leverage)[:, None]) ** 2).sum(axis=0)
            guess = np.zeros_like(best) if np.isinf(penalty) else (asked * sizes / (sizes**2 + penalty)) @ along
            better = error < least * (1 - 1e-9)
            least, best = np.where(better, error, least), np.where(better, guess, best)
        predicted[row] = centre + best
    return predicted


def skill(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """[m] share of the squared error of guessing the other rows' mean that predictions [n, m] save; 0: none."""
    count = len(targets)
    others = (targets.sum(axis=0) - targets) / (count - 1)
    return 1 - ((targets - predicted) ** 2).sum(axis=0) / ((targets - others) ** 2).sum(axis=0)


def permuted(features: np.ndarray, target: np.ndarray, permutations: int) -> tuple[np.ndarray, float, float]:
    """Predictions [n] of `target` [n] from `features` [n, k], their skill, and its p-value (see `METHOD`; seed 0)."""
    random = np.random.default_rng(0)
    orders = np.stack([np.arange(len(target)), *(random.permutation(len(target)) for _ in range(permutations))])
    targets = target[orders].T
    predicted = cross_validated(features, targets)
    skills = skill(targets, predicted)
    at_least = int((skills[1:] >= skills[0] - 1e-9).sum())
    return predicted[:, 0], float(skills[0]), (at_least + 1) / (permutations + 1)


def _sets(described: pd.DataFrame, singles: bool) -> dict[str, list[str]]:
    """Sets of features to predict from, by name."""
    there = list(described["feature"].drop_duplicates())
    groups = {group: [name for name in there if FEATURES[name].group == group] for group in (COMPLEXITY, TRANSFER)}
    found = {name: [name] for name in there} if singles else {}
    found |= {group: names for group, names in groups.items() if names}
    return found | ({"all": there} if all(groups.values()) else {})


def _wide(described: pd.DataFrame, members: Sequence[str]) -> pd.DataFrame:
    """Abilities x features, mean over models; NaN where one of them does not know."""
    kept = described[described["feature"].isin(members)]
    table = kept.groupby(["ability", "feature"], sort=False)["value"].agg(lambda values: values.mean(skipna=False))
    return table.unstack("feature")[list(members)].reindex(described["ability"].drop_duplicates())


def _prediction(table: pd.DataFrame, pace: pd.Series, confidence: float, permutations: int) -> dict[str, Any]:
    """One prediction of the pace [abilities] from the features [abilities, features]."""
    without = [str(ability) for ability in table.index if np.isnan(pace[ability])]
    table, pace = table.drop(index=without), pace.drop(index=without)
    left_out = {}
    for name in table.columns:
        values = table[name].to_numpy(float)
        if np.isnan(values).any():
            left_out[name] = "not known for every ability"
        elif len(values) and np.ptp(values) <= 1e-9 * max(1.0, np.abs(values).max()):
            left_out[name] = "the same for all abilities"
    used = [name for name in table.columns if name not in left_out]
    count = len(table)
    entry: dict[str, Any] = {
        "features": used, "left_out": left_out, "abilities_left_out": without, "abilities": count, "status": REFUSED,
        "reason": None, "skill": None, "mean_absolute_error": None, "mean_absolute_error_of_mean": None,
        "detectable_correlation": None, "p": None, "p_holm": None, "by_ability": [],
    }  # fmt: skip
    if reason := _too_little(count, used, pace):
        return entry | {"reason": reason}
    values = pace.to_numpy(float)
    predicted, saved, p = permuted(table[used].to_numpy(float), values, permutations)
    others = (values.sum() - values) / (count - 1)
    detectable = np.tanh((ndtri((1 + confidence) / 2) + ndtri(POWER)) / np.sqrt(count - 3))
    return entry | {
        "status": PREDICTED, "skill": _rounded(saved), "p": _rounded(p),
        "mean_absolute_error": _rounded(np.abs(values - predicted).mean()),
        "mean_absolute_error_of_mean": _rounded(np.abs(values - others).mean()),
        "detectable_correlation": _rounded(detectable),
        "by_ability": [
            {"ability": str(ability), "pace": _rounded(true), "predicted": _rounded(guess)}
            for ability, true, guess in zip(table.index, values, predicted, strict=True)
        ],
    }  # fmt: skip


def _too_little(count: int, used: list[str], pace: pd.Series) -> str | None:
    """Why nothing can be predicted; None if it can."""
    if count < LEAST_ABILITIES:
        return f"{count} abilities have a pace in every model, {LEAST_ABILITIES} are needed"
    if not used:
        return "no feature is known for every ability and differs between them"
    if count < len(used) + SPARE:
        return f"{len(used)} features need {len(used) + SPARE} abilities or more, {count} have a pace in every model"
    if np.ptp(pace.to_numpy(float)) == 0:
        return "all abilities have the same pace"
    return None


def _rounded(value: float) -> float:
    return round(float(value), 4)
