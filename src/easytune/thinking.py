"""Thoughts that a model writes before its answer, and the tags around them."""

TAGS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))


def split_thinking(text: str, opened: bool) -> tuple[str, str]:
    """Return (thinking, answer) of what a model wrote.

    `opened`: the prompt itself opened the thinking block. A block that has yet to be closed is
    all thinking.
    """
    start = text.lstrip()
    for begin, end in TAGS:
        if start.startswith(begin):
            thought, _, answer = start.removeprefix(begin).partition(end)
            return thought.strip(), answer.lstrip()
    if not opened:
        return "", text
    for _, end in TAGS:
        if end in text:
            thought, _, answer = text.partition(end)
            return thought.strip(), answer.lstrip()
    return text.strip(), ""
