"""Texts as they are compared, and hashes of what they consist of, computed for many texts at once with numpy.

Texts are equal when they are after Unicode's NFKC, case folding and joining of white space. Two streams are made of
each: tokens (a word or number, or one character of Chinese, Japanese or Korean) and characters (letters and digits
alone, without space and punctuation). All hashes are the same in every process.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from growthpace.data.importers.references import before_options
from growthpace.data.items import Item, Message

_EAST_ASIAN = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
"""First and last code points of the scripts whose characters are tokens by themselves."""
_BASE = 0x9E3779B97F4A7C15
"""Base of the polynomials: odd, so that it has an inverse modulo 2^64 (2^64 over the golden ratio)."""


def normalised(text: str) -> str:
    """Text as it is compared: NFKC, case folded, white space joined."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def digest(text: str) -> int:
    """64 bits of a text's BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Text:
    """What an item says, as it is compared. Worked examples in front of a question and system messages are no part of
    it: they are the same in many items."""

    prompt: str
    """All turns before the reference."""
    whole: str
    """All turns."""
    exact: int
    """Digest of all turns with their roles, the system's too."""


def text_of(item: Item) -> Text:
    """The item's texts, normalised."""
    texts = [normalised(message.content) for message in item.messages]
    own = texts[len(texts) - len(_own(item)) :]
    roles = (f"{message.role}:{text}" for message, text in zip(item.messages, texts, strict=True))
    return Text("\n".join(own[:-1]), "\n".join(own), digest("\n".join(roles)))


def without_options(item: Item) -> str:
    """The prompt of a question with options as if it had none, normalised; empty for any other item. The same question
    is often asked with other options, or with the same in another order."""
    if item.scorer not in ("letter", "letters"):
        return ""
    alone = before_options(item.messages[-2].content, item.answer)
    return normalised("\n".join([*(m.content for m in _own(item)[:-2]), alone])) if alone else ""


def _own(item: Item) -> tuple[Message, ...]:
    """The item's turns, without a system message and worked examples."""
    first = 1 if item.messages and item.messages[0].role == "system" else 0
    return item.messages[first + 2 * item.shots :]


@dataclass(frozen=True)
class Stream:
    """A stream of tokens or characters of many texts, one text after the other."""

    hashes: np.ndarray
    """64-bit hashes, shape (n,)."""
    owners: np.ndarray
    """Number of the text that each belongs to, shape (n,), ascending."""


def streams(texts: Sequence[str]) -> tuple[Stream, Stream]:
    """The tokens and the characters of normalised texts."""
    joined = "\0".join(text.replace("\0", " ") for text in texts) + "\0"
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _kinds()[codes]
    owners = np.cumsum(codes == 0, dtype=np.int32)
    hashes = _mixed(codes.astype(np.uint64) + np.uint64(1))
    # A token begins at an East Asian character, and at a letter or digit behind anything else.
    inside = np.concatenate(([False], kinds[:-1] == _WORD)) & (kinds == _WORD)
    counted = kinds != _OTHER
    starts = np.flatnonzero(counted & ~inside)
    ends = np.flatnonzero(counted & ~np.concatenate((inside[1:], [False]))) + 1
    tokens = Stream(_polynomials(hashes, starts, ends), owners[starts])
    return tokens, Stream(hashes[counted], owners[counted])


def ngrams(stream: Stream, size: int) -> Stream:
    """Hashes of all `size` neighbours in one text, repeats included; none of a text that is shorter."""
    count = len(stream.hashes) - size + 1
    if count < 1:
        return Stream(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int32))
    starts = np.flatnonzero(stream.owners[size - 1 :] == stream.owners[:count])
    return Stream(_polynomials(stream.hashes, starts, starts + size), stream.owners[starts])


def distinct(stream: Stream, bits: int = 64) -> Stream:
    """The stream with each hash (its upper `bits`) once a text, sorted within the text."""
    hashes = stream.hashes >> np.uint64(64 - bits)
    order = np.lexsort((hashes, stream.owners))
    hashes, owners = hashes[order], stream.owners[order]
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return Stream(hashes[new], owners[new])


# --- hashing ---------------------------------------------------------------------------------------------------------

_OTHER, _WORD, _CHARACTER = 0, 1, 2
_LAST = 0x32400
"""There are no letters and digits behind (Unicode 16)."""


@cache
def _kinds() -> np.ndarray:
    """What each code point is: a token by itself, part of a word, or neither."""
    kinds = np.zeros(0x110000, dtype=np.uint8)
    kinds[:_LAST] = [chr(code).isalnum() for code in range(_LAST)]
    for first, last in _EAST_ASIAN:
        kinds[first : last + 1] = _CHARACTER
    return kinds


def _mixed(values: np.ndarray) -> np.ndarray:
    """MurmurHash3's finaliser for 64 bits (A. Appleby, public domain): a bijection that spreads every bit."""
    values = values ^ (values >> np.uint64(33))
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


def _polynomials(hashes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Hash of each slice: mixed(sum of hashes[start + i] * BASE^i) modulo 2^64.

    Through one running sum of hashes[i] * BASE^i, from which a slice's share is taken and divided by BASE^start.
    """
    powers, inverses = _powers(_rounded_up(len(hashes) + 1))
    sums = np.zeros(len(hashes) + 1, dtype=np.uint64)
    np.cumsum(hashes * powers[: len(hashes)], out=sums[1:])
    return _mixed((sums[ends] - sums[starts]) * inverses[starts])


def _rounded_up(count: int) -> int:
    return 1 << max(16, count.bit_length())


@cache
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """BASE^i and BASE^-i modulo 2^64, for i below count."""
    found = []
    for base in (_BASE, pow(_BASE, -1, 2**64)):
        factors = np.full(count, base, dtype=np.uint64)
        factors[0] = 1
        found.append(np.multiply.accumulate(factors))
    return found[0], found[1]
