"""What one pastes into an issue: what was asked, what happened, on which machine. In English."""

import platform

import yaml

from easytune import i18n
from easytune.job import Job
from easytune.services import forgotten
from easytune.services.log import without_secrets
from easytune.services.story import Story


def compose(order: Job, story: Story, log_lines: list[str]) -> str:
    """Return the report of a run as plain text without secrets."""
    versions = ", ".join(f"{name} {version}" for name, version in order.versions.items())
    config = order.config.model_dump(mode="json", exclude_defaults=True)
    parts = [
        f"EasyTune run {story.run_id}: {story.state}",
        f"{platform.platform()}, {versions}",
        f"Step {story.step} of {story.total_steps or '?'}, phase {story.phase or 'none'}, "
        f"device {story.device or 'unknown'}",
        *_failure(story, log_lines),
        *_forgetting(story),
        *(f"Notice {notice.code} {notice.values}" for notice in story.notices),
        f"\nSettings that differ from the defaults:\n{yaml.safe_dump(config, allow_unicode=True)}",
        "\n".join(["Log:", *log_lines]),
    ]
    return without_secrets("\n".join(parts))


def _forgetting(story: Story) -> list[str]:
    measured = story.final_forgetting
    return [f"Step {measured.step}: {forgotten.told(measured, 'en')}"] if measured else []


def _failure(story: Story, log_lines: list[str]) -> list[str]:
    failure = story.failure
    if failure is None:
        return []
    text = i18n.t(f"error.{failure.code}", **failure.values)
    # The worker prints what it reports: said once is enough.
    is_logged = failure.detail.strip() in "\n".join(log_lines)
    return [f"Cause: {failure.code}. {text}", *([] if is_logged else [failure.detail])]
