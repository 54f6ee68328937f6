"""How long an audit takes, how much memory, and whether it finds what was planted.

    python benchmarks/audit.py                       # 100,000, 300,000 and 1,000,000 items: benchmarks/audit.md
    python benchmarks/audit.py --sizes 5000 10000 20000 --write ""

Made-up short items (a question of 15 to 60 words, an answer of 3 to 30), of which 1 % repeat another exactly, 1 % with
one or two words changed and 0.5 % hold three quarters or more of one of 10,000 evaluated items; the rest share nothing
but a vocabulary. Each size runs in a process of its own that writes a Parquet file and audits it as the stage does. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tables import processor

SIZES = (100_000, 300_000, 1_000_000)
EVALUATED = 10_000
LIMIT_MINUTES, LIMIT_GB = 20, 6


def made_up(count: int, seed: int = 1) -> tuple[Iterator, list, dict[str, set[str]]]:
    """(training items, evaluated items, {kind of finding: ids of the items planted for it})."""
    from growthpace.data.items import Item, Message

    random_words = random.Random(seed)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "en", "ar", "is")]
    words = sorted(
        {"".join(random_words.choices(syllables, k=random_words.choice((1, 2, 2, 3)))) for _ in range(20_000)}
    )

    def item(number: int, prefix: str) -> Item:
        made = random.Random(f"{seed} {prefix} {number}")

        def text(low: int, high: int) -> str:
            # The rarer the further back: as in a language, a few words make up much of a text.
            return " ".join(words[int(len(words) * made.random() ** 3)] for _ in range(made.randint(low, high)))

        messages = (Message("user", text(15, 60) + "?"), Message("assistant", text(3, 30) + "."))
        return Item(f"{prefix}{number:07}", "history", messages, "none", origin=f"{prefix}.jsonl:{number + 1}")

    suite = [item(number, "test") for number in range(EVALUATED)]
    planted: dict[str, set[str]] = {"duplicate_within": set(), "near_within": set(), "partial_leak": set()}

    def training() -> Iterator[Item]:
        for number in range(count):
            made = item(number, "train")
            place = number % 200
            before = item(number - 100, "train") if place >= 100 else made
            if place in (100, 101):
                made = replace(made, messages=before.messages)
                planted["duplicate_within"].add(made.id)
            elif place in (102, 103):
                question, answer = (message.content.split() for message in before.messages)
                for _ in range(1 if len(question) + len(answer) < 50 else 2):
                    question[number * 7919 % len(question)] = "changed"
                messages = (Message("user", " ".join(question)), Message("assistant", " ".join(answer)))
                if len(question) + len(answer) >= 30:  # of fewer words one is too much to be near
                    made = replace(made, messages=messages)
                    planted["near_within"].add(made.id)
            elif place == 104:
                asked = suite[number // 200 % EVALUATED].messages[0].content
                kept = asked.split()
                part = " ".join(kept[: max(13, len(kept) * 4 // 5 + 2)])
                made = replace(made, messages=(Message("user", f"Well, {part} so?"), made.messages[1]))
                planted["partial_leak"].add(made.id)
            yield made

    return training(), suite, planted


def measure(count: int, folder: Path) -> dict:
    """Seconds, peak memory and recall of an audit of so many items."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from growthpace.data.audit import audit
    from growthpace.data.items import schema, stream_items

    items, suite, planted = made_up(count)
    path = folder / f"{count}.parquet"
    characters = 0
    with pq.ParquetWriter(path, schema()) as writer:
        part = []
        for number, item in enumerate(items, start=1):
            part.append({**vars(item), "messages": [vars(message) for message in item.messages]})
            characters += sum(len(message.content) for message in item.messages)
            if len(part) == 10_000 or number == count:
                writer.write_table(pa.Table.from_pylist(part, schema=schema()))
                part = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    found = audit({"curated": stream_items(path)}, {"test": suite})
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    rows = found.findings.select(["kind", "id"]).to_pylist()
    ids = {kind: {row["id"] for row in rows if row["kind"] == kind} for kind in planted}
    leaks = {row["id"] for row in rows if row["kind"] == "leak"}
    kinds = Counter(row["kind"] for row in rows)
    return {
        "items": count,
        "characters": characters,
        "seconds": round(seconds, 1),
        "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "microseconds_per_item": round(seconds / count * 1e6, 1),
        "peak_gb": round(after.ru_maxrss / 1e6, 2),
        "planted": {kind: len(known) for kind, known in planted.items()},
        "recall": {
            kind: round(len(known & (ids[kind] | (leaks if kind == "partial_leak" else set()))) / len(known), 5)
            for kind, known in planted.items()
        },
        "false": {kind: len(ids[kind] - known) for kind, known in planted.items()},
        "other_faults": sum(kinds[kind] for kind in ("suite_overlap", "empty", "broken", "markup")),
    }


def table(found: list[dict]) -> str:
    """The measurements in Markdown."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("datasketch", "numpy", "py3langid", "pyarrow"))
    load = f"load average {os.getloadavg()[0]:.1f} at the end"
    lines = [
        "# Audit: speed, memory and recall\n\nWritten by `benchmarks/audit.py`; see its docstring.\n",
        f"{datetime.date.today().isoformat()}, {processor(os.cpu_count() or 1)} on the machine, one used; {load}; "
        f"{libraries}.\n",
        "    " + " ".join(["python", "benchmarks/audit.py", *sys.argv[1:]]) + "\n",
        "| items | characters | seconds | of the processor | microseconds an item | peak memory, GB | recall: exact, "
        "near, partial leak | false |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        recall = ", ".join(f"{100 * share:.2f} %" for share in one["recall"].values())
        cells = [f"{one['items']:,}", f"{one['characters'] / 1e6:,.0f} M", f"{one['seconds']:,.0f}"]
        cells += [f"{one['processor_seconds']:,.0f}", f"{one['microseconds_per_item']:,.0f}", f"{one['peak_gb']:.2f}"]
        lines.append(f"| {' | '.join([*cells, recall, str(sum(one['false'].values()))])} |")
    first, last = found[0], found[-1]
    ratio = last["microseconds_per_item"] / first["microseconds_per_item"]
    processed = last["processor_seconds"] / last["items"] / (first["processor_seconds"] / first["items"])
    lines.append(
        f"\nAn item of the largest takes {ratio:.2f} times as long as one of the smallest ({processed:.2f} of "
        f"processor time). The limits for a million are {LIMIT_MINUTES} minutes on two cores and {LIMIT_GB} GB.\n"
    )
    if any(one["seconds"] > 1.3 * one["processor_seconds"] for one in found):
        lines.append(
            "Other work shared the cores: read the processor's seconds; the others are of a machine that was busy.\n"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of items")
    parser.add_argument(
        "--write", default=str(Path(__file__).with_suffix(".md")), help="file of the table; none if empty"
    )
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(options.one, Path(folder))))
        return
    found = []
    for size in options.sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(size)], stdout=subprocess.PIPE, text=True, check=True
        )
        found.append(json.loads(done.stdout))
        one = found[-1]
        print(
            f"{size:,} items: {one['seconds']:,.1f} s, {one['microseconds_per_item']:.0f} microseconds an item, "
            f"{one['peak_gb']:.2f} GB at the peak; recall {one['recall']}, false {one['false']}",
            flush=True,
        )
    written = table(found)
    print(written)
    if options.write:
        Path(options.write).write_text(written)
    print(json.dumps({"benchmark": "audit", "sizes": found}))


if __name__ == "__main__":
    main()
