"""The Chat tab in a real browser, on the real app with the demo model."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.patience import eventually
from tests.webui import dropdowns
from tests.webui.chat_page import (
    RAMBLER,
    answers,
    begin_anew,
    hosts,
    keep_rambler,
    open_chat,
    questions,
    write,
)
from tests.webui.compare_page import save_adapter

pytestmark = pytest.mark.browser
STARTER = "What is the capital of France?"
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"


@pytest.fixture(scope="module")
def opened(shared_app: Any, visitor: BrowserContext) -> Page:
    """The Chat tab of the shared app, opened once: that takes long."""
    page = visitor.new_page()
    open_chat(page, shared_app)
    return page


@pytest.fixture
def chat(opened: Page) -> Page:
    """The shared tab with a new conversation and the demo model."""
    begin_anew(opened)
    return opened


def test_one_click_asks_a_first_question_and_shows_answer_and_figures(chat: Page) -> None:
    chat.get_by_role("button", name=STARTER).click()
    expect(chat.locator("#chat-live .et-foot")).to_contain_text(re.compile(r"\w"))
    expect(answers(chat)).to_contain_text("Paris")
    expect(answers(chat).locator(".et-figures")).to_have_text(
        re.compile(r"\d+ tokens · [\d,.]+ tokens/s · first token after [\d.]+ s · prompt \d+ tok")
    )
    expect(chat.locator("[data-model=demo]")).to_contain_text(re.compile(r"Ready.*\d+ MB", re.S))
    expect(chat.locator("[data-conversation][aria-current]")).to_contain_text(STARTER)


def test_a_reload_shows_the_same_conversation(chat: Page) -> None:
    write(chat, "How much is 3 plus 4?")
    expect(answers(chat)).to_have_count(1)
    said = answers(chat).inner_text()
    chat.reload()
    expect(questions(chat)).to_have_text(["How much is 3 plus 4?"])
    assert answers(chat).inner_text() == said


def test_an_edited_question_is_answered_and_what_followed_is_gone(chat: Page) -> None:
    write(chat, "What is the opposite of hot?")
    expect(answers(chat)).to_have_count(1)
    write(chat, "What is the opposite of big?")
    expect(answers(chat)).to_have_count(2)
    chat.locator(".et-user").first.hover()
    chat.locator("[data-act=edit]").first.click()
    chat.locator(".et-edit").fill(STARTER)
    chat.locator(".et-edit").press("Enter")
    expect(questions(chat)).to_have_text([STARTER])
    expect(answers(chat)).to_contain_text("Paris")
    chat.locator("[data-act=undo]").click()
    expect(chat.locator("#chat-empty")).to_be_visible()
    expect(chat.locator("#chat-text textarea")).to_have_value(STARTER)


def test_what_people_and_models_write_is_never_markup(shared_app: Any, chat: Page) -> None:
    content = f"{HOSTILE} **bold** `code` $x^2$\n\n```html\n{HOSTILE}\n```"
    file = shared_app.home / "hostile.json"
    rows = [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": content}]
    file.write_text(json.dumps({"title": HOSTILE, "messages": rows}), encoding="utf-8")
    asked: list[str] = []
    chat.on("request", lambda request: asked.append(request.url))
    with chat.expect_file_chooser() as chooser:
        chat.locator("#chat-import").click()
    chooser.value.set_files(str(file))
    chat.locator("[data-conversation]", has_text="onerror").locator(".et-pick").click()
    expect(answers(chat).locator("b, strong").first).to_have_text("bold")
    expect(answers(chat).locator(".katex").first).to_be_visible()
    expect(answers(chat).locator(".et-code code")).to_contain_text("<script>")
    assert chat.locator("#chat img, #chat-scroll script").count() == 0
    assert chat.title() == "EasyTune"
    assert [url for url in asked if not url.startswith((shared_app.url, "data:", "blob:"))] == []


def test_conversations_are_found_renamed_exported_and_deleted(chat: Page) -> None:
    write(chat, "What is the opposite of tall?")
    expect(answers(chat)).to_have_count(1)
    mine = chat.locator("[data-conversation][aria-current]")
    _menu(chat, "rename")
    chat.locator(".et-rename").fill("Heights")
    chat.locator(".et-rename").press("Enter")
    expect(mine).to_contain_text("Heights")
    with chat.expect_download() as download:
        _menu(chat, "export_jsonl")
    row = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
    chat.locator("#chat-search textarea, #chat-search input").press_sequentially("opposite of tall")
    expect(chat.locator("[data-conversation]")).to_have_count(1)
    _menu(chat, "delete")
    chat.locator(".et-menu-box [data-act=delete]").click()
    expect(chat.locator("#chat-list")).to_contain_text("No conversation")
    expect(chat.locator("#chat-empty")).to_be_visible()


def test_stop_keeps_what_was_written_and_it_can_be_continued(shared_app: Any, chat: Page) -> None:
    _ramble(shared_app, chat)
    chat.locator("#chat-stop").click()
    expect(answers(chat)).to_have_count(1)
    expect(answers(chat)).to_contain_text("Stopped.")
    first = _tokens(chat)
    assert 0 < first < 6000
    chat.locator("[data-act=continue]").click()
    expect(chat.locator("#chat-live .et-foot")).to_contain_text("tokens")
    chat.locator("#chat-stop").click()
    eventually(lambda: chat.wait_for_timeout(50) or _tokens(chat) > first)
    expect(answers(chat)).to_have_count(1)


def test_a_closed_tab_ends_the_answer_and_keeps_what_there_is(
    shared_app: Any, page: Page, chat: Page
) -> None:
    open_chat(page, shared_app)
    _ramble(shared_app, page, "Tell me of closed tabs")
    page.close()
    other = chat
    told = other.locator("[data-conversation]", has_text="Tell me of closed tabs")
    told.locator(".et-pick").click()
    expect(answers(other)).to_contain_text("Stopped.")
    expect(other.locator(f"[data-model={RAMBLER}]")).to_contain_text("Ready")
    other.locator(f"[data-model={RAMBLER}] [data-action=unload]").click()
    expect(other.locator("#chat-given-back")).to_contain_text(re.compile(r"\d+ MB given back"))


def test_a_killed_host_is_told_in_place_and_the_next_message_works(
    shared_app: Any, chat: Page
) -> None:
    _ramble(shared_app, chat)
    for process in hosts(shared_app.home):
        process.kill()
    expect(answers(chat)).to_contain_text("ended from outside")
    expect(questions(chat)).to_have_text(["Tell me a story"])
    chat.locator("[data-act=regenerate], [data-act=retry]").first.click()
    expect(chat.locator("#chat-live .et-foot")).to_contain_text("tokens/s")
    chat.locator("#chat-stop").click()
    expect(answers(chat)).to_contain_text("Stopped.")


def test_a_model_that_is_gone_is_told_in_place_and_another_one_answers(
    chat: Page, shared_app: Any
) -> None:
    chat.locator("#chat-model input").fill("nobody/nothing-here")
    chat.locator("#chat-model input").press("Enter")
    write(chat, STARTER)
    expect(answers(chat).locator(".et-failure")).to_be_visible()
    expect(questions(chat)).to_have_text([STARTER])
    dropdowns.choose(chat, "#chat-model", "Demo model", typed="Demo")
    chat.locator("[data-act=retry]").first.click()
    expect(answers(chat)).to_contain_text("Paris")


def test_an_adapter_whose_base_has_moved_answers_on_the_one_chosen_by_hand(
    shared_app: Any, chat: Page
) -> None:
    save_adapter(shared_app.home, "moved", seed=1, base="/gone/away")
    keep_rambler(shared_app.home)
    told = chat.locator("#chat-model-state")
    _pick(chat, "#chat-model", "moved")
    expect(told).to_contain_text("/gone/away, which is not on this machine")
    chat.locator("#chat-loading button").first.click()
    expect(chat.locator("#chat-base input")).to_have_value("Automatic")
    _pick(chat, "#chat-base", RAMBLER)
    expect(told).to_contain_text("does not fit this base model")
    write(chat, STARTER)
    expect(answers(chat).locator(".et-failure")).to_contain_text("another shape")
    _pick(chat, "#chat-base", "demo")
    chat.locator("[data-act=retry]").click()
    expect(answers(chat).locator(".et-figures")).to_contain_text("tokens")
    _pick(chat, "#chat-model", RAMBLER)
    expect(chat.locator("#chat-base input")).to_have_value("Automatic")


def test_the_first_look_at_the_models_shows_them_in_groups_and_what_is_typed_searches(
    shared_app: Any, page: Page
) -> None:
    save_adapter(shared_app.home, "polite", seed=2)
    open_chat(page, shared_app)
    page.locator("#chat-model input").click()
    heads = page.locator("#chat-model li[data-first]")
    expect(heads.first).to_have_attribute("data-group", "Base models")
    expect(page.locator("#chat-model li[data-group=Adapters]").first).to_be_visible()
    page.keyboard.type("polite")
    expect(page.locator("#chat-model li")).to_have_text(re.compile(r"^\W*polite · [^/]*$"))


def test_an_empty_message_is_refused_with_a_sentence(chat: Page) -> None:
    chat.locator("#chat-send").click()
    toast = chat.get_by_test_id("toast-body").filter(has_text="Write a message first")
    expect(toast).to_be_visible()
    expect(chat.locator("#chat-empty")).to_be_visible()


def test_enter_that_ends_chinese_input_does_not_send(chat: Page) -> None:
    box = chat.locator("#chat-text textarea")
    box.fill("你好")
    box.evaluate(
        "(area) => area.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: 'Enter', bubbles: true, cancelable: true, isComposing: true}))"
    )
    box.press("Shift+Enter")
    chat.wait_for_timeout(500)
    expect(chat.locator("#chat-empty")).to_be_visible()
    expect(box).to_have_value("你好\n")


def test_a_finished_run_is_one_click_from_a_talk(
    shared_app: Any, page: Page, start_run: Callable[..., Any]
) -> None:
    run = start_run(shared_app.home, steps=3, name="to talk to")
    page.goto(shared_app.url)
    page.locator("#et-chat-with").click()
    expect(page.locator("#chat-model input")).to_have_value(re.compile(f"to talk to|{run.id}"))
    expect(page.locator("#chat-empty")).to_be_visible()


def _pick(page: Page, picker: str, model: str) -> None:
    field = page.locator(f"{picker} input")
    field.fill(model)
    field.press("Enter")


def _ramble(app: Any, page: Page, prompt: str = "Tell me a story") -> None:
    """Have the model that talks long begin an answer."""
    keep_rambler(app.home)
    page.locator("#chat-model input").fill(RAMBLER)
    page.locator("#chat-model input").press("Enter")
    longest = page.locator("#chat-option-sampling-max_new_tokens input")

    def is_taken() -> bool:
        # What the model itself asks for may arrive while one types.
        longest.fill("6000")
        longest.press("Tab")
        page.wait_for_timeout(500)
        return longest.input_value() == "6000"

    eventually(is_taken)
    write(page, prompt)
    expect(page.locator("#chat-live .et-foot")).to_contain_text("tokens/s")


def _tokens(page: Page) -> int:
    figures = answers(page).locator(".et-figures").inner_text()
    return int(figures.split(" ")[0].replace(",", ""))


def _menu(page: Page, action: str) -> None:
    mine = page.locator("[data-conversation]").first
    mine.hover()
    mine.locator(".et-menu summary").click()
    mine.locator(f"[data-act={action}]").click()
