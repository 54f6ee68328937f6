"""Answers that can be trusted, by the scorer of the seeds' form; and requests that follow from their number alone."""

import json

import pytest
from teachers import ITEMS, question

from bubblewrap import need_bubblewrap
from growthpace.data.importers.synthetic import line_of, read
from growthpace.data.items import Item, Message
from growthpace.endpoint.requests import Malformed
from growthpace.evaluation.grading import grade_predictions
from growthpace.evaluation.predictions import Prediction
from growthpace.study import SyntheticItems
from growthpace.synthesis.prompts import Draft, Plan, answering_request, plan, read_drafts, writing_request
from growthpace.synthesis.validation import answers_needed, item_of


def seed(scorer="none", reference="x", question="Why is it so?", **more):
    return Item(
        f"seed-{scorer}", "biology", (Message("user", question), Message("assistant", reference)), scorer, **more
    )


FORMS = {
    "letter": seed("letter", "B", answer="B", candidates=tuple("ABCD"), chance=0.25),
    "letters": seed("letters", "AC", answer="AC", candidates=tuple("ABCD"), chance=1 / 15),
    "true_false": seed("true_false", "True", answer="True", candidates=("True", "False"), chance=0.5),
    "cloze": seed("cloze", "Li Bai", answer="Li Bai"),
    "math": seed("math", "2 + 2 = 4. The answer is 4.", answer="4"),
    "exact_match": seed("exact_match", "blue", answer="blue"),
    "none": seed(),
}
FOUR = question("a question")


def made(form, instruction, *answers, validation="scorer", tests=""):
    one = Plan("biology", 0, (FORMS[form] if isinstance(form, str) else form,), "", "")
    return item_of(one, Draft(instruction, tests), list(answers), validation)


@pytest.mark.parametrize(
    ("form", "instruction", "answers", "content", "answer"),
    [
        ("letter", FOUR, ("The answer is (C).", "C"), "C", "C"),
        ("letters", FOUR, ("A and D", "AD"), "AD", "AD"),
        ("true_false", "Fish can swim.", ("That is true.", "True"), "True", "True"),
        ("cloze", "The poet ___ wrote it.", ("Du Fu", "The answer is Du Fu."), "Du Fu", "du fu"),
        ("math", "What is 3 + 4?", ("3 + 4 = 7. The answer is 7.", "It is 7.0"), "3 + 4 = 7. The answer is 7.", "7"),
        ("exact_match", "Which colour has the sky?", ("Blue.", "blue"), "Blue.", "blue"),
    ],
)
def test_two_answers_that_agree_make_an_item_that_its_own_answer_solves(form, instruction, answers, content, answer):
    item, said = made(form, instruction, *answers)
    assert said == "two answers agree"
    assert (item.messages[-1].content, item.answer, item.scorer) == (content, answer, form)
    right = Prediction(item.id, content, True, (), (), 0, 0, 0, "")
    assert grade_predictions([item], [right]).column("grade").to_pylist() == [1.0]


@pytest.mark.parametrize(
    ("form", "instruction", "answers", "why"),
    [
        ("letter", FOUR, ("A", "B"), "two answers differ"),
        ("letter", question("x", 3), ("A", "A"), "other options than the examples have"),
        ("letter", FOUR, ("E", "E"), "the scorer does not understand the answer"),
        ("math", "What is 3 + 4?", ("7", "8"), "two answers differ"),
        ("true_false", "Fish can swim.", ("Perhaps.", "Perhaps."), "the scorer does not understand the answer"),
        ("none", "Why is it so?", (" ",), "the answer is empty"),
        ("none", "Why is it so?", ("I'm sorry, but I can't say.",), "the answer refuses"),
        ("none", "Why is it so?", ("```\nx = 1",), "the answer is cut off"),
    ],
)
def test_what_is_dropped(form, instruction, answers, why):
    assert made(form, instruction, *answers) == (None, why)


def test_without_validation_or_a_scorer_an_item_only_trains():
    item, said = made("letter", FOUR, "It is B, I think", validation="none")
    assert (item.scorer, item.answer, said) == ("none", "", "")
    assert made("none", "Why is it so?", "Since it is.")[0].scorer == "none"
    assert [answers_needed(FORMS[form], "scorer") for form in ("letter", "none")] == [2, 1]
    assert answers_needed(FORMS["letter"], "none") == 1


