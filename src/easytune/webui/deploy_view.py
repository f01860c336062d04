"""What the page says about deployments: pure functions from their stories to markup.

Every text that comes from a file or a person is escaped here: `gr.HTML` renders markup.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from easytune import quantities
from easytune.deployment_files import Metrics
from easytune.i18n import t
from easytune.services import deployment_checks
from easytune.services.deployment_checks import CheckStory
from easytune.services.deployments import DeploymentStory

LOG_LINES = 60
_MINUTE_S = 60
_CHIPS = {"healthy": "finished", "unhealthy": "failed", "restarting": "stopping"}
"""Colours of states that runs do not have."""
_ENGINES = {"easytune": "EasyTune", "vllm": "vLLM", "transformers": "transformers serve"}
_CURL = """curl {url}/chat/completions \\
{key}  -H "Content-Type: application/json" \\
  -d '{body}'"""
_PYTHON = """from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
reply = client.chat.completions.create(
    model={model},
    messages=[{{"role": "user", "content": "Hello"}}],
)
print(reply.choices[0].message.content)"""


def listed(
    stories: Sequence[DeploymentStory],
    checks: Mapping[str, CheckStory],
    chosen: str,
    lang: str,
) -> str:
    """Return all deployments as cards, with the last check of each by its id.

    `chosen` is the one whose details are shown.
    """
    if not stories:
        return f'<div class="et-card et-empty">{escape(t("deploy.empty", lang))}</div>'
    return "".join(
        _card(story, checks.get(story.id), story.id == chosen, lang) for story in stories
    )


def details(story: DeploymentStory, log: Sequence[str], lang: str) -> str:
    """Return how programs call a deployment, and the end of its log."""
    snippets = "".join(
        f'<div class="et-example"><div><b>{name}</b>{copy_button(text, lang)}</div>'
        f"<pre>{escape(text)}</pre></div>"
        for name, text in (("Python", python(story)), ("curl", curl(story)))
    )
    title = escape(t("deploy.log", lang, count=LOG_LINES))
    lines = escape("\n".join(log)) or escape(t("deploy.log_empty", lang))
    return (
        f'<div class="et-card deploy-details"><h3>{escape(t("deploy.call", lang))}</h3>'
        f"{snippets}<h3>{title}</h3>"
        f'<pre class="deploy-log" tabindex="0">{lines}</pre></div>'
    )


def secret(key: str, lang: str) -> str:
    """Return a new key, which is shown this once."""
    return (
        f'<div class="et-result" role="status"><span>{escape(t("settings.once", lang))}</span>'
        f'<code id="deploy-secret-text">{escape(key)}</code>{copy_button(key, lang)}</div>'
    )


def chip(state: str, lang: str) -> str:
    """Return the coloured word for a state."""
    word = escape(t(f"deploy.state.{state}", lang))
    look = _CHIPS.get(state, state)
    return f'<span class="et-chip et-state-{look}" data-state="{escape(state)}">{word}</span>'


def python(story: DeploymentStory) -> str:
    """Return a program that asks a deployment."""
    key = "et-..." if story.hints else "none"
    quoted = (json.dumps(one, ensure_ascii=False) for one in (story.url, key, story.order.name))
    url, shown, model = quoted
    return _PYTHON.format(url=url, key=shown, model=model)


def curl(story: DeploymentStory) -> str:
    """Return a command that asks a deployment."""
    key = '  -H "Authorization: Bearer $EASYTUNE_KEY" \\\n' if story.hints else ""
    message = {"role": "user", "content": "Hello"}
    body = json.dumps({"model": story.order.name, "messages": [message]}, ensure_ascii=False)
    return _CURL.format(url=story.url, key=key, body=body.replace("'", "'\\''"))


def copy_button(text: str, lang: str) -> str:
    """Return the button that copies a text."""
    return (
        f'<button type="button" class="et-mini" data-et-copy="{escape(text, quote=True)}">'
        f"{escape(t('app.copy', lang))}</button>"
    )


def _card(story: DeploymentStory, check: CheckStory | None, is_chosen: bool, lang: str) -> str:
    order, mark = story.order, " deploy-chosen" if is_chosen else ""
    base = f" · {order.source.base}" if order.source.is_adapter else ""
    source = f"{order.source.title}{base} · {_ENGINES[order.config.deploy.engine]}"
    return (
        f'<div class="et-card deploy-card{mark}" data-deployment="{escape(story.id, quote=True)}">'
        f'<div class="et-head">{chip(story.standing.state, lang)}<b>{escape(order.name)}</b>'
        f'<span class="et-quiet">{escape(_since(story, lang))}</span></div>'
        f'<div class="et-quiet">{escape(source)}</div>'
        f'<div class="deploy-address"><code>{escape(story.url)}</code>'
        f"{copy_button(story.url, lang)}{_key(story, lang)}</div>"
        f"{_figures(story.metrics, lang)}{_trouble(story, lang)}{_checked(check, lang)}"
        f"{_buttons(story, is_chosen, lang)}</div>"
    )


def _since(story: DeploymentStory, lang: str) -> str:
    """Return for how long it has been as it is, while it serves; when that began, otherwise."""
    standing = story.standing
    if standing.since is None:
        return ""
    if standing.state != "healthy":
        return quantities.minute(standing.since)
    seconds = (datetime.now(UTC) - standing.since).total_seconds()
    if seconds < _MINUTE_S:
        return t("deploy.up_just", lang)
    minutes = seconds - seconds % _MINUTE_S
    return t("deploy.up", lang, duration=quantities.duration(minutes, lang))


def _key(story: DeploymentStory, lang: str) -> str:
    text = t("deploy.with_key", lang, hint=", ".join(story.hints)) if story.hints else (
        t("deploy.without_key", lang)
    )  # fmt: skip
    return f'<span class="et-quiet">{escape(text)}</span>'


def _figures(metrics: Metrics | None, lang: str) -> str:
    if metrics is None:
        return ""
    facts = [
        t("deploy.requests", lang, count=f"{metrics.requests:,}", active=metrics.active),
        t("deploy.tokens", lang, count=f"{metrics.tokens:,}"),
    ]
    if metrics.tokens_per_second:
        facts.append(t("deploy.speed", lang, speed=quantities.pace(metrics.tokens_per_second)))
    if metrics.failed:
        facts.append(t("deploy.failed", lang, count=f"{metrics.failed:,}"))
    if metrics.refused:
        facts.append(t("deploy.refused", lang, count=f"{metrics.refused:,}"))
    if metrics.memory_gb:
        facts.append(quantities.size(metrics.memory_gb * 1e9))
    return f'<div class="deploy-figures">{escape(" · ".join(facts))}</div>'


def _trouble(story: DeploymentStory, lang: str) -> str:
    """Return what went wrong last, and how often it was started again."""
    standing, parts = story.standing, []
    if standing.failure is not None:
        code, values = standing.failure
        said = t(f"error.{code}", lang, **values)
        is_past = standing.state in ("healthy", "starting")
        parts.append(t("deploy.was", lang, sentence=said) if is_past else said)
    if standing.starts > 1:
        parts.append(t("deploy.starts", lang, count=standing.starts))
    if standing.state == "unhealthy" and standing.problem:
        parts.append(standing.problem)
    tone = "et-quiet" if standing.state in ("healthy", "starting") else "et-bad"
    return "".join(f'<p class="{tone}">{escape(part)}</p>' for part in parts)


def _checked(check: CheckStory | None, lang: str) -> str:
    """Return what the last check of the answers has found."""
    if check is None:
        return ""
    said, tone = escape(deployment_checks.sentence(check, lang)), "et-quiet"
    if check.state == "finished" and check.parity is not None:
        tone = "et-good" if check.parity.passed else "et-bad"
    elif check.failure is not None:
        tone = "et-bad"
    return f'<p class="{tone} deploy-check">{said}</p>'


def _buttons(story: DeploymentStory, is_chosen: bool, lang: str) -> str:
    """Return what can be done with a deployment now."""
    standing = story.standing
    actions = ["show"]
    shown = {"show": "hide"} if is_chosen else {}
    if standing.is_active:
        actions += ["check"] if standing.state == "healthy" else []
        actions += ["restart", "stop"] if standing.state != "stopping" else []
    else:
        actions += ["again", "delete"]
    id = escape(story.id, quote=True)
    buttons = "".join(
        f'<button type="button" class="et-mini" data-action="{action}" data-id="{id}">'
        f"{escape(t(f'deploy.action.{shown.get(action, action)}', lang))}</button>"
        for action in actions
    )
    return f'<span class="et-buttons">{buttons}</span>'
