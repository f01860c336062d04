import pytest

from easytune import wishes


@pytest.mark.parametrize(
    ("wish", "intent"),
    [
        ("I want it to answer like our support team, politely, in German", "style"),
        ("Es soll freundlich und höflich klingen", "style"),
        ("希望它像我们的客服一样礼貌地回答", "style"),
        ("It should know our product manuals", "knowledge"),
        ("Das Modell soll unsere Handbücher kennen", "knowledge"),
        ("medizinisches Fachwissen", "knowledge"),
        ("让模型了解我们公司的产品知识", "knowledge"),
        ("Call tools step by step and return valid JSON", "instructions"),
        ("Soll Texte strukturiert als JSON extrahieren", "instructions"),
        ("逐步推理并输出 JSON", "instructions"),
        ("請像我們的客服一樣用禮貌的語氣回答", "style"),
        ("not the tone, I want facts about law", "knowledge"),
    ],
)
def test_a_wish_proposes_an_intent_and_says_by_which_words(wish: str, intent: str) -> None:
    found = wishes.propose(wish)

    assert found is not None
    assert found.intent == intent
    assert all(word in wish.casefold() for word in found.words) or "禮" in wish


@pytest.mark.parametrize(
    "wish",
    [
        "Quiero que responda como nuestro equipo de soporte, en JSON",
        "Je veux que le modèle réponde poliment",
        "Я хочу, чтобы модель отвечала вежливо, JSON",
        "日本語で丁寧に答えてほしい",
        "make it better",
        "not polite",
        "🙂 123 !!!",
        "",
        "x" * 100_000,
    ],
)
def test_a_wish_in_an_unknown_language_or_without_a_hint_proposes_nothing(wish: str) -> None:
    assert wishes.propose(wish) is None


def test_words_of_an_intent_of_ones_own_count_in_any_language() -> None:
    own = {"legal": ("Court", "tribunal")}

    found = wishes.propose("Quiero que responda como un tribunal", own)
    assert found == wishes.Proposal("legal", ("tribunal",))
    assert wishes.propose("facts as the court finds them", own) == wishes.Proposal(
        "legal", ("court",)
    )
