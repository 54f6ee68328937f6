"""Importers of DoIT, Alpaca and chat files: every field, and every fault with its file and line."""

import json
import subprocess
import sys

import pytest

from growthpace.data.importers import local_files, read_items_of
from growthpace.data.importers.references import before_options
from growthpace.data.items import Message, check_unique
from growthpace.errors import InputError
from growthpace.study import GENERAL, AlpacaItems, ChatItems, DoitItems, MicroworldItems

FORMATS = {"doit": DoitItems, "alpaca": AlpacaItems, "chat": ChatItems}


def conversation(question="Which?\nA. one\nB. two\nC. three\nD. four", answer="B"):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@pytest.fixture
def read(tmp_path):
    """Reads records (or raw text or bytes) written to a file in one of the formats."""

    def reading(importer, content, abilities=("history",), name="history.json", pattern=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = lines(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        settings = FORMATS[importer](
            importer=importer, folder=tmp_path, files=pattern or ("{ability}.json" if abilities else name)
        )
        return list(read_items_of(settings, list(abilities) if abilities else None, None))

    return reading


def one(read, record, **kwargs):
    (item,) = read("doit", [record], **kwargs)
    return item


# --- DoIT ------------------------------------------------------------------------------------------------------------


def test_doit_letter_item_has_every_field(read):
    item = one(read, {"messages": conversation(), "idx": 7, "type": "STEM", "question_format": 0, "group": "p1"})
    assert item.id == "history:7"
    assert item.ability == "history"
    assert item.messages == (Message("user", "Which?\nA. one\nB. two\nC. three\nD. four"), Message("assistant", "B"))
    assert (item.scorer, item.answer, item.candidates, item.chance) == ("letter", "B", ("A", "B", "C", "D"), 1 / 4)
    assert item.group == "p1"
    assert item.origin == "history.json:1"


@pytest.mark.parametrize(
    ("question", "answer", "letters"),
    [
        ("Which?\nA. one\nB. two\nC. three", "C", "ABC"),
        ("哪项？A、甲B、乙C、丙D、丁", "D", "ABCD"),
        ("哪项？\nA．甲\nB．乙\nC．丙\nD．丁", "A", "ABCD"),
        ("Which? (A) one (B) two (C) three", "B", "ABC"),
        ("哪项？（A）甲（B）乙（C）丙（D）丁", "B", "ABCD"),
        ("Which? A) one B) two C) three D) four", "B", "ABCD"),
        ("Which?\nA: one\nB: two\nC: three", "B", "ABC"),
        ("Which?\nA one\nB two\nC three", "B", "ABC"),
        ("哪项？\nA甲\nB乙\nC丙", "B", "ABC"),
        ("A. one  B. two\nC. three  D. four", "D", "ABCD"),
        # letters that are no options
        ("A: Hello.\nB: Hi.\nC: Hey.\nD: Yes.\nWho is late?\nA. Tom\nB. Ann\nC. Bob", "C", "ABC"),
        ("What do we need?\nA. rest\nB. vitamin C\nC. vitamin D.\nD. growth of E. coli", "B", "ABCD"),
        ("J. A. Smith said?\nA. one\nB. two\nC. three\nD. both (A) and (B)", "D", "ABCD"),
        ("In the U.S.A. which?\nA. one\nB. two\nC. vitamin D.", "B", "ABC"),
    ],
)
def test_doit_finds_the_options(read, question, answer, letters):
    item = one(read, {"messages": conversation(question, answer)})
    assert (item.scorer, "".join(item.candidates), item.chance) == ("letter", letters, 1 / len(letters))


@pytest.mark.parametrize("answer", ["B", "B.", "(B)", "（B）", "答案：B", "Answer: B"])
def test_doit_letter_spellings(read, answer):
    assert one(read, {"messages": conversation(answer=answer)}).answer == "B"


@pytest.mark.parametrize(("question", "before"), [
    ("Which is it?\nA. one\nB. two\nC. three\nD. four", "Which is it?"),
    ("A: Hello. B: Hi. Who spoke first?\nA. the man\nB. the woman\nC. a child\nD. none",
     "A: Hello. B: Hi. Who spoke first?"),
    ("下列正确的是（ ） A．甲 B．乙 C．丙 D．丁", "下列正确的是（ ）"),
    ("Who wrote vitamin A?", ""),
])  # fmt: skip
def test_what_a_question_says_before_its_options(question, before):
    assert before_options(question, "A") == before


def test_doit_options_may_stand_in_an_earlier_turn(read):
    turns = [*conversation(answer="Hm."), *conversation("So, which letter?", "B")]
    assert one(read, {"messages": turns}).candidates == ("A", "B", "C", "D")


@pytest.mark.parametrize("answer", ["AC", "CA", "A、C", "A, C", "(A)(C)", "A C", "A and C"])
def test_doit_ethics_is_a_set_of_letters(read, answer):
    item = one(read, {"messages": conversation(answer=answer), "type": "ethics"})
    assert (item.scorer, item.answer, item.candidates) == ("letters", "AC", ("A", "B", "C", "D"))
    assert item.chance == pytest.approx(1 / 15)  # non-empty sets of four options


def test_doit_ethics_with_one_letter_is_still_a_set(read):
    assert one(read, {"messages": conversation(), "type": "ethics"}).scorer == "letters"
    assert one(read, {"messages": conversation()}, abilities=["ethics"], name="ethics.json").scorer == "letters"


@pytest.mark.parametrize(
    ("answer", "pair"),
    [
        ("正确", ("正确", "错误")),
        ("错误。", ("正确", "错误")),
        ("错", ("对", "错")),
        ("True", ("True", "False")),
        ("false", ("true", "false")),
        ("no", ("yes", "no")),
        ("×", ("√", "×")),
        ("F", ("T", "F")),
    ],
)
def test_doit_true_false(read, answer, pair):
    item = one(read, {"messages": conversation("Is it?", answer)})
    assert (item.scorer, item.answer, item.candidates, item.chance) == ("true_false", answer.strip("。"), pair, 1 / 2)


def test_doit_cloze_and_free_answers(read):
    item = one(read, {"messages": conversation("床前明月光，____。", "疑是地上霜")})
    assert (item.scorer, item.answer, item.candidates, item.chance) == ("cloze", "疑是地上霜", (), 0)
    assert one(read, {"messages": conversation("Tell me.", "word " * 20)}).scorer == "none"
    assert one(read, {"messages": conversation("Tell me.", "two\nlines")}).scorer == "none"
    assert one(read, {"messages": conversation("A letter without options?", "B")}).scorer == "none"


@pytest.mark.parametrize(("answer", "text"), [("\\frac{1}{2}", "\\frac{1}{2}"), (72, "72"), (0.5, "0.5"), (" 3 ", "3")])
def test_doit_math(read, answer, text):
    item = one(read, {"messages": conversation("1+1?", "Because ... 2"), "answer": answer})
    assert (item.scorer, item.answer, item.chance) == ("math", text, 0)


def test_doit_perplexity(read):
    record = {"messages": conversation("Go on.", "gold"), "question_format": 1, "choices": ["gold", "near", "far"]}
    item = one(read, record)
    assert (item.scorer, item.answer, item.candidates) == ("perplexity", "gold", ("gold", "near", "far"))
    assert item.chance == 1 / 3
    assert one(read, {"messages": conversation("Go on.", "gold"), "question_format": 1}).scorer == "none"
    # edited choices, the messages left as they were
    assert one(read, record | {"choices": ["golden", "near", "far"]}).answer == "golden"


def test_doit_keeps_all_turns(read):
    turns = [{"role": "system", "content": "Be short."}, *conversation("Hi", "Hello"), *conversation()]
    assert [m.role for m in one(read, {"messages": turns}).messages] == ["system", *["user", "assistant"] * 2]


def test_doit_ids_without_idx_come_from_the_content(read):
    first = read("doit", [{"messages": conversation()}, {"messages": conversation("Other?", "no")}])
    turned = read("doit", [{"messages": conversation("Other?", "no")}, {"messages": conversation()}])
    assert sorted(i.id for i in first) == sorted(i.id for i in turned)
    repeated = read("doit", [{"messages": conversation()}] * 3)
    assert [i.id for i in repeated] == [first[0].id, first[0].id + "#2", first[0].id + "#3"]


def test_doit_repeated_idx_is_found(read):
    items = read("doit", [{"messages": conversation(), "idx": "a"}] * 2)
    with pytest.raises(InputError, match=r"history:a.*history\.json:1 and history\.json:2"):
        check_unique(items, "pool")


def test_doit_general_items_are_not_scored(read):
    (item,) = read("doit", [{"messages": conversation(answer="E"), "type": "general"}], abilities=None)
    assert (item.ability, item.scorer) == (GENERAL, "none")


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({}, "messages: missing"),
        ({"messages": "hi"}, r"messages: expected a list, found \"hi\""),
        ({"messages": []}, "it has no messages"),
        ({"messages": ["hi"]}, r"messages\[1\]: expected an object"),
        ({"messages": [{"content": "hi"}]}, r"messages\[1\].role: missing"),
        (
            {"messages": [{"role": "tool", "content": "hi"}]},
            r"messages\[1\].role: unknown role 'tool' \(allowed: system",
        ),
        ({"messages": [{"role": "user", "content": 3}]}, r"messages\[1\].content: expected a text or a list, found 3"),
        ({"messages": [{"role": "user", "content": "\ud83d"}]}, r"content: half of a surrogate pair at character 1"),
        ({"messages": conversation(answer=" ")}, r"empty answer \(message 2\)"),
        ({"messages": conversation(question="")}, r"empty message \(message 1\)"),
        ({"messages": conversation()[:1]}, "its last message is by 'user'"),
        ({"messages": conversation()[1:]}, "expected 'user'"),
        ({"messages": conversation(), "idx": 1.5}, "idx: expected a whole number or a text, found 1.5"),
        ({"messages": conversation(), "idx": True}, "idx: expected a whole number or a text, found true"),
        ({"messages": conversation(), "group": 3}, "group: expected a text"),
        ({"messages": conversation(), "type": 3}, "type: expected a text"),
        ({"messages": conversation(), "question_format": 2}, r"question_format: 2 \(allowed: 0 match, 1 perplexity\)"),
        ({"messages": conversation(), "question_format": "1"}, "question_format: expected a whole number"),
        ({"messages": conversation(), "answer": []}, r"answer: expected a text or a whole number or a number"),
        ({"messages": conversation(), "answer": " "}, "answer: empty"),
        ({"messages": conversation(), "question_format": 1, "choices": "a"}, "choices: expected a list"),
        ({"messages": conversation(), "question_format": 1, "choices": ["a"]}, "at least two"),
        ({"messages": conversation(), "question_format": 1, "choices": ["a", 2]}, r"choices\[2\]: expected a text"),
        ({"messages": conversation(), "question_format": 1, "choices": ["a", " "]}, r"choices\[2\]: empty"),
        ({"messages": conversation(), "question_format": 1, "choices": ["a", "a "]}, "the same text occurs twice"),
        ({"messages": conversation(), "question_format": 1, "choices": ["A", "B"]}, "the reference comes first"),
        (
            {"messages": conversation(answer="E")},
            r"the answer 'E' is no choice of the question's options \(A, B, C, D\)",
        ),
        ({"messages": conversation(answer="AE"), "type": "ethics"}, "the answer 'AE' is no choice"),
        ({"messages": conversation(answer="AAB"), "type": "ethics"}, "the answer 'AAB' is no choice"),
    ],
)
def test_doit_faults_name_file_and_line(read, tmp_path, record, what):
    good = {"messages": conversation()}
    with pytest.raises(InputError, match=rf"^{tmp_path}/history\.json:3: .*{what}"):
        read("doit", lines([good]) + "\n" + lines([record]).replace("\ud83d", "\\ud83d"))


