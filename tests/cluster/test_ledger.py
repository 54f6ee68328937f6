"""Lines that a full disk tore."""

from hypothesis import given
from hypothesis import strategies as st

from growthpace.cluster.ledger import add_line, lines_of

RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers() | st.text(max_size=5), min_size=1), min_size=1)


@given(RECORDS, st.data())
def test_a_torn_line_costs_itself_alone(tmp_path_factory, records, data):
    path = tmp_path_factory.mktemp("lines") / "ledger.jsonl"
    expected = []
    for record in records:
        before = path.stat().st_size if path.exists() else 0
        add_line(path, record)
        length = path.stat().st_size - before
        kept = data.draw(st.integers(0, length - 2) | st.just(length))  # of what was to be written
        if kept < length:
            with open(path, "r+b") as handle:
                handle.truncate(before + kept)
        else:
            expected.append(record)
    assert [line for line in lines_of(path) if line in expected] == expected
    assert len(list(lines_of(path))) == len(expected)


def test_no_file_has_no_lines(tmp_path):
    assert list(lines_of(tmp_path / "ledger.jsonl")) == []
