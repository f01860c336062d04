"""All steps by name. To add one, write its options into `Steps` and a line into STEPS."""

from easytune.data.steps import (
    clean,
    columns,
    duplicates,
    filtering,
    mixing,
    options,
    personal_data,
    selection,
    stop_words,
    turns,
)
from easytune.data.steps.step import Step

_ALL = (
    Step("clean", options.CleanSection, each=clean.prepare),
    Step("filter", options.FilterSection, each=filtering.prepare),
    Step("exact_duplicates", options.ExactDuplicatesSection, whole=duplicates.drop_exact),
    Step("near_duplicates", options.NearDuplicatesSection, whole=duplicates.drop_near),
    Step("personal_data", options.PersonalDataSection, each=personal_data.prepare),
    Step("stop_words", options.StopWordsSection, each=stop_words.prepare),
    Step("columns", options.ColumnsSection, each=columns.prepare, layout=columns.layout),
    Step(
        "system_prompt",
        options.SystemPromptSection,
        each=turns.prepare_system_prompt,
        layout=turns.layout_of_system_prompt,
    ),
    Step("split_turns", options.SplitTurnsSection, each=turns.prepare_split_turns),
    Step("sample", options.SampleSection, whole=selection.sample),
    Step("shuffle", options.ShuffleSection, whole=selection.shuffle),
    Step("split", options.SplitSection, whole=selection.split),
    Step("mix", options.MixSection, whole=mixing.mix),
)
STEPS: dict[str, Step] = {step.name: step for step in _ALL}
"""Every step by name, in the order a form shows them."""
