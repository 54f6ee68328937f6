"""How answers without a reference that a program can compare are judged: by a model behind an OpenAI-compatible
endpoint (see `study.endpoint`), which is paid by the token.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Share
from growthpace.study.endpoint import Endpoint

RUBRICS = {
    "quality": (
        "Judge the quality of the assistant's answers: whether they do what the user asks, whether what they say is "
        "right, whether they are complete without padding, and whether they are clear and in the user's language. "
        "Length is no merit of its own. In a conversation of several turns every answer counts."
    ),
    "correctness": (
        "Judge whether what the assistant's answers state and conclude is correct, and whether it follows from the "
        "steps they give. Style and length do not count. Where a reference answer is shown it is correct; an answer "
        "that reaches the same by other means is as good."
    ),
}
"""Rubrics by name."""


def _rubric(text: str) -> str:
    if len(text.split()) < 2 and text not in RUBRICS:
        raise ValueError(f"{text!r} is no rubric (allowed: {', '.join(RUBRICS)}, or a text of your own)")
    return text


class Judge(Endpoint):
    """The judge of all suites that are `judged`."""

    mode: Literal["pointwise", "pairwise"]
    """`pointwise`: a score on `scale`. `pairwise`: against the item's own reference answer, in both orders; the grade
    is the mean of both, 1 for a win, 0.5 for a tie, 0 for a loss."""
    rubric: Annotated[str, Field(min_length=1), AfterValidator(_rubric)]
    """`quality`, `correctness`, or a text of your own."""
    scale: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    """Lowest and highest score, such as [1, 10], which become the grades 0 and 1. Goes with `pointwise`."""
    second_pass: Share
    """Share of the items that are judged twice, to report how well the judge agrees with itself; 0 for none."""

    @model_validator(mode="after")
    def _joined(self):
        if self.mode == "pointwise" and self.scale is None:
            raise ValueError("scale missing: mode: pointwise gives scores on it (such as [1, 10])")
        if self.mode == "pairwise" and self.scale is not None:
            raise ValueError(f"scale {self.scale} would have no effect with mode: pairwise")
        if self.scale is not None and self.scale[0] >= self.scale[1]:
            raise ValueError(
                f"scale {self.scale}: the lowest score is not below the highest (allowed: such as [1, 10])"
            )
        return self

    @property
    def rubric_text(self) -> str:
        """The rubric in full."""
        return RUBRICS.get(self.rubric, self.rubric)

    @property
    def requests_per_item(self) -> float:
        """Requests of an item, on average, when none has to be repeated."""
        return (2 if self.mode == "pairwise" else 1) * (1 + self.second_pass)
