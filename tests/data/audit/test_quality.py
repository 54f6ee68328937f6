"""Empty and damaged items are found, and sound ones in many languages are not; so for languages."""

import pytest

from growthpace.data.audit import audit
from growthpace.data.audit.languages import UNKNOWN, language
from growthpace.data.audit.quality import faults
from growthpace.data.items import Item, Message


def item(prompt, answer="An answer.", identifier="a", scorer="none"):
    return Item(identifier, "history", (Message("user", prompt), Message("assistant", answer)), scorer)


@pytest.mark.parametrize(
    ("kind", "prompt", "answer"),
    [
        ("empty", "\u200b\ufeff ", "An answer."),
        ("empty", "Who?", "N/A"),
        ("empty", "Who?", " null "),
        ("broken", "What is caf\ufffd?", "A shop."),
        ("broken", "A bell\x07 rings", "Yes."),
        ("broken", "cafÃ© au lait", "Milk."),
        ("broken", "It costs 5 â‚¬", "Yes."),
        ("broken", "donâ€™t", "Yes."),
        ("broken", "锟斤拷锟斤拷", "Yes."),
        ("broken", "中文".encode().decode("latin-1"), "Yes."),
        ("broken", "\ue012 is a formula", "Yes."),
        ("markup", "First line<br />second", "Yes."),
        ("markup", "a &lt; b and&nbsp;c", "Yes."),
    ],
)
def test_what_is_damaged(kind, prompt, answer):
    found = faults(item(prompt, answer))
    assert [name for name, _ in found] == [kind]
    assert found[0][1].isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "Où est l'hôtel ? À Paris, « là-bas ».",
        "São João não é Ångström; Ærø, naïve, Œuvre, 5 °C, § 3, 10 €, ©",
        "下列关于细胞膜的叙述，正确的是（　　）\nA. 一  B. 二",
        "« Désolé\u00a0» «désolé…» “café”—said É» LÀ… Ä”",
        "日本語のテキスト・です。",
        "x < 3 and y > 5, a<b>c is no tag? if a < b: pass",
        "Какой сегодня день?\tПонедельник.\r\n",
        "😀 emoji 👩‍👩‍👧 and 한국어",
        "Write HTML: <br> breaks a line.",
        "```\n<div>code</div>\n```",
        "None of the above & all",
    ],
)
def test_what_is_sound(text):
    assert faults(item(text, text)) == []


def test_only_free_answers_can_be_placeholders():
    assert faults(item("Is it?", "none", scorer="exact_match")) == []
    judged = (Message("user", "Tell."), Message("assistant", ""))
    assert faults(Item("a", "history", judged, "judge")) == []


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "A farmer has twelve cows and buys fifteen more, how many cows does the farmer have in total now?"),
        ("de", "Erkläre bitte, wie der Wasserkreislauf funktioniert und warum er für alle Bauern wichtig ist."),
        ("zh", "下列关于细胞膜结构与功能的叙述中，不正确的是哪一项？请说明理由。"),
        ("ja", "日本の首都はどこですか。理由も詳しく説明してください。"),
        ("ko", "대한민국의 수도는 어디입니까? 자세히 설명해 주시기 바랍니다."),
        (UNKNOWN, "42 + 3"),
        (UNKNOWN, "短文"),
        (UNKNOWN, "$\\frac{a}{b}$ https://example.org/a/long/address/that/is/no/language/at/all/whatever/it/says"),
    ],
)
def test_language(code, text):
    assert language(text) == code


def test_what_is_in_another_language_than_the_others():
    asked = "How many apples does Tom have if he buys {} more apples at the market every morning?"
    english = [item(asked.format(n), identifier=f"e{n:02}") for n in range(20)]
    other = item("下列关于细胞膜结构与功能的叙述中，不正确的是哪一项？请说明理由。", identifier="odd")
    rows = audit({"curated": [*english, other]}, {}).findings.to_pylist()
    odd = [(r["id"], r["detail"][:10]) for r in rows if r["kind"] == "language_odd"]
    assert odd == [("odd", "zh, not en")]
    assert {r["detail"] for r in rows if r["kind"] == "language_share"} == {"en: 20 of 21", "zh: 1 of 21"}
    few = audit({"curated": [*english[:5], other]}, {}).findings.to_pylist()
    assert not [r for r in few if r["kind"] == "language_odd"]  # too few to say what is usual
