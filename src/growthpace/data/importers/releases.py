"""Files of a publisher's release at a fixed commit, where no dataset of the hub holds them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from growthpace.errors import InputError
from growthpace.files import written_aside


def released(release: str | dict[str, str], name: str) -> Path:
    """A file of a publisher's release at a fixed commit, from the network or from what was fetched before.

    Kept in `growthpace` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache).
    """
    release = release if isinstance(release, str) else release[name]
    address = f"{release}/{quote(name)}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "growthpace" / "releases"
    path = cache / hashlib.sha256(release.encode()).hexdigest()[:16] / name
    if path.is_file():
        return path
    try:
        with urlopen(address, timeout=60) as answer, written_aside(path) as aside, open(aside, "wb") as handle:
            while piece := answer.read(1 << 20):
                handle.write(piece)
    except (URLError, TimeoutError, ConnectionError) as error:
        raise InputError(
            f"{address}: cannot be fetched ({getattr(error, 'reason', error)}); without a network, fetch the release "
            "elsewhere and give its folder with `folder:`"
        ) from error
    return path
