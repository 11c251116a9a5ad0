"""How one library call reads: pure functions from a library's objects to records, without telemetry.

Everything around a call (spans, clocks, errors, streams) is the same for all endpoints and lives elsewhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from otel_genai.content import Prompt
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.operation import Failure, Request, Response, Timing


class Fold(Protocol):
    """Gathers a streamed response, chunk by chunk."""

    def add(self, chunk: Any) -> bool:
        """Take in one chunk. True once generated output (text, reasoning, a tool call) has begun."""

    def response(self) -> Response:
        """The response so far. It may be asked for at any time, and is right for a stream that is cut anywhere."""

    def tokens(self) -> Sequence[int]:
        """The number of output tokens of each chunk; empty unless the server reported it for every chunk."""
        return ()


class StreamerFold(Fold, Protocol):
    """Gathers the output that a library pushes while it works, to a streamer for example, and the result at its end."""

    def returned(self, result: Any) -> None:
        """Take in the result of the call."""

    def counts_steps(self) -> bool:
        """Whether it needs steps (see `StepRow`), because the library pushes nothing that shows when output was generated."""
        return False

    def stepped(self, instance: Any) -> bool:  # noqa: ARG002
        """Whether the step of `instance` belongs to this call and has generated output."""
        return False


class RequestState(Fold, Protocol):
    """Gathers the events of a request that an engine accepts in one call and answers in its own time (see `EngineRow`)."""

    def is_over(self) -> bool:
        """Whether the last event ended the request."""

    def failure(self, content: bool) -> Failure | None:
        """The failure that the engine reported, if it did."""

    def timing(self, observed: Timing) -> Timing:
        """The engine's own times, as far as it reports them, in place of the times at which events were observed.

        `started` and `began_ns` stay.
        """


class SteppedRequestState(RequestState):
    """The state of a request of an engine that works in steps. The reader of a step appends to `moments` and `counts`, and nothing else."""

    def __init__(self) -> None:
        self.moments = array("d")
        """Times of the steps that generated tokens, on the clock of `Timing`; one for each sequence that got tokens."""
        self.counts = array("L")
        """The number of tokens; as long as `moments`."""

    def stepped(self, observed: Timing, *, to_the_end: bool) -> Timing:
        """The steps as chunks. `to_the_end`: the operation ended with its last step, and not when the end was observed."""
        chunks, tokens = array("d"), array("L")
        for moment, count in zip(self.moments, self.counts, strict=True):
            if chunks and chunks[-1] == moment:
                tokens[-1] += count
            else:
                chunks.append(moment)
                tokens.append(count)
        return observed._replace(
            ended=chunks[-1] if chunks and to_the_end else observed.ended,
            chunks=chunks,
            waits=(0.0,) * len(chunks),
            tokens=tokens,
            first_token=chunks[0] if chunks else None,
        )


StreamerTee = Callable[[Any, int], Any]
"""(an object with `put`, the number of first `put`s that are no output) → a proxy of it that reports every `put`."""
StreamerHook = Callable[["Arguments", bool, StreamerTee], tuple["Arguments", StreamerFold]]
"""(arguments, with content, tee) → arguments for the library, with the caller's objects unchanged, and a new fold."""


class Unstreamed(Fold):
    """The fold of a call that is never streamed."""

    def __init__(self, request: Request, content: bool) -> None:
        pass

    def add(self, chunk: Any) -> bool:  # noqa: ARG002  # nothing is known of such a chunk
        """False: no known output has begun."""
        return False

    def response(self) -> Response:
        """An empty response."""
        from otel_genai.operation import Response

        return Response()


def _unread(result: Any, content: bool) -> Response:  # noqa: ARG001
    from otel_genai.operation import Response

    return Response()


def _no_prompt(arguments: Arguments) -> Prompt:  # noqa: ARG001
    from otel_genai.content import Prompt

    return Prompt()


def _parsed(result: Any) -> None:  # noqa: ARG001
    return None


def _unknown(arguments: Arguments) -> None:  # noqa: ARG001
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation of a library: how its request, response, stream and errors read."""

    default: Request
    """The reported request if `request` cannot read the arguments."""
    request: Callable[[Arguments], Request]
    response: Callable[[Any, bool], Response] = _unread
    """(result, with content) → response."""
    failure: Callable[[BaseException, bool], Failure | None]
    """(error, with content) → failure; `None` for an error by which the library stops because its caller wants no more.

    Without content, it repeats nothing of the error's message; keys never.
    """
    prompt: Callable[[Arguments], Prompt] = _no_prompt
    """The content of the request. Called only if content is captured, so that no other call pays for it."""
    fold: Callable[[Request, bool], Fold] = Unstreamed
    """(request, with content) → a new fold for a streamed response."""
    tap: StreamerHook | None = None
    """For libraries that push output to an object of the caller's. `response` and `fold` are not called then."""
    origin: Callable[[Arguments], Any] | None = None
    """(arguments) → the object whose creator is the parent of a call in a bare thread (see `ContextRow`, policy `capture`)."""
    state: Callable[[Arguments, bool], RequestState] | None = None
    """(arguments, with content) → a new state, for calls that only submit a request. `response` and `fold` are not called then."""
    key: Callable[[Arguments, Any], Hashable | None] | None = None
    """(arguments, result) → the engine's name for the submitted request; `None` if the engine refused it (see `EngineRow`)."""
    inference: Callable[[Arguments], str | None] = _unknown
    """(arguments) → `gen_ai.operation.name` of inferences inside this call, if only this call knows it (a chat, for example)."""
    carried: Callable[[Arguments], Mapping[str, str] | None] = _unknown
    """(arguments) → W3C headers of the inbound request, if the library passes them to the call."""
    unparsed: Callable[[Any], Any | None] = _parsed
    """(result) → the HTTP response in it that the application parses itself; `None` if the result is parsed.

    `response` and `fold` are then given JSON objects in which a missing name reads as `None`.
    """
    kind: str = field(init=False)
    """`Request.kind` of the operation."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.default.kind)
