"""Real copies of benchmarks in their publishers' files are read whole."""

from collections import Counter

import pytest

from growthpace.data.importers import read_items_of
from growthpace.data.items import check_unique
from growthpace.study import BenchmarkItems

pytestmark = pytest.mark.real

AGIEVAL = {
    "aqua-rat": 254, "gaokao-biology": 210, "gaokao-chemistry": 207, "gaokao-chinese": 246, "gaokao-english": 306,
    "gaokao-geography": 199, "gaokao-history": 235, "gaokao-mathcloze": 118, "gaokao-mathqa": 351,
    "gaokao-physics": 200, "lsat-ar": 230, "lsat-lr": 510, "lsat-rc": 269, "math": 1000, "sat-en": 206,
    "sat-en-without-passage": 206, "sat-math": 220,
}  # fmt: skip
"""Lines of the files that may be passed on."""
SEVERAL = {"gaokao-physics": 35, "gaokao-mathqa": 7}
"""Those with several right answers."""


def read(folder, name, left_out=None, **changes):
    settings = BenchmarkItems(importer="benchmark", name=name, folder=folder, **changes)
    return check_unique(read_items_of(settings, settings.abilities, left_out=left_out), name)


def test_mmlu(real_data):
    items = read(real_data / "mmlu", "mmlu", shots=5)
    assert len(items) == 14_042
    assert len({item.subject for item in items}) == 57
    assert {(item.scorer, item.chance, item.shots) for item in items} == {("letter", 0.25, 5)}
    assert len({item.messages[:-2] for item in items}) == 57  # 285 examples: five a subject
    assert {item.id for item in items} >= {"mmlu/anatomy/test/0", "mmlu/anatomy/test/134"}


def test_gsm8k(real_data):
    items = read(real_data / "gsm8k", "gsm8k", shots=8)
    assert len(items) == 1_319
    assert len(items[0].messages) == 18
    assert not any("<<" in message.content for message in items[0].messages)
    assert items[0].answer == "18"
    assert all(item.messages[-1].content.endswith(f"#### {item.answer}") for item in items)


def test_mbpp(real_data):
    items = read(real_data / "mbpp", "mbpp", shots=3)
    assert [item.id for item in items] == [f"mbpp/{number}" for number in range(11, 511)]
    assert all("assert" in item.tests for item in items)


def test_human_eval(real_data):
    items = read(real_data / "human_eval", "human_eval")
    assert [item.id for item in items] == [f"human_eval/{number}" for number in range(164)]
    for item in items:
        compile(item.answer + item.tests, item.id, "exec")
        assert item.answer.startswith(item.candidates[0])


def test_agieval(real_data):
    left_out = Counter()
    items = read(real_data / "agieval_permissive", "agieval", left_out, subjects=list(AGIEVAL))
    found = Counter(item.subject for item in items)
    assert found == {name: count - SEVERAL.get(name, 0) for name, count in AGIEVAL.items()}
    assert left_out == {f"{name}: several right answers": count for name, count in SEVERAL.items()}
    chances = {
        "aqua-rat": 1 / 5,
        "lsat-ar": 1 / 5,
        "lsat-lr": 1 / 5,
        "lsat-rc": 1 / 5,
        "math": 0,
        "gaokao-mathcloze": 0,
    }
    for item in items:
        assert item.chance == chances.get(item.subject, 1 / 4)
    sharing = Counter(item.group for item in items if item.group)
    assert max(sharing.values()) > 1
