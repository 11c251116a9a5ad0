"""`Pipeline.__call__`: what an application asks of a pipeline, whose generations are operations of their own beneath it.

A pipeline that is given a generator or a data set returns at once and works while it is read: that work is not the call's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Arguments, Endpoint, StreamerFold
from otel_genai.instrumentors.transformers import decoding
from otel_genai.instrumentors.transformers.generate import generate_failure
from otel_genai.instrumentors.transformers.model_name import model_name
from otel_genai.operation import Request, Response, Side
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_genai.endpoint.endpoint import StreamerTee


def pipeline_request(arguments: Arguments) -> Request:
    """The request: the model's name. How it generates is said by the generations."""
    return Request(
        operation=otel_genai.PIPELINE,
        provider=otel_genai.HUGGING_FACE,
        model=model_name(arguments.instance.model),
        side=Side.INTERNAL,
    )


def pipeline_prompt(arguments: Arguments) -> Prompt:
    """Conversations as their messages, texts as messages of a user; other inputs are left out."""
    given = _given(arguments)
    chats = _chats(given)
    if chats:
        return Prompt(messages=tuple(_message(turn) for chat in chats for turn in chat))
    texts = [given] if isinstance(given, str) else given if isinstance(given, list | tuple) else ()
    return Prompt(messages=tuple(Message("user", (Text(text),)) for text in texts if isinstance(text, str)))


def pipeline_inference(arguments: Arguments) -> str | None:
    """What its generations are: the model is given the same ids for a conversation as for any other text."""
    return gen_ai.CHAT if _chats(_given(arguments)) else None


def _given(arguments: Arguments) -> Any:
    return arguments.args[0] if arguments.args else arguments.kwargs.get("inputs")


def _chats(given: Any) -> list[Sequence[Mapping[str, Any]]]:
    # One conversation or several, as lists of messages or as the library's own objects around these.
    if _is_chat(given):
        return [_turns(given)]
    if isinstance(given, list | tuple) and given and all(map(_is_chat, given)):
        return [_turns(chat) for chat in given]
    return []


def _is_chat(given: Any) -> bool:
    turns = _turns(given)
    return isinstance(turns, list | tuple) and bool(turns) and isinstance(turns[0], dict) and "role" in turns[0]


def _turns(chat: Any) -> Any:
    return getattr(chat, "messages", chat)


def _message(turn: Mapping[str, Any]) -> Message:
    return Message(str(turn["role"]), tuple(map(Text, _texts(turn.get("content")))))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list | tuple):
        yield from (part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


class _Run(StreamerFold):
    """What is known of a run beside its time."""

    def __init__(self, task: str | None) -> None:
        self._task = task

    def add(self, chunk: Any) -> bool:  # noqa: ARG002
        return False

    def returned(self, result: Any) -> None:
        """Nothing: results are the tasks' own, and texts are the generations'."""

    def response(self) -> Response:
        return Response(extra={otel_genai.PIPELINE_TASK: self._task} if self._task else None)


def pipeline_tap(arguments: Arguments, content: bool, tee: StreamerTee) -> tuple[Arguments, StreamerFold]:  # noqa: ARG001
    """The call as it is. What its generations say can be read from now on."""
    pipeline = arguments.instance
    decoding.paired(pipeline.model, getattr(pipeline, "tokenizer", None))
    return arguments, _Run(getattr(pipeline, "task", None))


CALL: Final = Endpoint(
    default=Request(operation=otel_genai.PIPELINE, provider=otel_genai.HUGGING_FACE, side=Side.INTERNAL),
    request=pipeline_request,
    prompt=pipeline_prompt,
    failure=generate_failure,
    tap=pipeline_tap,
    inference=pipeline_inference,
)
