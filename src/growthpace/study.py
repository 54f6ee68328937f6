"""The study: one typed, frozen config file. This is the only place where a config key is known.

`load_study(path)` reads a YAML file and returns a `Study`, or raises `InputError` with one line per fault: the key,
the value found and what is allowed. Nothing here looks at data; `growthpace check` (see `checks.py`) does.
What no single section can see is in `study_faults.py`, how YAML is read and faults are worded in `config_file.py`;
the sections stay together in this long file, so that a key is looked up in one place.

Paths in a study are relative to the folder of its config file.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from growthpace.config_file import described, located, read_yaml
from growthpace.errors import InputError
from growthpace.study_faults import faults_between_sections, faults_of_folders

GENERAL = "general"
"""The ability of an item from a source that is not labelled by ability."""
UNTUNED = "untuned"
"""The dataset name under which a base model itself is evaluated: volume 0, epoch 0."""

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=64,
        description="of up to 64 letters, digits and . _ - (a letter or digit first)",
    ),
]
Ability = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=64,
        description="of up to 64 lower-case letters, digits and _ (a letter first)",
    ),
]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
LocalPath = Annotated[Path, Field(strict=False)]  # YAML has no paths: a text is meant


def distinct(values: list) -> list:
    """The list itself; ValueError naming the first value that is given twice."""
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{value!r} is given twice")
    return values


Names = Annotated[list[Name], Field(min_length=1), AfterValidator(distinct)]
Abilities = Annotated[list[Ability], Field(min_length=1), AfterValidator(distinct)]
Epochs = Annotated[list[Count], Field(min_length=1), AfterValidator(distinct)]
FileNames = Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]

# Known here, so that a misspelt palette is found before the first job and not by the last. seaborn's names.
Palette = Literal[
    "colorblind", "deep", "muted", "bright", "pastel", "dark", "tab10", "tab20", "Set1", "Set2", "Set3", "Paired",
    "Accent", "Dark2", "Pastel1", "Pastel2", "husl", "hls", "rocket", "mako", "flare", "crest", "viridis", "cividis",
]  # fmt: skip


class Strict(BaseModel):
    """Frozen, any key it does not declare is an error, and no value is bent into shape (`true` is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True, allow_inf_nan=False)


def _exactly_one(section: Strict, keys: tuple[str, ...]) -> None:
    found = [key for key in keys if getattr(section, key) is not None]
    if len(found) != 1:
        raise ValueError(f"found {' and '.join(found) or 'none'}, allowed: exactly one of {', '.join(keys)}")


# --- where items come from -------------------------------------------------------------------------------------------


class Files(Strict):
    """Items in files: a local folder, or a dataset repository of the Hugging Face hub."""

    folder: LocalPath | None = None
    """Local folder that `files` are relative to."""
    hub: str | None = None
    """Dataset repository on the hub, such as `ChiyuSONG/dynamics-of-instruction-tuning`."""
    revision: str | None = None
    """Commit, tag or branch of `hub`."""
    files: str | dict[Ability, str | FileNames]
    """Either a pattern with `{ability}`, one path (unlabelled source), or a list of paths for each ability."""

    @model_validator(mode="after")
    def _one_place(self):
        _exactly_one(self, ("folder", "hub"))
        if self.revision is not None and self.hub is None:
            raise ValueError(f"revision {self.revision!r} would have no effect: it goes with hub, not with folder")
        return self


class DoitItems(Files):
    """JSON lines in the layout of the paper's dataset DoIT (fields messages, idx, type, question_format, ...)."""

    importer: Literal["doit"]


class AlpacaItems(Files):
    """Plain instruction/input/output records, JSON or JSON lines."""

    importer: Literal["alpaca"]


class ChatItems(Files):
    """Chat messages in ShareGPT's (conversations) or OpenAI's (messages) style, JSON or JSON lines."""

    importer: Literal["chat"]


