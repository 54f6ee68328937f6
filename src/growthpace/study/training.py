"""The training recipe."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Count, Positive, Share, Strict, distinct


class Training(Strict):
    """The training recipe. Every key here changes what is learned, so none has a default but those that say so."""

    epochs: Count
    epochs_by_volume: dict[Count, Count] = {}
    """Other numbers of epochs for some volumes: {volume: epochs}."""
    batch_size: Count
    """Items per optimiser step."""
    learning_rate: Positive
    learning_rate_floor: Annotated[float, Field(ge=0)]
    """The schedule is linear from learning_rate at the first step to this at the last."""
    warmup_steps: Annotated[int, Field(ge=0)]
    betas: Annotated[tuple[Share, Share], Field(strict=False)]
    epsilon: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive
    max_length: Count
    """Tokens of an item; see overlong."""
    overlong: Literal["refuse", "truncate", "drop"]
    """What happens to an item longer than max_length: an error, its end cut off, or left out (both are counted)."""
    precision: Literal["fp32", "bf16", "fp16"]
    """What the arithmetic runs in; weights that are trained and the optimiser's state are always fp32. fp16 scales
    losses, and needs a GPU."""
    gradient_checkpointing: bool | Literal["auto"] = "auto"
    """Recompute activations to save memory: always, never, or where the device would be too small without (`auto`, by
    the estimate of docs/planning.md, decided once per run). The same result up to rounding."""
    microbatch_tokens: Count
    """Tokens of one packed row, at least max_length; gradients of a step's rows are added up."""
    distribution: Literal["ddp", "zero1", "zero2", "zero3"] = "ddp"
    """How the processes of a model (`models.X.processes`) share it: each holds all (ddp), or DeepSpeed divides the
    optimiser's state (zero1), gradients too (zero2), and weights too (zero3)."""
    offload: bool = False
    """Keep the optimiser's state, and with zero3 the weights, in the host's memory. For zero1, zero2 and zero3, also
    with one process."""
    compile: bool = False
    """Let torch compile the model first: minutes for a large one, then faster steps. The same result up to rounding."""
    paper_compatible: bool = False
    """Train as the paper's released code did and not as its text claims, which the recipe must state: betas (0.9,
    0.999), a learning rate that falls to 0 after two steps of warm-up, `epochs` for every volume (docs/paper.md)."""
    save_minutes: Positive = 30
    """A resumable state is written after every epoch and this often. Does not change the result."""
    tracking: Annotated[list[Literal["tensorboard", "wandb", "trackio"]], AfterValidator(distinct)] = []
    """Where loss, learning rate and speed are also sent while training. Does not change the result."""

    @model_validator(mode="after")
    def _sane(self):
        if self.learning_rate_floor > self.learning_rate:
            floor, highest = self.learning_rate_floor, self.learning_rate
            raise ValueError(f"learning_rate_floor {floor} is above learning_rate (allowed: up to {highest})")
        if self.microbatch_tokens < self.max_length:
            raise ValueError(
                f"microbatch_tokens {self.microbatch_tokens} is below max_length {self.max_length}: "
                "the longest item would not fit"
            )
        for volume, epochs in self.epochs_by_volume.items():
            if epochs == self.epochs:
                raise ValueError(f"epochs_by_volume: {volume}: {epochs} would have no effect, it is what epochs says")
        if self.offload and self.distribution == "ddp":
            raise ValueError("offload would have no effect with distribution: ddp (allowed: zero1, zero2, zero3)")
        if self.paper_compatible:
            # What its text claims where its code did otherwise; anything else here would have no effect.
            claims = {"betas": (0.9, 0.95), "learning_rate_floor": self.learning_rate / 10, "warmup_steps": 0}
            for key, claimed in claims.items():
                found = getattr(self, key)
                same = found == claimed if key == "betas" else math.isclose(found, claimed, rel_tol=1e-6)
                if not same:
                    raise ValueError(
                        f"paper_compatible: {key} {found} would have no effect, since the paper's code did otherwise "
                        f"than its text (allowed: {key}: {claimed}, which the text claims)"
                    )
        return self

    @property
    def effective(self) -> Training:
        """The recipe as it is carried out: itself, or what the paper's released code made of it (`paper_compatible`).

        Its DeepSpeed file has no betas, so AdamW's own (0.9, 0.999) were used; the scheduler in that file won over the
        script's (`training.schedule`); and the script that starts it looks for the volume behind an underscore, which
        no name has, so that the 25, 20 and 18 epochs meant for small volumes were never trained.
        """
        if not self.paper_compatible:
            return self
        return self.model_copy(update={"betas": (0.9, 0.999), "epochs_by_volume": {}})
