"""The map file: which column of a table is what, or which run and ability a result of the harness belongs to.

    score_map = load_map("map.yaml")

Everything is declared here, checked before anything is read, and nothing that changes a result has a silent default.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from growthpace.analysis.scores import OVERALL
from growthpace.config_file import described, read_yaml
from growthpace.errors import InputError
from growthpace.study.basics import Count, Positive, Share, Strict, distinct
from growthpace.study.evaluation import Figures

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], AfterValidator(distinct)]
Value = str | int | float
FIELDS = (
    "model", "parameters", "source", "volume", "seed", "epoch", "suite", "ability", "score", "items", "chance",
)  # fmt: skip
"""What a row of a table of scores must say, in this order everywhere."""
FROM_MATCH = ("model", "source", "volume", "seed", "epoch")
"""What a pattern's named groups may say of a run of the harness."""
LOOK = Figures(palette="colorblind", style="whitegrid", panel_width=3.2, columns=4)
"""How figures look where a map does not say: it changes nothing else."""


class Given(Strict):
    """What a table has no column for: one `value`, or `values` by what another field says."""

    value: Value | None = None
    by: Literal["model", "source", "suite", "ability"] | None = None
    values: Annotated[dict[str, Value], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self):
        if (self.value is None) == (self.by is None) or (self.by is None) != (self.values is None):
            raise ValueError("give either value, or by and values together")
        return self


Column = Text | Given


class Columns(Strict):
    """Each field is the name of a column, or what stands for it in all rows."""

    model: Column
    parameters: Column
    """Of the model, whole number above 0."""
    source: Column
    """Where training data came from; a name in `mixes` is a mix. Of no meaning where the volume is 0."""
    volume: Column
    """Training items; 0 is the untuned model."""
    seed: Column
    epoch: Column
    suite: Column
    ability: Column
    score: Column
    items: Column
    """How many items the score is a mean over."""
    chance: Column
    """In the same scale as the score."""


class Epochs(Strict):
    """Which epoch of a run counts."""

    rule: Literal["only", "last", "best", "flagged", "each"]
    """`only`: each run has one. `last`: the highest number. `best`: the best mean over the abilities of `suite`, which
    is then left out of every table. `flagged`: where `column` is true. `each`: every epoch is a suite of its own."""
    suite: Text | None = None
    """For `best`: never the suite that is reported, since a score is too good where it chose itself."""
    column: Text | None = None
    """For `flagged`."""

    @model_validator(mode="after")
    def _needed(self):
        for key, rule in (("suite", "best"), ("column", "flagged")):
            if (getattr(self, key) is None) == (self.rule == rule):
                needed = "missing" if self.rule == rule else "without effect"
                raise ValueError(f"{key} {needed} with rule: {self.rule} (it goes with rule: {rule})")
        return self


class HarnessRun(Strict):
    """What the result files of a model's name say: fields given here, or by the pattern's named groups."""

    match: Text
    """A regular expression that is searched in the model's name, such as `curated-(?P<volume>[0-9]+)`."""
    parameters: Count
    model: Text | None = None
    source: Text | None = None
    volume: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    epoch: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _complete(self):
        try:
            groups = set(re.compile(self.match).groupindex)
        except re.error as error:
            raise ValueError(f"match: {self.match!r} is no regular expression ({error})") from None
        if unknown := sorted(groups - set(FROM_MATCH)):
            raise ValueError(f"match: a group is called {unknown[0]!r} (allowed: {', '.join(FROM_MATCH)})")
        for name in FROM_MATCH:
            if (getattr(self, name) is not None) == (name in groups):
                found = "given twice, in the pattern and beside it" if name in groups else "missing"
                raise ValueError(f"{name}: {found} (allowed: a key, or a group (?P<{name}>...) of the pattern)")
        return self


class HarnessTask(Strict):
    """What a task, or a group of tasks, of the harness measures."""

    ability: Text
    suite: Text
    metric: Text
    """Such as `acc,none` or `exact_match,strict-match`: the metric and the filter, as result files spell them."""
    chance: Share | None = None
    """Of an item. May be absent with `samples: true` for tasks of multiple choice, whose options are counted."""


class Harness(Strict):
    """Results of lm-evaluation-harness."""

    samples: bool
    """Whether the samples (`--log_samples`) beside the results are read: then every number is paired by items."""
    runs: Annotated[list[HarnessRun], Field(min_length=1)]
    """The first whose pattern is found in a model's name says what it is."""
    tasks: Annotated[dict[Text, HarnessTask], Field(min_length=1)]
    """By task or group; others are left out, and told."""

    @model_validator(mode="after")
    def _chance(self):
        for name, task in self.tasks.items():
            if task.chance is None and not self.samples:
                raise ValueError(f"tasks.{name}.chance: missing (only with samples: true can options be counted)")
        return self


class ScoreMap(Strict):
    """One map file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64, description="of up to 64 lower-case "
                               "letters, digits and _ - (a letter or digit first)")]  # fmt: skip
    description: str = ""
    columns: Columns | None = None
    scale: Literal["fraction", "percent"] | None = None
    """Of scores and chance in the table."""
    harness: Harness | None = None
    epochs: Epochs
    mixes: Texts = Field(default_factory=list)
    """Sources that are mixes: datasets that stand beside the growth curves and are no points of them."""
    in_domain: Texts
    """Abilities that were trained on: `overall` is the mean over them. May be empty."""
    comparisons: Literal["equal_volume", "all"]
    """`equal_volume`: sources at the volumes both have, mixes beside the datasets of their volume, as in a study.
    `all`: every two datasets of a model."""
    item_correlation: Share | Literal["unknown"] = "unknown"
    """How much the grades of an item in two runs move together, where there are no item grades. `unknown`: whatever is
    worst for each number."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    margin: Positive
    """Points per fourfold data that count as no growth."""
    suite: Text
    """The suite that the summary, the figures and the page are about."""
    figures: Figures = LOOK

    @model_validator(mode="after")
    def _one_origin(self):
        if (self.columns is None) == (self.harness is None):
            found = "none" if self.columns is None else "columns and harness"
            raise ValueError(f"found {found}, allowed: exactly one of columns (a table), harness (result files)")
        if (self.scale is None) == (self.columns is not None):
            needed = "missing" if self.scale is None else "without effect"
            raise ValueError(f"scale: {needed} (allowed: fraction, percent; it goes with columns)")
        if self.harness and self.harness.samples and self.item_correlation != "unknown":
            raise ValueError("item_correlation: without effect with harness.samples: true, since items are paired")
        if self.harness and self.epochs.rule == "flagged":
            raise ValueError("epochs.rule: flagged needs a column, and result files have none")
        if OVERALL in self.in_domain:
            raise ValueError(f"in_domain: {OVERALL!r} is reserved for the mean over abilities")
        return self


def load_map(path: str | Path) -> ScoreMap:
    """The map in a YAML file; `InputError` that lists every fault, one line each."""
    path = Path(path)
    content = read_yaml(path)
    try:
        return ScoreMap.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in described(error, ScoreMap, content))) from None
