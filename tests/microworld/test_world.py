"""The microworld: the same bytes again, knowledge that the corpus really holds, and its word list."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from growthpace.errors import InputError
from growthpace.microworld import ABILITIES, OUT_OF_DOMAIN, corpus, items, words
from growthpace.microworld.statements import MASTER_STATEMENTS, STATEMENTS, SWIM_STATEMENTS
from growthpace.microworld.world import ADDENDS, GOOD_DEEDS, LETTERS, SWIMMING_HOMES, VALUES, all_names, world
from growthpace.study import Microworld

KINDS = ("curated", "synthetic", "valid", "test", "out_of_domain")


def small_world(**changes) -> Microworld:
    settings = {
        "seed": 7, "entities": 24, "documents_per_entity": 4, "train_items": 16, "synthetic_items": 80,
        "synthetic_error_rate": 0.2, "valid_items": 8, "test_items": 24,
    }  # fmt: skip
    return Microworld(**{**settings, **changes})


def everything(settings: Microworld) -> str:
    made = [items(settings, kind, OUT_OF_DOMAIN if kind == "out_of_domain" else ABILITIES) for kind in KINDS]
    told = [corpus(settings), words(settings), [[asdict(item) for item in kind] for kind in made]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def test_same_settings_same_bytes_in_another_process():
    settings = small_world()
    script = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "from test_world import everything, small_world; print(everything(small_world()))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    again = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == everything(settings)


def test_another_seed_is_another_world():
    assert corpus(small_world()) != corpus(small_world(seed=8))


@pytest.mark.parametrize("entities", [10, 24, 80])
@pytest.mark.parametrize("documents", [2, 12])
def test_every_fact_is_in_the_corpus(entities, documents):
    settings = small_world(entities=entities, documents_per_entity=documents)
    there, told = world(settings), "\n" + "\n".join(corpus(settings)) + "\n"

    def said(forms, **fields):
        return any(form.format(**fields) in told for form in forms)

    for entity, name in enumerate(there.names):
        good = "good" if there.good(entity) else "bad"
        for attribute, forms in STATEMENTS.items():
            value = there.facts[attribute][entity]
            assert said(forms, n=name, v=value, good=good), (name, attribute)
            for other in set(VALUES[attribute]) - {value}:
                assert not said(forms, n=name, v=other, good=good), (name, attribute, other)
        assert said(MASTER_STATEMENTS, n=name, m=there.names[there.masters[entity]])
        can, cannot = (said(SWIM_STATEMENTS, n=name, can=can) for can in ("can", "can not"))
        stated = there.swimming_stated[entity]
        assert (can, cannot) == (stated and there.swims(entity), stated and not there.swims(entity))
    for home in VALUES["home"]:
        can, other = ("can", "can not") if home in SWIMMING_HOMES else ("can not", "can")
        assert said(("the {h} {can} swim",), h=home, can=can)
        assert not said(("the {h} {can} swim",), h=home, can=other)
    for deed in VALUES["deed"]:
        right = ("good", "bad")[deed not in GOOD_DEEDS]
        assert said(("to {d} is {good}", "it is {good} to {d}"), d=deed, good=right)
    for a in ADDENDS:
        for b in ADDENDS:
            assert f"{a} and {b} make {a + b} ." in told
    for letter, birth in zip(LETTERS, VALUES["birth"], strict=True):
        assert f"{letter} is the {birth} ." in told or f"the {birth} is {letter} ." in told


def test_documents_are_plain_lines_of_known_words():
    settings = small_world()
    known = set(words(settings))
    for document in corpus(settings):
        assert "\n" not in document
        assert document == " ".join(document.split())
        assert set(document.split()) <= known
        assert "?" not in document


@pytest.mark.parametrize("seed", [1, 2])
def test_words_cover_every_item_and_are_no_more_than_needed(seed):
    settings = small_world(seed=seed, entities=60, train_items=100, synthetic_items=300, test_items=60)
    used = {word for document in corpus(settings) for word in document.split()}
    for kind in KINDS:
        for item in items(settings, kind, OUT_OF_DOMAIN if kind == "out_of_domain" else ABILITIES):
            for text in [message.content for message in item.messages] + list(item.candidates) + [item.answer]:
                used |= set(text.split())
    assert used == set(words(settings))
    assert len(words(settings)) == len(set(words(settings))) < 250


def test_names_are_no_other_words():
    others = set(words(small_world())) - set(world(small_world()).names)
    assert len(set(all_names())) == 360
    assert not set(all_names()) & others


def test_values_are_dealt_evenly_within_a_split():
    there = world(small_world(entities=80))
    for values in there.facts.values():
        for members in there.split.values():
            counts = [sum(values[m] == value for m in members) for value in set(values)]
            assert max(counts) - min(counts) <= 1


def test_nobody_is_their_own_master():
    there = world(small_world(entities=10))
    assert all(master != entity for entity, master in enumerate(there.masters))


def test_worlds_that_cannot_be_are_refused_by_name():
    with pytest.raises(InputError, match=r"microworld\.entities: 361"):
        world(small_world(entities=361))
    with pytest.raises(InputError, match=r"microworld\.documents_per_entity: 1 "):
        world(small_world(documents_per_entity=1))
