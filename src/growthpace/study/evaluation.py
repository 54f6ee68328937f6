"""What checkpoints are evaluated on, how an epoch is chosen, and what the analysis is of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from growthpace.study.basics import Abilities, Count, Epochs, Name, Positive, Strict
from growthpace.study.items import BenchmarkItems, Items

# Known here, so that a misspelt palette is found before the first job and not by the last. seaborn's names.
Palette = Literal[
    "colorblind", "deep", "muted", "bright", "pastel", "dark", "tab10", "tab20", "Set1", "Set2", "Set3", "Paired",
    "Accent", "Dark2", "Pastel1", "Pastel2", "husl", "hls", "rocket", "mako", "flare", "crest", "viridis", "cividis",
]  # fmt: skip


class Suite(Strict):
    """Items evaluated together."""

    items: Items
    abilities: Abilities | None = None
    """What its files are keyed by; the study's abilities when absent. Others are out of domain. For a benchmark the one
    ability that it measures; its own name when absent."""
    epochs: Literal["all", "selectable", "selected"] | Epochs
    """Which checkpoints it is evaluated at: every epoch, those selection may choose, the chosen one, or these."""
    max_new_tokens: Count
    """Longest generated answer, in tokens."""
    answers: Literal["logprob", "text", "both"] = "logprob"
    """How items with options (scorers letter, true_false) are answered: by the log-probabilities of the options as they
    are encoded in training, by generated text, or both ways, where the log-probabilities make the grade and what the
    text would have been worth stands beside it."""
    generation: Literal["transformers", "vllm"] = "transformers"
    """What generates answers: growthpace's own loop on transformers, or vLLM, which needs an environment of its own."""
    paper_compatible: bool = False
    """Grades as the paper's released code did, faults and all (docs/scorers.md), so that old numbers can be compared.
    It read letters from texts, and where a text was longer from the last generated step: goes with answers: text or
    both."""
    judged: bool = False
    """Whether it has items that the study's `judge` grades (scorer judge)."""

    @model_validator(mode="after")
    def _answers(self):
        if self.generation == "vllm" and (self.answers == "both" or self.paper_compatible):
            raise ValueError("generation: vllm leaves no memory to score with at the same time (allowed: transformers)")
        if self.paper_compatible and self.answers == "logprob":
            raise ValueError("paper_compatible needs texts, but answers: logprob makes none (allowed: text, both)")
        return self

    def measured(self, abilities: list[str]) -> list[str]:
        """The abilities that it measures, given the study's own."""
        if self.abilities is not None:
            return list(self.abilities)
        return self.items.abilities if isinstance(self.items, BenchmarkItems) else list(abilities)


class Selection(Strict):
    """How a run's epoch is chosen. Never on `test`."""

    suite: Name
    first_epoch: Count | None = None
    """Epochs before this one are not candidates. Goes with `best_mean`."""
    rule: Literal["best_mean", "last"]
    """`best_mean`: highest mean score over abilities, the earlier epoch on a tie. `last`: the last epoch."""

    @model_validator(mode="after")
    def _candidates(self):
        if self.rule == "best_mean" and self.first_epoch is None:
            raise ValueError("first_epoch missing: rule: best_mean chooses from that epoch on")
        if self.rule == "last" and self.first_epoch is not None:
            raise ValueError(f"first_epoch {self.first_epoch} would have no effect with rule: last")
        return self


class Analysis(Strict):
    """How scores become curves and claims."""

    suite: Name
    """The suite that the claims are about."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """Level of every interval, such as 0.95."""
    margin: Positive
    """Points per fourfold data that count as no growth: an ability whose pace lies within +-margin is resistant."""
    replicates: Annotated[int, Field(ge=200)] = 2000
    """Bootstrap replicates, wherever an interval has no formula; 200 leave five beyond each end of a 95 % interval."""


class Figures(Strict):
    """How figures look; changes nothing else."""

    palette: Palette
    style: Literal["whitegrid", "white", "ticks", "darkgrid", "dark"]
    panel_width: Positive
    """Inches. Text stays readable on a printed page of 17 cm while panel_width times columns is 8.5 or less."""
    columns: Count
