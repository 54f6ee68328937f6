"""Why jobs are planned, in plain words, from what Snakemake says.

Snakemake names a cause where it is (a setting, a file) and "input files updated by another job" on everything behind
it. `Reasons` follows those back to the causes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from growthpace.plan.dry_run import Job
from growthpace.study import Study, Training

MISSING = "no result yet"
CUT_OFF = "a job was cut off before it finished"
_FORCED, _MISSING, _INCOMPLETE = "Forced execution", "Missing output files: ", "Incomplete output files: "
_FILES, _FOLLOWS = "Updated input files: ", "Input files updated by another job: "
_PARAMS = "Params have changed since last execution: "
_OTHERS = {
    "Code has changed since last execution": "the code of its rule has changed",
    "Set of input files has changed since last execution": "the set of its input files has changed",
    "Software environment definition has changed since last execution": "its software environment has changed",
}
_HEADS = [_FORCED, _MISSING, _INCOMPLETE, _FILES, _FOLLOWS, _PARAMS, *_OTHERS]
_PART = re.compile("; (?=" + "|".join(map(re.escape, _HEADS)) + ")")


def parts(reason: str) -> list[str]:
    """The single reasons in Snakemake's text."""
    return _PART.split(reason)


def changed_params(text: str) -> dict[str, tuple[str | None, str | None]] | None:
    """{setting: (old, new)} from Snakemake's text about params of the form `key=value`; None for a side that had it
    not. None for a text of another form."""
    body = text.removeprefix(_PARAMS).partition("before: ")[2].strip()
    for found in re.finditer(" now: ", f"{body} "):
        try:
            old, new = _values(body[: found.start()]), _values(body[found.end() :])
        except (SyntaxError, ValueError):  # this "now" is part of a value
            continue
        return {key: (old.get(key), new.get(key)) for key in sorted({*old, *new})}
    return None


def _values(text: str) -> dict[str, str]:
    if text.strip() == "<nothing exclusive>":
        return {}
    found = [value for value in ast.literal_eval(f"[{text}]") if value is not None]  # None: not set for these wildcards
    return dict(str(value).partition("=")[::2] for value in found)


class Reasons:
    """Causes of planned jobs. `forced`: {output: why} of outputs that were planned at growthpace's wish."""

    def __init__(self, study: Study, jobs: Sequence[Job], forced: Mapping[str, str]):
        self.study, self.jobs, self.forced = study, jobs, forced
        self.made_by = {output: number for number, job in enumerate(jobs) for output in job.outputs}
        self._known: dict[int, frozenset[str]] = {}

    def own(self, job: Job) -> list[str]:
        """Causes that lie at the job itself; none for one that only follows others."""
        found = []
        for part in parts(job.reason):
            if part.startswith(_FORCED):
                found += [self.forced[output] for output in job.outputs if output in self.forced]
            elif part.startswith(_MISSING):
                found.append(MISSING)
            elif part.startswith(_INCOMPLETE):
                found.append(CUT_OFF)
            elif part.startswith(_FILES):
                found += [f"{file} has changed" for file in part.removeprefix(_FILES).split(", ") if file]
            elif part.startswith(_PARAMS):
                found += self._settings(job, part)
            elif not part.startswith(_FOLLOWS):
                found.append(_OTHERS.get(part, part))
        return found

    def before(self, job: Job) -> list[int]:
        """Numbers of the jobs that it follows."""
        files = [f for p in parts(job.reason) if p.startswith(_FOLLOWS) for f in p.removeprefix(_FOLLOWS).split(", ")]
        return list(dict.fromkeys(self.made_by[file] for file in files if file in self.made_by))

    def causes(self, number: int) -> frozenset[str]:
        """The causes that a job is planned for in the end. What was never made is its own cause."""
        if number not in self._known:
            job = self.jobs[number]
            own = self.own(job)
            behind = [] if MISSING in own or CUT_OFF in own else self.before(job)
            self._known[number] = frozenset(own).union(*map(self.causes, behind))
        return self._known[number]

    def chain(self, number: int) -> list[tuple[Job, list[str]]]:
        """The way from a job to a cause: (job, its own causes), nearest first. Of several ways the first."""
        found = []
        while True:
            job = self.jobs[number]
            own, behind = self.own(job), self.before(job)
            found.append((job, own))
            if MISSING in own or CUT_OFF in own or not behind:
                return found
            # Rather behind what has a cause other than being new.
            number = next((other for other in behind if self.causes(other) != {MISSING}), behind[0])

    def _settings(self, job: Job, text: str) -> list[str]:
        changed = changed_params(text)
        if changed is None:
            return [text]
        names = _names(self.study, job)
        return [f"{_named(job, key, names)}: {_shown(old)} -> {_shown(new)}" for key, (old, new) in changed.items()]


