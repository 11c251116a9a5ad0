"""The page holds all that it shows, says what the table says, and takes nothing in a recording for anything but text."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import struct
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.cli import main
from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.page.html import page, write_page
from otel_genai.recording.page.payload import payload
from tests.support.browser.dom import Element, figures, parsed
from tests.support.recording.json_lines import ERROR, Line, header, operation, stream, write

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.recording.file.records import Recordings

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;${title}"


def recordings(path: Path, *lines: Line) -> Recordings:
    return read_recordings([write(path / "run.jsonl", header(), *lines)])


def policy(found: Element) -> str:
    (meta,) = (meta for meta in found.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy")
    return meta.attributes["content"]


def unpacked(text: str) -> tuple[dict[str, Any], list[int]]:
    """What is told once, and the numbers that follow it."""
    packed = gzip.decompress(b64decode(text, validate=True))
    (length,) = struct.unpack_from("<I", packed)
    told, rest = packed[4 : 4 + length], packed[4 + length :]
    return json.loads(told), list(struct.unpack(f"<{len(rest) // 4}I", rest))


# ── what is seen without a script ──────────────────────────────────────────────────────────────────────────────────────


def test_the_figures_are_those_of_the_table_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_the_page_says_what_it_is_about(tmp_path: Path) -> None:
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


def test_what_must_be_known_to_read_the_figures_is_on_the_page(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation(), '{"type": "operat')
    found = parsed(page(read_recordings([recording])))
    assert [note.text for note in found.named("notes").all("li")] == ["1 damaged line skipped."]


def test_a_page_of_nothing_can_be_made(tmp_path: Path) -> None:
    found = parsed(page(recordings(tmp_path)))
    assert figures(found) == []
    assert "0 operations" in found.all("header")[0].text


def test_a_page_replaces_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("x" * 10_000_000)
    write_page(recordings(tmp_path), tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().endswith("</html>\n")


# ── what may happen on it ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    found = parsed(page(recordings(tmp_path, operation())))
    assert not found.all("link", "img", "iframe", "object", "embed", "base")
    assert not [element for element in found.all() if element.attributes.keys() & {"src", "href", "srcset", "action"}]
    assert policy(found).startswith("default-src 'none'; ")
    assert "http" not in policy(found)
    assert not re.search(r"url\(|@import", found.all("style")[0].text)


def test_only_the_pages_own_scripts_may_run(tmp_path: Path) -> None:
    found = parsed(page(recordings(tmp_path, operation())))
    own = [script.text for script in found.all("script") if "type" not in script.attributes]
    hashes = [f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in own]
    assert len(hashes) == 2
    assert f"script-src {' '.join(hashes)} 'unsafe-eval';" in policy(found)


def test_a_script_that_speaks_of_its_own_end_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert [script.attributes.get("type") for script in found.all("script")] == ["application/gzip", None, None]
    assert not found.all("img")
    assert [row[0] for row in figures(found)] == [HOSTILE, HOSTILE, "1 call", "1 error"]
    assert HOSTILE in found.named("sources").text
    assert HOSTILE.replace("/", "") in found.all("h1")[0].text
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", found.named("recording").text)


# ── what the script gets ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_operation_is_told_once_and_its_chunks_are_numbers(tmp_path: Path) -> None:
    told, numbers = unpacked(
        payload(
            recordings(
                tmp_path,
                stream(
                    [100_000, 250_000, 250_001],
                    began_us=2_000_000,
                    asked_us=[10, 110_000, 250_000],
                    tokens=[0, 2, 1],
                    output=3,
                    parent_span_id="ab",
                    phases_us={"queue": 5_000, "prefill": 95_000},
                    request={"stream": True, "temperature": 0.5},
                    response={"model": "model-2", "finish_reasons": ["stop", "length"]},
                ),
                operation(error=ERROR, unfinished=True),
            )
        )
    )
    assert told == {
        "began_ms": 1_760_000_000_000.0,
        "tick": 1e-6,
        "processes": [{"host": "node-1", "pid": 4242, "file": "run.jsonl"}],
        "operations": [
            {
                "operation": "chat",
                "provider": "openai",
                "model": "model-1",
                "process": 0,
                "trace": "0" * 31 + "1",
                "span": "0" * 15 + "1",
                "start": 0.0,
                "duration": 1.0,
                "unfinished": True,
                "error": ERROR,
            },
            {
                "operation": "chat",
                "provider": "openai",
                "model": "model-2",
                "process": 0,
                "trace": f"{2_000_001:032x}",
                "span": f"{2_000_001:016x}",
                "parent": "ab",
                "start": 2.0,
                "duration": 0.250001,
                "first_token": 0.25,
                "per_output_token": 2e-06,
                "stream": True,
                "chunks": 3,
                "counted": True,
                "usage": {"input": 100, "output": 3},
                "phases": {"queue": 0.005, "prefill": 0.095},
                "request": {"temperature": "0.5"},
                "response": {"finish_reasons": "stop, length"},
            },
        ],
    }
    assert numbers == [100_000, 150_000, 1, 99_990, 140_000, 1, 0, 2, 1]


def test_waits_of_hours_fit(tmp_path: Path) -> None:
    hours = 5 * 3_600_000_000
    told, (gap, wait) = unpacked(payload(recordings(tmp_path, stream([hours]))))
    assert told["tick"] == pytest.approx(hours / 1e6 / (2**32 - 1))
    assert gap * told["tick"] == wait * told["tick"] == pytest.approx(hours / 1e6)


def test_times_that_cannot_be_do_not_stop_the_report(tmp_path: Path) -> None:
    _, numbers = unpacked(
        payload(
            recordings(
                tmp_path,
                stream([500, 200], duration_us=1, tokens=[-1, 2**40]),
                stream([2**50], duration_us=1),
            )
        )
    )
    most = 2**32 - 1
    assert numbers == [500, 0, most, 500, 0, most, 0, most]


def test_a_long_recording_is_a_page_of_a_few_bytes_a_chunk(tmp_path: Path) -> None:
    times = [12_000 * number + number * number % 977 for number in range(1, 501)]
    lines = [stream(times, began_us=number * 50_000) for number in range(200)]
    few, many = (len(payload(recordings(tmp_path, *chosen))) for chosen in (lines[:100], lines))
    assert (many - few) / (100 * 500) < 8
