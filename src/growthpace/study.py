"""The study: one typed, frozen config file. This is the only place where a config key is known.

`load_study(path)` reads a YAML file and returns a `Study`, or raises `InputError` with one line per fault: the key,
the value found and what is allowed. Nothing here looks at data; `growthpace check` (see `checks.py`) does.

Paths in a study are relative to the folder of its config file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from growthpace.errors import InputError

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
ABILITY = r"^[a-z][a-z0-9_]*$"
GENERAL = "general"
"""The ability of an item from a source that is not labelled by ability."""
UNTUNED = "untuned"
"""The dataset name under which a base model itself is evaluated: volume 0, epoch 0."""

Name = Annotated[str, Field(pattern=NAME, max_length=64)]
Ability = Annotated[str, Field(pattern=ABILITY, max_length=64)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """Frozen, and any key it does not declare is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


# --- where items come from -------------------------------------------------------------------------------------------


class Files(Strict):
    """Items in files: a local folder, or a dataset repository of the Hugging Face hub."""

    folder: Path | None = None
    """Local folder that `files` are relative to."""
    hub: str | None = None
    """Dataset repository on the hub, such as `ChiyuSONG/dynamics-of-instruction-tuning`."""
    revision: str | None = None
    """Commit, tag or branch of `hub`."""
    files: str | dict[Ability, str | list[str]]
    """Either a pattern with `{ability}`, one path (unlabelled source), or a list of paths for each ability."""

    @model_validator(mode="after")
    def _one_place(self):
        if (self.folder is None) == (self.hub is None):
            raise ValueError("give exactly one of folder, hub")
        if self.revision is not None and self.hub is None:
            raise ValueError("revision has an effect only with hub")
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
    """Dataset name on the hub, or a local folder."""
    subset: str | None = None
    split: str
    revision: str | None = None
    columns: dict[Literal["messages", "instruction", "input", "output", "ability", "id"], str]
    """Which column holds what: either `messages`, or `instruction` and `output` (and `input`); and, for a labelled
    source, `ability`."""

    @model_validator(mode="after")
    def _columns(self):
        if ("messages" in self.columns) == ("instruction" in self.columns and "output" in self.columns):
            raise ValueError("columns needs either messages, or instruction and output")
        return self


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
    learning_rate: Annotated[float, Field(gt=0)]
    seed: int


class Initialise(Strict):
    """A Llama made on the spot: its tokenizer is trained on the corpus, then it is pretrained on it."""

    corpus: Literal["microworld"] | list[Path]
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
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}")
        if self.heads % self.key_value_heads:
            raise ValueError(f"heads {self.heads} is not a multiple of key_value_heads {self.key_value_heads}")
        return self


class Model(Strict):
    """A base model: a hub name, a local Hugging Face folder, or `initialise`."""

    hub: str | None = None
    revision: str | None = None
    folder: Path | None = None
    initialise: Initialise | None = None

    @model_validator(mode="after")
    def _one_origin(self):
        if sum(origin is not None for origin in (self.hub, self.folder, self.initialise)) != 1:
            raise ValueError("give exactly one of hub, folder, initialise")
        if self.revision is not None and self.hub is None:
            raise ValueError("revision has an effect only with hub")
        return self


class Source(Strict):
    """Where training data comes from, and at which volumes it is swept."""

    items: Items
    labelled: bool = True
    """True: one pool per ability, datasets balanced over abilities. False: one general pool, drawn unbalanced."""
    volumes: list[Count]
    """Numbers of training items over all abilities. For a labelled source each must be a multiple of the number of
    abilities: balanced means equal, so a volume that cannot be shared equally is refused."""
    models: list[Name] | None = None
    """Models that are swept over this source; all when absent."""

    @field_validator("volumes")
    @classmethod
    def _distinct(cls, volumes):
        if len(set(volumes)) != len(volumes):
            raise ValueError("a volume is given twice")
        return sorted(volumes)


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
    models: list[Name] | None = None

    @model_validator(mode="after")
    def _whole(self):
        if self.same_as is not None:
            given = [k for k in ("source", "total", "rest") if getattr(self, k) is not None]
            given += [k for k in ("shares", "add") if getattr(self, k)]
            if given:
                raise ValueError(f"same_as names a dataset as it is; {', '.join(given)} would have no effect")
            return self
        if self.source is None or self.rest is None:
            raise ValueError("a mix needs source and rest (uniform, all or none), or same_as")
        if (self.rest == "uniform") != (self.total is not None):
            raise ValueError("total goes with rest: uniform, and only with it")
        return self