def _shown(value: str | None) -> str:
    return "not set" if value is None else value


def _named(job: Job, key: str, names: dict[str, str]) -> str:
    if key.endswith("_version"):
        what = job.rule.replace("_", " ") if key == "code_version" else key.removesuffix("_version")
        return f"version of growthpace's code for {what}"
    if key.startswith("scorer_"):
        return f"version of the scorer {key.removeprefix('scorer_')}"
    if key == "cells":
        return "the study's runs and evaluations"
    return names.get(key, key)


def _names(study: Study, job: Job) -> dict[str, str]:
    """{setting as the job's rule knows it: its key in the config file}."""
    wildcards = job.wildcards
    if job.rule == "spec_run":
        return {key: f"training.{key}" for key in Training.model_fields}
    found: dict[str, str] = {}
    if job.rule == "base_model":
        _walk(found, "", f"models.{wildcards['model']}", study.models[wildcards["model"]].model_dump())
    elif job.rule == "synthesise":
        key, items = f"sources.{wildcards['source']}.items", study.sources[wildcards["source"]].items
        found = {name: f"{key}.{name}" for name in type(items).model_fields}
        return found | {f"teacher_{name}": f"{key}.teacher.{name}" for name in type(items.teacher).model_fields}
    elif job.rule in ("pool", "suite"):
        kind, one = ("sources", "source") if job.rule == "pool" else ("suites", "suite")
        section = getattr(study, kind)[wildcards[one]]
        _walk(found, "items", f"{kind}.{wildcards[one]}.items", section.items.model_dump())
    elif job.rule in ("dataset", "allocate") and wildcards["dataset"] in study.mixes:
        name = wildcards["dataset"]
        _walk(found, "mix", f"mixes.{name}", study.mixes[name].model_dump())
    elif job.rule == "dataset" and study.transfer and wildcards["dataset"].startswith(f"{study.transfer.full}-"):
        found["volume"] = "transfer.volume"
    elif job.rule == "audit":
        found |= {f"licence_{name}": f"sources.{name}.licence" for name in study.sources}
        found |= {"max_length": "training.max_length"}
    elif job.rule == "spec_predict":
        return {"max_new_tokens": f"suites.{wildcards['suite']}.max_new_tokens"}
    elif job.rule in _SECTIONS:
        section = _SECTIONS[job.rule]
        return {key: f"{section}.{key}" for key in type(getattr(study, section)).model_fields}
    if job.rule == "dataset":
        found |= {"audit_leaked": "audit.leaked", "audit_duplicates": "audit.duplicates"}
    if study.microworld is not None:
        _walk(found, "microworld", "microworld", study.microworld.model_dump())
    return found


_SECTIONS = {
    "spec_judge": "judge",
    "select": "selection",
    "collect": "analysis",
    "fit": "analysis",
    "compare": "analysis",
    "advise": "analysis",
    "transfer": "analysis",
    "features": "analysis",
    "check_advice": "analysis",
    "figure": "figures",
}
"""Rules whose settings are a section of the study."""


def _walk(found: dict[str, str], flat: str, dotted: str, value: Any) -> None:
    if not isinstance(value, dict):
        found[flat] = dotted
        return
    for key, inner in value.items():
        _walk(found, f"{flat}_{key}" if flat else key, f"{dotted}.{key}", inner)
