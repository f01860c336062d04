"""A lab of its own for every test of the services."""

from pathlib import Path

import pytest

from easytune.services.datasets import Datasets
from easytune.services.runs import Runs
from tests.services.lab import Lab, tiny_config


@pytest.fixture
def lab(home: Path, tmp_path: Path) -> Lab:
    return Lab(home, Runs(home), tiny_config(tmp_path))


@pytest.fixture
def datasets(home: Path) -> Datasets:
    return Datasets(home, Runs(home))
