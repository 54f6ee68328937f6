"""The study file: every fault is one line that names the key, the value and what is allowed."""

import subprocess
import sys

import pytest

from growthpace.errors import InputError
from growthpace.study import GENERAL, Palette, load_study
from small_study import CONTENT, LLAMA, NO_SUCH_KEY, WORLD, changed, load_small, study_of, write_study

ALL_TEXT = {"importer": "doit", "folder": "items", "files": "synthetic.json"}
HUB = {"importer": "hub_dataset", "name": "someone/quiz", "split": "train"}


def faults(tmp_path, path, value):
    """The lines of the error that a changed study gives, without the file's name."""
    config = write_study(tmp_path, changed(path, value))
    with pytest.raises(InputError) as caught:
        load_study(config)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{config}: ") for line in lines)
    return [line.removeprefix(f"{config}: ") for line in lines]


def test_a_sound_study_is_read(tmp_path):
    study = load_small(tmp_path)
    assert study.training.betas == (0.9, 0.95)
    assert study.sources["curated"].items.folder == tmp_path / "items"
    assert study.training.save_minutes == 30


@pytest.mark.parametrize(("path", "value", "message"), [
    # a key that nobody knows, however deep
    ("lerning_rate", 1, "lerning_rate: unknown key (allowed: study, description, abilities, seeds, format, models, "
     "sources, mixes, untuned, training, suites, selection, analysis, figures, keep_checkpoints, threads, microworld, "
     "judge, audit, transfer)"),
    ("figures.colums", 3,
     "figures.colums: unknown key (did you mean columns? allowed: palette, style, panel_width, columns)"),
    ("models.s.folders", "x",
     "models.s.folders: unknown key "
     "(did you mean folder? allowed: hub, revision, folder, initialise, parameters, processes, prediction_gpus, "
     "method, lora, trust_remote_code)"),
    ("sources.curated.items.file", "x", "sources.curated.items.file: unknown key (did you mean files? "
     "allowed: folder, hub, revision, files, importer)"),
    ("models.s", {"initialise": LLAMA | {"pretraining": LLAMA["pretraining"] | {"step": 3}}},
     "models.s.initialise.pretraining.step: unknown key (did you mean steps? "
     "allowed: steps, batch_size, learning_rate, seed)"),
    # a value of the wrong kind, or out of range
    ("training.epochs", "ten", "training.epochs: found 'ten', allowed: a whole number from 1"),
    ("training.epochs", 0, "training.epochs: found 0, allowed: a whole number from 1"),
    ("training.epochs", 1.5, "training.epochs: found 1.5, allowed: a whole number from 1"),
    ("training.epochs", True, "training.epochs: found true, allowed: a whole number from 1"),
    ("training.epochs", None, "training.epochs: found nothing, allowed: a whole number from 1"),
    ("training.learning_rate", float("inf"), "training.learning_rate: found inf, allowed: a number above 0"),
    ("training.learning_rate", float("nan"), "training.learning_rate: found nan, allowed: a number above 0"),
    ("training.betas", [0.9, 2], "training.betas[2]: found 2, allowed: a number from 0 to 1"),
    ("training.betas", [0.9], "training.betas[2]: missing (allowed: a number from 0 to 1)"),
    ("training.precision", "fp8", "training.precision: found 'fp8', allowed: fp32, bf16, fp16"),
    ("untuned", "yes", "untuned: found 'yes', allowed: true or false"),
    ("study", 2024, "study: found 2024, allowed: a text of up to 64 lower-case letters, digits and _ - "
     "(a letter or digit first); put it in quotes"),
    ("abilities", "biology", "abilities: found 'biology', allowed: a list, not empty (each a text of up to 64 "
     "lower-case letters, digits and _ (a letter first))"),
    ("abilities", ["biology", "World History"], "abilities[2]: found 'World History', allowed: a text of up to 64 "
     "lower-case letters, digits and _ (a letter first)"),
    ("models", {7: {"hub": "a/b"}}, "models: found the name 7, allowed: a text of up to 64 letters, digits and . _ - "
     "(a letter or digit first); put it in quotes"),
    ("models", {}, "models: found an empty section, allowed: a section of names, not empty"),
    ("selection", 5, "selection: found 5, allowed: a section with the keys suite, first_epoch, rule"),
    ("figures.palette", "colourblind", f"figures.palette: found 'colourblind', allowed: {', '.join(Palette.__args__)}"),
    # missing
    ("training.precision", NO_SUCH_KEY, "training.precision: missing (allowed: fp32, bf16, fp16)"),
    ("seeds", [], "seeds: found [], allowed: a list, not empty (each a whole number from 0)"),
    ("sources.curated.items.importer", NO_SUCH_KEY,
     "sources.curated.items.importer: missing (allowed: doit, alpaca, chat, hub_dataset, benchmark, public, "
     "microworld, synthetic)"),
    ("sources.curated.items.importer", "csv",
     "sources.curated.items.importer: found 'csv', allowed: doit, alpaca, chat, hub_dataset, benchmark, public, "
     "microworld, synthetic"),
    ("sources.curated.items", 3, "sources.curated.items: found 3, allowed: a section with importer: "
     "doit, alpaca, chat, hub_dataset, benchmark, public, microworld, synthetic"),
    ("models.s", {}, "models.s: found none, allowed: exactly one of hub, folder, initialise"),
    ("models.s", {"hub": "a/b", "folder": "c"},
     "models.s: found hub and folder, allowed: exactly one of hub, folder, initialise"),
    # one of several kinds: one line, of what fits best
    ("suites.test.epochs", "best", "suites.test.epochs: found 'best', allowed: all, selectable, selected or "
     "a list, not empty (each a whole number from 1)"),
    ("suites.test.epochs", [1, 0], "suites.test.epochs[2]: found 0, allowed: a whole number from 1"),
    ("suites.test.paper_compatible", True,
     "suites.test: paper_compatible needs texts, but answers: logprob makes none (allowed: text, both)"),
    ("models.s", {"initialise": LLAMA | {"corpus": "wiki"}},
     "models.s.initialise.corpus: found 'wiki', allowed: microworld or a list, not empty (each a path)"),
    ("sources.curated.items.files", 3, "sources.curated.items.files: found 3, allowed: a text or a section of names"),
    ("sources.curated.items.files", {"biology": 3, "history": "h.json"},
     "sources.curated.items.files.biology: found 3, allowed: a text or a list, not empty (each a text)"),
    ("mixes.uneven.shares.biology", "some",
     "mixes.uneven.shares.biology: found 'some', allowed: a whole number from 1 or all"),
    # given twice
    ("seeds", [1, 1], "seeds: 1 is given twice"),
    ("abilities", ["biology", "biology"], "abilities: 'biology' is given twice"),
    ("sources.curated.volumes", [4, 4], "sources.curated.volumes: 4 is given twice"),
    ("sources.synthetic.models", ["s", "s"], "sources.synthetic.models: 's' is given twice"),
    ("sources.curated.items.files", {"biology": ["a", "a"], "history": "b"},
     "sources.curated.items.files.biology: 'a' is given twice"),
    ("sources.curated.items.files", {"biology": "a", "history": "a"},
     "sources.curated.items.files.history: 'a' is given for biology already"),
    # volumes that cannot be shared
    ("sources.curated.volumes", [4, 15, 16], "sources.curated.volumes: 15 cannot be shared equally by 2 abilities "
     "(allowed: multiples of 2, nearest: 14, 16)"),
    ("sources.curated.volumes", [1, 4, 16], "sources.curated.volumes: 1 cannot be shared equally by 2 abilities "
     "(allowed: multiples of 2, nearest: 2)"),
    # names that mean nothing
    ("sources.curated.models", ["x"], "sources.curated.models: 'x' is no model of this study (allowed: s, m)"),
    ("sources.curated.models", [], "sources.curated.models: found [], allowed: a list, not empty "
     "(each a text of up to 64 letters, digits and . _ - (a letter or digit first))"),
    ("mixes.uneven.shares", {"art": 2},
     "mixes.uneven.shares: 'art' is no ability of this study (allowed: biology, history)"),
    ("mixes.uneven.source", "human", "mixes.uneven.source: 'human' is no source of this study "
     "(allowed: curated, synthetic)"),
    ("mixes.uneven.add", {"human": 2}, "mixes.uneven.add: 'human' is no source of this study "
     "(allowed: curated, synthetic)"),
    ("mixes.baseline.same_as", "curated-17", "mixes.baseline.same_as: 'curated-17' is no dataset of this study "
     "(allowed: curated-16, curated-4, synthetic-16, synthetic-4)"),
    ("mixes.curated-4", {"same_as": "curated-16"},
     "mixes.curated-4: this name already means a dataset of the grid (allowed: any other name)"),
    ("mixes.untuned", {"same_as": "curated-16"}, "mixes: 'untuned' is reserved for the base models themselves"),
    ("selection.suite", "vld", "selection.suite: 'vld' is no suite of this study (allowed: valid, test)"),
    ("training.epochs_by_volume", {99: 6},
     "training.epochs_by_volume: 99 is no volume of this study (allowed: 4, 16)"),
    ("selection.first_epoch", 6, "selection.first_epoch: 6 is beyond the last epoch (allowed: 1 to 5)"),
    # mixes that make no sense
    ("mixes.uneven", {"source": "synthetic", "rest": "all"}, "mixes.uneven.source: 'synthetic' is not labelled by "
     "ability, so it has no shares (allowed: curated)"),
    ("mixes.uneven", {"source": "curated", "rest": "uniform"},
     "mixes.uneven: total missing: rest: uniform divides what shares leave of it"),
    ("mixes.uneven", {}, "mixes.uneven: source and rest missing: a mix has source and rest (uniform, all or none), "
     "or same_as alone"),
    ("mixes.uneven", {"source": "curated", "rest": "none"},
     "mixes.uneven.rest: none, without shares, makes an empty mix (allowed: uniform, all, or shares)"),
    ("mixes.uneven", {"source": "curated", "rest": "uniform", "total": 3, "shares": {"biology": 4}},
     "mixes.uneven.total: 3 is below the shares' sum (allowed: 4 or more)"),
    ("mixes.uneven", {"source": "curated", "rest": "all", "add": {"curated": 4}},
     "mixes.uneven.add: 'curated' is the mix's own source, of which shares are set (allowed: synthetic)"),
    # what must not be
    ("analysis.suite", "valid", "analysis.suite: epochs are selected on 'valid', so its scores would be too good "
     "(allowed: test)"),
    ("suites.valid.epochs", "selected", "suites.valid.epochs: 'selected', but epochs are chosen on this suite "
     "(allowed: all, selectable)"),
    ("suites.test.epochs", [1, 5], "suites.test.epochs: [1, 5], but the analysis is of the chosen epoch on this suite "
     "(allowed: selected, selectable, all)"),
    ("sources.curated.items.files", "all.json", "sources.curated.items.files: 'all.json' (allowed: a path with "
     "{ability} in it, or paths for each ability)"),
    ("sources.synthetic.items.files", "{ability}.json", "sources.synthetic.items.files: '{ability}.json', but the "
     "source is not labelled (allowed: a path without {ability})"),
    ("sources.curated.items.files", {"biology": "b.json"}, "sources.curated.items.files: no file for the ability "
     "'history'"),
    ("training.learning_rate_floor", 1.0,
     "training: learning_rate_floor 1.0 is above learning_rate (allowed: up to 0.001)"),
    ("training.microbatch_tokens", 95,
     "training: microbatch_tokens 95 is below max_length 96: the longest item would not fit"),
    ("models.s", {"initialise": LLAMA | {"heads": 3}}, "models.s.initialise: heads 3 does not divide hidden_size 32"),
    ("models.s", {"initialise": LLAMA}, "microworld: missing, but a source, a suite or a model of this study is made "
     "from it"),
    # columns of a dataset
    ("sources.curated.items", HUB | {"columns": {"messages": "m"}}, "sources.curated.items.columns: ability missing "
     "(allowed: the column of a labelled source that holds the ability)"),
    ("sources.curated.items", HUB | {"columns": {"instruction": "m", "ability": "a"}}, "sources.curated.items: "
     "columns: found instruction, ability, allowed: messages, or instruction and output (and input)"),
    ("sources.curated.items", HUB | {"columns": {"prompt": "m"}}, "sources.curated.items.columns: found the name "
     "'prompt', allowed: messages, instruction, input, output, ability, id"),
])  # fmt: skip
def test_a_fault_is_one_clear_line(tmp_path, path, value, message):
    assert faults(tmp_path, path, value) == [message]