# --- the recipe ------------------------------------------------------------------------------------------------------


class Training(Strict):
    """The training recipe. Every key here changes what is learned, so none has a default but those that say so."""

    epochs: Count
    epochs_by_volume: dict[Count, Count] = {}
    """Other numbers of epochs for some volumes: {volume: epochs}."""
    batch_size: Count
    """Items per optimiser step."""
    learning_rate: Annotated[float, Field(gt=0)]
    learning_rate_floor: Annotated[float, Field(ge=0)]
    """The schedule is linear from learning_rate at the first step to this at the last."""
    warmup_steps: Annotated[int, Field(ge=0)]
    betas: tuple[Share, Share]
    epsilon: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Annotated[float, Field(gt=0)]
    max_length: Count
    """Tokens of an item; see overlong."""
    overlong: Literal["refuse", "truncate", "drop"]
    """What happens to an item longer than max_length: an error, its end cut off, or left out (both are counted)."""
    precision: Literal["fp32", "bf16"]
    """What the arithmetic runs in; weights and optimiser state are always fp32."""
    gradient_checkpointing: bool = False
    """Recompute activations to save memory. The same result up to rounding."""
    microbatch_tokens: Count
    """Tokens of one packed row, at least max_length; gradients of a step's rows are added up."""
    save_minutes: Annotated[float, Field(gt=0)] = 30
    """A resumable state is written after every epoch and this often. Does not change the result."""

    @model_validator(mode="after")
    def _sane(self):
        if self.learning_rate_floor > self.learning_rate:
            raise ValueError("learning_rate_floor is above learning_rate")
        if self.microbatch_tokens < self.max_length:
            raise ValueError(f"microbatch_tokens {self.microbatch_tokens} is below max_length {self.max_length}")
        return self


class Suite(Strict):
    """Items evaluated together."""

    items: Items
    abilities: list[Ability] | None = None
    """What its files are keyed by; the study's abilities when absent. Others are out of domain."""
    epochs: Literal["all", "selectable", "selected"] | list[Count]
    """Which checkpoints it is evaluated at: every epoch, those selection may choose, the chosen one, or these."""
    max_new_tokens: Count
    """Longest generated answer, in tokens."""


class Selection(Strict):
    """How a run's epoch is chosen. Never on `test`."""

    suite: Name
    first_epoch: Count
    """Epochs before this one are not candidates."""
    rule: Literal["best_mean", "last"]
    """`best_mean`: highest mean score over abilities, the earlier epoch on a tie."""


