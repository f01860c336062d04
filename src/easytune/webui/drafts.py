"""Which configuration a visitor finds in the form."""

from pathlib import Path

from easytune import config_file, paths
from easytune.config import TrainConfig
from easytune.errors import EasyTuneError

_LAST = "last.yaml"
_DEMO = "demo.yaml"


class Drafts:
    """The configuration to begin with: the browser's draft, the last one started, or the demo."""

    def __init__(self, home: Path) -> None:
        self._last = home / _LAST

    def first(self, draft: str | None) -> TrainConfig:
        """Return the configuration to show; a draft or file that no longer loads is passed over."""
        for found in (_load(draft or ""), _load(_read(self._last))):
            if found is not None:
                return found
        return demo()

    def remember(self, config: TrainConfig) -> None:
        """Keep a configuration that was started, for the next visitor."""
        self._last.parent.mkdir(parents=True, exist_ok=True)
        draft = self._last.with_name(f".{self._last.name}.part")
        draft.write_text(config_file.dump(config), encoding="utf-8")
        draft.replace(self._last)


def demo() -> TrainConfig:
    """Return the bundled demo configuration."""
    return config_file.load_file(paths.TRAIN_CONFIGS / _DEMO).config


def _load(text: str) -> TrainConfig | None:
    if not text.strip():
        return None
    try:
        return config_file.load(text).config
    except EasyTuneError:
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
