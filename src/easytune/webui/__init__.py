"""The page in the browser: the only package that knows Gradio."""

from easytune import export, refusals  # noqa: F401
from easytune.data import tasks  # noqa: F401
from easytune.data.steps import options  # noqa: F401
from easytune.services import deployments, evaluations, runs  # noqa: F401
from easytune.webui import fast_import

# Before any module of this package can import gradio, and after our pydantic models: for their
# docstrings every loaded module is looked at, and a lazy one is loaded by being looked at.
fast_import.install()
