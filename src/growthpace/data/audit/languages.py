"""Which language an item is in: by its script where that decides, else by py3langid (M. Lui, T. Baldwin, ACL 2012)."""

from __future__ import annotations

import re
from functools import cache

UNKNOWN = "und"
"""ISO 639's code for undetermined: too little text, or too unlike any language."""
LETTERS = 60
"""Letters of an alphabet that a text needs, since classifiers of language guess on shorter ones; a quarter as many
characters of Chinese, Japanese or Korean."""
SURE = 0.9
"""Probability from which py3langid is believed."""
LONGEST = 150
"""Characters that are looked at, from the beginning: reading is most of what an audit takes."""

_NO_PROSE = re.compile(r"```.*?(?:```|$)|\$\$.*?\$\$|\$[^$\n]*\$|https?://\S+|\\[A-Za-z]+|_{2,}", re.DOTALL)
_HAN, _KANA, _HANGUL = (re.compile(f"[{block}]") for block in ("\u3400-\u9fff", "\u3040-\u30ff", "\uac00-\ud7af"))
_LETTER = re.compile(r"[^\W\d_]")


def language(text: str) -> str:
    """ISO 639-1 code of a text's language, `UNKNOWN` where that cannot be told with confidence."""
    text = _NO_PROSE.sub(" ", text[: 8 * LONGEST])[:LONGEST]
    letters = len(_LETTER.findall(text))
    if not text.isascii():
        han, kana, hangul = (len(script.findall(text)) for script in (_HAN, _KANA, _HANGUL))
        east = han + kana + hangul
        if 3 * east >= letters - east:  # a word of an alphabet has several letters
            if 4 * east < LETTERS:
                return UNKNOWN
            return "ja" if 10 * kana >= east else "ko" if 2 * hangul >= east else "zh"
    if letters < LETTERS:
        return UNKNOWN
    code, probability = _identifier().classify(text)
    return code if probability >= SURE else UNKNOWN


@cache
def _identifier():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
