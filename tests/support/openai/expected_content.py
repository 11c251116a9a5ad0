"""Content on spans, which is read through the conventions' own schemas: what does not conform fails the test that reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

from tests.support.openai.clients import attributes

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

CONTENT = frozenset(
    f"gen_ai.{name}" for name in ("input.messages", "output.messages", "system_instructions", "tool.definitions")
)
_SCHEMAS = Path(__file__).parents[1] / "schemas"


def content(span: ReadableSpan, name: str) -> Any:
    """Captured `input.messages`, `output.messages`, `system_instructions` or `tool.definitions`; `None` if there is none."""
    written: Any = (span.attributes or {}).get(f"gen_ai.{name}")
    if written is None:
        return None
    found = json.loads(written)
    schema = _SCHEMAS / f"gen-ai-{name.replace('.', '-').replace('_', '-')}.json"
    jsonschema.validate(found, json.loads(schema.read_text()))
    return found


def without_content(span: ReadableSpan) -> dict[str, Any]:
    """All attributes but content and those that differ from run to run."""
    return {name: value for name, value in attributes(span).items() if name not in CONTENT}


def text(words: str) -> dict[str, Any]:
    """A part of a message that is text."""
    return {"type": "text", "content": words}


def said(role: str, *parts: str | dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A message as it is reported; strings are its text."""
    return {"role": role, "parts": [text(part) if isinstance(part, str) else part for part in parts], **fields}


def answered(*parts: str | dict[str, Any], finish_reason: str) -> list[dict[str, Any]]:
    """The messages of an answer with one choice."""
    return [said("assistant", *parts, finish_reason=finish_reason)]
