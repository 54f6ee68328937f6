"""JSON read piece by piece is what `json` reads at once, and a fault is named where it stands."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growthpace.data.importers import json_stream
from growthpace.data.importers.json_stream import JsonText
from growthpace.data.importers.records import read_members, read_records, read_under
from growthpace.data.seen import Seen
from growthpace.errors import InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@settings(deadline=None)
@given(values=st.lists(VALUES), piece=st.integers(1, 40), indent=st.sampled_from([None, 1]), escape=st.booleans())
def test_pieces_make_the_whole(values, piece, indent, escape):
    text = json.dumps(values, indent=indent, ensure_ascii=escape)
    try:
        json_stream._PIECE, before = piece, json_stream._PIECE
        found = list(JsonText(io.BytesIO(text.encode("utf-8", "surrogatepass")), Path("x")).elements())
    finally:
        json_stream._PIECE = before
    assert [value for _, value in found] == values
    for line, value in found:
        if isinstance(value, dict | list) and value and indent:
            assert text.split("\n")[line - 1].strip() in ("{", "[")


@settings(deadline=None)
@given(values=st.dictionaries(st.text(), VALUES), piece=st.integers(1, 40))
def test_members_of_an_object(values, piece):
    try:
        json_stream._PIECE, before = piece, json_stream._PIECE
        found = list(JsonText(io.BytesIO(json.dumps(values).encode()), Path("x")).members())
    finally:
        json_stream._PIECE = before
    assert [(key, value) for _, key, value in found] == list(values.items())


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=3), max_size=3000))
def test_seen_counts_as_a_counter_does(texts):
    seen, known = Seen(), Counter()
    for text in texts:
        known[text] += 1
        assert seen.add(text) == known[text]


def test_seen_grows():
    seen = Seen()
    assert all(seen.add(str(n)) == 1 for n in range(20_000))
    assert all(seen.add(str(n)) == 2 for n in range(20_000))


LONG = "x" * (json_stream.LONGEST + 10)
ROW = '{"a": 1}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'{ROW}\n{{"a": "{LONG}"}}\n', "f.json:2: a line of more than 4,000,000 bytes"),
        (f'[\n{ROW},\n{{"a": "{LONG}"}}\n]', "f.json:3: a record of more than 4,000,000 characters"),
        (f'[\n{ROW},\n{{"a": "{LONG}', "f.json:3: a record of more than 4,000,000 characters"),
        (f"[\n{ROW},\n{{a{LONG}}}\n]", r"f.json:3: malformed JSON \(Expecting property name"),
        (f"[{ROW},\n{ROW}", r"f.json:2: the JSON array does not end \(is the file cut off\?\)"),
        (f"[{ROW},\n{ROW},\n", r"f.json:3: the JSON array does not end"),
        (f'[{ROW},\n{{"a": 1, "b', "f.json:2: malformed JSON"),
    ],
)
def test_faults_have_their_line(tmp_path, content, message):
    path = tmp_path / "f.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        list(read_records(path))
    assert len(str(error.value)) < 300


def test_bytes_that_are_no_text_have_their_line(tmp_path):
    path = tmp_path / "f.json"
    path.write_bytes(b'[\n{"a": "' + b"y" * 2_000_000 + b'"},\n{"a": "\xe9t\xe9"}]')
    with pytest.raises(InputError, match=r"f.json:3: not UTF-8 at byte 8 of the line"):
        list(read_records(path))


def test_lists_under_a_key_and_objects_of_objects(tmp_path):
    path = tmp_path / "f.json"
    path.write_text('{"name": "n",\n"rows": [\n{"a": 1},\n{"a": 2}\n],\n"more": {}}')
    assert [(r.line, r.content) for r in read_under(path, "f", "rows")] == [(3, {"a": 1}), (4, {"a": 2})]
    with pytest.raises(InputError, match=r"f.json:6: others: missing"):
        list(read_under(path, "f", "others"))
    with pytest.raises(InputError, match=r"f.json:1: name: expected a list"):
        list(read_under(path, "f", "name"))
    path.write_text('{"p": {"a": 1},\n"q": 3}')
    with pytest.raises(InputError, match=r"f.json:2: .*expected an object, found 3"):
        list(read_members(path, "f"))
