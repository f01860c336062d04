"""The options of every step, declared once. See `easytune.options`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from easytune.data.steps import patterns
from easytune.options import Knob, Section

Fields = Annotated[tuple[str, ...], Knob()]


class CleanSection(Section):
    """Make texts uniform."""

    control_characters: Annotated[bool, Knob(level="essential")] = True
    """Remove control characters, invisible ones and damaged halves of characters."""

    html: Annotated[bool, Knob(level="essential")] = Field(default=False, title="HTML")
    """Remove tags and write entities as characters. Code in Markdown fences stays."""

    whitespace: Annotated[bool, Knob(level="essential")] = True
    """Join runs of blanks and empty lines. Indentation and code in fences stay."""

    unicode: Annotated[Literal["keep", "NFC", "NFKC"], Knob(level="essential")] = Field(
        default="NFC", title="Unicode form"
    )
    """NFC writes each character one way. NFKC also replaces ligatures and superscripts."""

    width: Annotated[Literal["keep", "letters", "half", "chinese"], Knob(level="essential")] = (
        Field(default="keep", title="Full and half width")
    )
    """Narrow wide letters, narrow punctuation as well, or widen it after Chinese."""

    fields: Fields = Field(default=(), title="Only in these fields")
    """Columns, or roles such as assistant. Empty: all texts of a row."""


class FilterSection(Section):
    """Keep the rows that meet all conditions."""

    measure: Annotated[Literal["row", "answer"], Knob(level="essential")] = Field(
        default="row", title="Look at"
    )
    """Conditions apply to all texts of a row, or to its answers only."""

    min_characters: Annotated[int, Knob(level="essential")] = Field(
        default=0, ge=0, title="At least (characters)"
    )
    """Shorter rows are dropped. Zero: no limit."""

    max_characters: Annotated[int | None, Knob(level="essential")] = Field(
        default=None, ge=1, title="At most (characters)"
    )
    """Longer rows are dropped. Empty: no limit."""

    languages: Annotated[
        tuple[str, ...],
        Knob(level="essential", choices=("en", "zh", "ja", "ko", "ru", "de", "fr", "es")),
    ] = ()
    """Keep rows in these languages, by code such as en or zh. Empty: all."""

    matching: Annotated[str | None, Knob(level="essential")] = Field(
        default=None, title="Keep what matches"
    )
    """Rows without a match of this regular expression (RE2) are dropped."""

    not_matching: Annotated[str | None, Knob(level="essential")] = Field(
        default=None, title="Drop what matches"
    )
    """Rows with a match of this regular expression (RE2) are dropped."""

    @field_validator("max_characters")
    @classmethod
    def _not_below_the_least(cls, most: int | None, others: ValidationInfo) -> int | None:
        least = others.data.get("min_characters", 0)
        if most is not None and most < least:
            raise PydanticCustomError("range_empty", "below {least}", {"least": least})
        return most

    @field_validator("matching", "not_matching")
    @classmethod
    def _valid_regex(cls, pattern: str | None) -> str | None:
        if pattern:
            _compile(pattern)
        return pattern or None


class ExactDuplicatesSection(Section):
    """Keep the first of rows that are the same."""

    compare: Annotated[Literal["texts", "row"], Knob(level="essential")] = "texts"
    """Rows are the same when their texts are, or only when every column is."""

    loosely: Annotated[bool, Knob(level="essential")] = Field(
        default=False, title="Ignore case and spacing"
    )
    """Take texts for the same that differ only in case, width, blanks or punctuation."""


class NearDuplicatesSection(Section):
    """Keep the first of rows that are nearly the same."""

    threshold: Annotated[float, Knob(level="essential", step=0.05)] = Field(
        default=0.8, ge=0.5, le=1, title="Similarity"
    )
    """Share of three-word phrases two rows have in common to count as duplicates."""

    fields: Fields = Field(default=(), title="Compare only these fields")
    """Columns, or roles such as user. Empty: all texts of a row."""


class PersonalDataSection(Section):
    """Replace personal data by placeholders."""

    email: Annotated[bool, Knob(level="essential")] = Field(default=True, title="E-mail addresses")
    """Replace them by [EMAIL]."""

    phone: Annotated[bool, Knob(level="essential")] = Field(default=True, title="Phone numbers")
    """Replace by [PHONE] what is a valid number of a country."""

    id_number: Annotated[bool, Knob(level="essential")] = Field(
        default=True, title="Identity numbers"
    )
    """Chinese resident and company ids, US, Brazilian, Indian and Spanish ones: [ID]."""

    card: Annotated[bool, Knob(level="essential")] = Field(default=True, title="Card numbers")
    """Replace bank card numbers whose check digit is right by [CARD]."""

    iban: Annotated[bool, Knob(level="essential")] = Field(default=True, title="IBAN")
    """Replace bank account numbers whose check digits are right by [IBAN]."""

    ip_address: Annotated[bool, Knob(level="essential")] = Field(
        default=False, title="IP addresses"
    )
    """Replace addresses of machines by [IP]."""

    regions: Annotated[
        tuple[str, ...], Knob(choices=("CN", "US", "GB", "DE", "FR", "JP", "KR", "IN", "HK", "TW"))
    ] = Field(default=("CN", "US"), title="Phone numbers of")
    """Countries whose numbers are found without a country code in front."""

    fields: Fields = Field(default=(), title="Only in these fields")
    """Columns, or roles such as user. Empty: everywhere in a row."""

    @field_validator("regions")
    @classmethod
    def _known_regions(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        # A quarter of a second; the default needs no check.
        if regions == ("CN", "US"):
            return regions
        from phonenumbers import SUPPORTED_REGIONS

        wanted = tuple(region.strip().upper() for region in regions)
        if unknown := [region for region in wanted if region not in SUPPORTED_REGIONS]:
            values = {"unknown": ", ".join(unknown)}
            raise PydanticCustomError("unknown_region", "unknown region {unknown}", values)
        return wanted


class StopWordsSection(Section):
    """Remove words that carry little meaning, such as "the" or "的"."""

    english: Annotated[bool, Knob(level="essential")] = True
    """Remove English stop words."""

    chinese: Annotated[bool, Knob(level="essential")] = True
    """Remove Chinese stop words. Chinese text is divided into words first."""

    words: Annotated[tuple[str, ...], Knob(level="essential")] = Field(
        default=(), title="More words"
    )
    """Words of your own to remove, whatever their case."""

    kept: Annotated[tuple[str, ...], Knob()] = Field(
        default=("not", "no", "不", "没", "没有"), title="Words to keep"
    )
    """Stop words that stay, since a sentence changes its meaning without them."""

    fields: Fields = Field(default=(), title="Only in these fields")
    """Columns, or roles such as user. Empty: all texts of a row."""


class ColumnsSection(Section):
    """Make, rename and drop columns, in this order."""

    make: Annotated[dict[str, str], Knob(level="essential")] = Field(
        default={}, title="New columns"
    )
    """Name of each and its text, where other columns stand in braces."""

    rename: Annotated[dict[str, str], Knob(level="essential")] = Field(default={})
    """Each old name and its new one."""

    drop: Annotated[tuple[str, ...], Knob(level="essential")] = ()
    """Columns to remove."""

    keep: Annotated[tuple[str, ...], Knob()] = Field(default=(), title="Keep only")
    """Remove all columns but these, by their new names. Empty: keep all."""

    @field_validator("rename")
    @classmethod
    def _different_names(cls, rename: dict[str, str]) -> dict[str, str]:
        names = list(rename.values())
        if twice := sorted({name for name in names if names.count(name) > 1}):
            values = {"names": ", ".join(twice)}
            raise PydanticCustomError("renamed_twice", "two columns become {names}", values)
        return rename


class SystemPromptSection(Section):
    """Give every conversation a system prompt."""

    text: Annotated[str | None, Knob(level="essential", lines=4)] = Field(
        default=None, title="System prompt"
    )
    """What the model is told before each conversation. Empty: none."""

    existing: Annotated[Literal["keep", "replace", "extend"], Knob(level="essential")] = Field(
        default="keep", title="Where there is one"
    )
    """Keep it, replace it, or put the new one before it."""


class SplitTurnsSection(Section):
    """Make a row of its own for each answer of a conversation."""

    history: Annotated[bool, Knob(level="essential")] = Field(
        default=True, title="Keep what came before"
    )
    """Each row begins with all earlier turns, or only with its own question."""


class SampleSection(Section):
    """Keep some rows, chosen at random; their order stays."""

    share: Annotated[float, Knob(level="essential", step=0.05)] = Field(default=1.0, gt=0, le=1)
    """Share of the rows to keep. One: all."""

    rows: Annotated[int | None, Knob(level="essential")] = Field(
        default=None, ge=1, title="At most (rows)"
    )
    """Keep no more rows than this. Empty: no limit."""

    seed: Annotated[int | None, Knob()] = Field(default=None, ge=0, le=2**32 - 1)
    """The same seed chooses the same rows. Empty: the pipeline's seed."""


