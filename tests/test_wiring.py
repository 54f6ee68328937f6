"""What the Snakefile takes from growthpace without importing it heavily."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from growthpace import wiring
from growthpace.figures.registry import FIGURES, WRITTEN, figures_of
from growthpace.params import columns
from growthpace.study import load_study

HEAVY = ("matplotlib", "pandas", "numpy", "seaborn", "torch", "pyarrow")


def names(study) -> list[str]:
    return [figure.name for figure in figures_of(study)]


@pytest.fixture
def study():
    """The paper's: three models, two sources, mixes, and a suite that is out of domain."""
    return load_study("config/doit.yaml")


def without(study, **changes):
    return study.model_copy(update=changes)


def test_what_figures_there_are_is_known_without_drawing_anything():
    code = f"import sys, growthpace.wiring; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_study_has_the_figures_that_have_something_to_show(study):
    possible = [name for name, entry in FIGURES.items() if set(entry.tables) <= set(WRITTEN)]
    assert set(names(study)) == set(possible) - {"transfer"}
    first = next(iter(study.models))
    for gone, changes in {
        "sizes": {"models": {first: study.models[first]}},
        "sources": {"sources": {"curated": study.sources["curated"]}},
        "mixes": {"mixes": {"baseline": study.mixes["baseline"]}},  # another name of a dataset of the grid
        "out_of_domain": {"suites": {name: study.suites[name] for name in ("valid", "test")}},
    }.items():
        assert set(names(study)) - set(names(without(study, **changes))) == {gone}


def test_a_suite_that_epochs_are_chosen_on_is_shown_nowhere(study):
    only = {"valid": study.suites["ceval"], "test": study.suites["test"]}
    assert "out_of_domain" not in names(without(study, suites=only))


def test_residuals_need_three_volumes(study):
    entry = FIGURES["residuals"]
    assert entry.applies(study)
    few = {name: source.model_copy(update={"volumes": source.volumes[:2]}) for name, source in study.sources.items()}
    assert not entry.applies(without(study, sources=few))


def test_the_snakefile_gets_each_figures_tables_and_words():
    plan = wiring.Plan("config/doit.yaml")
    for name, entry in FIGURES.items():
        wildcards = SimpleNamespace(figure=name)
        tables = [path.rpartition("/")[2].removesuffix(".parquet") for path in plan.figure_tables(wildcards)]
        assert set(tables) <= set(WRITTEN)
        assert set(entry.tables) & set(WRITTEN) <= set(tables)
        assert plan.figure_labels(wildcards) == {"figure": entry.title}
        assert plan.figure_category(wildcards)
        assert plan.captions()[name].endswith(".")
    assert plan.figures() == [f"results/doit/figures/{name}.svg" for name in names(plan.study)]


def test_params_carry_their_names_so_that_equal_values_are_told_apart():
    # Snakemake compares params as a set of values: layers going from 2 to 4 beside heads=4 would plan nothing.
    two = columns({"m": {"layers": 2, "heads": 4}}, lambda wc: "m")
    four = columns({"m": {"layers": 4, "heads": 4}}, lambda wc: "m")
    assert {column(None) for column in two.values()} != {column(None) for column in four.values()}
    assert two["layers"](None) == "layers=2"


def test_a_new_name_with_a_setting_of_its_own_changes_no_other():
    def values(settings):
        return {column("old") for column in columns(settings, lambda wc: wc).values()}

    old = {"code_version": 1, "volume": 4}
    assert values({"old": old}) == values({"old": old, "new": old | {"mix_total": 8}})
