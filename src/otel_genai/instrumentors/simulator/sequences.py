"""What the simulator's journal tells of a request: of its sequences, one for each choice.

Times are the engine's own, on the clock of all calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, SteppedRequestState
from otel_genai.operation import Failure, Phase, Request, Response, Side, Usage
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from otel_genai.endpoint.endpoint import Arguments
    from otel_genai.operation import Timing

_DEFAULT: Final = Request(operation=gen_ai.TEXT_COMPLETION, provider=otel_genai.SIMULATOR, side=Side.INTERNAL)


def taken_request(arguments: Arguments) -> Request:
    """The request. What kind of inference it is, is for the path to say at which it arrived."""
    inference = arguments.args[0]
    sampling = inference.sampling
    if inference.pooled:
        return _DEFAULT._replace(operation=gen_ai.EMBEDDINGS, model=inference.model)
    return _DEFAULT._replace(
        model=inference.model,
        stream=inference.stream,
        choice_count=sampling.n,
        choices_due=sampling.n * len(inference.prompts),
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        stop_sequences=sampling.stop or None,
        seed=sampling.seed,
    )


def taken_prompt(arguments: Arguments) -> Prompt:
    """The prompts as the model reads them, all turns in one text."""
    return Prompt(messages=tuple(Message("user", (Text(prompt),)) for prompt in arguments.args[0].prompts))


def taken_failure(error: BaseException, content: bool) -> Failure:
    """What the engine raises when it is asked."""
    return Failure.of(error, message=str(error) if content else None)


class Ended(NamedTuple):
    """A sequence that is over."""

    life: Any
    reason: str


class Sequences(SteppedRequestState):
    """One request's sequences, in the order of its choices."""

    def __init__(self, arguments: Arguments, content: bool) -> None:
        super().__init__()
        self._inference, self._arrived = arguments.args[:2]
        self._texts: dict[Any, list[str]] | None = {} if content else None
        self._lives: list[Any] = []
        self._reasons: dict[Any, str] = {}

    def add(self, word: Any) -> bool:
        """Take in that a sequence has begun, or ended."""
        if isinstance(word, Ended):
            self._reasons[word.life] = word.reason
        else:
            self._lives.append(word)
        return False

    def came(self, output: Any) -> None:
        """Take in what a step brought for one of the sequences."""
        for event in output.events:
            text = getattr(event, "text", None)
            if text is not None:
                self.moments.append(output.at)
                self.counts.append(1)
                if self._texts is not None:
                    self._texts.setdefault(output.sequence, []).append(text)

    def is_over(self) -> bool:
        """Whether all sequences have ended."""
        return len(self._reasons) == len(self._lives)

    def response(self) -> Response:
        """What was generated so far, sequence by sequence."""
        pooled = self._inference.pooled
        prompts = self._lives[:: self._inference.sampling.n]
        return Response(
            id=None if pooled else self._inference.id,
            model=self._inference.model,
            finish_reasons=() if pooled else tuple(self._reasons.get(life, gen_ai.ERROR) for life in self._lives),
            usage=Usage(
                input=sum(life.prompt_tokens for life in prompts),
                output=None if pooled else len(self.moments),
                cache_read=sum(life.cached_tokens for life in prompts),
            ),
            messages=() if self._texts is None or pooled else tuple(map(self._message, self._lives)),
        )

    def _message(self, life: Any) -> Message:
        said = "".join((self._texts or {}).get(life, ()))
        reason = self._reasons.get(life, gen_ai.ERROR)
        return Message("assistant", (Text(said),) if said else (), finish_reason=reason)

    def failure(self, content: bool) -> Failure | None:  # noqa: ARG002
        """`None`: what the engine has taken, it answers."""
        return None

    def timing(self, heard: Timing) -> Timing:
        """The moments of the steps that brought tokens, and the phases as far as it came."""
        timing = self.stepped(heard, to_the_end=gen_ai.ABORT not in self._reasons.values())
        return timing._replace(phases=(*heard.phases, *self._phases(heard, timing.chunks)))

    def _phases(self, heard: Timing, chunks: Sequence[float]) -> Iterator[Phase]:
        if self._arrived > heard.started:
            yield Phase(otel_genai.PREPROCESS, heard.started, self._arrived)
        scheduled = min((life.scheduled for life in self._lives if life.scheduled is not None), default=None)
        if scheduled is None:
            return
        yield Phase(otel_genai.QUEUE, self._arrived, scheduled)
        read = min((life.prefilled for life in self._lives if life.prefilled is not None), default=None)
        if read is not None:
            yield Phase(otel_genai.PREFILL, scheduled, read)
            if chunks:
                yield Phase(otel_genai.DECODE, read, chunks[-1])


# ── where word passes by ───────────────────────────────────────────────────────────────────────────────────────────────


def begun(arguments: Arguments) -> tuple[Hashable, Any]:
    """The sequence that is to be worked on."""
    life = arguments.args[0]
    return life, life


def told(arguments: Arguments, states: Mapping[Hashable, Any], moment: float) -> None:  # noqa: ARG001
    """What a step has brought."""
    for output in arguments.args[0]:
        state = states.get(output.sequence)
        if state is not None:
            state.came(output)


def ended(arguments: Arguments, result: Any) -> Iterator[tuple[Hashable, Ended]]:  # noqa: ARG001
    """The sequence that is over."""
    life, reason = arguments.args[:2]
    yield life, Ended(life, reason)


TAKEN: Final = Endpoint(
    default=_DEFAULT,
    request=taken_request,
    prompt=taken_prompt,
    failure=taken_failure,
    state=Sequences,
)