# --- files -----------------------------------------------------------------------------------------------------------

GOOD = json.dumps({"messages": conversation()})


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", r"history\.json: empty"),
        ("\n \n", r"history\.json: empty"),
        ("\ufeff", r"history\.json: empty"),
        ("[]", r"history\.json: empty"),
        (f"{GOOD}\n{GOOD[:-4]}\n{GOOD}\n", r"history\.json:2: not a JSON object on one line \(.+\)"),
        (f"{GOOD}\n{GOOD} {GOOD}\n", r"history\.json:2: not a JSON object on one line \(Extra data"),
        (f"{GOOD}\n[1]\n", r"history\.json:2: expected an object, found \[1\]"),
        (f"{GOOD}\nnull\n", r"history\.json:2: expected an object, found null"),
        (f'{GOOD}\n{{"answer": NaN}}\n', r"history\.json:2: not a JSON object on one line \(NaN is no JSON value"),
        (GOOD + "\n" + "[" * 100_000 + "\n", r"history\.json:2: not a JSON object"),
        (GOOD.encode() + b'\n{"messages": "\xff"}\n', r"history\.json:2: not UTF-8 at byte 15"),
        (GOOD.encode("utf-16"), r"history\.json:1: not UTF-8"),
        (f"[\n{GOOD},\n{GOOD}\n", r"history\.json:4: the JSON array does not end"),
        (f"[\n{GOOD},\n{GOOD[:-3]}", r"history\.json:3: malformed JSON"),
        (f"[\n{GOOD}\n{GOOD}]", r"history\.json:3: malformed JSON \(expected ',' or '\]'"),
        (f"[\n{GOOD},\n3]", r"history\.json:3: expected an object, found 3"),
        (f"[\n{GOOD}]\n{GOOD}", r"history\.json:3: something follows"),
        (f"[\n{GOOD},", r"history\.json:2: the JSON array does not end"),
        (b"[\n" + GOOD.encode() + b',\n"\xff"]', r"history\.json:3: not UTF-8 at byte 2"),
    ],
)
def test_damaged_files(read, content, what):
    with pytest.raises(InputError, match=what):
        read("doit", content)


