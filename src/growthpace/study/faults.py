"""What no single section of a study can see: names that mean nothing, volumes that cannot be shared, options without
effect. Each fault is one line that begins with its key and says what is allowed.

Looks at a study as it is given, never at data. Of `study`, which imports this, it imports the basics alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from growthpace.study.basics import GENERAL
from growthpace.study.transfer import transfer_faults

if TYPE_CHECKING:
    from growthpace.study import Mix, Source, Study, Suite

FOR_TRAINING = {True: "curated", False: "synthetic"}
"""The microworld's items to train on, by whether the source is labelled."""


def faults_between_sections(study: Study) -> Iterator[str]:
    """Every fault, in the order of the study's sections."""
    yield from _models(study)
    yield from _methods(study)
    for name, source in study.sources.items():
        yield from _source(study, name, source)
    for name, mix in study.mixes.items():
        yield from _mix(study, name, mix)
    yield from transfer_faults(study)
    yield from _epochs(study)
    yield from _suites(study)
    yield from _microworld(study)
    yield from _judge(study)
    yield from _divisions(study)


def faults_of_folders(study: Study) -> Iterator[str]:
    """Faults that are seen only once it is known which names are local folders."""
    sections = {f"sources.{name}": source for name, source in study.sources.items()}
    sections |= {f"suites.{name}": suite for name, suite in study.suites.items()}
    for key, section in sections.items():
        items = section.items
        if items.importer == "hub_dataset" and items.folder and items.revision is not None:
            yield f"{key}.items.revision: {items.revision!r} would have no effect, {items.folder} is a local folder"


def _unknown(key: str, names: Iterable[Any] | None, known: Iterable[Any], what: str) -> Iterator[str]:
    for name in names or []:
        if name not in known:
            allowed = ", ".join(map(str, known)) or "none, there is no such thing in this study"
            yield f"{key}: {name!r} is no {what} of this study (allowed: {allowed})"


def _models(study: Study) -> Iterator[str]:
    if study.untuned:
        return
    swept = [source.models for source in study.sources.values() if source.volumes]
    swept += [mix.models for mix in study.mixes.values()]
    used = set(chain.from_iterable(models or study.models for models in swept))
    for name in study.models:
        if name not in used:
            yield f"models.{name}: would have no effect, no source or mix is trained on it and untuned is false"


def _methods(study: Study) -> Iterator[str]:
    """Ways of training that do not go together."""
    training = study.training
    for name, model in study.models.items():
        if training.batch_size < model.processes:
            yield (
                f"models.{name}.processes: {model.processes} cannot share a step of training.batch_size "
                f"{training.batch_size} items (allowed: up to {training.batch_size})"
            )
        if model.method == "qlora" and training.distribution == "zero3":
            yield f"models.{name}.method: qlora, but zero3 cannot divide four-bit weights (allowed: ddp, zero1, zero2)"
    if training.distribution != "ddp" and not training.offload and all(m.processes == 1 for m in study.models.values()):
        yield (
            f"training.distribution: {training.distribution} would have no effect, every model has one process "
            "(allowed: ddp, or offload: true, or more processes)"
        )


def _source(study: Study, name: str, source: Source) -> Iterator[str]:
    key = f"sources.{name}"
    yield from _unknown(f"{key}.models", source.models, study.models, "model")
    yield from _items(f"{key}.items", source.items, study.abilities if source.labelled else None)
    if source.items.importer == "synthetic":
        from growthpace.study.synthetic_faults import synthetic_faults

        yield from synthetic_faults(study, name, source)
    if source.items.importer == "benchmark":
        yield f"{key}.items.importer: benchmark, but its items are there to test with (allowed: a suite)"
    if source.items.importer == "public" and source.items.split != "train":
        yield f"{key}.items.split: {source.items.split!r} is not trained on (allowed: train)"
    if source.items.importer == "microworld" and source.items.kind != FOR_TRAINING[source.labelled]:
        yield (
            f"{key}.items.kind: {source.items.kind!r} cannot be trained on here "
            "(allowed: curated, or synthetic with labelled: false)"
        )
    drawn = {used for mix in study.mixes.values() for used in (mix.source, *mix.add, *mix.also)}
    if not source.volumes and name not in drawn:
        yield f"{key}: would have no effect, it has no volumes and no mix draws from it"
    share = len(study.abilities)
    for volume in source.volumes if source.labelled else ():
        if volume % share:
            yield f"{key}.volumes: {_not_shared(volume, share)}"