class Analysis(Strict):
    """How scores become curves and claims."""

    suite: Name
    """The suite that the claims are about."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """Level of every interval, such as 0.95."""
    margin: Annotated[float, Field(gt=0)]
    """Points per fourfold data that count as no growth: an ability whose pace lies within +-margin is resistant."""


class Figures(Strict):
    """How figures look; changes nothing else."""

    palette: str
    style: Literal["whitegrid", "white", "ticks", "darkgrid", "dark"]
    panel_width: Annotated[float, Field(gt=0)]
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

    study: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    """Its name; results go to `results/{study}/`."""
    description: str
    abilities: list[Ability]
    seeds: list[Annotated[int, Field(ge=0)]]
    """Each seed draws its own nested datasets and trains its own runs."""
    format: Literal["paper", "chat_template"]
    """How messages become tokens: the paper's <user>, <assistant>, <eot>, or the tokenizer's own chat template."""
    models: dict[Name, Model]
    sources: dict[Name, Source]
    mixes: dict[Name, Mix] = {}
    untuned: bool
    """Whether the base models themselves are evaluated too, as volume 0."""
    training: Training
    suites: dict[Name, Suite]
    selection: Selection
    analysis: Analysis
    figures: Figures
    keep_checkpoints: Literal["selected", "all"]
    """`selected`: a run's other epochs are removed once everything that needs them is evaluated."""
    threads: Count = 1
    """CPU threads of a training or prediction job. Sums in floating point depend on it, so it is part of the study."""
    microworld: Microworld | None = None

    @model_validator(mode="after")
    def _joined(self):
        faults = list(_faults(self))
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _faults(study: Study):
    """Everything that no single section can see, as messages that begin with the key."""
    for key in ("abilities", "seeds"):
        values = getattr(study, key)
        if not values:
            yield f"{key}: empty, at least one is needed"
        for value in sorted({v for v in values if values.count(v) > 1}):
            yield f"{key}: {value!r} is given twice"
    if GENERAL in study.abilities:
        yield f"abilities: {GENERAL!r} is reserved for items of sources that are not labelled"
    for key in ("models", "sources", "suites"):
        if not getattr(study, key):
            yield f"{key}: empty, at least one is needed"

    def unknown(key, names, known, what):
        for name in names or []:
            if name not in known:
                yield f"{key}: {name!r} is no {what} of this study (allowed: {', '.join(known)})"

    names = {f"{source}-{volume}" for source, settings in study.sources.items() for volume in settings.volumes}
    for name, source in study.sources.items():
        yield from unknown(f"sources.{name}.models", source.models, study.models, "model")
        yield from _file_faults(f"sources.{name}.items", source.items, study.abilities if source.labelled else None)
        if source.labelled and study.abilities:
            share = len(study.abilities)
            for volume in source.volumes:
                if volume % share:
                    near = sorted({max(share, volume // share * share), (volume // share + 1) * share})
                    yield (
                        f"sources.{name}.volumes: {volume} cannot be shared equally by {share} abilities; "
                        f"a balanced volume is a multiple of {share} (nearest: {', '.join(map(str, near))})"
                    )
    for name, mix in study.mixes.items():
        if name in names or name == UNTUNED:
            yield f"mixes.{name}: this name already means a dataset of the grid"
        yield from unknown(f"mixes.{name}.models", mix.models, study.models, "model")
        if mix.same_as is not None:
            yield from unknown(f"mixes.{name}.same_as", [mix.same_as], sorted(names), "dataset")
            continue
        yield from unknown(f"mixes.{name}.source", [mix.source], study.sources, "source")
        yield from unknown(f"mixes.{name}.add", mix.add, study.sources, "source")
        yield from unknown(f"mixes.{name}.shares", mix.shares, study.abilities, "ability")
        for source in [mix.source, *mix.add]:
            settings = study.sources.get(source)
            if settings and source == mix.source and not settings.labelled:
                yield f"mixes.{name}.source: {source!r} is not labelled by ability, so it has no shares to set"
            if settings and source in mix.add and settings.labelled and mix.add[source] % len(study.abilities):
                yield (
                    f"mixes.{name}.add.{source}: {mix.add[source]} cannot be shared equally by "
                    f"{len(study.abilities)} abilities"
                )
        if mix.source in mix.add:
            yield f"mixes.{name}.add: {mix.source!r} is the mix's own source; raise its shares instead"
        if mix.rest in ("uniform", "all") and set(mix.shares) >= set(study.abilities):
            yield f"mixes.{name}.rest: every ability has a share, so rest would have no effect"
        fixed = sum(v for v in mix.shares.values() if v != "all")
        if mix.total is not None and fixed > mix.total:
            yield f"mixes.{name}.total: {mix.total} is below the shares' sum {fixed}"
        if mix.rest == "none" and not mix.shares:
            yield f"mixes.{name}.rest: none, and no shares: the mix would be empty"

    yield from unknown("selection.suite", [study.selection.suite], study.suites, "suite")
    yield from unknown("analysis.suite", [study.analysis.suite], study.suites, "suite")
    longest = {study.training.epochs, *study.training.epochs_by_volume.values()}
    if study.selection.first_epoch > min(longest):
        yield f"selection.first_epoch: {study.selection.first_epoch} is beyond the last epoch ({min(longest)})"
    volumes = {volume for source in study.sources.values() for volume in source.volumes}
    yield from unknown("training.epochs_by_volume", study.training.epochs_by_volume, sorted(volumes), "volume")
    for name, suite in study.suites.items():
        yield from _file_faults(f"suites.{name}.items", suite.items, suite.abilities or study.abilities)
        if isinstance(suite.epochs, list):
            for epoch in suite.epochs:
                if epoch > min(longest):
                    yield f"suites.{name}.epochs: {epoch} is beyond the last epoch ({min(longest)})"
        if name == study.selection.suite and suite.epochs not in ("all", "selectable"):
            yield f"suites.{name}.epochs: selection chooses on this suite, so it must be all or selectable"
    if study.selection.suite == study.analysis.suite:
        yield (
            f"analysis.suite: {study.analysis.suite!r} is what epochs are selected on; "
            "scores on it would be too good (choose another suite)"
        )
    uses_world = any(
        isinstance(x.items, MicroworldItems) for x in [*study.sources.values(), *study.suites.values()]
    ) or any(m.initialise and m.initialise.corpus == "microworld" for m in study.models.values())
    if uses_world and study.microworld is None:
        yield "microworld: missing, but a source, a suite or a model of this study needs it"
    if study.microworld is not None and not uses_world:
        yield "microworld: would have no effect, no source, suite or model of this study uses it"


def _file_faults(key: str, items: Any, abilities: list[str] | None):
    """Faults of a Files section, given the abilities it must serve (None: an unlabelled source)."""
    if not isinstance(items, Files):
        if isinstance(items, HubDatasetItems):
            if abilities is not None and "ability" not in items.columns:
                yield f"{key}.columns: a labelled source needs the column that holds the ability"
            if abilities is None and "ability" in items.columns:
                yield f"{key}.columns.ability: would have no effect, the source is not labelled"
        return
    if isinstance(items.files, dict):
        if abilities is None:
            yield f"{key}.files: the source is not labelled by ability, so give one path, not one per ability"
        else:
            for ability in abilities:
                if ability not in items.files:
                    yield f"{key}.files: no file for the ability {ability!r}"
            for ability in items.files:
                if ability not in abilities:
                    yield f"{key}.files.{ability}: no ability of this study (allowed: {', '.join(abilities)})"
    elif abilities is None and "{ability}" in items.files:
        yield f"{key}.files: the source is not labelled, so {{ability}} has nothing to stand for"
    elif abilities is not None and "{ability}" not in items.files:
        yield f"{key}.files: needs {{ability}} in the path, or one path per ability"


# --- loading ---------------------------------------------------------------------------------------------------------


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice (YAML would silently keep the last) and reads 1e-5 as a number."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *other` may be overridden, that is its use
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_UniqueKeys.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file; `InputError` where it cannot be read, is not UTF-8, not YAML or not a mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {where}{getattr(error, 'problem', None) or error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a study is a mapping of keys to values, this is {type(content).__name__}")
    return content


def load_study(path: str | Path) -> Study:
    """The study in a config file.

    Raises `InputError` that lists every fault, one line each, as `path: key: what is wrong (what is allowed)`.
    """
    path = Path(path)
    content = read_yaml(path)
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in _messages(error))) from None
    return _absolute(study, path.resolve().parent)


def _messages(error: ValidationError):
    """One readable line per fault of a pydantic error."""
    for fault in error.errors():
        parts = [str(p) for p in fault["loc"] if p not in ("doit", "alpaca", "chat", "hub_dataset", "microworld", "[key]")]
        if fault["loc"] and fault["loc"][0] == "microworld":
            parts.insert(0, "microworld")
        key = ".".join(parts)
        kind, value = fault["type"], fault.get("input")
        if kind == "extra_forbidden":
            allowed = _allowed_keys(fault["loc"][:-1])
            hint = f" (allowed: {', '.join(allowed)})" if allowed else ""
            yield f"{key}: unknown key{hint}"
        elif kind == "missing":
            yield f"{key}: missing"
        elif kind == "value_error":
            message = str(fault["ctx"]["error"])
            for line in message.split("; ") if not key else [f"{key}: {message}"]:
                yield line
        else:
            yield f"{key}: {value!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _allowed_keys(location: tuple) -> list[str]:
    """The keys that the section at a pydantic error location declares."""
    model: Any = Study
    importers = {
        "doit": DoitItems, "alpaca": AlpacaItems, "chat": ChatItems, "hub_dataset": HubDatasetItems,
        "microworld": MicroworldItems,
    }  # fmt: skip
    for depth, part in enumerate(location):
        if depth and part in importers:
            model = importers[part]
            continue
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:  # a name in a mapping such as models.small
            continue
        model = next((m for m in _models_in(field.annotation)), model)
    return list(model.model_fields)


def _models_in(annotation: Any):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)


def _absolute(study: Study, base: Path) -> Study:
    """The study with its relative paths resolved against the config file's folder."""

    def resolve(value):
        if isinstance(value, Path):
            return (base / value.expanduser()).resolve()
        if isinstance(value, Strict):
            return value.model_copy(update={k: resolve(v) for k, v in value})
        if isinstance(value, dict):
            return {k: resolve(v) for k, v in value.items()}
        if isinstance(value, list):
            return [resolve(v) for v in value]
        return value

    return resolve(study)
