"""The Deploy view on a page of its own, with stand-ins for servers: `deploy_page.py HOME PORT`."""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import gradio as gr

from easytune.webui import deploy_panel, language, theme
from easytune.webui.context import Context
from tests.services.deployed import Stage


def serve(home: Path, port: int) -> None:
    """Serve the page until the process is killed."""
    stage = Stage(home)
    context = replace(Context.of(home), deployments=stage.deployments)
    with gr.Blocks(analytics_enabled=False) as page, gr.Tabs():
        with gr.Tab("Other", id="other"):
            gr.Textbox("", visible="hidden", elem_id="et-nowhere")
        with gr.Tab("Deploy", id="deploy", elem_id="deploy-tab") as tab:
            view = gr.Radio(["export", "deploy"], value="deploy")
            panel = deploy_panel.build(context)
            look = deploy_panel.look(panel, view)
            gr.on([tab.select, view.change], **look)
    page.launch(
        server_name="127.0.0.1", server_port=port, theme=theme.theme(), head=theme.head(None),
        i18n=language.translations(), quiet=True, prevent_thread_lock=True,
    )  # fmt: skip
    threading.Event().wait()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
