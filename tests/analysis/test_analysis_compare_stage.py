"""The stage that sets sources side by side: all its tables, for a study that has it all and for one volume."""

import pytest
from made_up import item_grades

from growthpace.analysis.scores import read_frame, write_frame
from growthpace.analysis.stage import compare_sources
from growthpace.files import read_metadata
from growthpace.paths import Paths
from growthpace.versions import VERSIONS
from small_study import study_of

TABLES = ("comparisons", "equivalence", "crossings", "last_steps", "generalisation")


@pytest.mark.parametrize(
    "about",
    [
        {"outside": ("physician", "teacher"), "mixes": {"reconstruct": 2560}},
        {"seeds": (0,), "sources": ("curated",), "volumes": (40,), "untuned": False},
    ],
)
def test_every_table_is_written_and_the_same_again(tmp_path, monkeypatch, about):
    monkeypatch.chdir(tmp_path)
    study = study_of()
    paths = Paths(study)
    write_frame(paths.root / "analysis" / "item_grades.parquet", item_grades(items=30, **about), {})
    compare_sources(study, paths)
    files = {name: paths.root / "analysis" / f"{name}.parquet" for name in TABLES}
    before = {name: file.read_bytes() for name, file in files.items()}
    for file in files.values():
        assert read_metadata(file)["code_version"] == VERSIONS["compare"]
        assert read_frame(file).empty == ("outside" not in about)
    compare_sources(study, paths)
    assert before == {name: file.read_bytes() for name, file in files.items()}
