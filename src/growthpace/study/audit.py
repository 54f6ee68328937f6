"""What an audit of the items changes."""

from __future__ import annotations

from typing import Literal

from growthpace.study.basics import Strict


class Audit(Strict):
    """Whether items that the audit lists are trained on all the same. Without this section they are."""

    leaked: Literal["keep", "drop", "drop_possible"]
    """Training items that say what a suite of the study evaluates: findings leak and partial_leak; with
    `drop_possible` those of possible_leak too, not all of which are leaks."""
    duplicates: Literal["keep", "drop"]
    """Items that repeat another of their source, exactly or nearly (duplicate_within, near_within); one stays."""

    @property
    def dropped(self) -> dict[str, str]:
        """{list of items that is left out (`data.policy.LISTS`): what the study says of it}."""
        found = {}
        if self.leaked != "keep":
            found["leaked"] = f"leaked: {self.leaked}"
        if self.leaked == "drop_possible":
            found["possible"] = f"leaked: {self.leaked}"
        if self.duplicates == "drop":
            found["duplicates"] = f"duplicates: {self.duplicates}"
        return found
