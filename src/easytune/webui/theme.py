"""How the app looks: one Gradio theme, one style sheet of CSS variables, and the page's scripts."""

import json
from functools import cache
from itertools import product
from pathlib import Path

import gradio
from gradio.themes import Base

from easytune import i18n
from easytune.i18n import t
from easytune.webui import language

ASSETS = Path(__file__).with_name("assets")
GRADIO_ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
STYLES = ("style.css", "forgetting.css", "train.css", "chat.css", "compare.css", "settings.css",
          "data.css", "data_work.css", "costs.css", "guide.css", "evaluate.css", "export.css",
          "results.css", "deploy.css", "models.css")  # fmt: skip
SCRIPTS = ("page.js", "chart.js", "panels.js", "train.js", "chat.js", "compare.js", "data.js",
           "data_work.js", "forgetting.js", "guide.js", "kept.js", "evaluate.js", "export.js",
           "results.js", "models.js")  # fmt: skip
TOASTS = ("info", "warning", "error", "success")
TEXTS_OF_SCRIPTS = (
    "chat_list",
    "chat_settings",
    "copied",
    "copy",
    "dark_mode",
    "light_mode",
    "offline",
    "tagline",
    "tab_chat",
    "tab_compare",
    "tab_data",
    "tab_data_preprocess",
    "tab_data_rows",
    "tab_data_statistics",
    "tab_data_versions",
    "tab_data_xray",
    "tab_evaluate",
    "tab_export",
    "tab_models",
    "tab_runs",
    "tab_settings",
    "tab_train",
)
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans", "PingFang SC", "Microsoft YaHei")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono", "monospace")


def theme() -> Base:
    """Return the theme. Fonts are the system's own, so that nothing is fetched from elsewhere."""
    base = Base(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        spacing_size="sm",
        radius_size="md",
        text_size="md",
        font=[*_SANS, "sans-serif"],
        font_mono=list(_MONO),
    )
    return base.set(
        body_background_fill="var(--neutral-50)",
        body_background_fill_dark="#0f131a",
        background_fill_primary_dark="#171c25",
        background_fill_secondary_dark="#1c222d",
        block_background_fill="var(--background-fill-primary)",
        block_background_fill_dark="#171c25",
        block_border_color_dark="#272f3c",
        border_color_primary_dark="#2b3442",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="500",
        input_background_fill="#ffffff",
        input_background_fill_dark="#10151d",
        input_border_width="1px",
        input_border_color="var(--neutral-300)",
        input_border_color_dark="#333d4d",
        input_border_color_focus="var(--primary-500)",
        input_border_color_focus_dark="var(--primary-400)",
        button_primary_background_fill="var(--primary-600)",
        button_primary_background_fill_hover="var(--primary-700)",
        button_primary_background_fill_dark="var(--primary-500)",
        button_primary_background_fill_hover_dark="var(--primary-400)",
        button_primary_text_color="#ffffff",
        button_secondary_background_fill="var(--background-fill-primary)",
        button_secondary_background_fill_dark="#222a37",
        button_secondary_border_color="var(--border-color-primary)",
        button_border_width="1px",
        button_cancel_background_fill="var(--background-fill-primary)",
        button_cancel_background_fill_dark="#2c2026",
        button_cancel_background_fill_hover="#fdeceb",
        button_cancel_background_fill_hover_dark="#40201f",
        button_cancel_border_color="#e6b8b4",
        button_cancel_border_color_dark="#6b3531",
        button_cancel_text_color="#b3261e",
        button_cancel_text_color_dark="#ff9a92",
        block_shadow="none",
        block_shadow_dark="none",
        shadow_drop="none",
    )


@cache
def _math() -> dict[str, str] | None:
    """Return where Gradio serves the formulas' script and style; None when it has none."""
    found = {
        name: next((file.name for file in GRADIO_ASSETS.glob(f"katex-*.{ending}")), None)
        for name, ending in (("script", "js"), ("style", "css"))
    }
    known = {name: f"assets/{file}" for name, file in found.items() if file}
    return known if len(known) == len(found) else None


@cache
def style_sheet() -> str:
    """Return the app's own CSS."""
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in STYLES)


def _toast_titles() -> str:
    """Return CSS that titles toasts in the visitor's language: Gradio knows English titles only."""
    # How many toasts of a kind there are stands in the title.
    rules = [".toast-title { font-size: 0 !important; } .toast-count { font-size: 14px; }"]
    for lang, kind in product(i18n.languages(), TOASTS):
        title = f'html[lang="{language.gradio_locale(lang)}"] .toast-title.{kind}::before'
        text = json.dumps(t(f"app.toast.{kind}", lang), ensure_ascii=False)
        rules.append(f"{title} {{ font-size: 14px; content: {text}; }}")
    return "\n".join(rules)


def head(default_language: str | None) -> str:
    """Return the style and the scripts of the page, with what they need to know.

    The style is not given to Gradio as `css`, which would confine it to the app's own element.
    `default_language` is for visitors who have not chosen; None leaves it to their browser.
    """
    facts = {
        "languages": {lang: language.gradio_locale(lang) for lang in i18n.languages()},
        "defaultLanguage": default_language,
        "math": _math(),
        "texts": {
            lang: {name: t(f"app.{name}", lang) for name in TEXTS_OF_SCRIPTS}
            for lang in i18n.languages()
        },
    }
    # "</" would end the script element early.
    known = json.dumps(facts, ensure_ascii=False).replace("</", "<\\/")
    sources = [(ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS]
    body = "\n".join([f"window.easytune = {known};", *sources])
    return f"<style>{style_sheet()}\n{_toast_titles()}</style><script>{body}</script>"
