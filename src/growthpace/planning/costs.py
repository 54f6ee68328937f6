"""What each job of a study costs on a site."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

from growthpace.cluster.site import Partition, Site
from growthpace.files import fingerprint, read_json
from growthpace.grid import Grid, Paths, Run
from growthpace.planning import formulas, measured, shape
from growthpace.planning.estimate import Estimate
from growthpace.planning.formulas import DISK_BYTES_PER_SECOND, GB, GPU_GB, START_SECONDS
from growthpace.planning.shape import Shape
from growthpace.planning.texts import Texts
from growthpace.study import UNTUNED, Study

Time = tuple[float | None, str, str]
"""Seconds, what they rest on, and the sentence that says so."""


class Costs:
    """Estimates of a study's jobs. Reads what is asked for and remembers it, so make a new one after jobs have run."""

    def __init__(self, study: Study, paths: Paths, site: Site | None):
        self.study, self.paths, self.site = study, paths, site
        self.grid, self.texts = Grid(study), Texts(study, paths)
        self.distribution: str = getattr(study.training, "distribution", "ddp")
        self._gpu_partitions = [partition for partition in site.partitions if partition.gpus_per_node] if site else []
        self._types = [partition.gpu for partition in self._gpu_partitions] if site else None
        for method in (self.shape, self.fault, self._speed, self._training, self._prediction, self._suite_time):
            setattr(self, method.__name__, cache(method))

    # --- models ---

    def shape(self, model: str) -> Shape | None:
        """How large a model is: as it was made ready, else from its local folder, its settings, or its `parameters`."""
        settings = self.study.models[model]
        ready = self.paths.model(model)
        if (ready / "base.json").exists():
            parameters = read_json(ready / "base.json")["parameters"]
            return replace(shape.of_folder(ready) or shape.of_parameters(parameters), parameters=parameters)
        if settings.folder is not None and (found := shape.of_folder(settings.folder)):
            return found
        if settings.initialise is not None:
            return shape.of_settings(settings.initialise, self._vocabulary(model))
        return shape.of_parameters(round(settings.parameters)) if settings.parameters else None

    def parameters(self, model: str) -> int | None:
        """Number of a model's parameters; None where nothing tells it yet."""
        found = self.shape(model)
        return found.parameters if found else None

    def mismatch(self, model: str) -> str | None:
        """Says so where `models.X.parameters` is more than 5 % off what is found; None where it is not."""
        said, found = self.study.models[model].parameters, self.parameters(model)
        if not said or abs(said / found - 1) <= 0.05:
            return None
        return f"models.{model}.parameters: {said:.4g}, but the model has {found:.4g} (correct it or leave it out)"

    def _vocabulary(self, model: str) -> int:
        """Tokens of a model made from scratch; what its settings allow where only its corpus tells."""
        settings = self.study.models[model].initialise
        size = settings.vocabulary_size
        if settings.corpus == "microworld" and settings.tokenizer == "words":
            from growthpace import microworld

            size = len(set(microworld.words(self.study.microworld))) + 3  # <pad>, <unk> and <eos>
        return size + (3 if self.study.format == "paper" else 0)  # <user>, <assistant> and <eot>

    def _processes(self, model: str) -> int:
        return self.study.models[model].processes

    # --- jobs ---

    def training(self, run: Run) -> Estimate:
        """What training a run costs, were it trained from its start."""
        found = self._training(run.model, run.dataset)
        done = self._seconds_done(run) if found.seconds else 0.0
        return replace(found, seconds_done=min(done, found.seconds)) if done else found

    def _training(self, model: str, dataset: str) -> Estimate:
        run, found, precision = Run(model, dataset, 0), self.shape(model), self.study.training.precision
        gpus = self._processes(model) if self._gpu_partitions else 0
        partition, memory = self._placed(model)
        gpu_memory = self._training_memory(found, self._processes(model)) if found else None
        disk = None
        if found:
            disk = formulas.training_disk(found.parameters, len(self.grid.evaluated_epochs(run)), precision) / GB
        seconds, basis, why = self._training_time(model, dataset, partition)
        nodes = math.ceil(gpus / partition.gpus_per_node) if partition else 1
        return Estimate(gpus, nodes, seconds, basis, why, memory, gpu_memory if gpus else None, disk)

    def _training_time(self, model: str, dataset: str, partition: Partition | None) -> Time:
        training, found, processes = self.study.training, self.shape(model), self._processes(model)
        tokens = self.texts.dataset(model, dataset)
        if tokens is None:
            return None, "unknown", f"how many items {dataset} has is known once its pools are made"
        epochs = self.grid.epochs(Run(model, dataset, 0))
        total, about = tokens.total * epochs, f"; {tokens.about}" if tokens.about else ""
        if speed := self._speed(model):
            rate, device, runs = speed
            unit = "" if device.startswith("CPU") else " per GPU"
            work, basis = total / (rate * processes), "measured"
            why = f"{_counted(runs, 'run')} of {model} measured at {rate:,.0f} tokens/s{unit} ({device})"
        else:
            peak, lacking = self._peak(model, partition)
            if peak is None:
                return None, "unknown", lacking
            length = tokens.total / max(1, tokens.items)
            checkpointing, share = training.gradient_checkpointing, formulas.TRAINING_UTILISATION
            operations = formulas.training_operations(found, total, length, checkpointing)
            work, basis = operations / (processes * share * peak), "bound"
            again = " x 4/3" if checkpointing else ""
            why = (
                f"no run measured: 6 x {found.parameters:.3g} parameters x {total:.3g} tokens{again} at {share:.0%} of "
                f"{_counted(processes, 'GPU')} of {peak / 1e12:g} TFLOP/s"
            ).replace("%", " %")
        saved = 0.0
        if found:
            saves = epochs + work // (60 * training.save_minutes)
            written = saves * formulas.STATE_BYTES
            written += len(self.grid.evaluated_epochs(Run(model, dataset, 0))) * formulas.weight_bytes(
                training.precision
            )
            saved = found.parameters * (4 + written) / DISK_BYTES_PER_SECOND
            if saved > 0.1 * work:
                about = f", and {saved:,.0f} s of loading and saving at {DISK_BYTES_PER_SECOND / GB:g} GB/s{about}"
        return START_SECONDS + work + saved, basis, why + about

    def prediction(self, run: Run, suite: str, epoch: int | str) -> Estimate:
        """What answering a suite with one checkpoint costs."""
        found = self._prediction(run.model, run.dataset == UNTUNED, suite)
        path = self.paths.prediction(run, suite, epoch).with_suffix(".state") / "progress.json"
        if found.seconds and path.exists():
            progress = read_json(path)
            return replace(found, seconds_done=found.seconds * progress["done"] / max(1, progress["of"]))
        return found

    def _prediction(self, model: str, untuned: bool, suite: str) -> Estimate:
        found, gpus = self.shape(model), 1 if self._gpu_partitions else 0
        items = self.texts.suite_items(suite)
        disk = None if items is None else items * formulas.PREDICTION_BYTES / GB
        seconds, basis, why = self._suite_time(model, suite)
        if found is None:
            return Estimate(gpus, 1, seconds, basis, why, None, None, disk)
        weight = found.stored_bytes if untuned else formulas.weight_bytes(self.study.training.precision)
        needed = formulas.prediction_memory(found, weight)
        host = found.parameters * weight + formulas.PROCESS_BYTES if gpus else needed + formulas.CPU_PROCESS_BYTES
        gpu_memory = (needed + formulas.GPU_OVERHEAD_BYTES) / GPU_GB if gpus else None
        return Estimate(gpus, 1, seconds, basis, why, host / GB, gpu_memory, disk)

    def _suite_time(self, model: str, suite: str) -> Time:
        found, items, asked = self.shape(model), self.texts.suite_items(suite), self.texts.suite(suite)
        load = found.parameters * found.stored_bytes / DISK_BYTES_PER_SECOND if found else 0.0
        if items and (speed := measured.items_per_second(self.paths, model, suite)):
            why = f"{_counted(speed[1], 'prediction')} of {suite} by {model} measured at {speed[0]:,.1f} items/s"
            return START_SECONDS + load + items / speed[0], "measured", why
        fits = [p for p in self._gpu_partitions if found and p.gpu_memory_gb * GPU_GB > 2 * found.parameters]
        peak, lacking = self._peak(model, next(iter(fits or self._gpu_partitions), None))
        if peak is None:
            return None, "unknown", lacking
        if asked is None:
            return None, "unknown", f"what {suite} asks is known once it is made"
        answers = asked.generated * self.study.suites[suite].max_new_tokens
        scoring, generating = formulas.SCORING_UTILISATION, formulas.GENERATION_UTILISATION
        work = asked.prompt_tokens / scoring + answers / generating
        why = (
            f"no prediction measured: 2 x {found.parameters:.3g} parameters x {asked.prompt_tokens:.3g} tokens read at "
            f"{scoring:.0%} and at most {answers:.3g} written at {generating:.0%} of {peak / 1e12:g} TFLOP/s"
        ).replace("%", " %")
        return START_SECONDS + load + 2 * found.parameters * work / peak, "bound", why

    def base_model(self, model: str) -> Estimate:
        """What making a base model ready costs. It runs without a GPU."""
        settings, found = self.study.models[model], self.shape(model)
        if found is None:
            return Estimate(0, 1, None, "unknown", self._no_size(model), None, None, None)
        size = found.parameters * found.stored_bytes
        seconds, basis = None, "unknown"
        memory, disk = size, 2 * size  # the copy that is made ready, and the hub's cache or a folder aside
        if settings.initialise is not None:
            why = "how long a model takes that is made from scratch is not known"
            rows = settings.initialise.pretraining.batch_size * settings.initialise.context
            memory = formulas.model_states(found.parameters) + formulas.activations(found, rows, "fp32", False)
        elif settings.folder is not None:
            seconds, basis = START_SECONDS + 2 * size / DISK_BYTES_PER_SECOND, "bound"
            why = f"{size / GB:.3g} GB read and written at {DISK_BYTES_PER_SECOND / GB:g} GB/s"
        else:
            why = f"how long the network takes for up to {size / GB:.3g} GB is not known"
        embeddings = 2 * found.vocabulary * found.hidden * found.stored_bytes
        return Estimate(
            0, 1, seconds, basis, why, (memory + embeddings + formulas.CPU_PROCESS_BYTES) / GB, None, disk / GB
        )

    # --- what fits where ---

    def _training_memory(self, found: Shape, processes: int, distribution: str | None = None, **recipe) -> float:
        """GB that training needs on each GPU."""
        training = self.study.training.model_copy(update=recipe)
        needed = formulas.training_memory(found, training, processes, distribution or self.distribution)
        return (needed + formulas.GPU_OVERHEAD_BYTES) / GPU_GB

    def _host_memory(self, found: Shape, processes: int, distribution: str, partition: Partition | None) -> float:
        """GB of host memory on each node."""
        if partition is None:
            saving = found.parameters * formulas.weight_bytes(self.study.training.precision)
            needed = formulas.training_memory(found, self.study.training, processes, distribution) + saving
            return processes * (needed + formulas.CPU_PROCESS_BYTES) / GB
        return formulas.host_memory(found, min(processes, partition.gpus_per_node), distribution) / GB

    def _fits(self, partition: Partition, found: Shape, processes: int, distribution: str, **recipe) -> bool:
        return (
            self._training_memory(found, processes, distribution, **recipe) <= partition.gpu_memory_gb
            and self._host_memory(found, processes, distribution, partition) <= partition.memory_gb_per_node
            and processes <= partition.gpus_per_node * partition.max_nodes
        )

    def _placed(self, model: str) -> tuple[Partition | None, float | None]:
        """The first partition with GPUs that a model's training fits in (the first at all where it fits in none; None
        where there are none), and the GB of host memory on each node."""
        found, processes = self.shape(model), self._processes(model)
        fitting = [p for p in self._gpu_partitions if found and self._fits(p, found, processes, self.distribution)]
        partition = next(iter(fitting or self._gpu_partitions), None)
        return partition, self._host_memory(found, processes, self.distribution, partition) if found else None

    def fault(self, model: str) -> str | None:
        """Why a model cannot be studied on the site's partitions, naming the setting that would fit; None if it can,
        as far as is known (nothing is where its size is unknown)."""
        found = self.shape(model)
        if self.site is None or found is None:
            return None
        processes, distribution = self._processes(model), self.distribution
        if not self._gpu_partitions:
            needed = self._host_memory(found, processes, distribution, None)
            most = max(partition.memory_gb_per_node for partition in self.site.partitions)
            if needed <= most:
                return None
            return (
                f"models.{model}: training needs {needed:,.3g} GB of memory, no node of the site has more than {most:g}"
            )
        weights = found.parameters * formulas.weight_bytes(self.study.training.precision) / GPU_GB
        largest = max(partition.gpu_memory_gb for partition in self._gpu_partitions)
        if weights > largest:
            return (
                f"models.{model}: a prediction runs on one GPU, which its weights ({weights:,.3g} GB) must fit in, "
                f"but no GPU of the site has more than {largest:g} GB"
            )
        if any(self._fits(p, found, processes, distribution) for p in self._gpu_partitions):
            return None
        needed, host = self._training_memory(found, processes), self._placed(model)[1]
        return (
            f"models.{model}: training on {_counted(processes, 'GPU')} needs {needed:,.3g} GB on each and "
            f"{host:,.3g} GB of memory on a node, which no partition of the site gives ({self._what_fits(model)})"
        )

    def _what_fits(self, model: str) -> str:
        """The settings with the fewest GPUs with which training would fit."""
        found, processes = self.shape(model), self._processes(model)
        counts = sorted({count for partition in self._gpu_partitions for count in _process_counts(partition)})
        ways = list(dict.fromkeys([self.distribution, "zero2", "zero3"]))
        recipes = [{}, {"gradient_checkpointing": True}][: 1 + (not self.study.training.gradient_checkpointing)]
        for count, recipe, way in product(counts, recipes, ways):
            if any(self._fits(partition, found, count, way, **recipe) for partition in self._gpu_partitions):
                settings = [f"models.{model}.processes: {count}"] * (count != processes)
                settings += [f"training.distribution: {way}"] * (way != self.distribution)
                settings += ["training.gradient_checkpointing: true"] * bool(recipe)
                return f"would fit: {', '.join(settings)}"
        return "nor would any number of processes fit"

    def peak_disk_gb(self) -> float | None:
        """Most that the whole study lies on disk at once: base models, every run's weights that are still needed, the
        states of as many runs as may train at once (all that `jobs_at_once` lets; one without a site), predictions.
        None where a model's size is unknown. Suites of unknown size are left out: they are small."""
        if any(self.shape(model) is None for model in self.study.models):
            return None
        base = sum(self.base_model(model).disk_gb for model in self.study.models)
        precision = self.study.training.precision
        kept, states = 0.0, []
        for run in self.grid.runs:
            parameters = self.parameters(run.model)
            whole = formulas.training_disk(parameters, len(self.grid.evaluated_epochs(run)), precision) / GB
            states.append(formulas.training_disk(parameters, 0, precision) / GB)
            kept += whole - states[-1]
        at_once = self.site.jobs_at_once if self.site else 1
        items = {suite: self.texts.suite_items(suite) or 0 for suite in self.study.suites}
        runs = [*self.grid.runs, *self.grid.untuned_runs]
        answered = sum(items[suite] for run in runs for suite, _ in self.grid.evaluations(run))
        predictions = answered * formulas.PREDICTION_BYTES / GB
        return base + kept + sum(sorted(states)[-at_once:]) + predictions

    # --- what they rest on ---

    def _speed(self, model: str) -> tuple[float, str, int] | None:
        return measured.throughput(self.texts.runs_of(model), self.study.training, self._types)

    def _no_size(self, model: str) -> str:
        return f"size of {model} unknown until it is fetched (or set models.{model}.parameters)"

    def _peak(self, model: str, partition: Partition | None) -> tuple[float | None, str]:
        """Operations a second of one GPU, or why no time can be bound by it."""
        if self.site is None:
            return None, f"nothing of {model} measured, and no site that says what GPUs there are"
        if partition is None:
            return None, f"nothing of {model} measured on the site's CPUs"
        if self.shape(model) is None:
            return None, self._no_size(model)
        if self.study.training.precision == "fp32":
            return (
                None,
                f"nothing of {model} measured, and a GPU's bf16 peak says nothing about training.precision: fp32",
            )
        return partition.gpu_tflops * 1e12, ""

    def _seconds_done(self, run: Run) -> float:
        """Seconds of training that a state holds which belongs to the present settings, base model and dataset."""
        state, base, manifest = (
            self.paths.run(run) / "state",
            self.paths.model(run.model) / "base.json",
            self.paths.manifest(run.dataset, run.seed),
        )
        if not all(path.exists() for path in (state / "fingerprint", base, manifest)):
            return 0.0
        weights, items = read_json(base)["weights_sha256"], read_json(manifest)["items_sha256"]
        identity = self.grid.training_identity(run, weights, items)
        if Path(state / "fingerprint").read_text() != fingerprint(identity):
            return 0.0
        return measured.state_seconds(state)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _process_counts(partition: Partition) -> list[int]:
    """Numbers of processes that make sense on a partition: powers of two on a node, then whole nodes."""
    per_node = partition.gpus_per_node
    within = [2**power for power in range(per_node.bit_length()) if 2**power <= per_node]
    return [*within, *(per_node * nodes for nodes in range(1, partition.max_nodes + 1))]
