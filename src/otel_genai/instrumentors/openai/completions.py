"""Text completions, the predecessor of chat. A choice is read as a chat choice whose message has a text only."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Prompt
from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.instrumentors.openai.chat import COMPLETION_PARAMETERS, ChatFold, chat_response
from otel_genai.instrumentors.openai.messages import text_messages
from otel_genai.instrumentors.openai.request import (
    as_list,
    failure,
    field,
    integer,
    parameters,
    request_body,
    text,
    unparsed,
)
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.operation import Request
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.operation import Response


def completion_request(arguments: Arguments) -> Request:
    """The request, without its content. `suffix` and `echo` are content; the conventions have no attribute for `best_of`."""
    fields = request_body(arguments)
    return Request(
        operation=gen_ai.TEXT_COMPLETION,
        choices_due=(integer(fields.get("n")) or 1) * _prompt_count(fields.get("prompt")),
        **server(arguments),
        **parameters(fields, COMPLETION_PARAMETERS),
    )


def _prompt_count(prompt: Any) -> int:
    # A list of token ids is one prompt; a list of texts or of such lists is several prompts.
    prompts = as_list(prompt)
    return len(prompts) if prompts and isinstance(prompts[0], str | list | tuple) else 1


def completion_prompt(arguments: Arguments) -> Prompt:
    """The prompts. Token ids are left out: only the server knows their text."""
    return Prompt(messages=text_messages(request_body(arguments).get("prompt")))


def completion_response(result: Any, content: bool) -> Response:
    """The response of a call that was not streamed."""
    return chat_response(_as_chat(result), content)


class CompletionFold(ChatFold):
    """Gathers a streamed response: chunks of the same shape as a whole response, of all choices of all prompts in any order."""

    def add(self, chunk: Any) -> bool:
        """Add one chunk. True once a chunk has carried text."""
        return super().add(_as_chat(chunk))


def _as_chat(record: Any) -> SimpleNamespace:
    return SimpleNamespace(
        id=field(record, "id"),
        model=field(record, "model"),
        usage=field(record, "usage"),
        system_fingerprint=field(record, "system_fingerprint"),
        choices=[_as_chat_choice(choice) for choice in as_list(field(record, "choices"))],
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
