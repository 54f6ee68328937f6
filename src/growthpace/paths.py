"""Where a study's files lie. The Snakefile names them and the command line's verbs find them through `Paths`."""

from __future__ import annotations

from pathlib import Path

from growthpace.grid import Run
from growthpace.study import UNTUNED, Study


class Paths:
    """Where a study's files lie, relative to the working directory (the design's table)."""

    def __init__(self, study: Study | str):
        self.root = Path("results") / (study if isinstance(study, str) else study.study)

    def pool(self, source: str, ability: str) -> Path:
        return self.root / "data" / "pools" / source / f"{ability}.parquet"

    def synthetic(self, source: str) -> Path:
        """Items that a teacher wrote, as JSON lines; beside it what was dropped, as `.json` and `.md`."""
        return self.root / "data" / "synthetic" / f"{source}.jsonl"

    def suite(self, suite: str) -> Path:
        return self.root / "data" / "suites" / f"{suite}.parquet"

    @property
    def audit(self) -> Path:
        return self.root / "data" / "audit.parquet"

    @property
    def audit_items(self) -> Path:
        return self.root / "data" / "audit_items.json"

    def dataset(self, dataset: str, seed: int | str) -> Path:
        return self.root / "data" / "datasets" / dataset / f"seed-{seed}.parquet"

    def manifest(self, dataset: str, seed: int | str) -> Path:
        return self.dataset(dataset, seed).with_suffix(".json")

    def allocation(self, mix: str) -> Path:
        """How a budget is divided, for a mix that the study's own curves make."""
        return self.root / "analysis" / f"allocation-{mix}.yaml"

    @property
    def advice_check(self) -> Path:
        return self.root / "analysis" / "advice_check.json"

    def model(self, model: str) -> Path:
        """Folder of a base model made ready; `base.json` in it describes it."""
        return self.root / "models" / model

    def run(self, run: Run) -> Path:
        return self.root / "runs" / str(run)

    def training(self, run: Run) -> Path:
        return self.run(run) / "training.json"

    def weights(self, run: Run, epoch: int) -> Path:
        """A checkpoint's Hugging Face folder; the base model's own for `untuned`."""
        return self.model(run.model) if run.dataset == UNTUNED else self.run(run) / f"epoch-{epoch}"

    def marker(self, run: Run, epoch: int) -> Path:
        """Small file that says that an epoch was trained (the weights themselves are never a declared output)."""
        return self.run(run) / f"epoch-{epoch}.json"

    def prediction(self, run: Run, suite: str, epoch: int | str) -> Path:
        return self.root / "predictions" / str(run) / f"epoch-{epoch}" / f"{suite}.parquet"

    def latencies(self, run: Run, suite: str, epoch: int | str) -> Path:
        """Beside the predictions: how long each took."""
        return self.prediction(run, suite, epoch).with_suffix(".latency.jsonl")

    def grades(self, run: Run, suite: str, epoch: int | str) -> Path:
        return self.root / "grades" / str(run) / f"epoch-{epoch}" / f"{suite}.parquet"

    def judgements(self, run: Run, suite: str, epoch: int | str) -> Path:
        return self.root / "judgements" / str(run) / f"epoch-{epoch}" / f"{suite}.parquet"

    @property
    def asked(self) -> Path:
        """Folder of all answers that endpoints were paid for (`growthpace.endpoint.cache`)."""
        return self.root / "asked"

    def asked_teacher(self, source: str) -> Path:
        """Folder of the answers of a source's teacher."""
        return self.asked / "teachers" / source

    def selected(self, run: Run) -> Path:
        return self.root / "selected" / run.model / run.dataset / f"seed-{run.seed}.json"
