import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from scoring import ANY_TEXT, fuzz, grade, make_item, said

from growthpace.errors import InputError
from growthpace.evaluation import mathematics
from growthpace.evaluation.scorers import math as scorer

RIGHT = {
    "5": [
        "5", "5.0", "５", "+5", "(5)", "5.", "5元", "5m", "5°", "5 cm^2", "5 m/s", "5 km/h", "10/2", "x=5", "3+2=5",
        "$5$", "$x=5$",
        "答案是5", "答案：5。", "答案为5个", "答案是：\n5", "答：一共有5个苹果。", "所以他有5个苹果。",
        "面积是5平方厘米", "答案为 10/2", "【答案】5",
        "The answer is 5.", "The answer is 5.0 apples.", "The answer is $5.", "The answer is: $5$ dollars", "#### 5",
        "The answer is 5, because 2+3=5 and 7-2=5", "The answer is 5 because there are 3 boxes.", "**Answer:** 5",
        "Answer: **5**",
        "First 12, then 7. The answer is 5", "The answer is 12. Wait, the answer is 5", r"\boxed{5}",
        r"The final answer is $\boxed{5}$.",
        r"\boxed{12} hmm, \boxed{5}", r"\boxed{5}. \boxed{}", "$$x=5$$", r"\[ x = 5 \]",
        r"Therefore, the answer is \(5\).",
        r"5 \text{ cm}", r"$5\text{ cm}^2$", r"$5^\circ$",
        "The answer is 5. That is right, so the answer is correct.",
    ],
    "1/2": [
        "答案为1/2", "0.5", ".5", "2/4", "1 / 2", "½", "50%", "50\\%", "百分之50", "答案是1/2米", r"\frac{1}{2}",
        r"$\frac12$", r"\dfrac{1}{2}",
        r"答案是 $\frac{1}{2}$。", "The answer is 1/2 of the cake.",
    ],
    "1.5": ["1½", "1 1/2", "1又1/2", r"1\frac{1}{2}", r"$1\frac{1}{2}$", "3/2"],
    "1000": ["1,000", "1,000.00", "1，000", "$1,000", "The answer is $1,000.", "1{,}000", r"1\,000", "1e3", "10^3",
    "一共1,000元。"],
    "1,000": ["1000"],
    "50%": ["50%", "0.5", "1/2", "50", "50 percent"],
    "30000": ["3万", "3万元", "30,000"],
    "3": ["3万元", r"\sqrt{9}"],
    "72": [
        "She sold 48+24 = <<48+24=72>>72 clips altogether.\n#### 72", "She earned 48+24=72 dollars.", "Total: $72",
        "72 dollars and nothing more",
    ],
    "-5": ["-5", "−5", "答案是-5", "$-5$", "The answer is -5."],
    "1/3": ["1/3", "2/6", "0.333333", "0.3333333"],
    "120000": [r"1.2\times10^5", "1.2×10⁵", "1.2e5", "12万"],
    r"2\sqrt{3}": ["2√3", r"\sqrt{12}", r"$2\sqrt{3}$", r"答案是 $2\sqrt{3}$ 米", r"答案是2\sqrt{3}米"],
    "x^2+2x+1": ["(x+1)^2", "x²+2x+1", "答案是 $(x+1)^2$"],
    "(3, 4)": ["(3,4)", "The answer is $(3,4)$."],
    "2\\pi": ["2π", r"$2\pi$"],
    "3:4": ["3：4", "6:8"],
    "5;10": ["答案为5;10", "5；10", "$5$;$10$", "5和10"],
    "3,5": ["5, 3", "x=3 or x=5", "答案是3或5"],
    r"\$6": ["6", "$6", r"The answer is $\$6$."],
    "1小时30分": ["1小时30分", "答案是1小时30分。"],
    "no solution": ["The answer is no solution.", "No solution"],
    r"\{1,2\}": [r"\{2,1\}", r"$\{1, 2\}$", "{2, 1}", r"答案是 $\{2,1\}$。", r"\boxed{\{1,2\}}", r"\left\{1,2\right\}"],
    r"\emptyset": ["∅", r"\varnothing", r"答案是 $\emptyset$"],
    r"(-\infty, 3)": ["(-∞,3)", r"\left(-\infty, 3\right)"],
    "[1,2)": [r"\left[1,2\right)"],
    "x>3": ["x > 3", r"(3, \infty)"],
    "12.5%": ["0.125", "1/8", "12.5"],
    "5 cm": ["5", "5厘米", "5 cm."],
    "1,234,567": ["1234567", "1,234,567元"],
    r"\frac{\sqrt{3}}{2}": ["√3/2", r"\sqrt{3}/2", r"\dfrac{\sqrt3}{2}"],
}  # fmt: skip
WRONG = {
    "5": [
        "", "。", "6", "15", "答案是15", "-5", "5x", "5/1000", "1/5", "five", r"\boxed{}", "答案是正确的",
        "The answer is 6, not 5",
        r"\boxed{5} 所以答案是6",
    ],
    "1/2": ["2", "1", "答案是2", "1/3", "5%"],
    "1000": ["1", "1,00", "100", "10,000"],
    "50%": ["5", "500%", "0.05"],
    "72": ["She earned 72 dollars. Then she spent 12.\n#### 60"],
    "-5": ["5"],
    "1/3": ["0.33", "0.3"],
    "3.14": ["3.1416", r"\pi"],
    r"2\sqrt{3}": ["2", "3", r"3\sqrt{2}"],
    "x^2+2x+1": ["x^2+1"],
    "(3, 4)": ["(4, 3)", "3"],
    "5;10": ["10;5", "5", "5;10;15"],
    "3,5": ["3", "5", "3.5", "3,6"],
    "1小时30分": ["1小时40分", "1", "30"],
    "no solution": ["5"],
    r"\{1,2\}": ["1", r"\{1\}", r"\{1,3\}", r"\{1,2,3\}"],
    r"\emptyset": ["0", r"\{1\}"],
    "12.5%": ["1.25", "0.0125"],
}  # fmt: skip