@pytest.mark.parametrize(("path", "value", "message"), [
    ("models.s", {"folder": "x", "revision": "main"},
     "models.s: revision 'main' would have no effect: it goes with hub alone"),
    ("sources.curated.items.revision", "main",
     "sources.curated.items: revision 'main' would have no effect: it goes with hub, not with folder"),
    ("sources.curated.items", HUB | {"columns": {"messages": "m", "input": "i", "ability": "a"}},
     "sources.curated.items: columns: messages holds whole conversations, so input would have no effect"),
    ("sources.synthetic.items", HUB | {"columns": {"messages": "m", "ability": "a"}},
     "sources.synthetic.items.columns.ability: would have no effect, the source is not labelled"),
    ("mixes.baseline.total", 4, "mixes.baseline: same_as names a dataset as it is; total would have no effect"),
    ("mixes.uneven.total", 4, "mixes.uneven: total 4 would have no effect with rest: all (allowed: rest: uniform)"),
    ("mixes.uneven.shares", {"biology": 2, "history": 2},
     "mixes.uneven.rest: all would have no effect, every ability has a share (allowed: none)"),
    ("training.epochs_by_volume", {4: 5},
     "training: epochs_by_volume: 4: 5 would have no effect, it is what epochs says"),
    ("selection.rule", "last", "selection: first_epoch 3 would have no effect with rule: last"),
    ("sources.synthetic.volumes", [],
     "sources.synthetic: models would have no effect: there are no volumes to sweep them over"),
    ("sources.extra", {"items": ALL_TEXT, "labelled": False, "volumes": []},
     "sources.extra: would have no effect, it has no volumes and no mix draws from it"),
    ("microworld", WORLD, "microworld: would have no effect, no source, suite or model of this study is made from it"),
])  # fmt: skip
def test_an_option_without_effect_is_an_error(tmp_path, path, value, message):
    assert faults(tmp_path, path, value) == [message]


