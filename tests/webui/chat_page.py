"""What the tests of the Chat tab share: a model that talks long, and steps a visitor takes."""

import json
import re
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Locator, Page, expect
from tokenizers import Tokenizer

from easytune import paths
from tests.engine import tiny
from tests.webui import dropdowns

RAMBLER = "rambler"
"""A random model that always writes as much as it may."""
_DEMO_CHOSEN = re.compile("^Demo model.* / Base models$")


def keep_rambler(home: Path) -> None:
    """Put the model that talks long into the models folder of a home, once."""
    folder = paths.models(home) / RAMBLER
    if folder.exists():
        return
    # Slow rather than long: a page that shows a hundred thousand words is slow itself.
    tiny.save_folder(
        folder, "llama", num_hidden_layers=48, max_position_embeddings=16_384, eos_token_id=None
    )
    # A token beyond the model's vocabulary ends an answer: it is never drawn.
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    while tokenizer.get_vocab_size() <= tiny.VOCABULARY:
        tokenizer.add_special_tokens([f"<never {tokenizer.get_vocab_size()}>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = folder / "tokenizer_config.json"
    ending = {"eos_token": f"<never {tiny.VOCABULARY}>"}
    config.write_text(json.dumps(json.loads(config.read_text()) | ending))


def open_chat(page: Page, app: Any) -> None:
    """Open the app on its Chat tab."""
    page.goto(app.url)
    page.locator("#et-tabs").get_by_role("tab", name="Chat", exact=True).click()
    expect(page.locator("#chat-model input")).to_have_value(_DEMO_CHOSEN)


def begin_anew(page: Page) -> None:
    """Begin a new conversation with the demo model on a page of the Chat tab."""
    page.click("#chat-new")
    expect(page.locator("#chat-empty")).to_be_visible()
    page.fill("#chat-search textarea, #chat-search input", "")
    page.fill("#chat-text textarea", "")
    model = page.locator("#chat-model input")
    if not model.input_value().startswith("Demo model"):
        dropdowns.choose(page, "#chat-model", "Demo model", typed="Demo")
        expect(model).to_have_value(_DEMO_CHOSEN)
    longest = page.locator("#chat-option-sampling-max_new_tokens input")
    longest.fill("128")
    longest.press("Tab")


def write(page: Page, text: str) -> None:
    """Send a message with Enter."""
    page.locator("#chat-text textarea").fill(text)
    page.locator("#chat-text textarea").press("Enter")


def answers(page: Page) -> Locator:
    """Return the answers that have ended."""
    return page.locator("#chat-messages .et-assistant")


def questions(page: Page) -> Locator:
    """Return the questions."""
    return page.locator("#chat-messages .et-said")


def hosts(home: Path) -> list[psutil.Process]:
    """Return the processes that hold models of this home's app."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words, known = process.info["cmdline"] or [], process.info["environ"] or {}
        if "easytune.engine.host" in words and known.get("EASYTUNE_HOME") == str(home):
            found.append(process)
    return found
