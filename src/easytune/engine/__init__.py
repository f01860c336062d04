"""What trains models: the only part that imports torch, transformers and PEFT."""

from easytune.engine import light_imports

light_imports.install()
