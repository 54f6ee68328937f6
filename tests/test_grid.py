"""What a study consists of, and that each stage's settings hold what changes its result and nothing else."""

import pytest

from growthpace.errors import InputError
from growthpace.files import fingerprint
from growthpace.grid import SELECTED, WORLD_USES, Grid, Run
from growthpace.paths import Paths
from growthpace.study import UNTUNED, load_study
from small_study import CONTENT, LLAMA, NO_SUCH_KEY, WORLD, changed, study_of, write_study

# The paper's grid (paper.md): three sizes on curated data, two on synthetic data, and five mixes at 7b.
PAPER = changed("models", {size: {"hub": f"someone/{size}"} for size in ("7b", "13b", "33b")})
PAPER |= {
    "abilities": [
        "biology", "history", "code", "creative_writing", "chinese", "understanding", "role_play", "reasoning", "math",
        "ethics",
    ],
    "seeds": [42],
    "untuned": False,
}  # fmt: skip
PAPER["sources"]["curated"]["volumes"] = [10, 40, 160, 640, 2560, 10000]
PAPER["sources"]["synthetic"] |= {"volumes": [10, 40, 160, 640, 2560, 10000, 40960], "models": ["7b", "13b"]}
CAPS = {"ethics": 64, "role_play": 64, "creative_writing": 1000}
PAPER["mixes"] = {
    "baseline": {"same_as": "curated-10000", "models": ["7b"]},
    "reconstruct": {
        "source": "curated",
        "total": 10000,
        "shares": CAPS | {"biology": "all"},
        "rest": "uniform",
        "models": ["7b"],
    },
    "maximum": {"source": "curated", "shares": CAPS, "rest": "all", "models": ["7b"]},
}
for number in (2560, 40960):
    PAPER["mixes"][f"maximum-synthetic-{number}"] = PAPER["mixes"]["maximum"] | {"add": {"synthetic": number}}
PAPER["training"] |= {"epochs": 15, "epochs_by_volume": {}}
PAPER["selection"] |= {"first_epoch": 5}


def grid_of(path=None, value=None, content=CONTENT):
    return Grid(study_of(changed(path, value, content) if path else content))


# --- runs and evaluations --------------------------------------------------------------------------------------------


def test_the_papers_grid_has_its_32_settings_and_four_mixes_more():
    grid = grid_of(content=PAPER)
    swept = [run for run in grid.runs if grid.dataset_of(run).kind == "grid"]
    assert len(swept) == 32
    assert sum(map(grid.epochs, swept)) == 480
    assert len(grid.runs) == 36  # the fifth mix, baseline, is curated-10000
    assert {run.model for run in grid.runs if grid.dataset_of(run).kind == "mix"} == {"7b"}
    assert len(set(grid.runs)) == len(grid.runs)


def test_a_dataset_with_two_names_is_trained_once():
    grid = grid_of()
    assert grid.aliases == {"baseline": "curated-16"}
    assert "baseline" not in grid.datasets
    assert [str(run) for run in grid.runs] == [
        f"{model}/{dataset}/seed-{seed}"
        for model, dataset in [
            ("s", "curated-4"),
            ("s", "curated-16"),
            ("m", "curated-4"),
            ("m", "curated-16"),
            ("s", "synthetic-4"),
            ("s", "synthetic-16"),
            ("m", "uneven"),
        ]
        for seed in (1, 2)
    ]


def test_an_alias_trains_where_its_dataset_would_not_be():
    grid = grid_of("mixes.baseline", {"same_as": "synthetic-16", "models": ["m"]})
    assert Run("m", "synthetic-16", 1) in grid.runs
    assert Run("m", "synthetic-4", 1) not in grid.runs


def test_adding_a_volume_adds_only_its_runs():
    before, after = grid_of(), grid_of("sources.curated.volumes", [4, 8, 16])
    assert set(after.runs) - set(before.runs) == {Run(m, "curated-8", s) for m in ("s", "m") for s in (1, 2)}
    assert set(before.runs) <= set(after.runs)
    for run in before.runs:
        assert before.run_settings(run) == after.run_settings(run)
        assert before.dataset_settings(run.dataset, run.seed) == after.dataset_settings(run.dataset, run.seed)


