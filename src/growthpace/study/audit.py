"""What an audit of the items changes."""

from __future__ import annotations

from typing import Literal

from growthpace.study.basics import Strict


class Audit(Strict):
    """Whether items that the audit lists are trained on all the same. Without this section they are."""

    leaked: Literal["keep", "drop"]
    """Training items that say what a suite of the study evaluates (findings leak and partial_leak)."""
    duplicates: Literal["keep", "drop"]
    """Items that repeat another of their source, exactly or nearly (duplicate_within, near_within); one stays."""

    @property
    def dropped(self) -> list[str]:
        """Names of the policies that leave items out."""
        return [name for name in ("leaked", "duplicates") if getattr(self, name) == "drop"]
