"""The report as a page, in a real browser: its content, its use, and its accessibility."""

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from example_report import BACKENDS, HTML, TRACEBACK, a_report
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from anyjac_conformance import CLAUSES
from anyjac_conformance.reports.page import STATUSES, render_page

pytestmark = pytest.mark.needs("chromium")

CHROMIUM, CHROMEDRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = (1280, 800), (360, 740)
Page = Callable[..., "Browser"]


# ---- the browser ---------------------------------------------------------------------------------------------------


class Browser:
    """A driver, with the few actions of the tests."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def cell(self, backend: str, clause: str) -> WebElement:
        return self.one(f'.cell[data-cell="{backend}/{clause}"]')

    def chip(self, status: str) -> WebElement:
        return self.one(f'.chip[data-status="{status}"]')

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def wait(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, 10).until(lambda _: condition())

    def emulate(self, size: tuple[int, int], scheme: str) -> None:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    @property
    def panel(self) -> WebElement:
        return self.one("#panel")

    @property
    def panel_is_open(self) -> bool:
        return bool(self.run("return document.querySelector('#panel').open"))

    @property
    def shown_clauses(self) -> list[str]:
        script = "return [...document.querySelectorAll('tr[data-clause]')].filter((row) => row.checkVisibility())"
        return list(self.run(f"{script}.map((row) => row.dataset.clause)"))

    @property
    def focused_cell(self) -> str | None:
        found = self.run("return document.activeElement.dataset.cell")
        return None if found is None else str(found)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for the module, with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on disk."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page(a_report()), encoding="utf-8")
    return path


@pytest.fixture
def page(driver: webdriver.Chrome, file: Path) -> Iterator[Page]:
    """Open the page afresh; afterwards the console has to be empty, whatever the test did."""

    def show(hash_: str = "", *, size: tuple[int, int] = WIDE, scheme: str = "light") -> Browser:
        browser = Browser(driver)
        browser.emulate(size, scheme)
        driver.get("about:blank")
        driver.get(file.as_uri() + hash_)
        return browser

    driver.get_log("browser")
    yield show
    assert driver.get_log("browser") == []


# ---- what it shows -------------------------------------------------------------------------------------------------


def test_the_page_opens_from_a_file_and_asks_for_nothing_else(page: Page) -> None:
    browser = page()
    assert browser.driver.title.startswith("anyjac 0.1.0 conformance")
    assert browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []


def test_the_facts_of_the_run_are_shown(page: Page) -> None:
    facts = page().one("header").text
    assert "1 scenario failed and 1 ended in an error, on 1 of 4 backends." in facts
    for fact in ("0.1.0", "3.11.7", "Linux-6.1-x86_64", "2026-11-23 06:00 UTC", "ANYJAC_BACKEND=jax"):
        assert fact in facts


def test_each_backend_has_its_counts_time_and_capabilities(page: Page) -> None:
    browser = page()
    text = browser.one('.card[data-backend="jax"]').text
    total = 3 * len(CLAUSES)
    for fact in ("1 error", "1 failed", f"{total - 2} passed", f"{0.0123 * total:.1f} s", "1.2.3", "complex, nested"):
        assert fact in text
    assert [card.get_attribute("data-backend") for card in browser.all(".card")] == list(BACKENDS)


def test_the_matrix_has_every_clause_in_order_and_a_cell_for_each_backend(page: Page) -> None:
    browser = page()
    assert browser.shown_clauses == list(CLAUSES)
    assert len(browser.all(".cell")) == len(CLAUSES) * len(BACKENDS)
    subjects = [element.text for element in browser.all(".subject")]
    assert subjects == list(dict.fromkeys(clause.split("/")[0] for clause in CLAUSES))


@pytest.mark.parametrize(
    ("backend", "clause", "status", "signs", "label"),
    [
        ("torch", "packing/block", "passed", ["#i-passed"], "3 passed"),
        ("jax", "packing/block", "failed", ["#i-failed", "#i-passed"], "1 failed, 2 passed"),
        ("jax", "dtypes/real", "error", ["#i-error", "#i-passed"], "1 error, 2 passed"),
        (
            "mlx",
            "dtypes/empty",
            "expected-failure",
            ["#i-expected-failure", "#i-passed"],
            "1 expected failure, 2 passed",
        ),
        (
            "autograd",
            "composition/nested",
            "not-declared",
            ["#i-not-declared", "#i-passed"],
            "1 not declared, 2 passed",
        ),
        ("torch", "devices/unknown", "not-run", [], "not run"),
    ],
)
def test_a_cell_has_the_colour_of_its_worst_status_and_signs_and_words(
    page: Page, backend: str, clause: str, status: str, signs: list[str], label: str
) -> None:
    cell = page().cell(backend, clause)
    assert cell.get_attribute("class") == f"cell {status}"
    assert [use.get_attribute("href") for use in cell.find_elements(By.TAG_NAME, "use")] == signs
    assert cell.get_attribute("aria-label") == f"{backend}, {clause}: {label}"
    assert cell.text == (label if not signs else "\n".join(part.split()[0] for part in label.split(", ")))


def test_each_status_has_a_colour_of_its_own(page: Page) -> None:
    browser = page()
    script = "return getComputedStyle(document.querySelector(`.cell.${arguments[0]}`)).backgroundColor"
    colours = [browser.run(script, status.replace(" ", "-")) for status in STATUSES]
    assert len(set(colours)) == len(STATUSES)


def test_expected_failures_are_listed_with_their_reasons(page: Page) -> None:
    browser = page()
    assert browser.one("#expected li").text == "MLX has no float64.\nmlx · dtypes/* · raises DtypeError"


# ---- the filter ----------------------------------------------------------------------------------------------------


def test_the_filter_by_status_leaves_the_clauses_that_have_it(page: Page) -> None:
    browser = page()
    assert browser.one("#count").text == f"{len(CLAUSES)} clauses"
    browser.chip("failed").click()
    assert browser.shown_clauses == ["packing/block"]
    assert browser.one("#count").text == f"1 of {len(CLAUSES)} clauses"
    browser.chip("error").click()
    assert browser.shown_clauses == ["packing/block", "dtypes/real"]
    browser.chip("failed").click()
    browser.chip("error").click()
    assert browser.shown_clauses == list(CLAUSES)


def test_the_filter_by_status_draws_back_the_cells_that_do_not_have_it(page: Page) -> None:
    browser = page()
    browser.chip("not run").click()
    assert browser.shown_clauses == ["devices/unknown"]
    dim = [cell.get_attribute("data-cell") for cell in browser.all(".cell.dim") if cell.is_displayed()]
    assert dim == [f"{backend}/devices/unknown" for backend in ("autograd", "jax", "mlx")]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("packing/block", ["packing/block"]),
        ("SHAPE of scalars", ["dtypes/scalars"]),
        ("expected (3, 2)", ["packing/block"]),
        ("mlx has no float64", ["dtypes/empty"]),
    ],
)
def test_the_filter_by_text_looks_at_clauses_sentences_scenarios_and_faults(
    page: Page, text: str, clauses: list[str]
) -> None:
    browser = page()
    browser.one("#text").send_keys(text)
    assert browser.shown_clauses == clauses


def test_both_filters_hold_together_and_subjects_without_clauses_go(page: Page) -> None:
    browser = page()
    browser.chip("passed").click()
    browser.one("#text").send_keys("Variable")
    both = browser.shown_clauses
    assert 0 < len(both) < len(CLAUSES)
    subjects = [element.text for element in browser.all(".subject") if element.is_displayed()]
    assert subjects == list(dict.fromkeys(clause.split("/")[0] for clause in both))


def test_a_filter_that_leaves_nothing_says_so_and_can_be_cleared(page: Page) -> None:
    browser = page()
    browser.one("#text").send_keys("nothing is called this")
    browser.chip("failed").click()
    assert browser.one("#count").text == f"0 of {len(CLAUSES)} clauses"
    assert browser.one("#none").is_displayed()
    browser.one("#clear").click()
    assert browser.shown_clauses == list(CLAUSES)
    assert not browser.one("#none").is_displayed()
    assert browser.chip("failed").get_attribute("aria-pressed") == "false"


# ---- a cell --------------------------------------------------------------------------------------------------------


def test_a_cell_opens_its_scenarios(page: Page) -> None:
    browser = page()
    assert browser.all("#panel .scenarios") == []  # made when it is opened
    browser.cell("torch", "packing/block").click()
    assert browser.one("#title").text == "packing/block on torch"
    assert browser.one("#panel .sentence").text == CLAUSES["packing/block"].replace("`", "")
    rows = [row.text for row in browser.all("#panel .scenarios tbody tr")]
    assert rows == [f"{name} passed 1.1e-16 12 ms" for name in ("of a scalar", "of a matrix", "of a tree")]


def test_a_cell_opens_its_failures_first_with_their_faults_and_traceback(page: Page) -> None:
    browser = page()
    browser.cell("jax", "packing/block").click()
    first, detail = browser.all("#panel .scenarios tbody tr")[:2]
    assert first.text == "of a matrix failed inf 12 ms"
    faults = [fault.text for fault in detail.find_elements(By.CSS_SELECTOR, ".fault")]
    assert faults == ["[0]['w']: shape (2, 3), expected (3, 2)", f"[1]: {HTML}"]
    assert "packing/block:of-a-matrix on cpu:3" in detail.text
    assert browser.one("#panel .sentence").is_displayed()
    traceback = detail.find_element(By.TAG_NAME, "pre")
    assert not traceback.is_displayed()
    detail.find_element(By.TAG_NAME, "summary").click()
    assert traceback.is_displayed()
    assert traceback.get_property("textContent") == TRACEBACK


def test_an_error_without_faults_shows_the_last_line_of_its_traceback(page: Page) -> None:
    browser = page("#jax/dtypes/real")
    assert [fault.text for fault in browser.all("#panel .fault")] == [f"ValueError: {HTML}"]


@pytest.mark.parametrize(
    ("hash_", "reason"),
    [("#mlx/dtypes/empty", "MLX has no float64."), ("#autograd/composition/nested", "No `nested` here.")],
)
def test_what_did_not_pass_for_a_reason_shows_it(page: Page, hash_: str, reason: str) -> None:
    assert page(hash_).one("#panel .reason").text == reason


def test_a_cell_without_scenarios_says_that_it_was_not_run(page: Page) -> None:
    browser = page()
    browser.cell("torch", "devices/unknown").click()
    assert browser.one("#panel .note").text == "No scenario of this clause was run on torch."


def test_the_panel_leads_to_the_same_clause_on_another_backend(page: Page) -> None:
    browser = page("#jax/packing/block")
    browser.one('#panel a[href="#mlx/packing/block"]').click()
    assert browser.one("#title").text == "packing/block on mlx"
    assert browser.driver.current_url.endswith("#mlx/packing/block")
    assert browser.run("return document.activeElement.hash") == "#mlx/packing/block"


def test_html_in_errors_is_shown_as_text(page: Page) -> None:
    browser = page("#jax/packing/block")
    assert browser.driver.title != "taken over"
    assert len(browser.all("script")) == 2
    assert browser.all("#panel script") == []
    assert HTML in browser.panel.text


def test_html_in_every_text_of_a_report_is_shown_as_text(driver: webdriver.Chrome, tmp_path: Path) -> None:
    report = _with_html_everywhere(a_report())
    path = tmp_path / "report.html"
    path.write_text(render_page(report), encoding="utf-8")
    driver.get_log("browser")
    driver.get(path.as_uri())
    browser = Browser(driver)
    assert len(browser.all("script")) == 2
    assert not browser.driver.title.startswith("taken over")
    browser.all(".cell.failed")[0].click()
    assert HTML in browser.one("#title").text
    assert HTML in browser.one(".scenarios tbody th").text
    assert driver.get_log("browser") == []


def _with_html_everywhere(report: dict[str, Any]) -> dict[str, Any]:
    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: marked(one) for key, one in value.items()}
        if isinstance(value, list):
            return [marked(one) for one in value]
        return f"{value}{HTML}" if isinstance(value, str) else value

    found = copy.deepcopy(report)
    for key in ("anyjac", "python", "platform", "environment", "backends", "expected_failures"):
        found[key] = marked(found[key])
    found["clauses"] = {f"{clause}{HTML}": sentence + HTML for clause, sentence in found["clauses"].items()}
    found["results"] = [marked(one) | {"status": one["status"]} for one in found["results"]]
    return found


# ---- the location --------------------------------------------------------------------------------------------------


def test_a_deep_link_opens_its_cell(page: Page) -> None:
    browser = page("#jax/packing/block")
    assert browser.panel_is_open
    assert browser.one("#title").text == "packing/block on jax"


def test_the_location_follows_the_panel(page: Page) -> None:
    browser = page()
    browser.cell("jax", "packing/block").click()
    assert browser.driver.current_url.endswith("report.html#jax/packing/block")
    browser.one("#close").click()
    browser.wait(lambda: browser.driver.current_url.endswith("report.html"))
    browser.run("location.hash = '#mlx/packing/block'")
    browser.wait(lambda: browser.panel_is_open)
    browser.run("location.hash = ''")
    browser.wait(lambda: not browser.panel_is_open)


@pytest.mark.parametrize("hash_", ["#jax/no/such/clause", "#matrix", "#%E0%A4%A", "#"])
def test_a_location_that_names_no_cell_opens_nothing(page: Page, hash_: str) -> None:
    assert not page(hash_).panel_is_open


# ---- the keyboard --------------------------------------------------------------------------------------------------


def test_cells_are_reached_by_tab_opened_by_enter_and_closed_by_escape(page: Page) -> None:
    browser = page()
    browser.chip("not run").click()
    browser.chip("not run").click()
    browser.press(Keys.TAB)
    assert browser.focused_cell == "autograd/transform/signature"
    browser.press(Keys.TAB)
    assert browser.focused_cell == "jax/transform/signature"
    browser.press(Keys.ENTER)
    assert browser.panel_is_open
    assert browser.one("#title").text == "transform/signature on jax"
    browser.press(Keys.ESCAPE)
    browser.wait(lambda: not browser.panel_is_open)
    browser.wait(lambda: browser.focused_cell == "jax/transform/signature")


def test_the_arrow_keys_go_from_cell_to_cell(page: Page) -> None:
    browser = page()
    browser.run("arguments[0].focus()", browser.cell("autograd", "transform/copies"))
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert browser.focused_cell == "jax/packing/returns"
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_UP)
    assert browser.focused_cell == "autograd/transform/copies"


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_no_cell_that_has_the_focus_is_under_the_header(page: Page, size: tuple[int, int]) -> None:
    browser = page(size=size)
    browser.run("arguments[0].focus()", browser.cell("torch", "devices/variable"))
    for _ in range(40):
        browser.press(Keys.ARROW_UP)
        browser.wait(lambda: _is_on_top(browser, "document.activeElement"))  # the page scrolls a frame later


# ---- the layout ----------------------------------------------------------------------------------------------------


def _is_on_top(browser: Browser, element: str) -> bool:
    """Whether the middle of an element is in the window and uncovered."""
    script = f"""
        const element = {element};
        const box = element.getBoundingClientRect();
        const found = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return element.contains(found);
    """
    return bool(browser.run(script))


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_header_of_the_table_stays_visible_when_the_page_is_scrolled(page: Page, size: tuple[int, int]) -> None:
    browser = page(size=size)
    browser.run("arguments[0].scrollIntoView({block: 'center'})", browser.cell("autograd", "variables/entry"))
    assert not _is_on_top(browser, "document.querySelector('tr[data-clause]')")
    browser.wait(lambda: _is_on_top(browser, "document.querySelector('thead th')"))
    browser.wait(lambda: _is_on_top(browser, "document.querySelector('thead th + th')"))


def test_a_narrow_page_does_not_scroll_sideways(page: Page) -> None:
    browser = page(size=NARROW)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.run(wide) == 0
    assert browser.run("return innerWidth") == NARROW[0]
    assert browser.run("const box = document.querySelector('.matrix'); return box.scrollWidth > box.clientWidth")


def test_a_narrow_panel_does_not_scroll_sideways(page: Page) -> None:
    browser = page("#jax/packing/block", size=NARROW)
    browser.one("#panel summary").click()
    assert (
        browser.run("const panel = document.querySelector('#panel'); return panel.scrollWidth - panel.clientWidth") == 0
    )


def test_the_first_column_stays_when_a_narrow_matrix_is_scrolled(page: Page) -> None:
    browser = page(size=NARROW)
    browser.run("document.querySelector('.filter').scrollIntoView()")
    left = "return document.querySelector('th[scope=row]').getBoundingClientRect().left"
    before = browser.run(left)
    assert (
        browser.run("const box = document.querySelector('.matrix'); box.scrollLeft = 150; return box.scrollLeft") > 100
    )
    assert browser.run(left) == before
    assert _is_on_top(browser, "document.querySelector('th[scope=row]')")
    assert _is_on_top(browser, "document.querySelector('thead th')")


# ---- the colours ---------------------------------------------------------------------------------------------------

FAINT = """
    const parse = (text) => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return { rgb: [r, g, b], a };
    };
    const over = (top, below) => top.rgb.map((value, i) => value * top.a + below[i] * (1 - top.a));
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        if (!element) return [255, 255, 255];
        const own = parse(getComputedStyle(element).backgroundColor);
        return own.a === 1 ? own.rgb : over(own, behind(element.parentElement));
    };
    const contrast = (element, pseudo) => {
        const style = getComputedStyle(element, pseudo);
        const back = behind(element);
        const [one, other] = [over(parse(style.color), back), back].map(luminance).sort((a, b) => b - a);
        return (one + 0.05) / (other + 0.05);
    };
    const faint = [];
    let count = 0;
    const check = (element, text, pseudo) => {
        count += 1;
        if (contrast(element, pseudo) < 4.5) faint.push(`${text}: ${contrast(element, pseudo).toFixed(2)}`);
    };
    const root = document.querySelector(arguments[0]);
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.data.trim();
        if (text && element.checkVisibility()) check(element, text);
    }
    for (const input of root.querySelectorAll("input")) check(input, input.placeholder, "::placeholder");
    return [count, faint];