def test_epochs_follow_the_volume():
    grid = grid_of()
    assert grid.epochs(Run("s", "curated-4", 1)) == 7
    assert grid.epochs(Run("s", "curated-16", 1)) == 5
    assert grid.epochs(Run("m", "uneven", 1)) == 5  # its volume is not known before its pools are
    assert grid.epochs(Run("m", UNTUNED, 0)) == 0
    assert grid.candidates(Run("s", "curated-4", 1)) == [3, 4, 5, 6, 7]
    assert grid.candidates(Run("s", "curated-16", 1)) == [3, 4, 5]


@pytest.mark.parametrize(("mix", "volume"), [
    ({"source": "curated", "rest": "uniform", "total": 12}, 12),
    ({"source": "curated", "rest": "uniform", "total": 12, "shares": {"biology": "all"}, "add": {"synthetic": 3}}, 15),
    ({"source": "curated", "rest": "none", "shares": {"biology": 5}, "add": {"synthetic": 2}}, 7),
    ({"source": "curated", "rest": "none", "shares": {"biology": "all"}}, None),
    ({"source": "curated", "rest": "all", "shares": {"biology": 5}}, None),
])  # fmt: skip
def test_the_volume_of_a_mix(mix, volume):
    grid = grid_of("mixes.uneven", mix)
    assert grid.datasets["uneven"].volume == volume
    if volume:  # and its epochs can be set by it
        content = changed("mixes.uneven", mix)
        content["training"]["epochs_by_volume"] = {volume: 9}
        assert grid_of(content=content).epochs(Run("s", "uneven", 1)) == 9


def test_evaluations_per_suite():
    run = Run("s", "curated-16", 1)
    grid = grid_of()
    assert grid.evaluations(run) == [("valid", 3), ("valid", 4), ("valid", 5), ("test", SELECTED)]
    assert grid.evaluations(Run("s", UNTUNED, 0)) == [("valid", 0), ("test", 0)]
    extra = CONTENT["suites"]["test"]
    assert grid_of("suites.extra", extra | {"epochs": [5, 1]}).evaluations(run)[4:] == [("extra", 1), ("extra", 5)]
    assert grid_of("suites.extra", extra | {"epochs": "all"}).evaluations(run)[4:] == [
        ("extra", n) for n in range(1, 6)
    ]


def test_the_rule_last_evaluates_the_last_epoch_alone():
    grid = grid_of("selection", {"suite": "valid", "rule": "last"})
    assert grid.candidates(Run("s", "curated-4", 1)) == [7]


def test_untuned_models_are_evaluated_where_wanted():
    assert grid_of().untuned_runs == [Run("s", UNTUNED, 0), Run("m", UNTUNED, 0)]
    assert grid_of("untuned", False).untuned_runs == []


def test_a_run_is_found_by_its_name():
    grid = grid_of()
    assert grid.run("m/uneven/seed-2") == Run("m", "uneven", 2)
    assert grid.run("m/untuned/seed-0") == Run("m", UNTUNED, 0)
    with pytest.raises(InputError, match=r"'s/baseline/seed-1' is no run of the study small \(runs are such as s/cur"):
        grid.run("s/baseline/seed-1")


def test_paths_are_all_different():
    grid, paths = grid_of(), Paths("small")
    found = [paths.prediction(run, *e) for run in [*grid.runs, *grid.untuned_runs] for e in grid.evaluations(run)]
    assert len(set(found)) == len(found)
    assert str(found[0]) == "results/small/predictions/s/curated-4/seed-1/epoch-3/valid.parquet"
    assert paths.weights(Run("s", UNTUNED, 0), 0) == paths.model("s")


# --- what each result depends on -------------------------------------------------------------------------------------