def test_a_model_that_nothing_uses_is_an_error(tmp_path):
    content = changed("untuned", False)
    content["sources"]["curated"]["models"] = ["s"]
    del content["mixes"]
    with pytest.raises(InputError, match=r"models\.m: would have no effect, no source or mix is trained on it"):
        load_study(write_study(tmp_path, content))


@pytest.mark.parametrize(("section", "kind", "message"), [
    ("sources.curated", "test", "'test' cannot be trained on here (allowed: curated, or synthetic with"),
    ("sources.synthetic", "curated", "'curated' cannot be trained on here"),
    ("suites.test", "curated", "'curated' are items to train on (allowed: valid, test, out_of_domain)"),
])  # fmt: skip
def test_kinds_of_the_microworld_keep_to_their_use(tmp_path, section, kind, message):
    content = changed("microworld", WORLD)
    content = changed(f"{section}.items", {"importer": "microworld", "kind": kind}, content)
    with pytest.raises(InputError) as caught:
        load_study(write_study(tmp_path, content))
    assert f"{section}.items.kind: {message}" in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path):
    content = changed("training.epochs", 0)
    content["figures"]["columns"] = "four"
    content["study"] = "Small"
    with pytest.raises(InputError) as caught:
        load_study(write_study(tmp_path, content))
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "study",
        "training.epochs",
        "figures.columns",
    ]


