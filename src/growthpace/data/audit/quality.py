"""Items that say nothing, or whose text was damaged on its way."""

from __future__ import annotations

import re

from growthpace.data.items import Item

_PLACEHOLDERS = frozenset(
    ("n/a", "na", "nan", "null", "none", "undefined", "todo", "tbd", "...", "…", "-", "<noinput>")
)
"""Answers that a program or a form left where nobody wrote one. Looked for where an answer is free text."""

_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u3164\ufeff\ufffd]")

_LATIN = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2026\u2030\u2039\u203a\u2122"
)
"""What the bytes 0x80 to 0xBF become in Latin-1 and in Windows-1252."""
_ODD = (
    "\u0080-\u009f\u00a1-\u00aa\u00ac-\u00ba\u00bc-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e"
    "\u0192\u02c6\u02dc\u201a\u201e"
)
"""Those of them that no language writes behind a letter, as French does guillemets and dots."""

_BROKEN = re.compile(
    "|".join(
        (
            r"(?P<replacement_character>\ufffd)",
            r"(?P<control_character>[\x00-\x08\x0b\x0e-\x1f\x7f]|[\x80-\x9f](?![\x80-\xbf]))",
            # UTF-8 read as Latin-1 or Windows-1252 (é as Ã©, ’ as â€™, 中 as ä¸­), and GBK's well-known two.
            rf"(?P<mojibake>[\u00c2-\u00c6][{_ODD}]|\u00e2\u20ac[{_LATIN}]|[\u00e2-\u00e9][{_ODD}][{_LATIN}]"
            r"|锟斤拷|烫烫烫)",
            r"(?P<private_use_character>[\ue000-\uf8ff])",
        )
    )
)
_MARKUP = re.compile(
    r"</?(?:br|p|div|span|td|tr|table|li|ul|ol|a|b|i|u|em|strong|img|font|sup|sub|h[1-6])(?:\s[^<>]{0,200})?/?>"
    r"|&(?:nbsp|lt|gt|amp|quot|apos|ldquo|rdquo|#\d{2,5}|#x[0-9a-fA-F]{2,5});",
    re.IGNORECASE,
)
_ABOUT_MARKUP = re.compile(r"```|html|xml|css|javascript|markdown|\btags?\b|标签|网页", re.IGNORECASE)


def faults(item: Item) -> list[tuple[str, str]]:
    """(kind of finding, what it is) of an item: `empty`, `broken`, `markup`; at most one of each kind."""
    found = []
    texts = [message.content for message in item.messages]
    for number, message in enumerate(item.messages, start=1):
        if not _VISIBLE.search(message.content) and (message.role == "user" or item.scorer != "judge"):
            found.append(("empty", f"message {number} ({message.role}) shows nothing"))
            break
    else:
        if item.scorer == "none" and texts[-1].strip().casefold() in _PLACEHOLDERS:
            found.append(("empty", f"the answer is {texts[-1].strip()!r}"))
    whole = "\n".join(texts)
    if broken := _BROKEN.search(whole):
        what = broken.lastgroup.replace("_", " ")
        code = "" if what == "mojibake" else f" U+{ord(broken[0]):04X}"
        found.append(("broken", f"{what}{code}: {around(whole, broken.start())}"))
    if (markup := _MARKUP.search(whole)) and not _ABOUT_MARKUP.search(whole):
        found.append(("markup", around(whole, markup.start())))
    return found


def around(text: str, place: int) -> str:
    """Some characters before and after a place, on one line; what cannot be printed as its escape."""
    part = text[max(0, place - 20) : place + 30]
    return "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in part)
