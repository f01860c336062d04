"""Blind vote: which of two answers is better, without knowing whose they are."""

from collections.abc import Callable
from html import escape
from typing import Any
from zlib import crc32

import gradio as gr
from pydantic import TypeAdapter, ValidationError

from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.inference_errors import ComparisonMissing
from easytune.services.comparison import Comparison, Summary
from easytune.services.votes import Ballot, Verdict
from easytune.webui import compare_downloads, compare_vote_view
from easytune.webui.collecting import CollectHandlers, CollectPanel
from easytune.webui.context import Context
from easytune.webui.language import button_update, label
from easytune.webui.spoken import spoken

VERDICTS: tuple[Verdict, ...] = ("left", "right", "tie", "both_bad")
_BALLOT = TypeAdapter(Ballot)


class VotePanel:
    """The components of the vote."""

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.ballot = gr.JSON(None, visible="hidden", elem_id="compare-ballot-json")
        with gr.Column(elem_id="compare-vote"):
            self.comparison = gr.Dropdown(
                [], value=None, label=label("compare.vote.comparison"), filterable=False,
                interactive=True, info=label("compare.vote.comparison_help"),
                elem_id="compare-vote-on",
            )  # fmt: skip
            self.answers = gr.HTML("", apply_default_css=False, elem_id="compare-ballot")
            with gr.Row(elem_classes=["compare-verdicts"]):
                self.verdicts: dict[Verdict, gr.Button] = {
                    verdict: gr.Button(
                        label(f"compare.vote.{verdict}"), min_width=120, size="md", visible=False,
                        elem_id=f"compare-vote-{verdict.replace('_', '-')}",
                    )
                    for verdict in VERDICTS
                }  # fmt: skip
            self.next = gr.Button(
                label("compare.vote.next"), variant="primary", visible=False,
                elem_id="compare-next",
            )  # fmt: skip
            self.results = gr.HTML("", apply_default_css=False, elem_id="compare-vote-results")
            with gr.Row(elem_classes=["compare-under"]):
                self.export = gr.HTML("", apply_default_css=False, elem_id="compare-preferences")
                self.collect = gr.Button(
                    label("data.collect.ask"), size="sm", visible=False,
                    elem_id="compare-collect", elem_classes=["et-outlined"],
                )  # fmt: skip
                self.clear = gr.Button(
                    label("compare.vote.clear"), size="sm", visible=False,
                    elem_id="compare-clear", elem_classes=["et-outlined"],
                )  # fmt: skip
            self.collecting = CollectPanel("compare-collecting")
            with gr.Group(visible=False, elem_classes=["compare-dialog"]) as self.clearing:
                self._question()

    def _question(self) -> None:
        self.question = gr.HTML("", padding=True, elem_id="compare-clear-question")
        with gr.Row(elem_classes=["et-row"]):
            self.keep = gr.Button(label("monitor.keep"), size="sm")
            self.forget = gr.Button(
                label("compare.vote.clear"), variant="stop", size="sm", elem_id="compare-forget"
            )

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `VoteHandlers.drawn` updates."""
        buttons = [*self.verdicts.values(), self.next]
        counted = [self.results, self.export, self.collect, self.clear, self.clearing]
        return [self.ballot, self.answers, *buttons, *counted]


class VoteHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._comparisons = context.comparisons
        self._votes = context.votes
        self._collect = CollectHandlers(context)

    def wire(self, panel: VotePanel) -> dict[str, Any]:
        """Connect the panel; return the event that draws the next ballot."""
        now: dict[str, Any] = {
            "queue": False, "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        drawn: dict[str, Any] = {
            "fn": self.drawn, "inputs": panel.comparison, "outputs": panel.outputs, **now,
        }  # fmt: skip
        # Queued: only then does Gradio show what an error says.
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        panel.comparison.input(**drawn)
        panel.next.click(**drawn)
        for verdict, button in panel.verdicts.items():
            button.click(
                self.voting(verdict), [panel.comparison, panel.ballot], panel.outputs,
                **told, trigger_mode="once",
            )  # fmt: skip
        panel.clear.click(self.asked, panel.comparison, [panel.question, panel.clearing], **told)
        panel.keep.click(lambda: gr.update(visible=False), None, panel.clearing, **now)
        panel.forget.click(self.cleared, panel.comparison, panel.outputs, **told)
        panel.collect.click(self.collected, panel.comparison, panel.collecting.opened, **told)
        self._collect.wire(panel.collecting)
        return drawn

    def choices(self, request: gr.Request, *shown: str) -> dict[str, Any]:
        """Return the comparisons there are; the first of `shown` that is one of them is chosen."""
        lang = self._context.language_of(request)
        try:
            found = [one for one in self._comparisons.list() if one.entries]
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        known = [one.id for one in found]
        chosen = next((one for one in (*shown, *known) if one in known), None)
        return gr.update(choices=[(_named(one), one.id) for one in found], value=chosen)

    def drawn(self, request: gr.Request, comparison: str | None) -> list[Any]:
        """Show the next ballot, or say why there is none."""
        lang = self._context.language_of(request)
        try:
            whole = self._comparisons.get(comparison) if comparison else None
            if whole is None:
                return _nothing(t("compare.vote.empty", lang))
            # The same seed each time: a reload shows the same ballot.
            ballot = self._votes.next_ballot(whole.id, crc32(whole.id.encode()))
            counted = self._counted(whole, lang)
        except ComparisonMissing:
            return _nothing(t("compare.vote.empty", lang))
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        if ballot is None:
            shown = compare_vote_view.nothing(t("compare.vote.done", lang))
            return [None, shown, *_offered(vote=False, go_on=False), *counted]
        shown = compare_vote_view.ballot(whole, ballot, None, lang)
        content = {"comparison": whole.id} | _BALLOT.dump_python(ballot)
        return [content, shown, *_offered(vote=True, go_on=False), *counted]

    def voting(self, verdict: Verdict) -> Callable[..., Any]:
        """Return the handler of the button for a verdict."""

        def voted(request: gr.Request, comparison: str | None, content: Any) -> Any:
            return self._voted(verdict, request, comparison, content)

        return voted

    def asked(self, request: gr.Request, comparison: str | None) -> list[Any]:
        """Ask whether all votes of the comparison are to go."""
        lang = self._context.language_of(request)
        try:
            whole = self._comparisons.get(comparison or "")
            voted = self._votes.tally(whole.id).voted
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        question = t("compare.vote.clear_really", lang, votes=voted, title=whole.title)
        return [escape(question), gr.update(visible=True)]

    def cleared(self, request: gr.Request, comparison: str | None) -> list[Any]:
        """Forget all votes of the comparison, and begin again."""
        try:
            self._votes.clear(comparison or "")
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        return self.drawn(request, comparison)

    def collected(self, request: gr.Request, comparison: str | None) -> list[Any]:
        """Ask which dataset is to keep the votes."""
        return self._collect.opened(request, {"votes": comparison or ""})

    def _voted(
        self, verdict: Verdict, request: gr.Request, comparison: str | None, content: Any
    ) -> Any:
        """Record a verdict, and reveal whose answers they were."""
        lang = self._context.language_of(request)
        ballot = _read(content)
        if ballot is None or not comparison or content.get("comparison") != comparison:
            return gr.skip()
        try:
            whole = self._comparisons.get(comparison)
            if not _belongs(ballot, whole):
                return gr.skip()
            self._votes.cast(comparison, ballot.position, ballot.left, ballot.right, verdict)
            counted = self._counted(whole, lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        shown = compare_vote_view.ballot(whole, ballot, verdict, lang)
        return [None, shown, *_offered(vote=False, go_on=True), *counted]

    def _counted(self, whole: Comparison, lang: str) -> list[Any]:
        """Return the results as HTML, and what can be done with the votes once there are some."""
        tally, pairs = self._votes.tally(whole.id), self._votes.pairs(whole.id)
        results = compare_vote_view.results(whole, pairs, tally, lang)
        if not tally.voted:
            return [results, "", *_clearing(False)]
        left_out = compare_vote_view.left_out(self._votes.left_out(whole.id), lang)
        link = compare_downloads.preferences_link(whole.id, lang) + left_out
        return [results, link, *_clearing(True)]


def _read(content: Any) -> Ballot | None:
    try:
        return _BALLOT.validate_python(content) if content else None
    except ValidationError:
        return None


def _belongs(ballot: Ballot, comparison: Comparison) -> bool:
    """Tell whether a ballot that a page sent is one this comparison can have."""
    entry = next((e for e in comparison.entries if e.position == ballot.position), None)
    columns = range(len(comparison.columns))
    different = ballot.left != ballot.right
    return entry is not None and different and {ballot.left, ballot.right} <= set(columns)


def _nothing(text: str) -> list[Any]:
    offered = _offered(vote=False, go_on=False)
    return [None, compare_vote_view.nothing(text), *offered, "", "", *_clearing(False)]


def _clearing(offered: bool) -> list[Any]:
    """Return updates of what can be done with all votes, and of the question: not asked."""
    buttons = ("data.collect.ask", "compare.vote.clear")
    return [*(button_update(text, offered) for text in buttons), gr.update(visible=False)]


def _offered(vote: bool, go_on: bool) -> list[Any]:
    """Return which buttons are of use: those of a verdict, or the one for the next pair."""
    verdicts = [button_update(f"compare.vote.{verdict}", vote) for verdict in VERDICTS]
    return [*verdicts, button_update("compare.vote.next", go_on)]


def _named(one: Summary) -> str:
    return f"{one.title} · {one.created.astimezone():%m-%d %H:%M}"
