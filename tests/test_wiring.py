"""What the Snakefile takes from growthpace without importing it heavily."""

from growthpace import wiring
from growthpace.figures import panels


def test_the_planned_figures_are_those_that_can_be_drawn():
    assert tuple(panels.FIGURES) == wiring.FIGURES


def test_params_carry_their_names_so_that_equal_values_are_told_apart():
    # Snakemake compares params as a set of values: layers going from 2 to 4 beside heads=4 would plan nothing.
    two = wiring._columns({"m": {"layers": 2, "heads": 4}}, lambda wc: "m")
    four = wiring._columns({"m": {"layers": 4, "heads": 4}}, lambda wc: "m")
    assert {column(None) for column in two.values()} != {column(None) for column in four.values()}
    assert two["layers"](None) == "layers=2"
