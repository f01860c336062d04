"""Datasets of a hub: through the real library, in a process of its own that is kept offline."""

import json
import os
import subprocess
import sys
from pathlib import Path

from easytune.data import reading
from easytune.data.progress import silent

SCRIPT = """
import sys
from pathlib import Path
from easytune.data.progress import silent
from easytune.data.reading import hub
from easytune.errors import EasyTuneError
for name in sys.argv[1:]:
    try:
        print(*(path.name for path in hub.fetch(name, Path("out"), silent)))
    except EasyTuneError as error:
        print(error.code(), error.values["dataset"])
"""


def test_a_hub_dataset_becomes_files_and_what_is_out_of_reach_says_so(tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{n}", "completion": "A"} for n in range(3)]
    # The library takes a folder of that name for the dataset; the hub itself is out of reach.
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        content = "\n".join(json.dumps(row | {"split": split}) for row in rows)
        (folder / f"{split}.jsonl").write_text(content, encoding="utf-8")
    asked = ["owner/name", "owner/name/test", "owner/name/none", "owner/other", "no id"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *asked],
        cwd=tmp_path,
        env=os.environ | offline,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "name.train.parquet",
        "name.test.parquet",
        "hub_dataset_missing owner/name/none",
        "hub_unreachable owner/other",
        "hub_dataset_missing no id",
    ]
    [planned] = reading.plan([tmp_path / "out" / "name.test.parquet"])
    [batch] = reading.batches(planned, silent)
    assert [row["split"] for row in map(json.loads, batch.texts)] == ["test"] * 3
