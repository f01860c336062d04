"""The page: header and tabs."""

import json
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction

from easytune import i18n
from easytune.webui import run_since
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.late_config import Page
from easytune.webui.tabs import (
    chat,
    compare,
    data,
    evaluate,
    export,
    models,
    runs,
    settings,
    train,
)

LANGUAGE_NAMES = {"en": "EN", "zh": "中文", "ja": "日本語", "ko": "한국어", "ru": "Русский"}
_LOGO = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-linecap="round" aria-hidden="true"><path d="M4 20V10M4 6V4M12 20v-4M12 12V4M20 20v-8'
    'M20 8V4"/><circle cx="4" cy="8" r="2"/><circle cx="12" cy="14" r="2"/>'
    '<circle cx="20" cy="10" r="2"/></svg>'
)
_SUN_AND_MOON = (
    '<svg class="et-sun" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-linecap="round"><circle cx="12" cy="12" r="4"/><path d="M12 2v2M12 20v2M2 12h2M20 12h2'
    'M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5"/></svg>'
    '<svg class="et-moon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-linejoin="round"><path d="M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z"/></svg>'
)


def build(context: Context) -> Page:
    """Return the whole page."""
    with Page(title="EasyTune", analytics_enabled=False, fill_width=True) as page:
        nowhere = gr.Textbox("", visible="hidden", elem_id="et-nowhere")
        gr.HTML(_header(), elem_id="et-header", apply_default_css=False)
        with gr.Tabs(selected="train", elem_id="et-tabs") as tabs:
            with gr.Tab(label("app.tab_train"), id="train", elem_id="et-tab-train") as train_tab:
                training = train.build(context, train_tab)
                panel = training.panel
            evaluate_name: Any = label("app.tab_evaluate")
            with gr.Tab(evaluate_name, id="evaluate", elem_id="et-tab-evaluate") as evaluate_tab:
                evaluating = evaluate.build(context, evaluate_tab)
            with gr.Tab(label("app.tab_chat"), id="chat", elem_id="et-tab-chat") as chat_tab:
                chat_timer = chat.build(context, chat_tab).timer
            compare_name: Any = label("app.tab_compare")
            with gr.Tab(compare_name, id="compare", elem_id="et-tab-compare") as compare_tab:
                compare.build(context, compare_tab)
            with gr.Tab(
                label("app.tab_export"), id="export", elem_id="et-tab-export"
            ) as export_tab:
                exporting = export.build(context, export_tab)
            with gr.Tab(label("app.tab_data"), id="data", elem_id="et-tab-data") as data_tab:
                datasets = data.build(context, tabs, data_tab, training)
                run_since.wire(panel, datasets)
            models_name: Any = label("app.tab_models")
            with gr.Tab(models_name, id="models", elem_id="et-tab-models") as models_tab:
                models_timer = models.build(context, tabs, models_tab, panel, datasets)
            with gr.Tab(label("app.tab_runs"), id="runs", elem_id="et-tab-runs") as runs_tab:
                runs_timer = runs.build(context, tabs, runs_tab, panel)
            settings_name: Any = label("app.tab_settings")
            with gr.Tab(settings_name, id="settings", elem_id="et-tab-settings") as settings_tab:
                settings_timer = settings.build(context, settings_tab)
        _tick_where_open(
            [
                train_tab,
                evaluate_tab,
                chat_tab,
                compare_tab,
                export_tab,
                data_tab,
                models_tab,
                runs_tab,
                settings_tab,
            ],
            {
                "evaluate": evaluating.timer,
                "chat": chat_timer,
                "export": exporting.timer,
                "runs": runs_timer,
                "settings": settings_timer,
            },
            {
                "evaluate": evaluating.at_times,
                "export": exporting.at_times,
                "data": datasets.timer,
                "models": models_timer,
            },
        )
        _show_no_progress(page, nowhere)
        _defer_once(page)
    return page


def _show_no_progress(page: gr.Blocks, nowhere: gr.Textbox) -> None:
    """Give the hidden progress of events one place, instead of all their outputs.

    With every part of a streamed answer, and every tick of a timer, Gradio goes through all
    components that ever were the place of any progress.
    """
    for event in page.fns.values():
        if event.show_progress == "hidden":
            event.show_progress_on = [nowhere]


def _defer_once(page: gr.Blocks) -> None:
    """Let one listener of an event defer what comes while it is busy; others answer it at once.

    After a deferred answer Gradio's page dispatches the whole event again, to all who listen. Two
    of them that defer would send it to each other for ever.
    """
    taken: set[tuple[int | None, str]] = set()
    # Ticks that pile up are of no use: timers go on deferring.
    for event in sorted(page.fns.values(), key=lambda event: not _ticks(event)):
        if event.trigger_mode != "always_last" or event.fn is None:
            continue
        # What follows another answer is dispatched by itself.
        targets = {target for target in event.targets if target[0] is not None}
        if taken & targets:
            event.trigger_mode = "multiple"
        taken |= targets


def _ticks(event: BlockFunction) -> bool:
    return any(name == "tick" for _, name in event.targets)


def _tick_where_open(
    tabs: list[gr.Tab], steady: dict[str, gr.Timer], at_times: dict[str, gr.Timer]
) -> None:
    """Let the timers of tabs (by id) tick while their tab is open, and only then.

    Those that tick `at_times` begin by themselves, when there is work to follow. The page sees
    which tab is open: of two answers of the server the one to the earlier click may come last.
    """
    names = json.dumps([[*steady], [*at_times]])
    gr.on(
        [tab.select for tab in tabs], None, None, [*steady.values(), *at_times.values()],
        js=f"() => easytune.ticking(...{names})", queue=False, api_visibility="private",
        trigger_mode="multiple",
    )  # fmt: skip


def _header() -> str:
    switches = "".join(
        f'<button type="button" data-et-lang="{lang}" aria-pressed="false">'
        f"{LANGUAGE_NAMES.get(lang, lang)}</button>"
        for lang in i18n.languages()
    )
    return (
        f'<div class="et-header"><span class="et-logo">{_LOGO}EasyTune</span>'
        '<span class="et-tagline et-grow" data-et-text="tagline"></span>'
        f'<span class="et-segments" role="group">{switches}</span>'
        f'<button type="button" class="et-icon" data-et-theme>{_SUN_AND_MOON}</button></div>'
    )