def test_a_name_like_an_importer_stays_in_the_key(tmp_path):
    """Pydantic puts the importer's name into the place of a fault; a source may be called the same."""
    source = CONTENT["sources"]["synthetic"]
    assert faults(tmp_path, "sources.chat", source | {"volumes": [0]}) == [
        "sources.chat.volumes[1]: found 0, allowed: a whole number from 1"
    ]


# --- YAML ------------------------------------------------------------------------------------------------------------


def written(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("text", "message"), [
    ("study: a\nseeds: [1]\nstudy: b\n", "line 3, column 1: the key 'study' is given twice"),
    ("training: {epochs: 1,\n  epochs: 2}\n", "line 2, column 3: the key 'epochs' is given twice"),
    ("study: [1\n", "line 2, column 1: expected ',' or ']', but got '<stream end>'"),
    ("? [a, b]\n: 1\n", "line 1, column 3: a key must be one word"),
    ("study: !!python/name:os.system\n", "could not determine a constructor for the tag"),
    (b"study: a\nx: \xff\n", "line 2: not UTF-8 at byte 13 of the file"),
    ("study: \x01\n", "unacceptable character #x0001"),
    ("", "empty"),
    ("- a\n", "found ['a'], expected a mapping of keys to values"),
])  # fmt: skip
def test_yaml_that_cannot_be_read(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.yaml: no such file"):
        load_study(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match="is a folder, expected a config file"):
        load_study(tmp_path)


def test_a_number_with_an_exponent_alone_is_a_number(tmp_path):
    path = write_study(tmp_path)
    text = path.read_text().replace("learning_rate: 0.001", "learning_rate: 1e-3").replace("1.0e-08", "1E-8")
    assert "1e-3" in text
    assert "1E-8" in text
    study = load_study(written(tmp_path, text))
    assert (study.training.learning_rate, study.training.epsilon) == (1e-3, 1e-8)


def test_a_merged_key_may_be_overridden(tmp_path):
    text = write_study(tmp_path).read_text().replace("  test:\n", "  test: &test\n")
    text = text.replace("selection:\n", "  more:\n    <<: *test\n    max_new_tokens: 3\nselection:\n")
    assert load_study(written(tmp_path, text)).suites["more"].max_new_tokens == 3


# --- paths -----------------------------------------------------------------------------------------------------------


def test_paths_are_relative_to_the_config_file(tmp_path, monkeypatch):
    folder = tmp_path / "config"
    folder.mkdir()
    content = changed("models.s", {"initialise": LLAMA | {"corpus": ["../corpus.txt"]}})
    content["models"]["m"] = {"folder": "weights"}
    write_study(folder, content)
    monkeypatch.chdir(tmp_path)
    study = load_study("config/study.yaml")
    assert study.sources["curated"].items.folder == folder / "items"
    assert study.models["m"].folder == folder / "weights"
    assert study.models["s"].initialise.corpus == [tmp_path / "corpus.txt"]
    moved = load_study(write_study(folder, changed("suites.test.items.folder", "/data")))
    assert str(moved.suites["test"].items.folder) == "/data"


def test_a_local_folder_of_a_hub_dataset_is_relative_to_the_config_file(tmp_path):
    content = changed("sources.synthetic.items", HUB | {"columns": {"messages": "m"}})
    items = load_study(write_study(tmp_path, content)).sources["synthetic"].items
    assert (items.name, items.folder) == ("someone/quiz", None)  # no such folder: a name on the hub
    (tmp_path / "someone/quiz").mkdir(parents=True)
    items = load_study(write_study(tmp_path, content)).sources["synthetic"].items
    assert items.folder == tmp_path / "someone/quiz"
    content["sources"]["synthetic"]["items"]["name"] = "./nothing"  # plainly a folder, there or not
    assert load_study(write_study(tmp_path, content)).sources["synthetic"].items.folder == tmp_path / "nothing"
    content["sources"]["synthetic"]["items"]["revision"] = "main"
    with pytest.raises(
        InputError, match=r"sources\.synthetic\.items\.revision: 'main' would have no effect, .*/nothing is"
    ):
        load_study(write_study(tmp_path, content))


def test_the_study_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        study_of().study = "other"


def test_general_is_no_ability(tmp_path):
    assert faults(tmp_path, "abilities", [GENERAL]) == [
        "abilities: 'general' is reserved for items of sources that are not labelled by ability"
    ]


def test_seaborn_knows_every_palette():
    """In a process of its own: seaborn takes a second and these tests need no other figure."""
    command = f"import seaborn\nfor name in {Palette.__args__!r}: assert len(seaborn.color_palette(name, 3)) == 3"
    subprocess.run([sys.executable, "-c", command], check=True)


def test_reading_a_study_imports_nothing_heavy(tmp_path):
    command = f"""import sys
from growthpace.study import load_study
load_study({str(write_study(tmp_path))!r})
heavy = {{"torch", "pandas", "transformers", "pyarrow", "snakemake"}} & set(sys.modules)
assert not heavy, heavy"""
    subprocess.run([sys.executable, "-c", command], check=True)
