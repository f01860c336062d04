"""Entry point of the check of a server: `python -m easytune.engine.server_check <folder>`.

The trained model is loaded beside the server, and both are asked the same: see `parity.gate`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from easytune import records
from easytune.data.tokenizer import ModelTokenizer
from easytune.deployment_files import CheckFolder, CheckOrder
from easytune.engine import edge, failures
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopAsked, StopSignal
from easytune.events import Event, Failed, Finished, Stopped


def main() -> int:
    """Run the check in the folder given on the command line."""
    return run(edge.process_folder())


def run(path: Path) -> int:
    """Do what `job.yaml` in `path` says; return 0 when finished or stopped, 1 when failed."""
    folder = CheckFolder(path)

    def work(report: Reporter, stop: StopSignal) -> Event:
        key = folder.take_key()
        order = edge.read(folder, folder.order)
        try:
            return _check(order, key, folder, report, stop)
        except StopAsked:
            return Stopped()

    def failed(error: BaseException) -> Failed:
        return failures.failed(error, None, folder.path)

    return edge.run(folder, work, failed)


def _check(
    order: CheckOrder, key: str, folder: CheckFolder, report: Reporter, stop: StopSignal
) -> Finished:
    from easytune.engine.exporting import trained
    from easytune.engine.parity import gate, limits, prompts, reference, transformers_runtime
    from easytune.engine.parity.server_runtime import ServerRuntime, askable

    def watch(_done: int, _total: int) -> None:
        if stop.asked():
            raise StopAsked

    report.phase("loading_model")
    source = order.source
    adapter = Path(source.folder) if source.is_adapter else None
    model = trained.load(order.as_export(), adapter)
    asked = prompts.load(model.tokenizer, model.context, order.prompts, order.new_tokens)
    asked = askable(asked, model.tokenizer)
    report.phase("checking")
    runtime = transformers_runtime.of_trained(model)
    scratch = folder.out / "scratch"
    said = reference.record(runtime, asked, order.new_tokens, scratch, watch)
    server = ServerRuntime(order.url, order.name, key, order.version, model.tokenizer, said)
    allowed = limits.for_format(order.number_format, "deployment")
    try:
        found = gate.against(
            said, runtime.ends(), server, allowed, order.new_tokens,
            lambda tokens: _decoded(model.tokenizer, tokens),
            watch,
        )  # fmt: skip
        told = server.divergence()
    finally:
        server.close()
        model.close()
    if told is not None:
        is_far = found.passed and told[0] > allowed.kl
        more = {"passed": False, "reason": "kl", "advice": "damaged"} if is_far else {}
        found = found.model_copy(update={"kl": told[0], **more})
    records.write_text(folder.result, found.model_dump_json(indent=1))
    return Finished(metrics={"greedy_agreement": found.greedy_agreement})


def _decoded(tokenizer: ModelTokenizer, tokens: Sequence[int]) -> str:
    """Return the text of tokens, without those that the server named and nobody knows."""
    known = [token for token in tokens if token >= 0]
    return tokenizer.backend.decode(known, skip_special_tokens=False)


if __name__ == "__main__":
    sys.exit(main())
