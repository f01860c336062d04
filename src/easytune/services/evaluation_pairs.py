"""How any two models of an evaluation differ; the job itself tests each against the first."""

import threading
from collections import OrderedDict

from easytune.evaluation_files import Difference
from easytune.services.evaluations import Evaluations

_MOST_KEPT = 64
_Pair = tuple[str, str, int, str, int, int]


class Pairs:
    """Differences between pairs that were asked for, computed once."""

    def __init__(self, evaluations: Evaluations) -> None:
        """Compare models of these evaluations."""
        self._evaluations = evaluations
        self._lock = threading.Lock()
        self._known: OrderedDict[_Pair, Difference | None] = OrderedDict()

    def difference(
        self, evaluation: str, test_set: int, metric: str, first: int, second: int
    ) -> Difference | None:
        """Return how a metric of the second model differs from that of the first, on one set.

        None where it was not scored, or no row has both. Raises EvaluationMissing.
        """
        version = self._evaluations.version(evaluation)
        pair = (evaluation, version, test_set, metric, first, second)
        with self._lock:
            if pair not in self._known:
                self._known[pair] = self._compare(evaluation, test_set, metric, first, second)
            self._known.move_to_end(pair)
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
            return self._known[pair]

    def _compare(
        self, evaluation: str, test_set: int, metric: str, first: int, second: int
    ) -> Difference | None:
        # Metric libraries are only loaded once somebody looks.
        from easytune.scoring.figures import between

        story = self._evaluations.story(evaluation)
        if first == 0 and story.result is not None:
            for one in story.result.scores:
                if (one.set, one.metric, one.candidate) == (test_set, metric, second):
                    return one.against_first
            return None
        rows, answers = self._evaluations.rows(evaluation), self._evaluations.answers(evaluation)
        return between(story.order.config, rows, answers, metric, test_set, (first, second))
