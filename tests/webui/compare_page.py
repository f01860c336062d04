"""What the tests of the Compare tab share: adapters, stored comparisons, a visitor's steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect
from safetensors.numpy import save_file

from easytune import demo, paths
from easytune.services.comparison import Comparison
from easytune.services.comparisons import Column, Comparisons
from easytune.services.questions import Question
from easytune.services.store import Store
from tests.services.answering import Reply, stand_in
from tests.webui import dropdowns

_WIDTH, _RANK = 256, 4


def save_adapter(home: Path, name: str, seed: int, base: str = str(demo.MODEL)) -> None:
    """Put an adapter of the demo model into a home; it changes what the model says.

    `base` is where it says that its base model is.
    """
    folder = paths.models(home) / name
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    weights = {
        f"{layer}.lora_A.weight": noise.standard_normal((_RANK, _WIDTH)).astype(np.float32),
        f"{layer}.lora_B.weight": noise.standard_normal((_WIDTH, _RANK)).astype(np.float32),
    }
    save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": _RANK, "lora_alpha": 8,
        "target_modules": ["q_proj"], "layers_to_transform": [0], "bias": "none",
        "base_model_name_or_path": base,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))


def store(home: Path, prompts: tuple[str, ...], reply: Callable[[Question], Reply]) -> Comparison:
    """Keep a live comparison whose two columns answered as `reply` says."""
    comparisons = Comparisons(Store(home), stand_in(reply)[1])
    made = comparisons.create((Column("first"), Column("second")))
    for prompt in prompts:
        with comparisons.ask(made.id, prompt) as turn:
            for _ in turn.updates():
                pass
    return comparisons.get(made.id)


def open_compare(page: Page, app: Any) -> None:
    """Open the app on its Compare tab, with everything in its place."""
    page.goto(app.url)
    enter(page)


def enter(page: Page) -> None:
    """Go to the Compare tab of a page that was just loaded."""
    page.locator("#et-tabs").get_by_role("tab", name="Compare", exact=True).click()
    expect(page.locator("#compare-model-1 input")).not_to_have_value("")
    expect(page.locator("#compare-grid .et-slot > *").first).to_be_attached()


def show(page: Page, view: str) -> None:
    """Switch to another view."""
    page.locator("#compare-view").get_by_text(view, exact=True).click()


def choose(page: Page, column: int, model: str) -> None:
    """Choose a column's model; the column is added first if it must be."""
    box = f"#compare-model-{column}"
    if not page.locator(f"{box} input").is_visible():
        page.click("#compare-add")
    dropdowns.choose(page, box, model)
    expect(page.locator("#compare-setup")).to_contain_text(f'"{model}"')


def longest(page: Page, tokens: int) -> None:
    """Set how long answers may be."""
    page.click("#compare-settings .label-wrap")
    field = page.locator("#compare-option-sampling-max_new_tokens input")
    field.fill(str(tokens))
    field.press("Tab")
    expect(page.locator("#compare-setup")).to_contain_text(str(tokens))


def ask(page: Page, prompt: str) -> None:
    """Send a prompt with Enter."""
    field = page.locator("#compare-prompt textarea")
    field.fill(prompt)
    field.press("Enter")


def answers(page: Page, turn: int) -> Locator:
    """Return the answers of a turn, counted from 0."""
    return page.locator(".compare-turn").nth(turn).locator(".compare-answer")


def wait_for_end(page: Page, turns: int) -> None:
    """Wait until so many turns are stored and nothing runs any more."""
    expect(page.locator(".compare-turn")).to_have_count(turns)
    expect(page.locator(".compare-turn.compare-live")).to_have_count(0)
    expect(page.locator("#compare-send")).to_be_visible()
