"""How one library call is read: pure functions from a library's words to ours, with no telemetry in sight.

A provider's room is a table of `rows`. Everything that happens around a call (spans, clocks, errors, streams) lives elsewhere, and is
the same for all.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from otel_genai.content import Prompt
    from otel_genai.operation import Failure, Request, Response, Timing


class Arguments(NamedTuple):
    """A call as the library received it. Adapters read it and leave every object in it as it was: no iterator is consumed."""

    instance: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Fold(Protocol):
    """Gathers a streamed response, chunk by chunk."""

    def add(self, chunk: Any) -> bool:
        """Take in one chunk. True once generated output (text, reasoning, a tool call) has begun."""

    def response(self) -> Response:
        """What has been received so far. It may be asked for at any time, and is right for a stream cut anywhere."""

    def tokens(self) -> Sequence[int]:
        """How many output tokens each chunk brought; empty unless the server told it of every one."""
        return ()


class StreamerFold(Fold, Protocol):
    """Gathers what a library hands out while it works (to a streamer that it was given, say), and what it returns in the end."""

    def returned(self, result: Any) -> None:
        """Take in what the call returned."""

    def counts_steps(self) -> bool:
        """Whether it wants to hear of steps (see `Step`), because nothing else tells when something was generated."""
        return False

    def stepped(self, instance: Any) -> bool:  # noqa: ARG002
        """Whether the step that `instance` has done is one of this call's, and has generated something."""
        return False


class RequestState(Fold, Protocol):
    """Gathers what a library tells of a request that it takes in one call and answers in its own time (see `News`)."""

    def is_over(self) -> bool:
        """Whether the last chunk was the end of the request."""

    def failure(self, content: bool) -> Failure | None:
        """Why the request failed, if the library says that it did."""

    def timing(self, heard: Timing) -> Timing:
        """When it happened: the engine's own times, as far as it tells them, in place of those at which we heard of it.

        `started` and `began_ns` stay.
        """


class SteppedRequestState(RequestState):
    """The state of an engine that works in steps: when they brought tokens. What tells it appends, at every step, and does no more."""

    def __init__(self) -> None:
        self.moments = array("d")
        """When a step brought tokens; one for each sequence that it brought any for."""
        self.counts = array("L")
        """How many; as long as `moments`."""

    def stepped(self, heard: Timing, *, to_the_end: bool) -> Timing:
        """The moments as chunks, those of one step together. An operation that ran to its end ended with the last of them."""
        chunks, tokens = array("d"), array("L")
        for moment, count in zip(self.moments, self.counts, strict=True):
            if chunks and chunks[-1] == moment:
                tokens[-1] += count
            else:
                chunks.append(moment)
                tokens.append(count)
        return heard._replace(
            ended=chunks[-1] if chunks and to_the_end else heard.ended,
            chunks=chunks,
            waits=(0.0,) * len(chunks),
            tokens=tokens,
            first_token=chunks[0] if chunks else None,
        )


StreamerTee = Callable[[Any, int], Any]
"""(an object with `put`, how many of the first `put`s are no output) → the same to whoever uses it, with us listening."""
StreamerHook = Callable[["Arguments", bool, StreamerTee], tuple["Arguments", StreamerFold]]
"""(arguments, with content, tee) → arguments of our own to call the library with, the caller's left as they were, and a new fold."""


class Unstreamed(Fold):
    """The fold of what is never streamed."""

    def __init__(self, request: Request, content: bool) -> None:
        pass

    def add(self, chunk: Any) -> bool:  # noqa: ARG002  # nothing is known of such a chunk
        """False: nothing that one could name has begun."""
        return False

    def response(self) -> Response:
        """Nothing."""
        from otel_genai.operation import Response

        return Response()


def _unread(result: Any, content: bool) -> Response:  # noqa: ARG001
    from otel_genai.operation import Response

    return Response()


def _nothing(arguments: Arguments) -> Prompt:  # noqa: ARG001
    from otel_genai.content import Prompt

    return Prompt()


def _never(result: Any) -> None:  # noqa: ARG001
    return None


def _unknown(arguments: Arguments) -> None:  # noqa: ARG001
    return None


def _no_key(arguments: Arguments, result: Any) -> None:  # noqa: ARG001
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation of a library: how its request, response, stream and errors read."""

    default: Request
    """What is reported if `request` cannot read the arguments."""
    request: Callable[[Arguments], Request]
    response: Callable[[Any, bool], Response] = _unread
    """(result, with content) → response."""
    failure: Callable[[BaseException, bool], Failure | None]
    """(error, with content) → failure; `None` if that is how the library stops because its caller wants no more.

    Without content, nothing of the error's message is repeated; keys never are.
    """
    prompt: Callable[[Arguments], Prompt] = _nothing
    """The content of the request. Called only if it is wanted, so that unwanted content is never built."""
    fold: Callable[[Request, bool], Fold] = Unstreamed
    """(request, with content) → a new fold for a streamed response."""
    tap: StreamerHook | None = None
    """For libraries that push what they produce to an object that they were given. `response` and `fold` are then not asked."""
    origin: Callable[[Arguments], Any] | None = None
    """The object among the arguments whose maker is the parent of a call in a bare thread, if it was made where a `Maker` says."""
    state: Callable[[Arguments, bool], RequestState] | None = None
    """(arguments, with content) → a new state, for calls that only take a request. `response` and `fold` are then not asked."""
    key: Callable[[Arguments, Any], Hashable | None] = _no_key
    """(arguments, result) → what the `News` of such a request will call it; `None` if the library did not take it."""
    inference: Callable[[Arguments], str | None] = _unknown
    """What an inference beneath this call is (`gen_ai.operation.name`), where only this call can tell: a chat, say."""
    carried: Callable[[Arguments], Mapping[str, str] | None] = _unknown
    """The W3C headers of the request that the library works for, where its caller hands them on."""
    unparsed: Callable[[Any], Any | None] = _never
    """The HTTP response within a result that the application parses by itself; `None` if the result is the parsed answer.

    `response` and `fold` are then given JSON objects in which a missing name reads as `None`.
    """
    kind: str = field(init=False)
    """`Request.kind` of the operation."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.default.kind)