@pytest.mark.parametrize(
    "content",
    [
        f"{GOOD}\n\n{GOOD}",
        f"\ufeff{GOOD}\r\n{GOOD}\r\n",
        f"[{GOOD}, {GOOD}]",
        f"\ufeff\n[\n{GOOD}\n,\n\n{GOOD}]\n\n",
        json.dumps([json.loads(GOOD)] * 2, indent=4),
    ],
)
def test_lines_and_arrays_read_alike(read, content):
    first, second = read("doit", content)
    assert first.messages == second.messages
    assert int(first.origin.split(":")[1]) <= int(second.origin.split(":")[1])


def test_array_records_have_their_lines(read):
    items = read("doit", json.dumps([json.loads(GOOD)] * 3, indent=1))
    step = int(items[1].origin.split(":")[1]) - int(items[0].origin.split(":")[1])
    assert [i.origin for i in items] == [f"history.json:{2 + n * step}" for n in range(3)]


def test_line_separators_within_a_text_end_no_line(read):
    text = "first\u2028second\u0085third"
    (item,) = read("doit", json.dumps({"messages": conversation("q", text)}, ensure_ascii=False))
    assert item.messages[-1].content == text


def test_json_lines_are_streamed(read, tmp_path):
    (tmp_path / "history.json").write_text(f"{GOOD}\nbroken")
    settings = DoitItems(importer="doit", folder=tmp_path, files="{ability}.json")
    items = read_items_of(settings, ["history"], None)
    assert next(items).origin == "history.json:1"
    with pytest.raises(InputError, match=r"history\.json:2"):
        next(items)


