"""Completions of a bare text, chat's forerunner: a choice is read as a chat's that carries its text and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Prompt
from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.instrumentors.openai.chat import COMPLETION_PARAMETERS, ChatFold, chat_response
from otel_genai.instrumentors.openai.messages import said
from otel_genai.instrumentors.openai.request import body, failure, field, integer, listed, parameters, text, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.operation import Request
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments
    from otel_genai.operation import Response


def completion_request(arguments: Arguments) -> Request:
    """The request, without its content. `suffix` and `echo` are part of the content, and the conventions have no word for `best_of`."""
    fields = body(arguments)
    return Request(
        operation=gen_ai.TEXT_COMPLETION,
        choices_due=(integer(fields.get("n")) or 1) * _prompt_count(fields.get("prompt")),
        **server(arguments),
        **parameters(fields, COMPLETION_PARAMETERS),
    )


def _prompt_count(prompt: Any) -> int:
    # A list of token ids is one prompt; a list of texts, or of such lists, is several.
    prompts = listed(prompt)
    return len(prompts) if prompts and isinstance(prompts[0], str | list | tuple) else 1


def completion_prompt(arguments: Arguments) -> Prompt:
    """The prompts, as sent. Token ids are left out: their text is the server's to know."""
    return Prompt(messages=said(body(arguments).get("prompt")))


def completion_response(result: Any, content: bool) -> Response:
    """A complete answer."""
    return chat_response(_as_chat(result), content)


class CompletionFold(ChatFold):
    """A streamed answer: chunks of the same shape as the whole, for all choices of all prompts in any order."""

    def add(self, chunk: Any) -> bool:
        """Take in one chunk. True once there is text."""
        return super().add(_as_chat(chunk))


def _as_chat(record: Any) -> SimpleNamespace:
    return SimpleNamespace(
        id=field(record, "id"),
        model=field(record, "model"),
        usage=field(record, "usage"),
        system_fingerprint=field(record, "system_fingerprint"),
        choices=[_as_chat_choice(choice) for choice in listed(field(record, "choices"))],
    )


def _as_chat_choice(choice: Any) -> SimpleNamespace:
    message = {"content": text(field(choice, "text"))}
    return SimpleNamespace(
        index=integer(field(choice, "index")) or 0,
        finish_reason=text(field(choice, "finish_reason")),
        message=message,
        delta=message,
    )


COMPLETION: Final = Endpoint(
    default=Request(operation=gen_ai.TEXT_COMPLETION, provider=OPENAI),
    request=completion_request,
    prompt=completion_prompt,
    response=completion_response,
    fold=CompletionFold,
    failure=failure,
    unparsed=unparsed,
)