def cases(table):
    return [(reference, text) for reference, texts in table.items() for text in texts]


@pytest.mark.parametrize(("reference", "text"), cases(RIGHT))
def test_right_answers(reference, text):
    result = grade(make_item("math", reference), said(text))
    assert (result.grade, result.chance) == (1.0, 0.0)


@pytest.mark.parametrize(("reference", "text"), cases(WRONG))
def test_wrong_answers(reference, text):
    assert grade(make_item("math", reference), said(text)).grade == 0.0


def test_what_was_understood_is_told():
    assert grade(make_item("math", "2"), said("答案为1/2")).parsed == "1/2"
    assert grade(make_item("math", "72"), said("48+24=72\n#### 72")).parsed == "72"


def test_a_prediction_without_text_is_an_error():
    with pytest.raises(InputError, match="item-1"):
        grade(make_item("math", "5"), said(None))


EXPLOSIVE = [
    "9**9**9",
    "9^9^9",
    "99999!",
    "2^{99999999}",
    "10^{10^{10}}",
    "9" * 5000,
    "1e999999999",
    "(" * 500,
    r"\frac{" * 100,
]


@pytest.mark.parametrize("text", EXPLOSIVE)
def test_huge_powers_are_refused_at_once(text):
    begin = time.process_time()
    assert grade(make_item("math", "x+1"), said(f"答案是{text}")).grade == 0.0
    assert grade(make_item("math", "5"), said(text)).grade == 0.0
    assert time.process_time() - begin < 1


def test_a_comparison_that_takes_too_long_is_ended_and_the_next_one_works(monkeypatch):
    monkeypatch.setattr(mathematics, "CPU_SECONDS", 0.5)
    assert mathematics._COMPARER.same("3", "9^{9^{9}}") is False
    assert mathematics._COMPARER.same("3", "9^{9^{9}}") is False
    monkeypatch.undo()
    assert mathematics._COMPARER.same(r"\sqrt{12}", r"2\sqrt{3}") is True


def _compare(pair):
    return mathematics.equivalent(*pair)


def test_comparisons_are_safe_in_threads_and_forks():
    pairs = [(rf"\sqrt{{{n * n * 3}}}", rf"{n + n % 2}\sqrt{{3}}") for n in range(2, 12)]
    expected = [n % 2 == 0 for n in range(2, 12)]
    assert [_compare(pair) for pair in pairs] == expected
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(_compare, pairs)) == expected
    with multiprocessing.get_context("fork").Pool(2) as forks:
        assert forks.map(_compare, pairs) == expected
    assert [_compare(pair) for pair in pairs] == expected


@fuzz
@given(ANY_TEXT)
def test_no_text_breaks_the_parser(text):
    assert isinstance(scorer.final_answer(text), str)
    mathematics.number(text)


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT)
def test_no_text_breaks_the_scorer(text):
    for reference in ("5", r"\sqrt{2}", "无解"):
        assert grade(make_item("math", reference), said(text)).grade in (0.0, 1.0)