class HubDatasetItems(Strict):
    """A Hugging Face dataset by name (or a local folder that `datasets.load_dataset` reads)."""

    importer: Literal["hub_dataset"]
    name: str
    """Dataset name on the hub, or a local folder: what is a folder beside the config file, or begins with `/`, `./`,
    `../` or `~`, is taken for one."""
    subset: str | None = None
    split: str
    revision: str | None = None
    columns: dict[Literal["messages", "instruction", "input", "output", "ability", "id"], str]
    """Which column holds what: either `messages`, or `instruction` and `output` (and `input`); and, for a labelled
    source, `ability`."""

    @model_validator(mode="after")
    def _columns(self):
        texts = [role for role in ("instruction", "input", "output") if role in self.columns]
        if "messages" in self.columns and texts:
            raise ValueError(f"columns: messages holds whole conversations, so {', '.join(texts)} would have no effect")
        if "messages" not in self.columns and not {"instruction", "output"} <= set(texts):
            found = ", ".join(self.columns) or "none"
            raise ValueError(f"columns: found {found}, allowed: messages, or instruction and output (and input)")
        return self

    def at(self, folder: Path) -> HubDatasetItems:
        """Itself; with a local folder's name made absolute, relative to the config file's `folder`."""
        local = (folder / Path(self.name).expanduser()).resolve()
        if local.is_dir() or self.name.startswith(("/", "./", "../", "~")):
            return self.model_copy(update={"name": str(local)})
        return self

    @property
    def folder(self) -> Path | None:
        """The local folder that it names, once located; None for a dataset on the hub."""
        return Path(self.name) if Path(self.name).is_absolute() else None


class MicroworldItems(Strict):
    """Items of the generated microworld (see the study's `microworld`)."""

    importer: Literal["microworld"]
    kind: Literal["curated", "synthetic", "valid", "test", "out_of_domain"]


Items = Annotated[
    DoitItems | AlpacaItems | ChatItems | HubDatasetItems | MicroworldItems, Field(discriminator="importer")
]


# --- the grid --------------------------------------------------------------------------------------------------------


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
        _exactly_one(self, ("hub", "folder", "initialise"))
        if self.revision is not None and self.hub is None:
            raise ValueError(f"revision {self.revision!r} would have no effect: it goes with hub alone")
        if self.parameters is not None and self.initialise is not None:
            raise ValueError(f"parameters {self.parameters:g} would have no effect: initialise says what the model is")
        return self


class Source(Strict):
    """Where training data comes from, and at which volumes it is swept."""

    items: Items
    labelled: bool = True
    """True: one pool per ability, datasets balanced over abilities. False: one general pool, drawn unbalanced."""
    volumes: Annotated[list[Count], AfterValidator(distinct), AfterValidator(sorted)]
    """Numbers of training items over all abilities. For a labelled source each must be a multiple of the number of
    abilities: balanced means equal, so a volume that cannot be shared equally is refused. Empty for a source that
    only mixes draw from."""
    models: Names | None = None
    """Models that are swept over this source; all when absent."""

    @model_validator(mode="after")
    def _swept(self):
        if self.models is not None and not self.volumes:
            raise ValueError("models would have no effect: there are no volumes to sweep them over")
        return self


class Mix(Strict):
    """A named dataset that is not balanced: shares per ability, and additions from other sources.

    Rule for remainders: with `rest: uniform` the items that `shares` leave of `total` are divided equally over the
    other abilities; what does not divide goes one each to the first of them in the study's order.
    """

    same_as: str | None = None
    """Another name for a dataset of this study, such as `curated-10000`: trained once."""
    source: Name | None = None
    total: Count | None = None
    """Number of items before `add`; needed by, and only by, `rest: uniform`."""
    shares: dict[Ability, Count | Literal["all"]] = {}
    """Number of items of an ability, or `all` its pool holds."""
    rest: Literal["uniform", "all", "none"] | None = None
    """What abilities without a share get."""
    add: dict[Name, Count] = {}
    """Items on top, by source: {source: number}."""
    models: Names | None = None
    """Models that are trained on it; all when absent."""

    @model_validator(mode="after")
    def _whole(self):
        if self.same_as is not None:
            given = [k for k in ("source", "total", "rest") if getattr(self, k) is not None]
            given += [k for k in ("shares", "add") if getattr(self, k)]
            if given:
                raise ValueError(f"same_as names a dataset as it is; {', '.join(given)} would have no effect")
            return self
        if self.source is None or self.rest is None:
            lacking = " and ".join(key for key in ("source", "rest") if getattr(self, key) is None)
            raise ValueError(f"{lacking} missing: a mix has source and rest (uniform, all or none), or same_as alone")
        if self.rest == "uniform" and self.total is None:
            raise ValueError("total missing: rest: uniform divides what shares leave of it")
        if self.rest != "uniform" and self.total is not None:
            raise ValueError(f"total {self.total} would have no effect with rest: {self.rest} (allowed: rest: uniform)")
        return self

    @property
    def volume(self) -> int | None:
        """Number of its items; None where a pool's size decides, or another dataset."""
        fixed = [number for number in self.shares.values() if number != "all"]
        if self.total is None and (self.rest != "none" or len(fixed) < len(self.shares)):
            return None
        return (sum(fixed) if self.total is None else self.total) + sum(self.add.values())