def test_a_program_must_pass_tests_that_an_empty_one_does_not():
    need_bubblewrap()
    form = seed("code", "def f(x):\n    return x", answer="def f(x):\n    return x", tests="assert f(1) == 1")
    task, tests = "Write a function double(x).", "assert double(2) == 4"
    item, said = made(form, task, "```python\ndef double(x):\n    return 2 * x\n```", tests=tests)
    assert (said, item.scorer, item.tests) == ("its tests pass", "code", tests)
    assert made(form, task, "def double(x):\n    return x", tests=tests) == (None, "the program fails its tests")
    assert made(form, task, "def double(x):\n    return x", tests="assert True") == (
        None, "an empty program passes the tests",
    )  # fmt: skip
    assert made(form, task, "def double(x):\n    return x") == (None, "there are no tests")


# --- requests ---------------------------------------------------------------------------------------------------------

SETTINGS = SyntheticItems.model_validate(ITEMS)


def seeds(count):
    return {f"s{n}": seed(question=f"Question {n}?") for n in range(count)}


def test_one_more_seed_or_topic_changes_few_requests():
    few = [plan(SETTINGS, "biology", n, seeds(20)) for n in range(200)]
    assert few == [plan(SETTINGS, "biology", n, seeds(20)) for n in range(200)]
    more = [plan(SETTINGS, "biology", n, seeds(21)) for n in range(200)]
    assert 0 < sum(a != b for a, b in zip(few, more, strict=True)) < 50
    wider = SETTINGS.model_copy(update={"topics": [*SETTINGS.topics, "poems"]})
    other = [plan(wider, "biology", n, seeds(20)) for n in range(200)]
    assert 20 < sum(a != b for a, b in zip(few, other, strict=True)) < 90
    assert {p.topic for p in few} == set(SETTINGS.topics)
    assert [plan(SETTINGS, "history", n, seeds(20)) for n in range(9)] != few[:9]


def test_examples_have_one_form():
    mixed = FORMS | {"l2": FORMS["letter"], "l3": FORMS["math"]}
    for number in range(50):
        shown = plan(SETTINGS.model_copy(update={"examples": 5}), "biology", number, mixed).examples
        assert len({item.scorer for item in shown}) == 1


def test_what_a_request_says():
    one = Plan("creative_writing", 3, (seed(), seed(question="Another?")), "rivers", "formal")
    request = writing_request(SETTINGS, one)
    system, user = (message["content"] for message in request.body["messages"])
    assert "what they train is: creative writing" in system
    assert "Topic: rivers\n\nStyle: formal\n\nNow write 3 new instructions." in user
    assert request.body["response_format"]["json_schema"]["strict"]
    code = writing_request(SETTINGS, Plan("code", 3, (seed("code", tests="assert f(1)"),), "", ""))
    assert '"tests"' in code.body["messages"][0]["content"]
    assert "Tests:\nassert f(1)" in code.body["messages"][1]["content"]
    answers = [answering_request(SETTINGS, one, "Now?", repeat) for repeat in (0, 1)]
    assert answers[0].body == answers[1].body
    assert answers[0].identity("u", 1) != answers[1].identity("u", 1)
    assert [m["role"] for m in answers[0].body["messages"]] == ["system", *["user", "assistant"] * 2, "user"]


def test_instructions_are_read_from_what_stands_around_them():
    wanted = [Draft("Why {x}?", ""), Draft("How?", "assert f")]
    text = json.dumps({"instructions": [{"instruction": " Why {x}?\n"}, {"instruction": "How?", "tests": "assert f"}]})
    for around in (text, f"```json\n{text}\n```", f"<think>{{}}</think>Here {{they}} are: {text} Done."):
        assert read_drafts(around) == wanted
    for wrong in ("", "{}", '{"instructions": ["Why?"]}', text[:-3], "[" * 3000):
        with pytest.raises(Malformed):
            read_drafts(wrong)


def test_a_line_gives_the_item_back(tmp_path):
    items = [FORMS["letter"], FORMS["math"], seed("code", "c", answer="c", tests="assert f")]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(line_of(item, {"teacher": "t"}) for item in items))
    found = list(read(path, "items.jsonl", "biology"))
    assert [(i.id, i.messages, i.answer, i.candidates, i.chance, i.tests) for i in found] == [
        (i.id, i.messages, i.answer, i.candidates, i.chance, i.tests) for i in items
    ]
    assert found[1].origin == "items.jsonl:2"
    assert list(read(path, "items.jsonl", "history")) == []