def settings_of(content):
    """{what: the settings it depends on} of a whole study, by name."""
    study = study_of(content)
    grid = Grid(study)
    found = {f"pool {source}": grid.pool_settings(source) for source in study.sources}
    found |= {f"suite {suite}": grid.suite_settings(suite) for suite in study.suites}
    found |= {f"dataset {d} {s}": grid.dataset_settings(d, s) for d in grid.datasets for s in study.seeds}
    found |= {f"model {model}": grid.model_settings(model) for model in study.models}
    found |= {f"run {run}": grid.run_settings(run) for run in grid.runs}
    found |= {f"predict {suite}": grid.prediction_settings(suite) for suite in study.suites}
    return found | {"grade": grid.grading_settings()}


def affected(path, value, content=CONTENT):
    """What a changed study shares with the old one, but with other settings."""
    old, new = settings_of(content), settings_of(changed(path, value, content))
    return {what for what in old.keys() & new.keys() if fingerprint(old[what]) != fingerprint(new[what])}


ALL = settings_of(CONTENT)
RUNS = {what for what in ALL if what.startswith("run ")}
PREDICTIONS = {"predict valid", "predict test"}
MODELS = {"model s", "model m"}


@pytest.mark.parametrize(("path", "value"), [
    ("description", "another"),
    ("figures.palette", "deep"),
    ("figures.columns", 2),
    ("analysis.margin", 3.0),
    ("analysis.confidence", 0.9),
    ("selection.first_epoch", 2),
    ("selection", {"suite": "valid", "rule": "last"}),
    ("keep_checkpoints", "all"),
    ("untuned", False),
    ("training.save_minutes", 5),
    ("sources.synthetic.models", ["m", "s"]),
    ("sources.curated.models", ["m"]),
    ("mixes.uneven.models", NO_SUCH_KEY),
    ("mixes.baseline", NO_SUCH_KEY),
    ("sources.curated.volumes", [4, 8, 16]),
    ("sources.curated.items.folder", "elsewhere"),
    ("suites.test.items.folder", "/elsewhere"),
    ("suites.test.epochs", "all"),
    ("seeds", [1, 2, 3]),
    ("study", "renamed"),
])  # fmt: skip
def test_what_changes_no_result_changes_no_settings(path, value):
    assert affected(path, value) == set()


def test_grading_as_the_papers_code_did_needs_the_last_step_of_its_suite():
    found = affected("suites.test.paper_compatible", True, changed("suites.test.answers", "both"))
    assert found == {"grade", "predict test"}


@pytest.mark.parametrize(("path", "value"), [
    ("training.learning_rate", 2e-3),
    ("training.learning_rate_floor", 0.0),
    ("training.batch_size", 8),
    ("training.warmup_steps", 1),
    ("training.betas", [0.9, 0.99]),
    ("training.epsilon", 1e-6),
    ("training.weight_decay", 0.0),
    ("training.max_grad_norm", 2.0),
    ("training.max_length", 64),
    ("training.overlong", "drop"),
    ("training.precision", "bf16"),
    ("training.gradient_checkpointing", True),
    ("training.microbatch_tokens", 512),
])  # fmt: skip
def test_the_recipe_changes_every_run_and_nothing_else(path, value):
    assert affected(path, value) == RUNS


@pytest.mark.parametrize(("path", "value", "what"), [
    ("training.epochs", 6, {run for run in RUNS if "-4/" not in run}),
    ("training.epochs_by_volume", {4: 8}, {run for run in RUNS if "-4/" in run}),
    ("training.epochs_by_volume", {}, {run for run in RUNS if "-4/" in run}),
    ("format", "chat_template", RUNS | PREDICTIONS | MODELS),
    ("threads", 2, RUNS | PREDICTIONS),
    ("models.s.hub", "someone/other", {"model s"}),
    ("models.m.revision", "v2", {"model m"}),
    ("suites.test.max_new_tokens", 9, {"predict test"}),
    ("suites.test.items.files", "test/new/{ability}.json", {"suite test"}),
    ("sources.synthetic.items.files", "more.json", {"pool synthetic"}),
    ("sources.curated.items.importer", "chat", {"pool curated"}),
    ("mixes.uneven.shares.biology", 3, {"dataset uneven 1", "dataset uneven 2"}),
    ("mixes.uneven.add.synthetic", 8, {"dataset uneven 1", "dataset uneven 2"}),
    ("abilities", ["history", "biology"], {"suite valid", "suite test"} | {
        what for what in ALL if what.startswith("dataset") and "synthetic" not in what}),
])  # fmt: skip
def test_a_setting_changes_what_depends_on_it(path, value, what):
    assert affected(path, value) == what


