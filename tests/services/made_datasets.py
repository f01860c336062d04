"""Datasets made in this process, which is quicker than an import."""

from easytune.data.formats import Layout
from easytune.data.stored import Batch, row_id, row_text
from easytune.data.versions.manifest import Imported
from easytune.services.datasets import Datasets


def make_dataset(datasets: Datasets, *answers: str, title: str = "House style") -> str:
    """Make a dataset of rows in this process, which is quicker, and return its id."""
    rows = [{"prompt": f"q {answer}", "completion": answer} for answer in answers]
    layouts = {"rows.jsonl": Layout("prompt_completion")}
    with datasets.library.draft(title=title, origin=Imported(), layouts=layouts) as draft:
        draft.add(
            Batch(
                texts=[row_text(row) for row in rows],
                ids=[row_id(row) for row in rows],
                sources=["rows.jsonl"] * len(rows),
                numbers=list(range(1, len(rows) + 1)),
            )
        )
        return draft.commit().dataset


def answers_of(datasets: Datasets, dataset: str, number: int | None = None) -> list[str]:
    return [row.value["completion"] for row in datasets.library.open(dataset, number).page(0, 99)]