def test_missing_file_and_folder(tmp_path):
    settings = DoitItems(importer="doit", folder=tmp_path, files="{ability}.json")
    with pytest.raises(InputError, match=r"history\.json: no such file"):
        list(read_items_of(settings, ["history"], None))
    (tmp_path / "history.json").mkdir()
    with pytest.raises(InputError, match=r"history\.json: is a folder"):
        list(read_items_of(settings, ["history"], None))


def test_files_per_ability(tmp_path):
    for name in ("a.json", "b.json", "deep/c.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(lines([{"messages": conversation(), "idx": 1}]))
    settings = DoitItems(
        importer="doit", folder=tmp_path, files={"history": ["a.json", "deep/c.json"], "biology": "b.json"}
    )
    items = list(read_items_of(settings, ["biology", "history"], None))
    assert [(i.ability, i.id, i.origin) for i in items] == [
        ("biology", "b:1", "b.json:1"),
        ("history", "a:1", "a.json:1"),
        ("history", "c:1", "deep/c.json:1"),
    ]
    assert [i.id for i in read_items_of(settings, ["history"], None)] == ["a:1", "c:1"]
    assert local_files(settings, ["history"]) == [tmp_path / "a.json", tmp_path / "deep/c.json"]
    with pytest.raises(InputError, match="no file for the ability 'math'"):
        list(read_items_of(settings, ["math"], None))


def test_local_files_of_patterns_and_single_paths(tmp_path):
    pattern = DoitItems(importer="doit", folder=tmp_path, files="{ability}/{ability}.json")
    assert local_files(pattern, ["a", "b"]) == [tmp_path / "a/a.json", tmp_path / "b/b.json"]
    assert local_files(AlpacaItems(importer="alpaca", folder=tmp_path, files="x.json"), None) == [tmp_path / "x.json"]
    assert local_files(DoitItems(importer="doit", hub="a/b", files="{ability}.json"), ["a"]) == []
    assert local_files(MicroworldItems(importer="microworld", kind="test"), ["a"]) == []


def test_local_gives_the_path(tmp_path):
    (tmp_path / "elsewhere").write_text(GOOD)
    settings = DoitItems(importer="doit", hub="some/where", files="{ability}.json")
    (item,) = read_items_of(settings, ["history"], None, local=lambda name: tmp_path / "elsewhere")
    assert item.origin == "history.json:1"


# --- the hub ---------------------------------------------------------------------------------------------------------


def test_hub_file_is_downloaded(tmp_path, monkeypatch):
    (tmp_path / "file").write_text(GOOD)
    calls = []

    def download(repo_id, filename, **options):
        calls.append((repo_id, filename, options))
        return str(tmp_path / "file")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    settings = DoitItems(importer="doit", hub="some/where", revision="v1", files="{ability}.json")
    assert len(list(read_items_of(settings, ["history"], None))) == 1
    assert calls == [("some/where", "history.json", {"repo_type": "dataset", "revision": "v1"})]


def test_hub_errors_name_repository_file_and_way_out(monkeypatch):
    def download(*_, **__):
        raise OSError("We couldn't connect\nand more")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    settings = DoitItems(importer="doit", hub="some/where", revision="v1", files="{ability}.json")
    with pytest.raises(InputError, match=r"some/where at v1: .*'history\.json'.*We couldn't connect .*`folder:`"):
        list(read_items_of(settings, ["history"], None))


# --- Alpaca ----------------------------------------------------------------------------------------------------------


def test_alpaca_fields(read):
    items = read(
        "alpaca",
        [
            {"instruction": "Add.", "input": "1 and 1", "output": "2", "id": "ignored"},
            {"instruction": "Greet.", "output": "Hello!"},
            {"instruction": "Greet.", "input": "", "response": "Hi there!"},
            {"instruction": "And now?", "output": "Bye.", "system": "Be kind.", "history": [["Hi", "Hello"]]},
        ],
        abilities=None,
        name="general.json",
    )
    assert items[0].messages == (Message("user", "Add.\n1 and 1"), Message("assistant", "2"))
    assert items[1].messages == (Message("user", "Greet."), Message("assistant", "Hello!"))
    assert items[2].messages[1].content == "Hi there!"
    assert [m.content for m in items[3].messages] == ["Be kind.", "Hi", "Hello", "And now?", "Bye."]
    assert {(i.ability, i.scorer, i.chance) for i in items} == {(GENERAL, "none", 0)}
    assert len({i.id for i in items}) == 4
    assert items[2].origin == "general.json:3"


def test_alpaca_with_an_ability_is_scored_where_it_can_be(read):
    record = {"instruction": "Which?\nA. one\nB. two", "output": "A"}
    letter, odd = read("alpaca", [record, record | {"output": "E"}])
    assert (letter.scorer, letter.candidates) == ("letter", ("A", "B"))
    assert odd.scorer == "none"


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"output": "x"}, "instruction: missing"),
        ({"instruction": "x"}, "output: missing"),
        ({"instruction": 1, "output": "x"}, "instruction: expected a text, found 1"),
        ({"instruction": "x", "input": [], "output": "x"}, "input: expected a text"),
        ({"instruction": "x", "output": 2}, "output: expected a text"),
        ({"instruction": "x", "output": "x", "response": "y"}, "both output and response"),
        ({"instruction": "x", "output": " "}, "empty answer"),
        ({"instruction": "", "output": "x"}, "empty message"),
        ({"instruction": "x", "output": "x", "history": [["one"]]}, r"history\[1\]: expected a pair"),
        ({"instruction": "x", "output": "x", "history": [["one", None]]}, r"history\[1\]\[2\]: missing"),
        ({"instruction": "x", "output": "x", "history": [3]}, r"history\[1\]: expected a list"),
    ],
)
def test_alpaca_faults(read, record, what):
    with pytest.raises(InputError, match=rf"general\.json:1: .*{what}"):
        read("alpaca", [record], abilities=None, name="general.json")