def _not_shared(volume: int, share: int) -> str:
    near = sorted({max(share, volume // share * share), (volume // share + 1) * share})
    return (
        f"{volume} cannot be shared equally by {share} abilities "
        f"(allowed: multiples of {share}, nearest: {', '.join(map(str, near))})"
    )


def _mix(study: Study, name: str, mix: Mix) -> Iterator[str]:
    key = f"mixes.{name}"
    names = {f"{source}-{volume}" for source, settings in study.sources.items() for volume in settings.volumes}
    if name in names:
        yield f"{key}: this name already means a dataset of the grid (allowed: any other name)"
    yield from _unknown(f"{key}.models", mix.models, study.models, "model")
    if mix.same_as is not None:
        yield from _unknown(f"{key}.same_as", [mix.same_as], sorted(names), "dataset")
        return
    yield from _unknown(f"{key}.source", [mix.source], study.sources, "source")
    yield from _unknown(f"{key}.add", mix.add, study.sources, "source")
    yield from _unknown(f"{key}.shares", mix.shares, study.abilities, "ability")
    source = study.sources.get(mix.source)
    if source and not source.labelled:
        labelled = ", ".join(name for name, settings in study.sources.items() if settings.labelled) or "none"
        yield f"{key}.source: {mix.source!r} is not labelled by ability, so it has no shares (allowed: {labelled})"
    if mix.advice is not None:
        from growthpace.study.advice_faults import advice_faults

        yield from advice_faults(study, f"{key}.advice", mix)
        return
    yield from _unknown(f"{key}.also", mix.also, study.sources, "source")
    for other, own in mix.also.items():
        yield from _unknown(f"{key}.also.{other}", own, study.abilities, "ability")
        if other in study.sources and not study.sources[other].labelled:
            yield f"{key}.also.{other}: not labelled by ability, so it has no shares (allowed: {key}.add.{other})"
        if other == mix.source or other in mix.add:
            yield f"{key}.also.{other}: it is in {'source' if other == mix.source else 'add'} already (allowed: once)"
    for added, number in mix.add.items():
        if added in study.sources and study.sources[added].labelled and number % len(study.abilities):
            yield f"{key}.add.{added}: {_not_shared(number, len(study.abilities))}"
    if mix.source in mix.add:
        others = ", ".join(other for other in study.sources if other != mix.source) or "none"
        yield f"{key}.add: {mix.source!r} is the mix's own source, of which shares are set (allowed: {others})"
    if mix.rest in ("uniform", "all") and set(mix.shares) >= set(study.abilities):
        yield f"{key}.rest: {mix.rest} would have no effect, every ability has a share (allowed: none)"
    fixed = sum(number for number in mix.shares.values() if number != "all")
    if mix.total is not None and fixed > mix.total:
        yield f"{key}.total: {mix.total} is below the shares' sum (allowed: {fixed} or more)"
    if mix.rest == "none" and not mix.shares and not mix.also:
        yield f"{key}.rest: none, without shares, makes an empty mix (allowed: uniform, all, or shares)"


def _epochs(study: Study) -> Iterator[str]:
    training, selection = study.training, study.selection
    volumes = {volume for source in study.sources.values() for volume in source.volumes}
    volumes |= {mix.volume for mix in study.mixes.values() if mix.volume is not None}
    yield from _unknown("training.epochs_by_volume", training.epochs_by_volume, sorted(volumes), "volume")
    yield from _unknown("selection.suite", [selection.suite], study.suites, "suite")
    yield from _unknown("analysis.suite", [study.analysis.suite], study.suites, "suite")
    last = min(training.epochs, *training.epochs_by_volume.values(), training.epochs)
    if selection.first_epoch is not None and selection.first_epoch > last:
        yield f"selection.first_epoch: {selection.first_epoch} is beyond the last epoch (allowed: 1 to {last})"
    for name, suite in study.suites.items():
        for epoch in suite.epochs if isinstance(suite.epochs, list) else ():
            if epoch > last:
                yield f"suites.{name}.epochs: {epoch} is beyond the last epoch (allowed: 1 to {last})"


def _suites(study: Study) -> Iterator[str]:
    for name, suite in study.suites.items():
        key = f"suites.{name}"
        yield from _items(f"{key}.items", suite.items, suite.measured(study.abilities))
        if suite.items.importer == "synthetic":
            yield f"{key}.items.importer: synthetic, but a teacher's items are there to train on (allowed: a source)"
        if suite.items.importer == "benchmark" and suite.abilities is not None:
            yield from _benchmark_abilities(key, suite)
        if suite.items.importer == "microworld" and suite.items.kind in FOR_TRAINING.values():
            yield (
                f"{key}.items.kind: {suite.items.kind!r} are items to train on (allowed: valid, test, out_of_domain)"
            )
        if suite.items.importer == "public" and suite.items.split == "train":
            yield f"{key}.items.split: 'train' are items to train on (allowed: valid, test)"
        if name == study.selection.suite and suite.epochs not in ("all", "selectable"):
            yield f"{key}.epochs: {suite.epochs!r}, but epochs are chosen on this suite (allowed: all, selectable)"
        if name == study.analysis.suite and isinstance(suite.epochs, list):
            yield (
                f"{key}.epochs: {suite.epochs}, but the analysis is of the chosen epoch on this suite "
                "(allowed: selected, selectable, all)"
            )
    if study.selection.suite == study.analysis.suite:
        others = ", ".join(name for name in study.suites if name != study.selection.suite) or "none, add one"
        yield (
            f"analysis.suite: epochs are selected on {study.analysis.suite!r}, so its scores would be too good "
            f"(allowed: {others})"
        )


def _benchmark_abilities(key: str, suite: Suite) -> Iterator[str]:
    """Faults of abilities that are given to a benchmark's suite."""
    if isinstance(suite.items.subjects, dict):
        yield f"{key}.abilities: would have no effect, items.subjects names the abilities"
    elif len(suite.abilities) > 1:
        yield (
            f"{key}.abilities: {len(suite.abilities)} given, but a benchmark measures one ability "
            "(allowed: one, or items.subjects with abilities as keys)"
        )


def _microworld(study: Study) -> Iterator[str]:
    users = [section.items.importer == "microworld" for section in [*study.sources.values(), *study.suites.values()]]
    users += [
        model.initialise is not None and model.initialise.corpus == "microworld" for model in study.models.values()
    ]
    if any(users) and study.microworld is None:
        yield "microworld: missing, but a source, a suite or a model of this study is made from it"
    if study.microworld is not None and not any(users):
        yield "microworld: would have no effect, no source, suite or model of this study is made from it"


def _judge(study: Study) -> Iterator[str]:
    if study.judge is None:
        for name in study.judged:
            yield f"suites.{name}.judged: true, but the study has no judge (allowed: false, or a section judge)"
    elif not study.judged:
        yield "judge: would have no effect, no suite of this study is judged (suites.X.judged: true)"


def _divisions(study: Study) -> Iterator[str]:
    """Public sets that are divided in two ways, so that an item could be trained on and tested with."""
    sections = {f"sources.{name}": source for name, source in study.sources.items()}
    sections |= {f"suites.{name}": suite for name, suite in study.suites.items()}
    known: list[tuple[str, Any]] = []
    for key, section in sections.items():
        if section.items.importer != "public":
            continue
        for ability in section.items.sets:
            for given in section.items.of(ability):
                where = f"{key}.items.sets.{ability}"
                for other_where, other in known:
                    apart = given.parts and other.parts and not set(given.parts) & set(other.parts)
                    if given.name == other.name and not apart and _division(given) != _division(other):
                        yield f"{where}: {given.name} is divided otherwise than in {other_where} (allowed: the same)"
                        break
                known.append((where, given))


def _division(given: Any) -> tuple:
    return given.splits, given.shares


def _items(key: str, items: Any, abilities: list[str] | None) -> Iterator[str]:
    """Faults of an items section, given the abilities it must serve (None: an unlabelled source)."""
    if items.importer == "hub_dataset":
        if abilities is not None and "ability" not in items.columns:
            yield f"{key}.columns: ability missing (allowed: the column of a labelled source that holds the ability)"
        if abilities is None and "ability" in items.columns:
            yield f"{key}.columns.ability: would have no effect, the source is not labelled"
    if items.importer == "public":
        wanted = [GENERAL] if abilities is None else abilities
        for ability in wanted:
            if ability not in items.sets:
                yield f"{key}.sets: no set for the ability {ability!r}"
        yield from _unknown(f"{key}.sets", items.sets, wanted, "ability")
    if items.importer in ("hub_dataset", "benchmark", "public", "microworld", "synthetic"):
        return
    if isinstance(items.files, dict):
        if abilities is None:
            yield f"{key}.files: the source is not labelled by ability (allowed: one path, not one per ability)"
            return
        for ability in abilities:
            if ability not in items.files:
                yield f"{key}.files: no file for the ability {ability!r}"
        yield from _unknown(f"{key}.files", items.files, abilities, "ability")
        named: dict[str, str] = {}
        for ability, files in items.files.items():
            for file in [files] if isinstance(files, str) else files:
                if file in named:
                    yield f"{key}.files.{ability}: {file!r} is given for {named[file]} already"
                named[file] = ability
    elif abilities is None and "{ability}" in items.files:
        yield f"{key}.files: {items.files!r}, but the source is not labelled (allowed: a path without {{ability}})"
    elif abilities is not None and "{ability}" not in items.files:
        yield f"{key}.files: {items.files!r} (allowed: a path with {{ability}} in it, or paths for each ability)"
