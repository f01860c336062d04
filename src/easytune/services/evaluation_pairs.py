"""How any two models of an evaluation differ; the job itself tests each against the first."""

from functools import lru_cache

from easytune.evaluation_files import Difference
from easytune.services.evaluations import Evaluations

_MOST_KEPT = 64


class Pairs:
    """Differences between pairs that were asked for, computed once."""

    def __init__(self, evaluations: Evaluations) -> None:
        """Compare models of these evaluations."""
        self._evaluations = evaluations
        self._known = lru_cache(_MOST_KEPT)(self._compare)

    def difference(
        self, evaluation: str, test_set: int, metric: str, first: int, second: int
    ) -> Difference | None:
        """Return how a metric of the second model differs from that of the first, on one set.

        None where it was not scored, or no row has both. Raises EvaluationMissing.
        """
        version = self._evaluations.version(evaluation)
        return self._known(evaluation, version, test_set, metric, first, second)

    def _compare(
        self, evaluation: str, version: str, test_set: int, metric: str, first: int, second: int
    ) -> Difference | None:
        # The libraries of metrics take a while to import, and the page opens without them.
        from easytune.scoring.figures import between

        story = self._evaluations.story(evaluation)
        if first == 0 and story.result is not None:
            asked = (test_set, metric, second)
            scored = (s for s in story.result.scores if (s.set, s.metric, s.candidate) == asked)
            return next((one.against_first for one in scored), None)
        rows, answers = self._evaluations.rows(evaluation), self._evaluations.answers(evaluation)
        return between(story.order.config, rows, answers, metric, test_set, (first, second))