"""
"""Measures the contrast of each text by WCAG; gives the number of texts, and those below 4.5."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
class TestContrast:
    """Every text stands out from its background, in both colour schemes."""

    def test_of_the_page(self, page: Page, scheme: str) -> None:
        count, faint = page(scheme=scheme).run(FAINT, "body")
        assert count > 4 * len(CLAUSES)
        assert faint == []

    @pytest.mark.parametrize("status", [*STATUSES, "not run"])
    def test_of_the_filtered_page(self, page: Page, scheme: str, status: str) -> None:
        browser = page(scheme=scheme)
        browser.chip(status).click()
        assert browser.run(FAINT, "body")[1] == []

    @pytest.mark.parametrize("size", [WIDE, NARROW])
    @pytest.mark.parametrize(
        "cell", ["jax/packing/block", "jax/dtypes/real", "mlx/dtypes/empty", "autograd/composition/nested"]
    )
    def test_of_a_panel(self, page: Page, scheme: str, cell: str, size: tuple[int, int]) -> None:
        browser = page(f"#{cell}", scheme=scheme, size=size)
        browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
        count, faint = browser.run(FAINT, "#panel")
        assert count > 15
        assert faint == []


def test_the_two_schemes_differ(page: Page) -> None:
    script = "return getComputedStyle(document.body).backgroundColor"
    assert page(scheme="light").run(script) != page(scheme="dark").run(script)
