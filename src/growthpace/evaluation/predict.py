"""Predictions of one checkpoint on one suite. By hand: `growthpace predict CONFIG MODEL/DATASET/seed-N SUITE EPOCH`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from growthpace.data.items import read_items
from growthpace.errors import InputError
from growthpace.evaluation.answering import answers
from growthpace.evaluation.engine import Engine
from growthpace.evaluation.predictions import Batches, write_latencies, write_predictions
from growthpace.files import fingerprint, read_json, sha256, written_aside
from growthpace.grid import SELECTED, Grid, Run
from growthpace.interruptible import StateFolder, Stopped
from growthpace.models.base import weights_hash
from growthpace.paths import Paths
from growthpace.study import UNTUNED, Study, Suite


def predict(study: Study, run: Run, suite: str, epoch: int | str, paths: Paths, report: Callable[[str], None]) -> None:
    """Answers every item of the suite that has no answer yet and writes the predictions in one piece.

    epoch: a number, or `selected` for the epoch in the run's selection. Progress lives in `{suite}.state/` beside the
    predictions (see `interruptible`), a finished file too: where only its copy was removed, that comes back at once.
    Raises `InputError` where weights are gone or are not those that were trained, `Busy` where another job makes these
    predictions, `Stopped` between two batches, FloatingPointError for a model that answers NaN.
    """
    if epoch == SELECTED and not paths.selected(run).exists():
        raise InputError(f"{run}: no epoch has been selected yet (growthpace select), so there is none to predict with")
    number = read_json(paths.selected(run))["epoch"] if epoch == SELECTED else epoch
    target, items = paths.prediction(run, suite, epoch), read_items(paths.suite(suite))
    metadata = {
        "study": study.study,
        "stage": "prediction",
        "run": str(run),
        "epoch": number,
        "suite": suite,
        "weights_sha256": _listed(run, number, paths),
        **Grid(study).prediction_settings(suite),
    }
    identity = {**metadata, "items_sha256": sha256(paths.suite(suite))}
    with StateFolder(target.with_suffix(".state"), fingerprint(identity)) as state:
        finished = state.folder / "finished"  # without .parquet: `predictions/**/*.parquet` finds each prediction once
        batches = state.folder / "batches.jsonl"
        if finished.exists():
            report(f"predict {run}: {suite} at epoch {number} had been answered")
            state.log("everything had been answered")
        else:
            named = f"{run}: {suite} at epoch {number}"
            with Batches(batches) as kept:
                start, total = len(kept.found), len(items)
                state.log(f"starts at item {start} of {total}")
                report(f"predict {named}, {total} items" + (f", going on after {start}" if start else ""))
                if start < total:
                    _check_weights(run, number, paths)
                    engine = Engine(
                        paths.weights(run, number),
                        study.format,
                        study.threads,
                        base=paths.model(run.model),
                        settings=study.models[run.model],
                        precision=study.training.precision,
                        generation=study.suites[suite].generation,
                    )
                    _answer_missing(engine, items, study.suites[suite], kept, state, named, report)
            found = [kept.found[item.id] for item in items]
            write_latencies(paths.latencies(run, suite, epoch), found)
            write_predictions(finished, found, metadata)
            state.log("done")
        # A copy and no hard link: predictions are moved about by name, and renaming one link over another does nothing.
        with written_aside(target) as aside:
            shutil.copyfile(finished, aside)
        batches.unlink(missing_ok=True)


def _answer_missing(engine, items, suite: Suite, kept: Batches, state: StateFolder, named: str, report) -> None:
    """Answers what has no answer yet, keeping each batch as soon as it is there."""
    start, total, began = len(kept.found), len(items), time.monotonic()
    ways = {"paper_compatible": suite.paper_compatible, "known": kept.found}
    for batch in answers(engine, items, suite.max_new_tokens, suite.answers, **ways):
        kept.add(batch)
        done, seconds = len(kept.found), time.monotonic() - began
        stopping = state.stop_requested and done < total
        rate = round((done - start) / seconds, 3)
        progress = {"done": done, "of": total, "seconds": round(seconds, 3), "items_per_second": rate}
        if state.show(progress, at_once=stopping or done == total):
            report(f"predict {named}, {done} of {total} items, {rate:,.1f} items/s")
        if stopping:
            state.log(f"stopped at item {done} ({state.stop_reason})")
            raise Stopped(f"{named}, stopped after item {done} of {total}, run it again to go on")


def _listed(run: Run, epoch: int, paths: Paths) -> str:
    """Hash of the weights that were trained (or made ready)."""
    listed = paths.model(run.model) / "base.json" if run.dataset == UNTUNED else paths.marker(run, epoch)
    if not listed.exists():
        raise _gone(run, epoch, paths)
    return read_json(listed)["weights_sha256"]


def _check_weights(run: Run, epoch: int, paths: Paths) -> None:
    """The weights to evaluate must be those that were trained (or made ready)."""
    found, expected = weights_hash(paths.weights(run, epoch)), _listed(run, epoch, paths)
    if found is None:
        paths.marker(run, epoch).unlink(missing_ok=True)  # so that the next plan trains this run again
        raise _gone(run, epoch, paths)
    if found != expected:
        raise InputError(
            f"{run}: {paths.weights(run, epoch)} holds other weights than were trained "
            f"(hash {found[:8]}, listed {expected[:8]}); remove the folder and start the study again"
        )


def _gone(run: Run, epoch: int, paths: Paths) -> InputError:
    return InputError(
        f"{run}: the weights of epoch {epoch} are gone ({paths.weights(run, epoch)}); "
        "start the study again, it will train this run once more and then evaluate it"
    )
