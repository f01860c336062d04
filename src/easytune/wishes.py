"""What a wish in plain words asks for, by simple local rules: a proposal, never a decision.

Words in English, Chinese and German are counted per intent; a word after "not" does not count.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "de", "zh"]

# Beginnings of words, so that endings do not matter. Of equals the later intent is proposed: it
# learns more, and includes what the earlier one would have learned.
_HINT_LISTS: dict[str, dict[Language, str]] = {
    "style": {
        "en": """
            tone, style, polite, friendl, formal, informal, casual, warm, humor, humour, funny,
            witty, sarcas, concise, brief, short answer, brand voice, voice of, sound like,
            sounds like, persona, character, role, like our, like a, like an, like my, like me,
            as if, the way we, speak, talk, greet, signature, emoji, cheer, profession,
            respectful, kindly, pirate, shakespeare, poet, rhyme, house style, wording,
            writing style, in german, in english, in chinese, in french, in spanish, translate
        """,
        "de": """
            ton, tonfall, stil, höflich, freundlich, förmlich, formell, locker, herzlich, humor,
            witzig, lustig, knapp, kurz, klingen, klingt, wie unser, wie ein, wie mein, wie ich,
            persona, rolle, charakter, siezen, duzen, anrede, markenstimme, auf deutsch,
            auf englisch, schreibstil, ausdrucksweise, sprich, sprechen, grüß, professionell
        """,
        "zh": """
            语气, 口吻, 风格, 礼貌, 客气, 友好, 亲切, 正式, 口语, 幽默, 风趣, 简洁, 简短, 人设,
            角色, 扮演, 像我们, 像一个, 像个, 像我, 语调, 文风, 措辞, 称呼, 用中文, 用英文,
            用德语, 温柔, 活泼
        """,
    },
    "knowledge": {
        "en": """
            knowledge, know about, knows about, know our, knows our, fact, domain, field,
            expert in, expertise, document, manual, handbook, wiki, faq, product, catalog,
            price list, medical, medicine, legal, law, statute, financ, biolog, chemi, physic,
            histor, terminolog, vocabular, jargon, company, internal, policy, policies, paper,
            research, textbook, learn about, answer questions about, information about, patient,
            diagnos, guideline
        """,
        "de": """
            wissen, kennt, kennen, fakten, fach, fachgebiet, fachwissen, fachsprache, dokument,
            handbuch, handbücher, anleitung, wiki, produkt, katalog, preisliste, medizin, recht,
            jurist, gesetz, finanz, biologie, chemie, physik, geschichte, begriffe,
            terminologie, vokabular, firma, unternehmen, intern, richtlinie, leitlinie,
            forschung, lehrbuch, fragen zu, fragen über, informationen, auskunft, diagnose
        """,
        "zh": """
            知识, 事实, 领域, 专业, 术语, 词汇, 文档, 手册, 说明书, 百科, 产品, 目录, 价格,
            医学, 医疗, 法律, 法规, 法条, 金融, 生物, 化学, 物理, 历史, 公司, 内部, 规章, 制度,
            政策, 论文, 研究, 教材, 资料, 了解我们, 诊断, 常见问题
        """,
    },
    "instructions": {
        "en": """
            json, xml, yaml, csv, sql, tool, function call, api, step by step, steps,
            multi-step, multistep, several steps, workflow, agent, instruction, structured,
            schema, extract, classif, label, parse, code, program, python, script, reason,
            calculat, math, plan, summar, table, follow, complex, solve, task, fill in,
            form field, convert, query
        """,
        "de": """
            json, xml, yaml, csv, sql, werkzeug, tool, funktionsaufruf, api,
            schritt für schritt, schritte, mehrstufig, ablauf, agent, anweisung, strukturiert,
            schema, extrahier, klassifizier, etikett, code, programmier, python, skript,
            schlussfolger, rechn, mathe, plan, fasse, zusammenfass, tabelle, befolg, komplex,
            löse, lösen, aufgabe, formular, umwandel, abfrage
        """,
        "zh": """
            json, xml, yaml, csv, sql, 工具, 函数调用, 接口, 一步一步, 逐步, 多步, 步骤, 流程,
            智能体, 指令, 结构化, 格式化输出, 提取, 抽取, 分类, 打标签, 解析, 代码, 编程, 脚本,
            推理, 计算, 数学, 规划, 总结, 摘要, 表格, 遵循, 复杂, 解决, 任务, 填写, 转换, 查询
        """,
    },
}
_HINTS: dict[str, dict[Language, list[str]]] = {
    intent: {name: [hint.strip() for hint in text.split(",")] for name, text in lists.items()}
    for intent, lists in _HINT_LISTS.items()
}
# Words that a sentence in the language can hardly do without. Those of other languages tell that a
# word which looks like one of ours is none.
_EVERYDAY_WORDS: dict[str, str] = {
    "en": "the a an i it to and of in that with my our your should want like answer is be as about "
    "for on or make please you we can do does not need which who from",
    "de": "der die das ein eine einen es ich wir soll sollte und in mit wie auf für über nicht zu "
    "dass unser unsere mein meine von bitte möchte will werden den dem im kann sie",
    "fr": "le la les un une des je il et de que avec mon notre comme sur pour dans est du au nous "
    "veux réponde qui pas en ce vous",
    "es": "el la los las un una yo que con mi nuestro como para por en es de y se del quiero "
    "responda al lo no su",
    "it": "il la lo gli un una io che con mio nostro come per di in è e del della voglio risponda "
    "al si non nel",
    "pt": "o a os as um uma eu que com meu nosso como para por em é de e do da quero responda "
    "ao se não no na",
    "nl": "de het een ik wij dat met mijn ons onze als voor in is en van op niet te wil zou moet "
    "antwoorden",
    "pl": "i w na z że się nie jak do to jest chcę nasz mój aby żeby o po",
}
_EVERYDAY = {name: frozenset(words.split()) for name, words in _EVERYDAY_WORDS.items()}
_OURS: tuple[Language, ...] = ("en", "de")
_NOT = re.compile(
    r"(\bnot\b|\bno\b|\bnever\b|\bwithout\b|n't\b|\bnicht\b|\bkeine?\w*\b|\bohne\b|\bnie\b)"
    r"(\s+\w+){0,2}\s*$"
)
_NOT_CHINESE = re.compile(r"(不要|不用|不需要|不是|别|没有|无需|不)[^，。；,.;]{0,3}$")
_HAN = re.compile(r"[\u3400-\u9fff]")
# Traditional characters of our hints, as simplified ones.
_SIMPLIFIED = str.maketrans(
    "語氣風禮親簡潔設個調詞稱溫潑識實領專業術彙檔冊說書產錄價醫學療規條務論資瞭們診斷見問題驟體"
    "結構輸標籤碼編腳計劃總遵複雜決轉換詢趣數寫類歷內無別沒",
    "语气风礼亲简洁设个调词称温泼识实领专业术汇档册说书产录价医学疗规条务论资了们诊断见问题骤体"
    "结构输标签码编脚计划总遵复杂决转换询趣数写类历内无别没",
)
_LONGEST = 1000
_LOOKED_BACK = 60


@dataclass(frozen=True)
class Proposal:
    """The intent a wish seems to ask for, and the words in it that said so."""

    intent: str
    words: tuple[str, ...]


def propose(wish: str, own: Mapping[str, Sequence[str]] | None = None) -> Proposal | None:
    """Return the intent that a wish in English, Chinese or German seems to ask for.

    `own` adds words by intent. None when the language is unknown or nothing in it is a hint.
    """
    text = " ".join(unicodedata.normalize("NFC", wish[:_LONGEST]).casefold().split())
    languages, simplified = _languages(text), text.translate(_SIMPLIFIED)
    found = {
        intent: _found(simplified, [hint for language in languages for hint in hints[language]])
        for intent, hints in _HINTS.items()
    }
    for intent, words in (own or {}).items():
        found[intent] = [*found.get(intent, []), *_found(text, [w.casefold() for w in words])]
    hits = {intent: list(dict.fromkeys(words)) for intent, words in found.items() if words}
    if not hits:
        return None
    # Own intents come last here and so win among equals: their words were chosen for this.
    best = max(reversed(list(hits)), key=lambda intent: len(hits[intent]))
    return Proposal(best, tuple(hits[best]))


def _languages(text: str) -> tuple[Language, ...]:
    """Return the languages that a wish may be in, as far as we know words of them."""
    letters = [letter for letter in text if letter.isalpha()]
    chinese = sum(bool(_HAN.match(letter)) for letter in letters)
    latin = sum("LATIN" in unicodedata.name(letter, "") for letter in letters)
    # Kana, Hangul, Cyrillic and others: what looks familiar in between is chance.
    if not letters or chinese + latin < 0.9 * len(letters):
        return ()
    # A Chinese letter says about as much as a short word.
    return ("zh",) if 3 * chinese >= latin else _latin_languages(text)


def _latin_languages(text: str) -> tuple[Language, ...]:
    words = re.findall(r"[^\W\d_]+", text)
    counts = {name: sum(word in known for word in words) for name, known in _EVERYDAY.items()}
    most = max(counts.values())
    if not most:
        # Single words, such as "polite tone" or "JSON".
        return ("en", "de")
    best: list[Language] = [name for name in _OURS if counts[name] == most]
    return tuple(best[:1])


def _found(text: str, hints: Sequence[str]) -> list[str]:
    """Return the words of a wish that begin as one of the hints does and are not denied."""
    hits = (hit for hint in hints for hit in _occurrences(text, hint))
    return [
        word for start, word in hits if not _is_denied(text[max(0, start - _LOOKED_BACK) : start])
    ]


def _occurrences(text: str, hint: str) -> list[tuple[int, str]]:
    if _HAN.search(hint):
        return [(found.start(), found[0]) for found in re.finditer(re.escape(hint), text)]
    # Short ones would be the beginning of too much: "ton", "api", "plan".
    ending = r"s?\b" if len(hint) < 5 else r"\w*"
    pattern = rf"(?<!\w){re.escape(hint)}{ending}"
    if _HAN.search(text):
        pattern = re.escape(hint)
    return [(found.start(), found[0]) for found in re.finditer(pattern, text)]


def _is_denied(before: str) -> bool:
    return bool(_NOT.search(before) or _NOT_CHINESE.search(before))
