"""One call of OpenAI's client under instrumentation, against a scripted server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

import otel_genai
from tests.support.openai.clients import USER, client
from tests.support.openai.scripted_server import scripted

if TYPE_CHECKING:
    from tests.support.openai.scripted_server import Answer
    from tests.support.providers import Recorded


def scripted_call(recorded: Recorded, answer: Answer, **options: Any) -> None:
    """One chat call under `instrument(**options)`; an error of the server is expected."""
    otel_genai.instrument(**recorded.providers, **options)
    try:
        with scripted(answer) as server:
            client(server).chat.completions.create(model="gpt-4o", messages=USER)
    except openai.APIError:
        pass
    finally:
        otel_genai.uninstrument()
