"""The API of an app that the tests of one file share."""

from typing import Any

import pytest

from tests.api.calls import put_endless_model


@pytest.fixture(scope="module")
def api(shared_app: Any) -> str:
    """The address of a running app, with a model that never ends by itself."""
    put_endless_model(shared_app.home)
    return shared_app.url