def test_seeds_and_volumes_tell_datasets_apart():
    found = [fingerprint(settings) for what, settings in ALL.items() if what.startswith("dataset")]
    assert len(set(found)) == len(found)


def test_a_folder_of_a_model_or_a_corpus_may_move(tmp_path):
    content = changed("models.s", {"initialise": LLAMA | {"corpus": ["here/corpus.txt"]}})
    content["models"]["m"] = {"folder": "weights"}
    moved = changed("models.s", {"initialise": LLAMA | {"corpus": ["there/corpus.txt"]}}, content)
    moved["models"]["m"] = {"folder": "/elsewhere/weights"}
    assert settings_of(content) == settings_of(moved)
    assert settings_of(content)["model s"]["initialise_corpus"] == ["corpus.txt"]


def test_a_local_hub_dataset_may_move(tmp_path):
    items = {"importer": "hub_dataset", "name": "./quiz", "split": "train", "columns": {"messages": "m"}}
    settings = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        grid = Grid(load_study(write_study(folder, changed("sources.synthetic.items", items))))
        settings.append(grid.pool_settings("synthetic"))
    assert settings[0] == settings[1]
    assert settings[0]["items_split"] == "train"
    assert str(tmp_path) not in str(settings)


# --- the microworld --------------------------------------------------------------------------------------------------

GENERATED = changed("microworld", WORLD)
GENERATED["models"]["m"] = {"initialise": LLAMA}
for section, kind in [
    (GENERATED["sources"]["curated"], "curated"),
    (GENERATED["sources"]["synthetic"], "synthetic"),
    (GENERATED["suites"]["valid"], "valid"),
]:
    section["items"] = {"importer": "microworld", "kind": kind}


@pytest.mark.parametrize(("path", "value", "what"), [
    ("microworld.seed", 1, {"pool curated", "pool synthetic", "suite valid", "model m"}),
    ("microworld.entities", 40, {"pool curated", "pool synthetic", "suite valid", "model m"}),
    ("microworld.documents_per_entity", 3, {"model m"}),
    ("microworld.train_items", 9, {"pool curated"}),
    ("microworld.synthetic_items", 13, {"pool synthetic"}),
    ("microworld.synthetic_error_rate", 0.5, {"pool synthetic"}),
    ("microworld.valid_items", 5, {"suite valid"}),
    ("microworld.test_items", 7, set()),  # the test suite is of files
    ("models.m.initialise.layers", 3, {"model m"}),
    ("models.m.initialise.pretraining.steps", 30, {"model m"}),
    ("models.m.initialise.tie_embeddings", False, {"model m"}),
    ("threads", 2, RUNS | PREDICTIONS | {"model m"}),
])  # fmt: skip
def test_the_microworlds_settings(path, value, what):
    assert affected(path, value, GENERATED) == what


def test_each_use_of_the_microworld_depends_on_what_is_said():
    """The table `WORLD_USES` against the generator: a key changes a use if, and only if, it is listed for it."""
    from growthpace import microworld
    from growthpace.study import Microworld

    def made(settings):
        kinds = {kind: ["biology"] for kind in ("curated", "valid", "test", "synthetic")}
        kinds["out_of_domain"] = [microworld.OUT_OF_DOMAIN[0]]
        found = {kind: microworld.items(settings, kind, abilities) for kind, abilities in kinds.items()}
        return found | {"corpus": (microworld.corpus(settings), microworld.words(settings))}

    old = made(Microworld(**WORLD))
    for key, value in WORLD.items():
        more = {"synthetic_error_rate": 0.25, "entities": 30}.get(key, 1)
        new = made(Microworld(**WORLD | {key: value + more}))
        for use in WORLD_USES:
            listed = key in ("seed", "entities", *WORLD_USES[use])
            assert (old[use] != new[use]) == listed, (use, key)
