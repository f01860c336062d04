from easytune.services.conversations import Message
from easytune.webui.answers_html import Growing, render
from easytune.webui.chat_turn import turns

ANSWER = """# Title

It costs $5 and $10, but $x^2$ and \\(a_b\\) are formulas.

$$
a
- b
$$

```python
def area(width: float) -> float:
    return width
```

| a | b |
|---|---|
| 1 | 2 |

- one
- two

The end.
"""


def test_markup_scripts_pictures_and_unsafe_links_stay_text() -> None:
    html = render("<img src=x onerror=alert(1)> ![p](https://a.b/c.png) [x](javascript:alert(1))")

    assert "<img" not in html
    assert "&lt;img" in html
    assert 'href="javascript' not in html


def test_prices_are_no_formulas_and_formulas_are_no_lists() -> None:
    html = render(ANSWER)

    assert "$5 and $10" in html
    assert html.count('data-formula="inline"') == 2
    assert 'data-formula="block">a\n- b<' in html


def test_an_answer_that_grew_looks_like_one_that_came_whole() -> None:
    growing = Growing()
    for end in range(0, len(ANSWER), 3):
        growing.grown(ANSWER[:end])
    settled, last = growing.grown(ANSWER)

    assert len(settled) > 4
    assert "".join(settled) + last == render(ANSWER)


def test_a_failed_answer_leaves_one_question_for_the_model() -> None:
    failed = Message("assistant", "", details={"code": "host_crashed"})
    history = (Message("user", "first"), failed, Message("user", "second"))

    asked = turns("Be brief.", history)

    assert [(turn.role, turn.content) for turn in asked] == [
        ("system", "Be brief."),
        ("user", "first\n\nsecond"),
    ]
