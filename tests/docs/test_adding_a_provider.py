"""The code of docs/adding-a-provider.md, unchanged, with a library that the test makes."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"

LIBRARY = """
from types import SimpleNamespace as Record

USAGE = Record(prompt_tokens=3, output_tokens=2)


def answer(prompt, model, stream):
    if prompt == "fail":
        raise TimeoutError("no answer to: " + prompt)
    if stream:
        return iter([Record(text="Good", usage=None), Record(text=" day.", usage=None), Record(text="", usage=USAGE)])
    return Record(text="Good day.", model=model + "-2026", usage=USAGE)


class Client:
    def complete(self, prompt, *, model, max_tokens=None, stream=False):
        return answer(prompt, model, stream)


class AsyncClient:
    async def complete(self, prompt, *, model, max_tokens=None, stream=False):
        return answer(prompt, model, stream)
"""


def provider_code() -> str:
    found = re.search(r"<!-- provider -->\n\n```python\n(.*?)```\n\n<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture
def acme(tmp_path: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The library, instrumented by the page's provider, with content on spans."""
    (tmp_path / "acme_llm.py").write_text(LIBRARY)
    (tmp_path / "acme_provider.py").write_text(provider_code())
    metadata = tmp_path / "acme_llm-1.2.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: acme-llm\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    instrumentor = importlib.import_module("acme_provider").AcmeInstrumentor()
    instrumentor.instrument(**recorded.providers)
    yield importlib.import_module("acme_llm")
    instrumentor.uninstrument()
    for name in ("acme_llm", "acme_provider"):
        sys.modules.pop(name)


def test_the_provider_is_as_short_as_the_page_says() -> None:
    code = [line for line in provider_code().splitlines() if line and not line.startswith(("from ", "import ", '"""'))]
    assert len(code) <= 66


def test_a_call(acme: Any, recorded: Recorded) -> None:
    result = acme.Client().complete("Hello", model="acme-1", max_tokens=5)
    assert result.text == "Good day."
    span = recorded.span()
    assert span.name == "chat acme-1"
    reported = dict(span.attributes or {})
    assert {name: reported[name] for name in reported if not name.endswith("messages")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "acme-1",
        "gen_ai.request.max_tokens": 5,
        "gen_ai.response.model": "acme-1-2026",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
    }
    assert "Hello" in str(reported["gen_ai.input.messages"])
    assert "Good day." in str(reported["gen_ai.output.messages"])


def test_an_awaited_call(acme: Any, recorded: Recorded) -> None:
    assert asyncio.run(acme.AsyncClient().complete("Hello", model="acme-1")).text == "Good day."
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 2


def test_a_stream(acme: Any, recorded: Recorded) -> None:
    assert "".join(chunk.text for chunk in acme.Client().complete("Hello", model="acme-1", stream=True)) == "Good day."
    span = recorded.span()
    assert attribute(span, "gen_ai.usage.output_tokens") == 2
    assert attribute(span, "gen_ai.response.time_to_first_chunk") > 0
    assert "Good day." in str(attribute(span, "gen_ai.output.messages"))


def test_an_error(acme: Any, recorded: Recorded) -> None:
    with pytest.raises(TimeoutError, match="no answer to: fail"):
        acme.Client().complete("fail", model="acme-1")
    assert attribute(recorded.span(), "error.type") == "TimeoutError"
