"""EasyTune: fine-tune, evaluate, chat with, compare and export language models locally."""

__version__ = "0.1.0"
