"""The page shows the table's figures, and takes nothing in a recording for anything but text."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from typing import TYPE_CHECKING

from otel_genai.cli import main
from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.page.html import page, write_page
from tests.support.browser.dom import Element, figures, parsed
from tests.support.recording.json_lines import ERROR, Line, header, operation, stream, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from otel_genai.recording.file.records import Recordings


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;${title}"


def recordings(path: Path, *lines: Line) -> Recordings:
    return read_recordings([write(path / "run.jsonl", header(), *lines)])


def policy(found: Element) -> str:
    (meta,) = (meta for meta in found.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy")
    return meta.attributes["content"]


def test_the_figures_are_those_of_the_terminals_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(
        tmp_path / "run.jsonl",
        header(),
        stream([100_000, 200_000, 250_000, 400_000], output=3),
        stream([100_000, 200_000, 250_000], output=3, first_token_us=None, model="model-2"),
        operation(began_us=7, error=ERROR, duration_us=123),
        operation(name="embeddings", unfinished=True),
    )
    assert main(["report", str(recording), "-o", str(tmp_path / "page.html")]) == 0
    printed = capsys.readouterr().out.splitlines()
    found = figures(parsed((tmp_path / "page.html").read_text()))
    assert found[:4] == [
        ["chat", "p50", "200 ms", "200 ms", "100 ms", "100 ms", "100 in"],
        ["model-1", "p90", "360 ms", "200 ms", "140 ms", "100 ms", "3 out"],
        ["2 calls", "p95", "380 ms", "200 ms", "145 ms", "100 ms", "7.5/s a call"],
        ["1 error", "p99", "396 ms", "200 ms", "149 ms", "100 ms", "7.5/s in all"],
    ]
    assert found == [re.split(r"\s{2,}", line.strip()) for line in printed[3:] if line.strip() and line[0] not in "*≥"]


def test_the_page_names_its_recording_and_its_sources(tmp_path: Path) -> None:
    found = parsed(page(recordings(tmp_path, stream([100_000, 1_200_000], began_us=500_000), operation(error=ERROR))))
    assert found.all("title")[0].text == found.all("h1")[0].text == "GenAI calls: run.jsonl"
    assert found.all("header")[0].all("p")[0].text == (
        "2 operations · 1 error · 2 chunks · 1 process · 1.70 s from 2025-10-09 08:53:20.000 UTC"
    )
    assert [cell.text for cell in found.named("sources").all("td")] == [
        str(tmp_path / "run.jsonl"),
        "node-1",
        "4242",
        "2",
        "python app.py",
        "python 3.11.9, otel-genai 0.1",
    ]
    assert re.fullmatch(r"Made by otel-genai, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.", found.all("footer")[0].text)


def test_footnotes_are_on_the_page(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation(), '{"type": "operat')
    found = parsed(page(read_recordings([recording])))
    assert [note.text for note in found.named("notes").all("li")] == ["1 damaged line skipped."]


def test_an_empty_recording_has_a_page(tmp_path: Path) -> None:
    found = parsed(page(recordings(tmp_path)))
    assert figures(found) == []
    assert "0 operations" in found.all("header")[0].text


def test_a_page_replaces_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("x" * 10_000_000)
    write_page(recordings(tmp_path), tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().endswith("</html>\n")


def test_the_page_makes_no_request(tmp_path: Path) -> None:
    found = parsed(page(recordings(tmp_path, operation())))
    assert not found.all("link", "img", "iframe", "object", "embed", "base")
    assert not [element for element in found.all() if element.attributes.keys() & {"src", "href", "srcset", "action"}]
    assert policy(found).startswith("default-src 'none'; ")
    assert "http" not in policy(found)
    assert not re.search(r"url\(|@import", found.all("style")[0].text)


def test_only_the_pages_own_scripts_may_run(tmp_path: Path) -> None:
    found = parsed(page(recordings(tmp_path, operation())))
    own = [script.text for script in found.all("script") if script.attributes.get("type") != "application/gzip"]
    hashes = [f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in own]
    assert len(hashes) == 2
    assert f"script-src {' '.join(hashes)} 'unsafe-eval';" in policy(found)


def test_a_closing_tag_within_a_script_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_genai.recording.page.html.get_plotlyjs", lambda: 'const end = "</script>";')
    found = parsed(page(recordings(tmp_path, operation())))
    assert found.all("script")[1].text == r'const end = "<\/script>";'


def test_nothing_in_a_recording_is_markup(tmp_path: Path) -> None:
    recording = write(
        tmp_path / f"{HOSTILE.replace('/', '')}.jsonl",
        header(host=HOSTILE, command=[HOSTILE], versions={HOSTILE: HOSTILE}),
        operation(
            name=HOSTILE, model=HOSTILE, request={"provider": HOSTILE}, error={"type": HOSTILE, "summary": HOSTILE}
        ),
    )
    found = parsed(page(read_recordings([recording])))
    assert [script.attributes.get("type") for script in found.all("script")] == ["application/gzip", None, "module"]
    assert not found.all("img")
    assert [row[0] for row in figures(found)] == [HOSTILE, HOSTILE, "1 call", "1 error"]
    assert HOSTILE in found.named("sources").text
    assert HOSTILE.replace("/", "") in found.all("h1")[0].text
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", found.named("recording").text)
