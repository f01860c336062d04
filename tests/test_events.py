"""What a job reports can be read back, in part, and by an older or newer program."""

from pathlib import Path

import pytest

from easytune import events


def _step(number: int, loss: float = 1.0) -> events.Step:
    return events.Step(step=number, epoch=0.1, loss=loss, learning_rate=1e-4)


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    written = [_step(1, 2.5), events.Stopped(step=1, metrics={"loss": 2.5})]
    for event in written:
        events.append(path, event)
    assert events.read(path)[0] == written


def test_a_reader_gets_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events.append(path, _step(1))
    _, offset = events.read(path)
    events.append(path, _step(2))
    fresh, end = events.read(path, offset)
    assert fresh == [e for e in events.read(path)[0] if isinstance(e, events.Step) and e.step == 2]
    assert events.read(path, end) == ([], end)


def test_a_half_written_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events.append(path, _step(1))
    line = path.read_bytes()
    path.write_bytes(line + line[:20])
    first, offset = events.read(path)
    assert len(first) == 1
    with path.open("ab") as file:
        file.write(line[20:])
    assert len(events.read(path, offset)[0]) == 1


def test_unknown_kinds_and_broken_lines_do_not_hide_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind": "from_the_future"}\nnot json\n\xff\xfe\n')
    events.append(path, _step(7))
    found, _ = events.read(path)
    assert [e.step for e in found if isinstance(e, events.Step)] == [7]
    assert len(found) == 1


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_non_finite_loss_is_refused_instead_of_written_as_null(
    tmp_path: Path, loss: float
) -> None:
    path = tmp_path / "events.jsonl"
    with pytest.raises(ValueError, match="non-finite"):
        events.append(path, _step(1, loss))
    assert not path.exists()
