"""The gate of an export: what was written is loaded again and compared with what was trained."""

from typing import TYPE_CHECKING, Any

from easytune.engine.parity import gate, limits, prompts, reference, transformers_runtime
from easytune.export_files import Parity
from easytune.exporters import Exporter

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session


def check(
    session: "Session", exporter: Exporter, options: Any, number_format: str
) -> tuple[Parity, ...]:
    """Return what the gate found; nothing where the artefact holds no model of its own.

    The trained model answers first and is gone when the artefact is loaded: no two models are in
    memory at a time. Raises EasyTuneError when what was written cannot be loaded.
    """
    wish, source = session.order.config.gate, session.order.sources[0]
    trained = session.trained()
    asked = prompts.load(
        trained.tokenizer, trained.context, wish.prompts, wish.new_tokens, source.run, session.home
    )
    runtime = transformers_runtime.of_trained(trained)
    said = reference.record(
        runtime,
        asked,
        wish.new_tokens,
        session.scratch / "said",
        lambda done, total: session.prompts_done(done, 2 * total),
    )
    ends, backend, precision = runtime.ends(), trained.tokenizer.backend, trained.precision
    runtime.close()
    session.unload()
    exported = exporter.runtime(session, options)
    if exported is None:
        return ()
    usual = limits.for_format(number_format, session.order.config.what.target)
    if precision != "fp32":
        session.note("export_half_precision_gate", precision=precision)
        usual = limits.in_half_precision(usual)
    allowed = limits.chosen(usual, wish)
    try:
        found = gate.against(
            said,
            ends,
            exported,
            allowed,
            wish.new_tokens,
            lambda tokens: backend.decode(list(tokens), skip_special_tokens=False),
            lambda done, total: session.prompts_done(total + done, 2 * total),
        )
    finally:
        exported.close()
    return (found,)
