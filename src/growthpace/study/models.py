"""The models of a grid: where each comes from, and how much of it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Count, FileNames, LocalPath, Positive, Strict, distinct, exactly_one


class Pretraining(Strict):
    """How a model that is made from scratch learns its corpus, before any tuning."""

    steps: Count
    batch_size: Count
    """Documents per optimiser step."""
    learning_rate: Positive
    seed: int


class Initialise(Strict):
    """A Llama made on the spot: its tokenizer is trained on the corpus, then it is pretrained on it."""

    corpus: Literal["microworld"] | Annotated[list[LocalPath], Field(min_length=1), AfterValidator(distinct)]
    """The study's microworld, or UTF-8 text files with one document a line."""
    tokenizer: Literal["words", "bpe"]
    vocabulary_size: Annotated[int, Field(ge=16)]
    """At most this many tokens, special tokens included."""
    hidden_size: Count
    intermediate_size: Count
    layers: Count
    heads: Count
    key_value_heads: Count
    context: Count
    """Longest sequence in tokens."""
    tie_embeddings: bool
    pretraining: Pretraining

    @model_validator(mode="after")
    def _shapes(self):
        if self.hidden_size % self.heads:
            raise ValueError(f"heads {self.heads} does not divide hidden_size {self.hidden_size}")
        if self.heads % self.key_value_heads:
            raise ValueError(f"key_value_heads {self.key_value_heads} does not divide heads {self.heads}")
        return self


class Lora(Strict):
    """Low-rank adapters (arXiv 2106.09685): a trained product of two thin matrices beside each chosen weight matrix."""

    rank: Count
    alpha: Positive
    """The product is scaled by alpha / rank."""
    targets: Literal["all-linear"] | FileNames
    """Names of the matrices that get adapters, such as `[q_proj, v_proj]`, or all but the output's (`all-linear`)."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Share of an adapter's inputs that is left out in training."""
    merged: bool = False
    """Whether a checkpoint also holds the whole model with the adapters merged in (`epoch-N/merged`), for programs
    that know no adapters. Evaluation needs it not, and it takes the room of a whole model. Does not change the result;
    `growthpace export` makes one afterwards too."""


class Model(Strict):
    """A base model: a hub name, a local Hugging Face folder, or `initialise`; and how much of it is trained."""

    hub: str | None = None
    revision: str | None = None
    folder: LocalPath | None = None
    initialise: Initialise | None = None
    parameters: Positive | None = None
    """Number of its parameters, for plans made before it is fetched. Changes no result."""
    processes: Count = 1
    """Processes that train it together, one GPU each, on as many nodes as they need. Sums in floating point depend on
    it, so it belongs to the study."""
    prediction_gpus: Count = 1
    """GPUs of a prediction, on one node: a copy of the model answers on each, or it is divided over them where it does
    not fit one. Without GPUs it has no effect. The same result up to rounding."""
    method: Literal["full", "lora", "qlora"] = "full"
    """What is trained: all weights; adapters beside frozen weights (lora); adapters beside weights that are frozen in
    four bits (qlora, arXiv 2305.14314; needs the extra `growthpace[qlora]`)."""
    lora: Lora | None = None
    """The adapters of `method: lora` and `method: qlora`."""
    trust_remote_code: bool = False
    """Whether Python code that comes with the model may be run: only for publishers that you trust."""

    @model_validator(mode="after")
    def _adapters(self):
        if self.method != "full" and self.lora is None:
            raise ValueError(f"lora missing: method: {self.method} trains adapters (rank, alpha, targets, dropout)")
        if self.method == "full" and self.lora is not None:
            raise ValueError("lora would have no effect with method: full (allowed: method: lora or qlora)")
        if self.trust_remote_code and self.initialise is not None:
            raise ValueError("trust_remote_code would have no effect: initialise brings no code")
        return self

    @model_validator(mode="after")
    def _one_origin(self):
        exactly_one(self, ("hub", "folder", "initialise"))
        if self.revision is not None and self.hub is None:
            raise ValueError(f"revision {self.revision!r} would have no effect: it goes with hub alone")
        if self.parameters is not None and self.initialise is not None:
            raise ValueError(f"parameters {self.parameters:g} would have no effect: initialise says what the model is")
        return self