# --- the recipe ------------------------------------------------------------------------------------------------------


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


class Suite(Strict):
    """Items evaluated together."""

    items: Items
    abilities: Abilities | None = None
    """What its files are keyed by; the study's abilities when absent. Others are out of domain."""
    epochs: Literal["all", "selectable", "selected"] | Epochs
    """Which checkpoints it is evaluated at: every epoch, those selection may choose, the chosen one, or these."""
    max_new_tokens: Count
    """Longest generated answer, in tokens."""


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


class Figures(Strict):
    """How figures look; changes nothing else."""

    palette: Palette
    style: Literal["whitegrid", "white", "ticks", "darkgrid", "dark"]
    panel_width: Positive
    """Inches."""
    columns: Count


class Microworld(Strict):
    """The generated world: who lives in it and how much is said about it."""

    seed: int
    entities: Annotated[int, Field(ge=10)]
    documents_per_entity: Count
    train_items: Count
    """Items per ability in the curated pool."""
    synthetic_items: Count
    """Items in the synthetic, general pool."""
    synthetic_error_rate: Share
    """Share of the imperfect teacher's answers that are wrong."""
    valid_items: Count
    test_items: Count
    """Per ability."""


class Study(Strict):
    """One config file: the grid, the training recipe, the evaluation, the analysis."""

    study: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]*$",
            max_length=64,
            description="of up to 64 lower-case letters, digits and _ - (a letter or digit first)",
        ),
    ]
    """Its name; results go to `results/{study}/`."""
    description: str
    abilities: Abilities
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(distinct)]
    """Each seed draws its own nested datasets and trains its own runs."""
    format: Literal["paper", "chat_template"]
    """How messages become tokens: the paper's <user>, <assistant>, <eot>, or the tokenizer's own chat template."""
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    sources: Annotated[dict[Name, Source], Field(min_length=1)]
    mixes: dict[Name, Mix] = {}
    untuned: bool
    """Whether the base models themselves are evaluated too, as volume 0."""
    training: Training
    suites: Annotated[dict[Name, Suite], Field(min_length=1)]
    selection: Selection
    analysis: Analysis
    figures: Figures
    keep_checkpoints: Literal["selected", "all"]
    """`selected`: a run's other epochs are removed once everything that needs them is evaluated."""
    threads: Count = 1
    """CPU threads of a training or prediction job. Sums in floating point depend on it, so it is part of the study."""
    microworld: Microworld | None = None

    @field_validator("abilities")
    @classmethod
    def _not_reserved(cls, abilities):
        if GENERAL in abilities:
            raise ValueError(f"{GENERAL!r} is reserved for items of sources that are not labelled by ability")
        return abilities

    @field_validator("mixes")
    @classmethod
    def _not_untuned(cls, mixes):
        if UNTUNED in mixes:
            raise ValueError(f"{UNTUNED!r} is reserved for the base models themselves")
        return mixes

    @model_validator(mode="after")
    def _joined(self):
        faults = list(faults_between_sections(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self


def load_study(path: str | Path) -> Study:
    """The study in a config file.

    Raises `InputError` that lists every fault, one line each, as `path: key: what is wrong (what is allowed)`.
    """
    path = Path(path)
    content = read_yaml(path)
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in described(error, Study, content))) from None
    study = located(study, path.resolve().parent)
    if faults := list(faults_of_folders(study)):
        raise InputError("\n".join(f"{path}: {line}" for line in faults))
    return study
