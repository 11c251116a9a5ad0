"""One self-contained page of a recording: it opens from a disk and makes no request.

The page is text in `assets/`: a template, a style sheet and JavaScript modules. Plotly draws the charts; its script is part of
the page. A content security policy in the page forbids everything else.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

from plotly.offline import get_plotlyjs

from otel_genai.recording.analysis.statistics import figures
from otel_genai.recording.output.formatting import numbered, printable, seconds
from otel_genai.recording.output.table import notes
from otel_genai.recording.page.modules import modules_as_one
from otel_genai.recording.page.payload import payload
from otel_genai.recording.page.tables import figures_table, sources_table

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.recording.file.records import Recordings

_ASSETS: Final = files(__package__) / "assets"


def write_page(recordings: Recordings, to: Path) -> None:
    """Write the report as one HTML file, and replace an existing one. Raises OSError if it cannot be written."""
    to.write_text(page(recordings), encoding="utf-8", errors="replace")


def page(recordings: Recordings) -> str:
    """The report as HTML."""
    rows = figures(recordings.operations)
    library = _inline(get_plotlyjs())
    script = _inline(modules_as_one("main.js", _asset))
    return Template(_asset("page.html")).substitute(
        policy=_policy(library, script),
        title=escape(_title(recordings)),
        style=_asset("page.css"),
        facts=escape(_facts(recordings)),
        generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        figures=figures_table(rows),
        notes="".join(f"<li>{escape(note)}</li>" for note in notes(rows, recordings)),
        sources=sources_table(recordings),
        recording=payload(recordings),
        library=library,
        script=script,
    )


def _title(recordings: Recordings) -> str:
    first, *others = dict.fromkeys(process.path.name for process in recordings.processes)
    return printable(f"GenAI calls: {first}" + (f" and {numbered(len(others), 'file')} more" if others else ""))


def _facts(recordings: Recordings) -> str:
    operations = recordings.operations
    facts = [
        numbered(len(operations), "operation"),
        numbered(sum(operation.error is not None for operation in operations), "error"),
        numbered(sum(len(operation.chunks) for operation in operations), "chunk"),
        f"{len(recordings.processes):,} {'process' if len(recordings.processes) == 1 else 'processes'}",
    ]
    if operations:
        began_ns = min(operation.began_ns for operation in operations)
        ended = max((operation.began_ns - began_ns) / 1e9 + operation.duration for operation in operations)
        began = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=began_ns // 1000)
        facts += [f"{seconds(ended)} from {began:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"]
    return " · ".join(facts)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """The script without a closing tag, at which an HTML parser would end it."""
    return script.replace("</script", r"<\/script")


def _policy(*scripts: str) -> str:
    """No network, and no script but these.

    Plotly's WebGL compiles functions at run time (regl.js), and plotly sets styles: they need the two exceptions.
    """
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
