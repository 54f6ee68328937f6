"""Runs on parts of a dataset: the study's section `transfer`, its datasets and runs, and which items they take."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace import optional
from growthpace.analysis.transfer_stage import describe_abilities, measure_transfer
from growthpace.checks import check_study
from growthpace.data.datasets import counts, first_ids
from growthpace.data.items import read_items
from growthpace.data.pools import make_dataset, make_pool
from growthpace.errors import InputError
from growthpace.files import write_json
from growthpace.grid import Grid, Run
from growthpace.paths import Paths
from growthpace.planning import Costs
from growthpace.study import load_study
from growthpace.study.transfer import ALL_BUT, ALONE
from small_study import CONTENT, changed, load_small, record, study_of, write_lines, write_study

ABILITIES = ("biology", "history", "math")
SECTION = {"source": "curated", "volume": 12, "alone": True, "all_but_one": True}


def content_of(**section):
    """The small study with three abilities and transfer on its larger volume."""
    content = changed("abilities", list(ABILITIES))
    content["sources"]["curated"]["volumes"] = [3, 12]
    content["mixes"] = {}
    content["training"]["epochs_by_volume"] = {12: 7}
    content["transfer"] = {**SECTION, **section}
    return content


# --- the section ------------------------------------------------------------------------------------------------------


def faults(tmp_path, content):
    config = write_study(tmp_path, content)
    with pytest.raises(InputError) as caught:
        load_study(config)
    return [line.removeprefix(f"{config}: ") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(("key", "value", "message"), [
    ("source", "human", "transfer.source: 'human' is no source of this study (allowed: curated)"),
    ("source", "synthetic", "transfer.source: 'synthetic' is not labelled by ability, so none can be left out "
     "(allowed: curated)"),
    ("volume", 6, "transfer.volume: the grid has no curated-6, which the parts are taken from "
     "(allowed: a volume of curated: 3, 12)"),
    ("volume", 0, "transfer.volume: found 0, allowed: a whole number from 1"),
    ("models", ["x"], "transfer.models: 'x' is not swept over curated, so that it lacks the full dataset "
     "(allowed: s, m)"),
    ("alone", "yes", "transfer.alone: found 'yes', allowed: true or false"),
    ("alon", True, "transfer.alon: unknown key (did you mean alone? allowed: source, volume, alone, all_but_one, "
     "models)"),
])  # fmt: skip
def test_a_fault_is_one_clear_line(tmp_path, key, value, message):
    assert faults(tmp_path, content_of(**{key: value})) == [message]


def test_a_section_without_effect_is_an_error(tmp_path):
    assert faults(tmp_path, content_of(alone=False, all_but_one=False)) == [
        "transfer: would have no effect, alone and all_but_one are false (allowed: one or both true, or no section)"
    ]
    content = content_of()
    content["untuned"] = False
    assert faults(tmp_path, content) == [
        "transfer.alone: true, but nothing to compare with: untuned is false (allowed: untuned: true)"
    ]
    assert load_study(write_study(tmp_path, {**content, "transfer": {**SECTION, "alone": False}})).transfer


@pytest.mark.parametrize(("abilities", "message"), [
    (["biology"], "transfer: would have no effect, the study has one ability (allowed: two abilities or more)"),
    (["biology", "history"], "transfer.all_but_one: would train the same again, all but one of two abilities is the "
     "other alone (allowed: false)"),
])  # fmt: skip
def test_too_few_abilities(tmp_path, abilities, message):
    content = content_of()
    content["abilities"] = abilities
    content["sources"]["curated"]["volumes"] = [12]
    assert faults(tmp_path, content) == [message]


def test_a_mix_may_not_have_the_name_of_a_part(tmp_path):
    content = content_of()
    content["mixes"] = {"curated-12-only-math": {"same_as": "curated-12"}}
    assert faults(tmp_path, content) == [
        "mixes.curated-12-only-math: this name already means a dataset of transfer (allowed: any other name)"
    ]


# --- datasets and runs ------------------------------------------------------------------------------------------------


def test_the_parts_and_their_runs():
    grid = Grid(study_of(content_of()))
    parts = {name: dataset for name, dataset in grid.datasets.items() if dataset.kind == "transfer"}
    assert list(parts) == [
        *(f"curated-12-only-{ability}" for ability in ABILITIES),
        *(f"curated-12-without-{ability}" for ability in ABILITIES),
    ]
    assert {d.volume for name, d in parts.items() if "-only-" in name} == {4}
    assert {d.volume for name, d in parts.items() if "-without-" in name} == {8}
    assert {(d.source, d.sources) for d in parts.values()} == {("curated", ("curated",))}
    assert [run for run in grid.runs if run.dataset in parts] == [
        Run(model, name, seed) for name in parts for model in ("s", "m") for seed in (1, 2)
    ]


def test_parts_are_trained_as_long_as_the_full_dataset():
    content = content_of()
    grid = Grid(study_of(content))
    assert {grid.epochs(Run("s", name, 1)) for name in grid.parts} == {grid.epochs(Run("s", "curated-12", 1))} == {7}
    content["training"]["epochs_by_volume"] = {8: 9}
    with pytest.raises(ValueError, match="8 is no volume of this study"):
        study_of(content)


@pytest.mark.parametrize(("section", "models"), [({}, {"s", "m"}), ({"models": ["m"]}, {"m"})])
def test_models_of_transfer(section, models):
    grid = Grid(study_of(content_of(**section)))
    assert {run.model for run in grid.runs if run.dataset in grid.parts} == models
    content = content_of()
    content["sources"]["curated"]["models"] = ["m"]  # those swept over the source when absent
    grid = Grid(study_of(content))
    assert {run.model for run in grid.runs if run.dataset in grid.parts} == {"m"}


@pytest.mark.parametrize(("section", "kinds"), [({"all_but_one": False}, {ALONE}), ({"alone": False}, {ALL_BUT})])
def test_one_kind_alone(section, kinds):
    assert {part.kind for part in Grid(study_of(content_of(**section))).parts.values()} == kinds


def test_asking_for_transfer_changes_no_other_run():
    content = content_of()
    after, before = Grid(study_of(content)), Grid(study_of({k: v for k, v in content.items() if k != "transfer"}))
    assert set(before.runs) <= set(after.runs)
    for run in before.runs:
        assert before.run_settings(run) == after.run_settings(run)
        assert before.dataset_settings(run.dataset, run.seed) == after.dataset_settings(run.dataset, run.seed)
    settings = [after.dataset_settings(name, 1) for name in after.datasets]
    assert all(settings.count(own) == 1 for own in settings)  # none is taken for another


# --- items: exactly the full dataset's --------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**31),
    sizes=st.lists(st.integers(4, 30), min_size=3, max_size=3),
    share=st.integers(1, 4),
)
def test_alone_and_without_divide_the_full_dataset(seed, sizes, share):
    content = content_of(volume=3 * share)
    content["sources"]["curated"]["volumes"] = [3 * share]
    content["training"]["epochs_by_volume"] = {}
    study = study_of(content)
    pools = {a: [f"{a}-{number}" for number in range(size)] for a, size in zip(ABILITIES, sizes, strict=True)}

    def drawn(name):
        wanted = counts(study, name, lambda source, ability: len(pools[ability]))
        return [i for (_, ability), number in wanted.items() for i in first_ids(pools[ability], number, seed)]

    full = drawn(study.transfer.full)
    for ability in ABILITIES:
        only, without = (
            drawn(f"{study.transfer.full}-only-{ability}"),
            drawn(f"{study.transfer.full}-without-{ability}"),
        )
        assert only == [i for i in full if i.startswith(ability)]
        assert without == [i for i in full if not i.startswith(ability)]
        assert len(only) == share


def made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load_small(tmp_path, content_of())
    for kind, number in (("curated", 20), ("valid", 4), ("test", 4)):
        records = [
            record(f"{kind} math {n}?\nA. one\nB. two\nC. three\nD. four", "ABCD"[n % 4], idx=n) for n in range(number)
        ]
        write_lines(tmp_path / "items" / kind / "math.json", records)
    return study, Paths(study)


@pytest.mark.parametrize("seed", [1, 2])
def test_items_on_disk_are_the_same(tmp_path, monkeypatch, seed):
    study, paths = made(tmp_path, monkeypatch)
    for ability in ABILITIES:
        make_pool(study, "curated", ability, paths)
    names = ["curated-12", *Grid(study).parts]
    manifests = {name: make_dataset(study, name, seed, paths) for name in names}
    full = read_items(paths.dataset("curated-12", seed))
    for ability in ABILITIES:
        assert read_items(paths.dataset(f"curated-12-only-{ability}", seed)) == [
            i for i in full if i.ability == ability
        ]
        rest = read_items(paths.dataset(f"curated-12-without-{ability}", seed))
        assert rest == [i for i in full if i.ability != ability]
    assert len({manifest["items_sha256"] for manifest in manifests.values()}) == len(names)


def test_a_pool_that_is_too_small_is_told_once(tmp_path, monkeypatch):
    study, paths = made(tmp_path, monkeypatch)
    check_study(study, paths)
    write_lines(tmp_path / "items/curated/math.json", [record("math?\nA. one\nB. two\nC. three\nD. four", "A", idx=0)])
    with pytest.raises(InputError) as caught:
        check_study(study)
    assert str(caught.value).splitlines() == [
        "sources.curated.volumes: 12 needs 4 items of 'math' from 'curated', but its pool holds 1 "
        "(allowed: volumes up to 3, as far as the smallest pool goes)"
    ]


@pytest.mark.parametrize("measured", [False, True])
def test_parts_cost_what_their_items_do(tmp_path, monkeypatch, measured):
    study, paths = made(tmp_path, monkeypatch)
    for ability in ABILITIES:
        make_pool(study, "curated", ability, paths)
    write_lines(  # answers of math are ten times as long
        tmp_path / "items/curated/math.json",
        [
            record(f"math {n}?\nA. one\nB. two\nC. three\nD. four", "A" + " because of it" * 20, idx=n)
            for n in range(20)
        ],
    )
    make_pool(study, "curated", "math", paths)
    names = ("curated-12", *Grid(study).parts)
    if measured:  # a finished run on the full dataset says how many tokens its items have
        known = {"items": 12, "steps": 1, "steps_per_epoch": 1, "tokens": 600, "tokens_per_second": 9, "device": "CPU"}
        write_json(paths.training(Run("s", "curated-12", 1)), known)
    texts = Costs(study, paths, None).texts
    own = {name: texts.dataset("s", name) for name in names}
    assert own["curated-12"].total == 600 or not measured
    for ability in ABILITIES:
        parts = own[f"curated-12-only-{ability}"], own[f"curated-12-without-{ability}"]
        assert sum(part.items for part in parts) == own["curated-12"].items
        assert sum(part.total for part in parts) == pytest.approx(own["curated-12"].total)
    assert own["curated-12-only-math"].total > 2 * own["curated-12-only-history"].total


def test_the_small_study_itself_has_none():
    assert Grid(study_of(copy.deepcopy(CONTENT))).parts == {}


def test_the_verbs_say_what_a_study_lacks():
    study = study_of()
    with pytest.raises(InputError, match=r"small has no runs on one ability alone .* a section transfer asks for them"):
        measure_transfer(study, Paths(study))
    unlabelled = {**CONTENT, "sources": {"synthetic": CONTENT["sources"]["synthetic"]}, "mixes": {}}
    study = study_of(unlabelled | {"models": {"s": CONTENT["models"]["s"]}})
    with pytest.raises(InputError, match="sweeps no source that is labelled by ability"):
        describe_abilities(study, Paths(study))
    assert not optional.feature_tables(study, Paths(study))
