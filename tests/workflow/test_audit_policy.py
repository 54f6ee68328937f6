"""What the audit's policy leaves out, in the workflow: datasets are drawn again only when other items are left out."""

import json
import re

import pytest
import yaml
from projects import new_project

from small_study import ABILITIES, changed, record, write_items, write_lines

CONFIG = "config/small.yaml"
DATA = "results/small/data"
TARGETS = [f"{DATA}/datasets/{name}/seed-1.json" for name in ("curated-4", "curated-16", "synthetic-16")]
TARGETS += [f"{DATA}/audit.html"]


@pytest.mark.workflow
def test_datasets_follow_what_is_left_out(tmp_path):
    project = new_project(tmp_path / "project")
    folder = project.folder / "config"
    write_items(folder)
    for kind in ("valid", "test"):  # they ask nothing of what the pools say
        for ability in ABILITIES:
            records = [record(f"Of {kind} and {ability} say number {n} aloud, please.", "A", idx=n) for n in range(4)]
            for one in records:
                one["messages"][0]["content"] += "\nA. the first\nB. the second\nC. the third\nD. the fourth"
            write_lines(folder / f"items/{kind}/{ability}.json", records)
    curated = folder / "items/curated/biology.json"
    lines = curated.read_text()
    question = json.loads((folder / "items/test/biology.json").read_text().splitlines()[1])
    leaked = {**question, "idx": 100}
    curated.write_text(lines + json.dumps(leaked) + "\n")
    content = changed("audit", {"leaked": "drop", "duplicates": "drop"})

    def write(study):
        (project.folder / CONFIG).write_text(yaml.safe_dump(study, sort_keys=False))

    def planned():
        done = project.snakemake("-n", *TARGETS, config=CONFIG)
        assert done.returncode == 0, done.stdout + done.stderr
        return set(re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, flags=re.MULTILINE))

    def run():
        done = project.run(*TARGETS, config=CONFIG)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def ids(dataset):
        manifest = json.loads((project.folder / DATA / f"datasets/{dataset}/seed-1.json").read_text())
        return {(pool["ability"], i) for pool in manifest["ids"] for i in pool["ids"]}

    write(content)
    run()
    listed = json.loads((project.folder / DATA / "audit_items.json").read_text())
    (gone,) = listed["leaked"]["curated"]["biology"]
    assert ids("curated-4") <= ids("curated-16")
    assert ("biology", gone) not in ids("curated-16")
    assert planned() == set()

    # A new suite that nothing leaks into: it is audited, and no dataset is drawn again.
    items = {"importer": "doit", "folder": "items", "files": "extra/{ability}.json"}
    for ability in ABILITIES:
        write_lines(folder / f"items/extra/{ability}.json", [record(f"extra {ability}?\nA. yes\nB. no", "A", idx=0)])
    content["suites"]["extra"] = {"items": items, "epochs": "selected", "max_new_tokens": 8}
    write(content)
    assert planned() == {"suite", "audit"}
    before = ids("curated-16")
    assert "draws it again" not in run()
    assert planned() == set()

    # Now it asks what the pool teaches: said by the audit, drawn again by the next start, of that source alone.
    asked = next(
        json.loads(line) for line in lines.splitlines() if ("biology", f"biology:{json.loads(line)['idx']}") in before
    )
    write_lines(folder / "items/extra/biology.json", [asked])
    assert planned() == {"suite", "audit"}
    assert "dataset curated-16, seed 1: other items are left out now" in run()
    assert planned() == {"dataset"}
    untouched = (project.folder / TARGETS[2]).stat().st_mtime_ns
    run()
    assert planned() == set()
    assert ("biology", f"biology:{asked['idx']}") not in ids("curated-16")
    assert (project.folder / TARGETS[2]).stat().st_mtime_ns == untouched

    # Another policy draws all of them again, and says why; the licence is the audit's alone.
    content["audit"]["leaked"] = "keep"
    write(content)
    assert planned() == {"dataset"}
    content["audit"]["leaked"] = "drop"
    content["sources"]["curated"]["licence"] = "MIT"
    write(content)
    assert planned() == {"audit"}
