"""The report's page in a real browser: it opens without an error, draws, and shows the terminal's figures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_genai.cli import main
from tests.support.browser import chromium
from tests.support.browser.dom import Element, figures, parsed
from tests.support.recording.json_lines import ERROR, Line, header, load_test, operation, stream, write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHARTS = {"dots", "in-flight", "throughput", "timeline", "tokens-in-out", "tokens-first"}
DISTRIBUTIONS = {"duration", "first-token", "inter-chunk", "per-output-token"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"

# A message of the software renderer's driver.
_OF_THE_DRIVER = "GL Driver Message"


def opened(page: Path, *options: str) -> tuple[Element, list[str]]:
    """The page after its scripts have run, and the lines of the console."""
    if BROWSER is None:
        pytest.skip("no chromium or google-chrome on the PATH")
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses root with one
            f"--user-data-dir={page.parent / 'profile'}",
            "--enable-unsafe-swiftshader",  # WebGL without a graphics card
            "--enable-logging=stderr",
            "--window-size=1400,1000",
            "--virtual-time-budget=60000",
            "--dump-dom",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if ":CONSOLE:" in line and _OF_THE_DRIVER not in line]
    return parsed(done.stdout), console


def reported(tmp_path: Path, recording: Path) -> Path:
    page = tmp_path / "page.html"
    assert main(["report", str(recording), "-o", str(page)]) == 0
    return page


def ready(found: Element) -> bool:
    (body,) = found.all("body")
    return body.attributes.get("data-ready") == "true"


def is_drawn(chart: Element) -> bool:
    return "main-svg" in " ".join(element.attributes.get("class", "") for element in chart.all("svg"))


def percentiles(found: Element, panel: str) -> list[str]:
    return [value.text for value in found.named(f"panel-{panel}").all("dd")]


def test_a_load_test_is_drawn_and_its_figures_are_the_terminals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = reported(tmp_path, load_test(tmp_path / "run.jsonl", streams=1000, tokens=500))
    printed = capsys.readouterr().out.splitlines()[3:]
    found, console = opened(page)
    assert console == []
    assert ready(found)
    assert figures(found) == [re.split(r"\s{2,}", line.strip()) for line in printed if line.strip()]
    charts = CHARTS | {f"distribution-{name}" for name in DISTRIBUTIONS}
    assert {name for name in charts if is_drawn(found.named(name))} == charts
    assert "WebGL" not in found.named("dots").text
    assert found.named("dots-remark").text == ""
    assert len(found.named("errors").all("tbody")[0].all("tr")) == 10
    assert found.named("selected").text == "1,000 operations"


def test_the_scripts_percentiles_are_those_of_the_table(tmp_path: Path) -> None:
    arrivals = [
        [100_000 + 17 * number, 190_000 + number * number, 250_000 + 3 * number, 777_777] for number in range(9)
    ]
    lines = [stream(chunks, began_us=number * 1000, output=5) for number, chunks in enumerate(arrivals)]
    found, console = opened(reported(tmp_path, write(tmp_path / "run.jsonl", header(), *lines)))
    assert console == []
    in_table = list(zip(*(row[2:6] for row in figures(found)), strict=True))
    for panel, column, count in zip(
        ("duration", "first-token", "inter-chunk", "per-output-token"), in_table, ("9", "9", "27", "9"), strict=True
    ):
        assert percentiles(found, panel) == [*column, count]


def test_no_value_of_a_recording_is_markup(tmp_path: Path) -> None:
    recording = write(
        tmp_path / "run.jsonl",
        header(host=HOSTILE, command=[HOSTILE]),
        operation(name=HOSTILE, model=HOSTILE, error={"type": HOSTILE, "summary": HOSTILE}),
        stream([100_000, 200_000], model=HOSTILE, output=2),
        stream([100_000, 200_000], model="<b>bold</b>", output=2),
    )
    found, console = opened(reported(tmp_path, recording))
    assert console == []
    assert ready(found)
    assert len(found.all("script")) == 3
    assert not found.all("img", "b")
    assert [option.text for option in found.named("select-model").all("option")] == ["all", HOSTILE, "<b>bold</b>"]
    assert "<b>bold</b>" in found.named("tokens-in-out").text
    assert f"{HOSTILE}: {HOSTILE}" in found.named("errors").text


def test_another_script_does_not_run(tmp_path: Path) -> None:
    page = reported(tmp_path, write(tmp_path / "run.jsonl", header(), operation()))
    page.write_text(page.read_text().replace("<header>", "<script>document.title = 'taken'</script><header>"))
    found, console = opened(page)
    assert found.all("title")[0].text == "GenAI calls: run.jsonl"
    assert len(console) == 1
    assert "Content Security Policy" in console[0]


@pytest.mark.parametrize(
    ("lines", "throughput"),
    [
        ([], "Chunks per second"),
        ([operation(error=ERROR, duration_us=0)], "Chunks per second"),
        ([stream([0], duration_us=0)], "Chunks per second"),
        ([stream([100_000], unfinished=True, phases_us={"queue": 10_000, "prefill": 50_000})], "Chunks per second"),
        ([stream([100_000, 200_000], tokens=[1, 4], first_token_us=None)], "Output tokens per second"),
        ([stream([100_000, 200_000], tokens=[1, 4]), stream([100_000], trace_id=None)], "Chunks per second"),
    ],
    ids=["nothing", "an error", "no time at all", "unfinished", "tokens by chunk", "tokens by chunk of some"],
)
def test_little_data_is_drawn_without_an_error(lines: list[Line], throughput: str, tmp_path: Path) -> None:
    found, console = opened(reported(tmp_path, write(tmp_path / "run.jsonl", header(), *lines)))
    assert console == []
    assert ready(found)
    assert "hidden" in found.named("trouble").attributes
    assert found.named("throughput-title").text == throughput


def test_without_webgl_the_longest_gaps_are_drawn(tmp_path: Path) -> None:
    page = reported(tmp_path, load_test(tmp_path / "run.jsonl", streams=100, tokens=500))
    found, console = opened(page, "--disable-3d-apis")
    assert console == []
    assert re.fullmatch(
        r"This browser offers no WebGL\. 1\d,\d{3} of 49,500 chunks are drawn, the longest gaps among them\.",
        found.named("dots-remark").text,
    )
    assert is_drawn(found.named("dots"))


def test_the_dots_use_the_full_width_after_a_long_loading(tmp_path: Path) -> None:
    recording = write(
        tmp_path / "run.jsonl",
        header(),
        operation(name="load_model", duration_us=30_000_000),
        stream([100_000, 200_000, 1_000_000], began_us=29_000_000, output=3),
    )
    page_file = reported(tmp_path, recording)
    with chromium.page(tmp_path / "browser") as browser:
        browser.open(page_file.as_uri())
        browser.wait_for("document.body.dataset.ready === 'true'")
        assert browser.evaluate("document.getElementById('dots').layout.xaxis.range") == [28.99, 30.01]
        browser.click("#reset-zoom")
        assert browser.evaluate("document.getElementById('dots').layout.xaxis.range") == [-0.3, 30.3]
