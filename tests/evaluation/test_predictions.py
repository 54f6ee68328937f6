"""Predictions made so far, in a file that a crash may cut anywhere."""

from hypothesis import given
from hypothesis import strategies as st

from growthpace.evaluation.predictions import Batches, Prediction

PREDICTION = st.builds(
    Prediction,
    item_id=st.uuids().map(str),
    text=st.text(max_size=5),
    finished=st.booleans(),
    logprobs=st.just(()),
    tokens=st.just(()),
    prompt_tokens=st.integers(0, 9),
    generated_tokens=st.just(1),
    cut_tokens=st.just(0),
    prompt_hash=st.just("0" * 16),
) | st.floats(-1e300, 0).map(lambda x: Prediction(x.hex(), None, None, (x, x / 3), (1, 2), 3, 0, 0, "0" * 16))


@given(
    st.lists(st.lists(PREDICTION, min_size=1, max_size=3), min_size=1, max_size=4),
    st.integers(0),
    st.binary(max_size=3),
)
def test_a_file_cut_anywhere_gives_whole_batches(tmp_path_factory, batches, cut, garbage):
    path = tmp_path_factory.mktemp("batches") / "batches.jsonl"
    sizes = []
    with Batches(path) as file:
        for batch in batches:
            file.add(batch)
            sizes.append(path.stat().st_size)
    content = path.read_bytes()
    cut %= len(content) + 1
    path.write_bytes(content[:cut] + b"\0" + garbage)
    whole = sum(size <= cut for size in sizes)
    with Batches(path) as file:
        assert file.found == {found.item_id: found for batch in batches[:whole] for found in batch}
        for batch in batches[whole:]:
            file.add(batch)
    assert path.read_bytes() == content
