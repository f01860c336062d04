"""Whether the Chat page keeps up: `python -m benchmarks.page`.

500 tokens come at 100 a second into a conversation of 100 messages, in a real Chromium on the real
app; only the model is a stand-in. Printed: how long after the last token its text is on the
screen, the longest task of the browser, and how often the text grew, beside the 5 s that the
tokens take.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from easytune import wire
from easytune.services.chat import Chat
from easytune.services.conversation import Message
from easytune.services.conversations import Conversations
from easytune.services.runs import Runs
from easytune.services.store import Store

TOKENS, TOKENS_PER_SECOND, MESSAGES = 500, 100, 100
_SECONDS = TOKENS / TOKENS_PER_SECOND
_PORT = 7898
_STARTUP_SECONDS = 90
_TITLE = "a long conversation"
_MARK = "ended-at-"
_LATEST = 2000
_ANSWER = """Some **bold** words about `code` and a formula $a^2 + b^2 = c^2$, then more of them.

- a first point with a few words
- a second point, longer than the first one

```python
def area(width: float, height: float) -> float:
    return width * height  # of a rectangle
```

And a paragraph that goes on for a while, as answers do, before the next part begins.

"""
_WATCH = """() => {
  const seen = window.measured = { tasks: [], updates: 0, lag: null, ended: false };
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) if (!seen.ended) seen.tasks.push(task.duration);
  }).observe({ entryTypes: ["longtask"] });
  const main = document.querySelector("#chat-main");
  new MutationObserver((changes) => {
    if (changes.some((change) => change.target.closest?.("#chat-live"))) seen.updates += 1;
    const last = main.textContent.match(/ENDED_AT(\\d+)/);
    if (last && seen.lag === null) {
      // After the next frame: only then it is on the screen.
      seen.lag = 0;
      requestAnimationFrame(() => setTimeout(() => (seen.lag = Date.now() - Number(last[1]))));
    }
    if (last && !document.querySelector("#chat-live .et-growing")) {
      setTimeout(() => (seen.ended = true), 300);
    }
  }).observe(main, { childList: true, subtree: true, characterData: true });
}""".replace("ENDED_AT", _MARK)


@dataclass(frozen=True)
class Measured:
    """What the browser saw; all in seconds."""

    lag: float
    longest_task: float
    long_tasks: float
    updates_per_second: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("measure", "serve", "host"), default="measure")
    parser.add_argument("--home", type=Path)
    given = parser.parse_args()
    match given.part:
        case "host":
            _host()
        case "serve":
            _serve(given.home)
        case "measure":
            with tempfile.TemporaryDirectory() as folder:
                _print(measured(Path(folder)))


def measured(home: Path) -> Measured:
    """Return what a browser sees of one answer."""
    _keep_conversation(home)
    command = [sys.executable, "-m", "benchmarks.page", "serve", "--home", str(home)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        _wait(server)
        return _in_a_browser()
    finally:
        server.kill()
        server.wait()


def _in_a_browser() -> Measured:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        executable = shutil.which("chromium") or shutil.which("chromium-browser")
        flags = ["--no-sandbox", "--disable-gpu"]
        with closing(playwright.chromium.launch(executable_path=executable, args=flags)) as browser:
            page = browser.new_context(locale="en-US").new_page()
            page.goto(f"http://127.0.0.1:{_PORT}/")
            page.get_by_role("tab", name="Chat", exact=True).click()
            page.get_by_text(_TITLE).click()
            page.locator("#chat-messages article").nth(MESSAGES - 1).wait_for(state="attached")
            page.wait_for_timeout(_LATEST)
            page.evaluate(_WATCH)
            page.locator("#chat-text textarea").fill("Go on")
            page.locator("#chat-text textarea").press("Enter")
            page.wait_for_function("window.measured.ended", timeout=90_000)
            seen: dict[str, Any] = page.evaluate("window.measured")
    tasks = [task / 1000 for task in seen["tasks"]]
    return Measured(
        lag=seen["lag"] / 1000,
        longest_task=max(tasks, default=0.0),
        long_tasks=sum(tasks),
        updates_per_second=seen["updates"] / _SECONDS,
    )


def _print(seen: Measured) -> None:
    for name, value in (
        ("last token to screen", seen.lag),
        ("longest task", seen.longest_task),
        ("all tasks over 50 ms", seen.long_tasks),
    ):
        print(f"{name}: {value:.2f} s, {value / _SECONDS:.3f} of the {_SECONDS:.0f} s")
    print(f"updates: {seen.updates_per_second:.1f} a second")


def _keep_conversation(home: Path) -> None:
    kept = Conversations(Store(home))
    conversation = kept.create(model="demo", title=_TITLE)
    figures = {"tokens": 120, "tokens_per_second": 100.0, "reason": "stop", "prompt_tokens": 90}
    for number in range(MESSAGES // 2):
        kept.append(
            conversation.id,
            Message("user", f"Question {number}: what comes next?"),
            Message("assistant", f"{number}. {_ANSWER}", model="demo", details=figures),
        )


def _wait(server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError("the app ended by itself")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the app did not start")


def _serve(home: Path) -> None:
    """Serve the page with a stand-in for the process that holds the model."""
    from easytune.webui import app, language, theme
    from easytune.webui.context import Context

    host = [sys.executable, "-m", "benchmarks.page", "host"]
    context = replace(Context.of(home), chat=Chat(home, Runs(home), host))
    app.build(context).launch(
        server_port=_PORT, theme=theme.theme(), head=theme.head("en"),
        i18n=language.translations(), run_history=False, enable_monitoring=False,
        footer_links=[], ssr_mode=False, quiet=True,
    )  # fmt: skip


def _host() -> None:
    """Answer every question with the same text, a word at a time."""
    words: list[str] = [*_ANSWER.split(" ")]
    for line in sys.stdin:
        match wire.REQUESTS.validate_json(line):
            case wire.Start():
                _say(_READY)
            case wire.Generate(request=request):
                _answer(request, words)
            case wire.Ask():
                _say(wire.State(memory_gb=0.1))
            case _:
                pass


def _answer(request: str, words: list[str]) -> None:
    _say(wire.Began(request=request, column=0, prompt_tokens=900, limit=TOKENS))
    began = time.monotonic()
    for number in range(1, TOKENS + 1):
        text = f"{words[number % len(words)]} "
        if number == TOKENS:
            text = f"\n\n{_MARK}{time.time() * 1000:.0f}"
        _say(wire.Piece(request=request, column=0, text=text, tokens=number))
        time.sleep(max(0.0, began + number / TOKENS_PER_SECOND - time.monotonic()))
    _say(
        wire.Ended(
            request=request, column=0, reason="stop", prompt_tokens=900,
            completion_tokens=TOKENS, first_token_seconds=0.01, seconds=_SECONDS,
        )
    )  # fmt: skip


_READY = wire.Ready(
    device="stand-in", precision="fp32", quantization="none", parameters=1, memory_gb=0.1,
    seconds=0.1, context_length=32_768, knows_thinking=False, supports_system=True,
    template="model",
)  # fmt: skip


def _say(reply: wire.Reply) -> None:
    print(reply.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
