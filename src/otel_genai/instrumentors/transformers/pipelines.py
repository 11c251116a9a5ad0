"""`Pipeline.__call__`. The generations of a pipeline are child operations.

A pipeline that gets a generator or a data set returns at once and works while its result is read: that work is no part of the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, StreamerFold
from otel_genai.instrumentors.transformers import decoding
from otel_genai.instrumentors.transformers.generate import generate_failure
from otel_genai.instrumentors.transformers.model_name import model_name
from otel_genai.operation import Request, Response, Side
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import StreamerTee


def pipeline_request(arguments: Arguments) -> Request:
    """The request: the model's name. The child operations have the parameters."""
    return Request(
        operation=otel_genai.PIPELINE,
        provider=otel_genai.HUGGING_FACE,
        model=model_name(arguments.instance.model),
        side=Side.INTERNAL,
    )


def pipeline_prompt(arguments: Arguments) -> Prompt:
    """The messages of conversations; a text is a message of a user; other inputs are left out."""
    inputs = _inputs(arguments)
    chats = _chats(inputs)
    if chats:
        return Prompt(messages=tuple(_message(message) for chat in chats for message in chat))
    texts = [inputs] if isinstance(inputs, str) else inputs if isinstance(inputs, list | tuple) else ()
    return Prompt(messages=tuple(Message("user", (Text(text),)) for text in texts if isinstance(text, str)))


def pipeline_inference(arguments: Arguments) -> str | None:
    """The operation of its generations: `chat` for conversations, which a model's ids do not show; `None` for others."""
    return gen_ai.CHAT if _chats(_inputs(arguments)) else None


def _inputs(arguments: Arguments) -> Any:
    return arguments.positional_or_keyword(0, "inputs")


def _chats(inputs: Any) -> list[Sequence[Mapping[str, Any]]]:
    # One conversation or several: lists of messages, or the library's `Chat` objects around them.
    if _is_chat(inputs):
        return [_messages(inputs)]
    if isinstance(inputs, list | tuple) and inputs and all(map(_is_chat, inputs)):
        return [_messages(chat) for chat in inputs]
    return []


def _is_chat(value: Any) -> bool:
    messages = _messages(value)
    if not isinstance(messages, list | tuple) or not messages:
        return False
    return isinstance(messages[0], dict) and "role" in messages[0]


def _messages(chat: Any) -> Any:
    return getattr(chat, "messages", chat)


def _message(message: Mapping[str, Any]) -> Message:
    return Message(str(message["role"]), tuple(map(Text, _texts(message.get("content")))))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list | tuple):
        yield from (part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


class _Run(StreamerFold):
    """The task of a pipeline."""

    def __init__(self, task: str | None) -> None:
        self._task = task

    def add(self, chunk: Any) -> bool:  # noqa: ARG002
        return False

    def returned(self, result: Any) -> None:
        """Nothing: child operations have the output."""

    def response(self) -> Response:
        return Response(extra={otel_genai.PIPELINE_TASK: self._task} if self._task else None)


def pipeline_tap(arguments: Arguments, content: bool, tee: StreamerTee) -> tuple[Arguments, StreamerFold]:  # noqa: ARG001
    """The call as it is. Its generations can be decoded from now on."""
    pipeline = arguments.instance
    decoding.remember_pair(pipeline.model, getattr(pipeline, "tokenizer", None))
    return arguments, _Run(getattr(pipeline, "task", None))


CALL: Final = Endpoint(
    default=Request(operation=otel_genai.PIPELINE, provider=otel_genai.HUGGING_FACE, side=Side.INTERNAL),
    request=pipeline_request,
    prompt=pipeline_prompt,
    failure=generate_failure,
    tap=pipeline_tap,
    inference=pipeline_inference,
)
