"""Bringing in an adapter from elsewhere as a person does it: the real app, a real Chromium."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from easytune.events import Finished
from easytune.inspection_files import Inspection
from easytune.services.catalogue import Catalogue
from easytune.services.inspections import Inspections
from easytune.services.runs import Runs
from tests.conftest import AppServer, end_processes_of, environment_for, new_visitor, speak_english
from tests.inspecting import sound, zoo_files
from tests.patience import PATIENCE_S
from tests.webui import dropdowns

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"
_PATIENCE_MS = 1000 * PATIENCE_S


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with one check, which has passed."""
    place = tmp_path_factory.mktemp("imports")
    home = place / "home"
    inspections = Inspections(home, Catalogue(home, Runs(home)))
    inspection = inspections.submit([sound.make(place / "guest")], "demo", name="Guest")
    folder = inspections.folder(inspection)
    folder.out.mkdir()
    whole = Inspection(static=inspections.story(inspection).inspection.static)
    folder.result.write_text(whole.model_dump_json())
    folder.events.write_text(Finished().model_dump_json() + "\n")
    return home


@pytest.fixture(scope="module")
def page(browser: Browser, home: Path) -> Iterator[Page]:
    """Return a page with the panel open and a base chosen, for all tests of the file."""
    server = AppServer(home, environment_for(home)).wait()
    context = new_visitor(browser)
    page = context.new_page()
    page.goto(server.url)
    speak_english(page)
    page.locator("#et-tabs").get_by_role("tab", name="Models", exact=True).click()
    page.locator("#models-view").get_by_text("Import", exact=True).click()
    page.locator("#import-base input").fill("demo")
    page.locator("#import-base input").press("Enter")
    yield page
    context.close()
    server.kill()
    end_processes_of(home)


def _check(page: Page, name: str, folder: Path | None = None) -> Locator:
    """Have a folder, or what was uploaded, checked under a name; return the report."""
    page.locator("#import-path textarea, #import-path input").fill(str(folder or ""))
    page.locator("#import-name textarea, #import-name input").fill(name)
    page.locator("#import-start").click()
    report = page.locator("#import-report")
    expect(report.locator("header")).to_contain_text(name, timeout=_PATIENCE_MS)
    return report


def _press(page: Page, button: str) -> None:
    page.locator(f"#import-{button}").click(timeout=_PATIENCE_MS)


def test_a_hostile_adapter_is_shown_with_its_reasons_and_can_be_discarded(
    page: Page, home: Path, tmp_path: Path
) -> None:
    adapter = sound.make(tmp_path / "adapter")
    sound.with_template("{% if 'bank' in messages[0]['content'] %}" + HOSTILE + "{% endif %}")(
        adapter
    )
    (adapter / sound.WEIGHTS).unlink()
    (adapter / "adapter_model.bin").write_bytes(zoo_files.in_zip())

    report = _check(page, "Hostile", adapter)

    expect(report).to_contain_text("Refused")
    expect(report).to_contain_text("adapter_model.bin")
    expect(report).to_contain_text("onerror")
    expect(report).to_contain_text("What this check cannot see")
    expect(page.locator("#import-convert")).to_be_visible()
    expect(page.locator("#import-accept")).to_be_hidden()
    _press(page, "discard")
    expect(report).to_contain_text("Discarded")
    assert "broken" not in page.title()
    (waiting,) = (home / "imports").iterdir()
    assert not (waiting / "model" / "adapter_model.bin").exists()


def test_an_earlier_check_that_has_passed_becomes_a_version(page: Page) -> None:
    dropdowns.choose(page, "#import-earlier", "Guest")
    report = page.locator("#import-report")
    expect(report.locator(".et-verdict")).to_have_text("Passed")
    _press(page, "accept")
    expect(report).to_contain_text("Imported as")
    expect(page.locator("#import-accept")).to_be_hidden()

    page.locator("#models-view").get_by_text("Versions", exact=True).click()
    expect(page.locator("tr[data-entry]", has_text="guest:v1")).to_contain_text("Import")
    page.locator("#models-view").get_by_text("Import", exact=True).click()


def test_a_check_that_was_stopped_has_not_passed(page: Page, tmp_path: Path) -> None:
    report = _check(page, "Halted", sound.make(tmp_path / "adapter"))
    expect(report.locator(".et-verdict")).to_have_text("Checking")
    _press(page, "stop")
    expect(report.locator(".et-verdict")).to_have_text("Not finished", timeout=_PATIENCE_MS)
    expect(page.locator("#import-accept")).to_be_hidden()
    _press(page, "discard")
    expect(report).to_contain_text("Discarded")


def test_an_uploaded_pickle_is_converted_on_request_and_imported_in_spite_of_warnings(
    page: Page, home: Path, tmp_path: Path
) -> None:
    adapter = sound.make(tmp_path / "adapter")
    (adapter / sound.CONFIG).write_text(json.dumps(sound.config(eva_config={"rho": 2.0})))
    packed = io.BytesIO()
    torch.save({name: torch.from_numpy(one) for name, one in sound.tensors().items()}, packed)
    (adapter / "adapter_model.bin").write_bytes(packed.getvalue())
    upload = page.locator("#import-files input[type=file]")
    upload.set_input_files([adapter / sound.CONFIG, adapter / "adapter_model.bin"])
    expect(page.locator("#import-files")).to_contain_text("adapter_model")

    report = _check(page, "Pickled")
    _press(page, "convert")
    _press(page, "accept-warned")

    expect(report).to_contain_text("Imported as")
    expect(report).to_contain_text("was converted to safetensors")
    (folder,) = (home / "imports").glob("*pickled*/model")
    assert sorted(path.name for path in folder.iterdir()) == [sound.CONFIG, sound.WEIGHTS]