class ShuffleSection(Section):
    """Put the rows into random order."""

    seed: Annotated[int | None, Knob(level="essential")] = Field(default=None, ge=0, le=2**32 - 1)
    """The same seed gives the same order. Empty: the pipeline's seed."""


class SplitSection(Section):
    """Keep some rows aside to measure progress. Rows with the same texts stay together."""

    share: Annotated[float, Knob(level="essential", step=0.01)] = Field(
        default=0.1, ge=0, le=0.9, title="Held-out share"
    )
    """Share of the rows kept aside. Zero: none is, all are learned from."""

    similar: Annotated[bool, Knob(level="essential")] = Field(
        default=True, title="Keep similar rows together"
    )
    """Nearly equal rows go to the same side, so that none leaks. Slower."""

    column: Annotated[str | None, Knob()] = Field(default=None, title="Keep together by column")
    """Rows with the same value in this column go to the same side."""

    seed: Annotated[int | None, Knob()] = Field(default=None, ge=0, le=2**32 - 1)
    """The same seed keeps the same rows aside. Empty: the pipeline's seed."""


class MixSection(Section):
    """Add rows of other datasets of this home."""

    datasets: Annotated[tuple[str, ...], Knob(level="essential")] = ()
    """Names such as house-style, or house-style@3 for one of its versions."""

    weights: Annotated[
        tuple[Annotated[float, Field(gt=0, le=100)], ...], Knob(level="essential")
    ] = ()
    """How often each of them is used; 0.5 takes half of it. Empty: once."""

    own_weight: Annotated[float, Knob(level="essential", step=0.1)] = Field(
        default=1.0, gt=0, le=100
    )
    """How often the rows that are there already are used."""

    order: Annotated[Literal["shuffled", "appended"], Knob(level="essential")] = "shuffled"
    """All rows in random order, or one dataset after another."""

    seed: Annotated[int | None, Knob()] = Field(default=None, ge=0, le=2**32 - 1)
    """The same seed chooses the same rows. Empty: the pipeline's seed."""

    @field_validator("weights")
    @classmethod
    def _one_weight_per_dataset(
        cls, weights: tuple[float, ...], others: ValidationInfo
    ) -> tuple[float, ...]:
        datasets = others.data.get("datasets", ())
        if weights and len(weights) != len(datasets):
            values = {"datasets": len(datasets)}
            raise PydanticCustomError("weights_mismatch", "needs {datasets} weights", values)
        return weights


class Steps(BaseModel):
    """The options of all steps, a section per step: what a form shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clean: CleanSection = CleanSection()
    filter: FilterSection = FilterSection()
    exact_duplicates: ExactDuplicatesSection = ExactDuplicatesSection()
    near_duplicates: NearDuplicatesSection = NearDuplicatesSection()
    personal_data: PersonalDataSection = PersonalDataSection()
    stop_words: StopWordsSection = StopWordsSection()
    columns: ColumnsSection = ColumnsSection()
    system_prompt: SystemPromptSection = SystemPromptSection()
    split_turns: SplitTurnsSection = SplitTurnsSection()
    sample: SampleSection = SampleSection()
    shuffle: ShuffleSection = ShuffleSection()
    split: SplitSection = SplitSection()
    mix: MixSection = MixSection()


def _compile(pattern: str) -> None:
    """Raise PydanticCustomError when RE2 does not understand a pattern."""
    try:
        patterns.search(pattern)
    except ValueError as error:
        reason = str(error).partition("\n")[0].partition(": ")[2]
        message = "not a regular expression: {reason}"
        raise PydanticCustomError("bad_regex", message, {"reason": reason}) from error