# --- chat ------------------------------------------------------------------------------------------------------------


def test_chat_in_both_styles(read):
    openai, sharegpt, parts, beside = read(
        "chat",
        [
            {"messages": [{"role": "system", "content": "S"}, *conversation("Q", "A")]},
            {
                "id": "x_1",
                "conversations": [
                    {"from": "system", "value": "S"},
                    {"from": "human", "value": "Q"},
                    {"from": "gpt", "value": "A"},
                ],
            },
            {
                "messages": [
                    {"role": "developer", "content": "S"},
                    {"role": "user", "content": [{"type": "text", "text": "Q"}]},
                    {"role": "assistant", "content": "A"},
                ]
            },
            {"system": "S", "conversations": [{"from": "user", "value": "Q"}, {"from": "assistant", "value": "A"}]},
        ],
        abilities=None,
        name="chat.jsonl",
    )
    assert openai.messages == (Message("system", "S"), Message("user", "Q"), Message("assistant", "A"))
    assert openai.messages == sharegpt.messages == parts.messages == beside.messages
    assert [i.id for i in (sharegpt, parts, beside)] == [f"{openai.id}#{n}" for n in (2, 3, 4)]
    assert openai.scorer == "none"


def test_chat_with_an_ability_is_scored_where_it_can_be(read):
    (item,) = read("chat", [{"messages": conversation("Is it?", "Yes")}])
    assert (item.scorer, item.candidates) == ("true_false", ("Yes", "No"))


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({}, "exactly one of the fields messages, conversations"),
        ({"messages": [], "conversations": []}, "exactly one"),
        ({"conversations": []}, "it has no messages"),
        ({"conversations": [{"from": "bing", "value": "x"}]}, r"conversations\[1\].from: unknown role 'bing'"),
        ({"conversations": [{"from": "human"}]}, r"conversations\[1\].value: missing"),
        ({"conversations": [{"from": "gpt", "value": "x"}]}, "expected 'user'"),
        ({"conversations": [{"from": "human", "value": "x"}]}, "its last message is by 'user'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "a part of type 'image_url'"),
        ({"messages": [{"role": "assistant", "content": None}]}, r"messages\[1\].content: missing"),
    ],
)
def test_chat_faults(read, record, what):
    with pytest.raises(InputError, match=rf"chat\.json:1: .*{what}"):
        read("chat", [record], abilities=None, name="chat.json")


# --- the microworld --------------------------------------------------------------------------------------------------


def test_microworld_without_its_section():
    with pytest.raises(InputError, match="no microworld section"):
        list(read_items_of(MicroworldItems(importer="microworld", kind="test"), ["a"], None))


# --- imports ---------------------------------------------------------------------------------------------------------


def test_nothing_heavy_is_imported():
    program = (
        "import sys, growthpace.data.importers, growthpace.data.audit\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'huggingface_hub', 'jinja2') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
