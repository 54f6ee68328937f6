"""What the page carries inside: the interactive curves' data as JSON, and the tables to download as CSV and Parquet."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.colors import to_hex, to_rgb

from growthpace.figures.drawing import readable

LARGEST = 5_000_000
"""Bytes: a file above this is not carried inside the page, which says so and names the file beside it."""


@dataclass(frozen=True)
class Download:
    """A table to take away."""

    name: str
    """Name of the file without its ending, such as `points`."""
    path: str
    """Where the Parquet file lies, relative to the page; empty where there is none."""
    rows: int
    csv: bytes | None
    """UTF-8 with a header line; None where it is larger than LARGEST when packed."""
    parquet: bytes | None
    """The file itself, byte for byte; None where there is none or it is larger than LARGEST."""


def download(name: str, table: pd.DataFrame, file: Path | None = None, path: str = "") -> Download:
    """The table as CSV, and its Parquet file's bytes where `file` is given; `path` is that file's place from the page.

    Neither is kept where it is larger than LARGEST (the CSV when packed with gzip).
    """
    text = table.to_csv(index=False, lineterminator="\n").encode()
    parquet = file.read_bytes() if file is not None and file.stat().st_size <= LARGEST else None
    return Download(name, path, len(table), text if len(_packed(text)) <= LARGEST else None, parquet)


def shown_downloads(downloads: list[Download]) -> list[dict[str, Any]]:
    """What the template needs: name, path, rows and, base64, `csv` (packed with gzip) and `parquet`, with sizes."""
    found = []
    for one in downloads:
        csv, parquet = one.csv and _packed(one.csv), one.parquet
        found.append(
            {
                "name": one.name, "path": one.path, "rows": one.rows,
                "csv": base64.b64encode(csv).decode() if csv else "",
                "csv_size": size(len(one.csv)) if one.csv else "",
                "parquet": base64.b64encode(parquet).decode() if parquet else "",
                "parquet_size": size(len(parquet)) if parquet else "",
            }
        )  # fmt: skip
    return found


def size(count: int) -> str:
    """Bytes as 900 bytes, 12 kB or 3.4 MB."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def chart(points: pd.DataFrame, curves: pd.DataFrame | None, palette: str) -> dict[str, Any]:
    """The interactive curves' data, column by column, names as places in lists.

    points: of one suite, as `curves.points` gives them; untuned models, the grid and mixes are taken. curves: of the
    same suite, `law_curves` (ability, model, source, holds, volume, score, low, high), or None; those that hold are
    taken. palette: seaborn's name, as the figures have it. Scores are fractions with five decimals,
    which is finer than a pixel.
    """
    points = points[points["kind"].isin(["grid", "untuned", "mix"])]
    abilities = list(dict.fromkeys(points["ability"]))
    sized = points[["parameters", "model"]].drop_duplicates().sort_values(["parameters", "model"])
    models = list(dict.fromkeys(sized["model"]))
    grid, mixes = (sorted(set(points.loc[points["kind"] == kind, "source"])) for kind in ("grid", "mix"))
    sources = [*grid, *(mix for mix in mixes if mix not in grid)]
    outside = set(points.loc[~points["in_domain"].astype(bool), "ability"])
    colours = [to_hex(colour) for colour in sns.color_palette(palette, max(len(models), 1))][: len(models)]
    places = {name: {value: n for n, value in enumerate(values)} for name, values in
              (("ability", abilities), ("model", models), ("source", sources))}  # fmt: skip
    found = {
        "abilities": [{"name": a, "label": readable(a), "outside": a in outside} for a in abilities],
        "models": [{"name": m, "light": c, "dark": _lighter(c)} for m, c in zip(models, colours, strict=True)],
        "sources": [{"name": s, "mix": s not in grid} for s in sources],
        "points": _columns(points, places, ("score", "low", "high", "chance"), ("volume", "items", "seeds")),
        "laws": None,
    }
    if curves is not None:
        known = curves[curves["holds"].astype(bool)]
        for name, place in places.items():
            known = known[known[name].isin(place)]
        found["laws"] = _columns(known, places, ("volume", "score", "low", "high"), ())
    return found


def as_json(content: Any) -> str:
    """JSON for a `<script type="application/json">`: nothing in it can end the element or open a comment."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _columns(table: pd.DataFrame, places: dict[str, dict], fractions: tuple, counts: tuple) -> dict[str, list]:
    found = {name: [place.get(value, -1) for value in table[name]] for name, place in places.items()}
    found |= {name: [int(value) for value in table[name]] for name in counts}
    for name in fractions:
        values = (float(value) for value in table[name])
        found[name] = [round(value, 5) if value == value else None for value in values]
    return found


def _lighter(colour: str) -> str:
    """The colour for a dark page: a third of the way to white."""
    return to_hex([part + (1 - part) / 3 for part in to_rgb(colour)])


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
