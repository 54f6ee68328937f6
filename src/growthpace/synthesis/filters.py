"""What keeps an instruction or an answer out: too similar to what is there, a refusal, something cut off.

Similarity is of tokens: a word, or an East Asian character, after Unicode's NFKC and case folding.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

FEWEST_TOKENS, MOST_TOKENS = 3, 400
"""Of an instruction. self-instruct (arXiv 2212.10560) keeps 4 to 150 words of tasks without their input; here the
input is part of it."""

_REFUSAL = re.compile(
    r"\W*(?:(?:i'?m|i am) (?:(?:very|so|really|truly) )?(?:sorry|afraid)\b|(?:i )?apologi[sz]e\b|my apologies\b"
    r"|(?:unfortunately,? )?(?:but )?i (?:can(?:'t|not| not)|am (?:not able|unable)|won'?t|will not|must decline)\b"
    r"(?! (?:be )?(?:emphasi[sz]e|stress|overstate|imagine|wait|believe|thank))"
    r"|as an? (?:ai|artificial intelligence|language model)\b|as a large language model\b"
    r"|(?:很|非常|十分)?(?:抱歉|对不起|遗憾)|我(?:无法|不能|没办法|没有办法)|作为(?:一个|一名|一款)?(?:人工智能|ai|语言模型|大语言模型|大型语言模型))",
    re.IGNORECASE,
)
_ATTACHED = re.compile(
    r"\b(?:the|this|these|that|attached|following|above|below)\s+(?:attached\s+)?"
    r"(?:images?|pictures?|photos?|photographs?|videos?|audio|recordings?|screenshots?|attachments?)\b"
    r"|https?://|(?:下图|上图|图中|如图|附图|这张图|该图片|这段视频|这段音频)",
    re.IGNORECASE,
)

_EAST_ASIAN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_EAST_ASIAN}]|[^\W_{_EAST_ASIAN}]+")


def tokens_of(text: str) -> list[str]:
    """The words of a text, East Asian ones character by character."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def refuses(answer: str) -> bool:
    """Whether an answer begins with a refusal, in English or Chinese."""
    return _REFUSAL.match(answer.replace("’", "'")) is not None


def unfinished(answer: str) -> bool:
    """Whether an answer ends within a block of code."""
    return len(re.findall(r"^[ \t]*```", answer, re.MULTILINE)) % 2 == 1


def instruction_fault(text: str) -> str:
    """Why an instruction cannot be kept, whatever else there is; empty where it can."""
    count = len(tokens_of(text))
    if count < FEWEST_TOKENS:
        return "too short"
    if count > MOST_TOKENS:
        return "too long"
    if _ATTACHED.search(text):
        return "about something that is not in it"
    return "the teacher refused" if refuses(text) else ""


class Known:
    """Texts that a new one must not be too similar to.

    ROUGE-L (Lin 2004) as an F-measure of two token sequences of lengths m and n with a longest common subsequence L is
    2 L / (m + n). Dice's coefficient (Dice 1945) of their tokens without order, repeats counted, is the same number for
    the sequences sorted, since the longest common subsequence of two sorted sequences is what they share. Both are
    `Indel.normalized_similarity` of rapidfuzz, which is fast on strings: each token is written as one character.

    Only texts are compared that share one of the rarest tokens. Dice's coefficient is never below ROUGE-L. For it to be
    above t, more than o = t m / (2 - t) of the m new tokens must be shared, so that one of any m - o of them is.
    """

    def __init__(self, most_similar: float, most_overlap: float):
        self.most_similar, self.most_overlap = most_similar, most_overlap
        self._characters: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._texts: list[str] = []
        self._sorted: list[str] = []
        self._with: dict[str, list[int]] = defaultdict(list)
        """Positions of the texts that hold a token."""

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> None:
        """Notes a text."""
        written, position = self._written(text), len(self)
        self._places.setdefault(written, position)
        self._texts.append(written)
        self._sorted.append("".join(sorted(written)))
        for character in sorted(set(written)):
            self._with[character].append(position)

    def add_all(self, texts: Iterable[str]) -> None:
        """Notes several."""
        for text in texts:
            self.add(text)

    def forget(self, count: int) -> None:
        """Leaves the first so many."""
        while len(self) > count:
            written = self._texts.pop()
            self._sorted.pop()
            if self._places[written] == len(self):
                del self._places[written]
            for character in set(written):
                self._with[character].pop()

    def similar(self, text: str) -> tuple[str, int] | None:
        """(what is too similar: `the same`, `ROUGE-L` or `same words`, position of the text that it is similar to), the
        first found; None for a text that is new enough."""
        written = self._written(text)
        if written in self._places:  # whatever the limits are
            return "the same", self._places[written]
        near = self._near(written)
        for kind, texts, query, most in (
            ("ROUGE-L", self._texts, written, self.most_similar),
            ("same words", self._sorted, "".join(sorted(written)), self.most_overlap),
        ):
            position = _above(query, [texts[place] for place in near], most)
            if position is not None:
                return kind, near[position]
        return None

    def _near(self, written: str) -> list[int]:
        """Positions of the texts that may be too similar, in order."""
        least = min(self.most_similar, self.most_overlap)
        shared = math.floor(least * len(written) / (2 - least) - 1e-9) + 1
        rarest = sorted(written, key=lambda character: (len(self._with.get(character, ())), character))
        found = (self._with.get(character, ()) for character in set(rarest[: len(written) - max(1, shared) + 1]))
        return sorted(set().union(*found))

    def _written(self, text: str) -> str:
        return "".join(self._characters.setdefault(t, _character(len(self._characters))) for t in tokens_of(text))


def _character(number: int) -> str:
    """A character for each number, surrogates left out."""
    return chr(number + 1 if number < 0xD7FF else number + 0x801)


def _above(query: str, texts: list[str], most: float) -> int | None:
    """Position of a text whose similarity to the query is above `most`."""
    from rapidfuzz import process
    from rapidfuzz.distance import Indel

    if not query or not texts:
        return None
    # A score equal to the cutoff is kept by rapidfuzz, one of `most` itself is allowed here.
    found = process.extractOne(query, texts, scorer=Indel.normalized_similarity, score_cutoff=most)
    return found[2] if found is not None and found[1] > most else None
