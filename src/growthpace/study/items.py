"""Where items come from: files, datasets of the hub, benchmarks, the microworld, a teacher (`synthetic`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Ability, Count, FileNames, LocalPath, Share, Strict, distinct, exactly_one
from growthpace.study.synthetic import SyntheticItems


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
        exactly_one(self, ("folder", "hub"))
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


Benchmark = Literal[
    "agieval", "bbh", "c3", "ceval", "cmmlu", "dream", "gsm8k", "hendrycks_math", "human_eval", "logiqa2", "mbpp",
    "mmlu", "mt_bench",
]  # fmt: skip
"""The registry of benchmarks: `data/benchmarks/` has a module of each name (docs/benchmarks.md says how to add one)."""

Subjects = Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]


class BenchmarkItems(Strict):
    """The test items of a public benchmark, zero- or few-shot, as chat turns: of its publisher's own files, or of a
    dataset on the hub."""

    importer: Literal["benchmark"]
    name: Benchmark
    folder: LocalPath | None = None
    """Local folder with the publisher's layout (it may be any folder along the publisher's paths), or with a copy of
    the hub's dataset in Parquet."""
    hub: str | None = None
    """Dataset on the hub; when absent, and `folder` too, the benchmark's usual one (docs/benchmarks.md)."""
    revision: str | None = None
    """Commit, tag or branch of the dataset."""
    shots: Annotated[int, Field(ge=0)] = 0
    """Worked examples in front of every question, taken from the publisher's own."""
    subjects: Subjects | dict[Ability, Subjects] | None = None
    """Which parts of the benchmark, or groups of them: all when absent; with abilities as keys each part counts as that
    ability."""

    @model_validator(mode="after")
    def _one_place(self):
        if self.folder is not None and self.hub is not None:
            raise ValueError("found folder and hub, allowed: one of them")
        if self.folder is not None and self.revision is not None:
            raise ValueError(f"revision {self.revision!r} would have no effect: it goes with hub, not with folder")
        if isinstance(self.subjects, dict) and not self.subjects:
            raise ValueError("subjects: empty (allowed: a list, abilities with a list each, or no such key)")
        return self

    @property
    def abilities(self) -> list[str]:
        """What it measures by itself: the abilities that `subjects` names, else one, called as the benchmark."""
        return list(self.subjects) if isinstance(self.subjects, dict) else [self.name]


PublicName = Literal[
    "ethics", "fairytaleqa", "folio", "friendsqa", "gaokao_bench", "gpteacher", "gsm8k", "human_eval", "kdconv", "mbpp",
    "mmlu", "multiwoz", "oasst1_zh", "safetybench", "self_instruct", "tal_scq5k",
]  # fmt: skip
"""The registry of public sets: `data/importers/public/` has a module of each name (docs/data.md: how to add one)."""

Split = Literal["train", "valid", "test"]


class PublicSet(Strict):
    """One public set of human (or a teacher's) data, in its publisher's files or by its dataset on the hub."""

    name: PublicName
    folder: LocalPath | None = None
    """Local folder with the publisher's layout (it may be any folder along the publisher's paths)."""
    hub: str | None = None
    """Dataset on the hub. When absent, and `folder` too, its usual place (docs/data.md): a dataset on the hub, or the
    publisher's release at a fixed commit."""
    revision: str | None = None
    """Commit, tag or branch of the dataset."""
    parts: Subjects | None = None
    """Which parts of it, such as MMLU's subjects; all when absent."""
    splits: dict[Split, Subjects] | None = None
    """Which of the publisher's splits serve which purpose; as its publisher means them when absent."""
    shares: dict[Split, Annotated[float, Field(gt=0, lt=1)]] = {}
    """For splits that the publisher does not have: the share of the items to train on that is kept for them. Items go
    by a hash of their group (a passage, a dialogue), else of their question."""

    @model_validator(mode="after")
    def _divided(self):
        if self.folder is not None and self.hub is not None:
            raise ValueError("found folder and hub, allowed: one of them")
        if self.folder is not None and self.revision is not None:
            raise ValueError(f"revision {self.revision!r} would have no effect: it goes with hub, not with folder")
        if "train" in self.shares:
            raise ValueError("shares.train: what the other shares leave is for training (allowed: valid, test)")
        if sum(self.shares.values()) >= 1:
            raise ValueError(
                f"shares: {sum(self.shares.values()):g} in all (allowed: below 1, the rest is for training)"
            )
        if self.splits is not None:
            if not self.splits:
                raise ValueError("splits: empty (allowed: train, valid, test with the publisher's splits)")
            distinct([name for names in self.splits.values() for name in names])
        for split in self.shares:
            if split in (self.splits or {}):
                raise ValueError(f"shares.{split}: would have no effect, splits.{split} says which items they are")
        return self


class PublicItems(Strict):
    """One split of public sets, at least one for each ability."""

    importer: Literal["public"]
    split: Split
    sets: dict[Ability, PublicSet | Annotated[list[PublicSet], Field(min_length=1)]]
    """What each ability is made of. A source that is not labelled has its sets under `general`."""
    longest: Count | None = None
    """Items of more characters, all messages together, are left out and counted; none when absent."""
    most: Count | None = None
    """At most so many items of an ability: those whose ids' hashes come first; all when absent."""

    def of(self, ability: str) -> list[PublicSet]:
        """The sets of an ability; none where it has none."""
        found = self.sets.get(ability, [])
        return found if isinstance(found, list) else [found]

    @property
    def all_sets(self) -> list[PublicSet]:
        """The sets of all abilities, in order."""
        return [each for ability in self.sets for each in self.of(ability)]

    @property
    def folder(self) -> Path | None:
        """A local folder that it reads; None where something must be fetched."""
        folders = [each.folder for each in self.all_sets]
        return None if None in folders else folders[0]


Items = Annotated[
    DoitItems
    | AlpacaItems
    | ChatItems
    | HubDatasetItems
    | BenchmarkItems
    | PublicItems
    | MicroworldItems
    | SyntheticItems,
    Field(discriminator="importer"),
]


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
