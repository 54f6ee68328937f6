"""What each job of a study costs on a site."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

from growthpace.cluster.site import Partition, Site
from growthpace.files import fingerprint, read_json
from growthpace.grid import Grid, Run
from growthpace.paths import Paths
from growthpace.planning import formulas, measured, memory, shape
from growthpace.planning.estimate import Estimate
from growthpace.planning.fitting import device_memory, options, way_out
from growthpace.planning.formulas import DISK_BYTES_PER_SECOND, GB, GPU_GB, START_SECONDS
from growthpace.planning.shape import Shape
from growthpace.planning.texts import Texts
from growthpace.study import UNTUNED, Model, Study, Training

Time = tuple[float | None, str, str]
"""Seconds, what they rest on, and the sentence that says so."""


class Costs:
    """Estimates of a study's jobs. Reads what is asked for and remembers it, so make a new one after jobs have run."""

    def __init__(self, study: Study, paths: Paths, site: Site | None):
        self.study, self.paths, self.site = study, paths, site
        self.grid, self.texts = Grid(study), Texts(study, paths)
        self._gpu_partitions = [partition for partition in site.partitions if partition.gpus_per_node] if site else []
        self._types = [partition.gpu for partition in self._gpu_partitions] if site else None
        cached = (self.shape, self.fault, self._placed, self._speed, self._training, self._prediction, self._suite_time)
        for method in cached:
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
        found, settings = self.shape(model), self.study.models[model]
        gpus = settings.processes if self._gpu_partitions else 0
        partition, checkpointing, host = self._placed(model)
        device = device_memory(found, settings, self.study.training, checkpointing) / GPU_GB if found and gpus else None
        epochs = len(self.grid.evaluated_epochs(Run(model, dataset, 0)))
        seconds, basis, why = self._training_time(model, dataset, partition, checkpointing)
        nodes = math.ceil(gpus / partition.gpus_per_node) if partition else 1
        return Estimate(gpus, nodes, seconds, basis, why, host, device, self._training_disk(model, epochs))

    def _training_disk(self, model: str, epochs: int) -> float | None:
        """GB on disk of a run in training: the weights of so many epochs, and its states."""
        found, precision = self.shape(model), self.study.training.precision
        if found is None:
            return None
        return formulas.training_disk(found.parameters, epochs, precision, *self._adapters(model)) / GB

    def _adapters(self, model: str) -> tuple[int | None, bool]:
        """Number of parameters of a model's adapters (None without), and whether they are merged for its epochs too."""
        settings = self.study.models[model]
        return formulas.adapters_of(self.shape(model), settings), bool(settings.lora and settings.lora.merged)

    def _training_time(self, model: str, dataset: str, partition: Partition | None, checkpointing: bool) -> Time:
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
            method, share = self.study.models[model].method, formulas.TRAINING_UTILISATION
            operations = formulas.training_operations(found, total, length, checkpointing, method)
            work, basis = operations / (processes * share * peak), "bound"
            each, more = (6, "4/3") if method == "full" else (4, "3/2")
            again = f" x {more}" if checkpointing else ""
            why = (
                f"no run measured: {each} x {found.parameters:.3g} parameters x {total:.3g} tokens{again} at "
                f"{share:.0%} of {_counted(processes, 'GPU')} of {peak / 1e12:g} TFLOP/s"
            ).replace("%", " %")
        saved = 0.0
        if found:
            saves, weights = epochs + work // (60 * training.save_minutes), self._adapters(model)
            needed = len(self.grid.evaluated_epochs(Run(model, dataset, 0)))
            written = saves * formulas.state_bytes(found.parameters, weights[0])
            written += needed * formulas.epoch_bytes(found.parameters, training.precision, *weights)
            saved = (4 * found.parameters + written) / DISK_BYTES_PER_SECOND
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
        found, gpus = self.shape(model), self.study.models[model].prediction_gpus if self._gpu_partitions else 0
        items = self.texts.suite_items(suite)
        disk = None if items is None else items * formulas.PREDICTION_BYTES / GB
        seconds, basis, why = self._suite_time(model, suite)
        if found is None:
            return Estimate(gpus, 1, seconds, basis, why, None, None, disk)
        settings, precision = self.study.models[model], self.study.training.precision
        weights = formulas.prediction_weights(found, settings, precision, untuned)
        each = found.stored_bytes if untuned else formulas.weight_bytes(precision)
        needed = formulas.prediction_memory(found, weights, each)
        loading = formulas.prediction_loading(found, settings, precision, untuned)
        host = loading + formulas.PROCESS_BYTES if gpus else max(loading, needed) + formulas.CPU_PROCESS_BYTES
        gpu_memory = self._each_holds(needed, gpus) if gpus else None
        return Estimate(gpus, 1, seconds, basis, why, host / GB, gpu_memory, disk)

    def _each_holds(self, needed: float, gpus: int) -> float:
        """GB of each GPU of a prediction: a copy of the model, or its share where no GPU of the site holds it whole."""
        whole = (needed + formulas.GPU_OVERHEAD_BYTES) / GPU_GB
        if whole <= max(partition.gpu_memory_gb for partition in self._gpu_partitions):
            return whole
        return (needed / gpus + formulas.GPU_OVERHEAD_BYTES) / GPU_GB

    def _suite_time(self, model: str, suite: str) -> Time:
        found, items, asked = self.shape(model), self.texts.suite_items(suite), self.texts.suite(suite)
        load = found.parameters * found.stored_bytes / DISK_BYTES_PER_SECOND if found else 0.0
        if items and (speed := measured.items_per_second(self.paths, model, suite)):
            why = f"{_counted(speed[1], 'prediction')} of {suite} by {model} measured at {speed[0]:,.1f} items/s"
            return START_SECONDS + load + items / speed[0], "measured", why
        settings, precision = self.study.models[model], self.study.training.precision
        weights = formulas.prediction_weights(found, settings, precision, untuned=False) if found else 0.0
        fits = [p for p in self._gpu_partitions if found and p.gpu_memory_gb * GPU_GB > weights]
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
        needed, disk = size, 2 * size  # the copy that is made ready, and the hub's cache or a folder aside
        if settings.initialise is not None:
            why = "how long a model takes that is made from scratch is not known"
            tokens = settings.initialise.pretraining.batch_size * settings.initialise.context
            needed = memory.model_states(found.parameters) + memory.activations(found, tokens, "fp32", False)
            needed += formulas.LOGIT_BYTES * tokens * found.vocabulary  # all at once, unlike in tuning
        elif settings.folder is not None:
            seconds, basis = START_SECONDS + 2 * size / DISK_BYTES_PER_SECOND, "bound"
            why = f"{size / GB:.3g} GB read and written at {DISK_BYTES_PER_SECOND / GB:g} GB/s"
        else:
            why = f"how long the network takes for up to {size / GB:.3g} GB is not known"
        embeddings = 2 * found.vocabulary * found.hidden * found.stored_bytes
        return Estimate(
            0, 1, seconds, basis, why, (needed + embeddings + formulas.CPU_PROCESS_BYTES) / GB, None, disk / GB
        )

    # --- what fits where ---

    def _host_memory(self, found: Shape, settings: Model, training: Training, again: bool, p: Partition | None):
        """GB of host memory on each node; again: whether activations are recomputed."""
        here = settings.processes if p is None else min(settings.processes, p.gpus_per_node)
        return memory.host_memory(found, settings, training, again, here, gpus=p is not None) / GB

    def _fits(self, partition: Partition, found: Shape, settings: Model, training: Training, again: bool) -> bool:
        return (
            device_memory(found, settings, training, again) <= partition.gpu_memory_gb * GPU_GB
            and self._host_memory(found, settings, training, again, partition) <= partition.memory_gb_per_node
            and settings.processes <= partition.gpus_per_node * partition.max_nodes
        )

    def _placed(self, model: str) -> tuple[Partition | None, bool, float | None]:
        """The first partition with GPUs that a model's training fits in (the first at all where it fits in none; None
        where there are none); whether it recomputes activations there; and the GB of host memory on each node."""
        found, settings, training = self.shape(model), self.study.models[model], self.study.training
        allowed = options(training)
        if found is None:
            return next(iter(self._gpu_partitions), None), allowed[0], None
        if self._gpu_partitions:
            ways = [(p, again) for p in self._gpu_partitions for again in allowed]
            fitting = [way for way in ways if self._fits(way[0], found, settings, training, way[1])]
            partition, again = next(iter(fitting), (self._gpu_partitions[0], allowed[-1]))
            return partition, again, self._host_memory(found, settings, training, again, partition)
        most = max((p.memory_gb_per_node for p in self.site.partitions), default=0) if self.site else math.inf
        needed = {again: self._host_memory(found, settings, training, again, None) for again in allowed}
        again = next((again for again in allowed if needed[again] <= most), allowed[-1])
        return None, again, needed[again]

    def fault(self, model: str) -> str | None:
        """Why a model cannot be studied on the site's partitions, naming the setting that would fit; None if it can,
        as far as is known (nothing is where its size is unknown)."""
        found, settings, training = self.shape(model), self.study.models[model], self.study.training
        if self.site is None or found is None:
            return None
        _, again, host = self._placed(model)
        if not self._gpu_partitions:
            return self._fault_without_gpus(model, host)
        weights = formulas.prediction_weights(found, settings, training.precision, untuned=False) / GPU_GB
        largest = max(partition.gpu_memory_gb for partition in self._gpu_partitions)
        if weights > largest * settings.prediction_gpus:
            return (
                f"models.{model}: a prediction runs on {_counted(settings.prediction_gpus, 'GPU')}, which its weights "
                f"({weights:,.3g} GB) must fit in, but no GPU of the site has more than {largest:g} GB "
                f"(would fit: models.{model}.prediction_gpus: {math.floor(weights / largest) + 1})"
            )

        def fits(settings: Model, training: Training) -> bool:
            ways = [(p, again) for p in self._gpu_partitions for again in options(training)]
            return any(self._fits(partition, found, settings, training, again) for partition, again in ways)

        if fits(settings, training):
            return None
        needed = device_memory(found, settings, training, again) / GPU_GB
        counts = sorted({count for partition in self._gpu_partitions for count in _process_counts(partition)})
        return (
            f"models.{model}: training on {_counted(settings.processes, 'GPU')} needs {needed:,.3g} GB on each and "
            f"{host:,.3g} GB of memory on a node, which no partition of the site gives "
            f"({way_out(model, settings, training, fits, counts)})"
        )

    def _fault_without_gpus(self, model: str, host: float) -> str | None:
        found, settings, training = self.shape(model), self.study.models[model], self.study.training
        most = max(partition.memory_gb_per_node for partition in self.site.partitions)

        def fits(settings: Model, training: Training) -> bool:
            ways = options(training)
            return any(self._host_memory(found, settings, training, again, None) <= most for again in ways)

        if host <= most:
            return None
        way = way_out(model, settings, training, fits, [settings.processes], gpus=False)
        needed = f"training needs {host:,.3g} GB of memory"
        return f"models.{model}: {needed}, no node of the site has more than {most:g} ({way})"

    def peak_disk_gb(self) -> float | None:
        """Most that the whole study lies on disk at once: base models, every run's weights that are still needed, the
        states of as many runs as may train at once (all that `jobs_at_once` lets; one without a site), predictions.
        None where a model's size is unknown. Suites of unknown size are left out: they are small."""
        if any(self.shape(model) is None for model in self.study.models):
            return None
        base = sum(self.base_model(model).disk_gb for model in self.study.models)
        kept, states = 0.0, []
        for run in self.grid.runs:
            states.append(self._training_disk(run.model, 0))
            kept += self._training_disk(run.model, len(self.grid.evaluated_epochs(run))) - states[-1]
        at_once = self.site.jobs_at_once if self.site else 1
        items = {suite: self.texts.suite_items(suite) or 0 for suite in self.study.suites}
        runs = [*self.grid.runs, *self.grid.untuned_runs]
        answered = sum(items[suite] for run in runs for suite, _ in self.grid.evaluations(run))
        predictions = answered * formulas.PREDICTION_BYTES / GB
        return base + kept + sum(sorted(states)[-at_once:]) + predictions

    # --- what they rest on ---

    def _speed(self, model: str) -> tuple[float, str, int] | None:
        method = self.study.models[model].method
        return measured.throughput(self.texts.runs_of(model), self.study.training, self._types, method)

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
            why = "a GPU's half-precision peak says nothing about training.precision: fp32"
            return None, f"nothing of {model} measured, and {why}"
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
