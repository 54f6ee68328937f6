"""True or false: the item's two words, such as 正确 and 错误, are compared by summed log-probability.

Where a prediction has a text instead, its verdict is read from the text, with negation: "不正确" and "isn't correct"
say false (the paper's released code read the first as true, fault B19).
"""

import re

from growthpace.errors import InputError
from growthpace.evaluation.answer_text import STATEMENT, normalise_phrase, plain
from growthpace.evaluation.scorers.base import Grade, best_candidate, right_candidate

NAME = "true_false"
VERSION = 1
NEEDS = "candidates"
END_OF_TURN = False

# An English verdict may be softened between its negation and itself: "not entirely true", "isn't a correct statement".
_ENGLISH_NEGATION = (
    r"(?P<not>(?:\bnot|n't|\bnever|\bhardly|\bcannot\s+be|\bfar\s+from)(?:\s+(?:a|an|the|be|being|really|entirely|quite|"
    r"completely|strictly|always|necessarily|considered|exactly|fully|actually|very|factually|technically|wholly|at\s+all))*\s+)?"
)
_ENGLISH = (
    rf"{_ENGLISH_NEGATION}\b(?:(?P<en_true>true|correct|right|accurate|valid|yes)"
    r"|(?P<en_false>false|incorrect|wrong|untrue|inaccurate|invalid|no))\b"
)
_CHINESE = (
    r"(?P<bu>(?:并不|并非|不|没有?|非|绝非|未必)(?:是|太|完全|够|全|一定)*)?"
    r"(?:(?P<zh_true>正确|属实|准确|成立|符合(?:事实|史实|实际)|合理"
    r"|(?<![相面针应])对(?=的|[^\w]|$)|(?<=[是为])真(?=的|[^\w]|$)|真(?=$)|√|✓|✔)"
    r"|(?P<zh_false>错误|有误|有错|错(?=的|了|[^\w]|$)|(?<=[是为])假(?=的|[^\w]|$)|假(?=$)|×|✗|✘|❌))"
)
_VERDICT = re.compile(f"{_ENGLISH}|{_CHINESE}", re.IGNORECASE)
_TRUE_ALONE = ("t", "是", "是的", "真")
_FALSE_ALONE = ("f", "否", "不是", "不是的", "假")
_LEADING_WORD = re.compile(r"\W*(?P<word>是的|不是的|不是|是|否)(?=[,。.!;、\s]|$)")

# Mentions that are no verdict: the question itself, and "the correct answer is", "正确的说法是".
_NO_VERDICT = re.compile(
    r"(?:是否|是不是|能否|判断)[^,。;:\n]{0,12}?(?:正确|错误|属实|准确|成立|合理)(?:与否)?|(?:正确|对|真)(?:与否|还是|或|/)\s*(?:错误|错|假)|对错"
    r"|\b(?:true|correct|right|yes)\s*(?:or|/)\s*(?:false|incorrect|wrong|not|no)\b"
    r"|\b(?:whether|if)\s+(?:it|this|that|the\s+\w+)\s+(?:is|was)\s+(?:true|false|correct|right|wrong)\b"
    r"|正确的?(?:答案|选项|(?:说法|表述)(?=应|是|为|:)|应该?是|应为|是(?!的)|应当)|错误的?(?:原因|之处|地方|在于)"
    r"|\b(?:correct|right|true)\s+(?:answer|option|version|term|word|date|year|statement\s+(?:is|would|should))\b"
    r"|\bno\s+(?:longer|one|doubt|matter|more|evidence)\b",
    re.IGNORECASE,
)
_ANNOUNCED = re.compile(
    rf"(?:{STATEMENT}|判断(?:结果)?\s*(?:是|为|:)|(?:说法|表述|观点|陈述|命题|论断|叙述|描述|句话|这)[^,。;\n]{{0,6}}?(?=是|为|并|不|没|正确|错|对|有误|属实)"
    r"|\b(?:statement|claim|sentence|proposition|assertion|this|that|it)\s*(?=is|was|isn't|wasn't|cannot))",
    re.IGNORECASE,
)


def parse_true_false(text: str) -> bool | None:
    """The verdict of an English or Chinese text: True, False, or None where it gives none.

    A verdict that leads the text counts; else the last one that follows an announcement in the same sentence ("答案是",
    "这个说法", "the statement is"); else the last of all. A negation turns a verdict round, and a negated "错误" or
    "false" says true. The question's own words ("是否正确", "true or false", "正确答案") are no verdict.
    """
    text = plain(text).strip()
    if (word := normalise_phrase(text)) in (*_TRUE_ALONE, *_FALSE_ALONE):
        return word in _TRUE_ALONE
    text = _NO_VERDICT.sub("", text).strip()
    verdicts = list(_VERDICT.finditer(text))
    if verdicts and not re.search(r"\w", text[: verdicts[0].start()]):
        return _sense(verdicts[0])
    if match := _LEADING_WORD.match(text):
        return match["word"] in ("是", "是的")
    if not verdicts:
        return None
    announcements = [match.end() for match in _ANNOUNCED.finditer(text)]
    announced = [
        verdict
        for verdict in verdicts
        if any(
            end <= verdict.start() and not re.search(r"[。;!?\n]|\.\s", text[end : verdict.start()])
            for end in announcements
        )
    ]
    return _sense((announced or verdicts)[-1])


def _sense(verdict: re.Match) -> bool:
    says_true = bool(verdict["en_true"] or verdict["zh_true"])
    return says_true != bool(verdict["not"] or verdict["bu"])


def _parsed_word(item, text: str) -> str:
    """The one of the item's two words that a text says, or ''."""
    said = normalise_phrase(text)
    for word in item.candidates:
        if said == normalise_phrase(word):
            return word
    verdict = parse_true_false(text)
    means = [parse_true_false(word) for word in item.candidates]
    return item.candidates[means.index(verdict)] if verdict is not None and means.count(verdict) == 1 else ""


def grade(item, prediction) -> Grade:
    """1 if the right word has strictly the higher log-probability (or is what the text says), else 0.

    `parsed` is the chosen word, '' on a tie or where the text has no verdict. Chance is 1/2. Raises `InputError` naming
    the item for a NaN, a wrong number of log-probabilities, or an item without exactly two candidates.
    """
    if len(item.candidates) != 2:
        raise InputError(f"item {item.id!r}: {len(item.candidates)} candidates (true_false compares two words)")
    answer = item.candidates[right_candidate(item)]
    if prediction.text is not None and not prediction.logprobs:
        parsed = _parsed_word(item, prediction.text)
    else:
        best = best_candidate(item, prediction.logprobs)
        parsed = "" if best is None else item.candidates[best]
    return Grade(float(parsed == answer), 0.5, parsed)
