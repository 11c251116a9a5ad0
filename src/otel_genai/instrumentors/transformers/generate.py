"""`GenerationMixin.generate`: token ids go in, token ids come out, and on the way to a streamer if there is one.

What is counted are the ids themselves. Nothing tells a conversation from any other text once it is made of ids, so every call is
a text completion.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Arguments, Endpoint, StreamerFold
from otel_genai.instrumentors.transformers.generation import POSITIONS, Generation
from otel_genai.instrumentors.transformers.model_name import model_name
from otel_genai.operation import Failure, Request, Response, Side, Usage
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.endpoint.endpoint import StreamerTee

_STREAMER: Final = POSITIONS.index("streamer")
_GONE: Final = "_GenerationCancelled"
"""What the streamer of `transformers serve` raises once its client has gone."""
_NO_TOKEN: Final = -1
"""What beam search fills rows up with where neither padding nor an end is defined."""
_ALLOCATION: Final = re.compile(r"[Tt]ried to allocate ([\d.]+ \w+)")


def generate_request(arguments: Arguments) -> Request:
    """The request: the model's name, and the parameters that are in effect."""
    generation = Generation(arguments)
    samples = bool(generation.setting("do_sample"))
    stops = generation.setting("stop_strings")
    return Request(
        operation=gen_ai.TEXT_COMPLETION,
        provider=otel_genai.HUGGING_FACE,
        model=model_name(generation.model),
        side=Side.INTERNAL,
        stream=generation.given.get("streamer") is not None,
        choice_count=generation.number("num_return_sequences"),
        max_tokens=generation.asked_length(),
        # Greedy decoding and plain beam search have these in their configuration, and no use for them.
        temperature=_real(generation.number("temperature")) if samples else None,
        top_p=_real(generation.number("top_p")) if samples else None,
        top_k=generation.number("top_k") if samples else None,
        stop_sequences=None if not stops else (stops,) if isinstance(stops, str) else tuple(stops),
    )


def _real(number: float | None) -> float | None:
    return None if number is None else float(number)


def generate_prompt(arguments: Arguments) -> Prompt:
    """The prompts as the model sees them, with special tokens and without padding; nothing if no tokenizer can be reached."""
    generation = Generation(arguments)
    prompt, mask, tokenizer = generation.prompt, generation.mask, generation.tokenizer
    if prompt is None or tokenizer is None:
        return Prompt()
    rows: list[list[int]] = prompt.tolist()
    if mask is not None and mask.shape == prompt.shape:
        rows = [
            [token for token, counts in zip(row, counted, strict=True) if counts]
            for row, counted in zip(rows, mask.tolist(), strict=True)
        ]
    return Prompt(messages=tuple(Message("user", (Text(tokenizer.decode(row)),)) for row in rows))


class Generated(StreamerFold):
    """What a call generated: the ids that its streamer was given, and in the end the ids that it returned."""

    def __init__(self, generation: Generation, content: bool) -> None:
        self._generation = generation
        self._content = content
        self._ends = frozenset(generation.token_ids("eos_token_id"))
        self._steps: list[Any] = []
        self._loops = 0
        self._returned: list[list[int]] | None = None
        self._succeeded = False

    def add(self, chunk: Any) -> bool:
        """Take in the tokens of one step: `(rows,)`, or `(1, count)` where an assistant guessed several at once."""
        self._steps.append(chunk.tolist())
        return True

    def counts_steps(self) -> bool:
        """Without a streamer, if every step is a token."""
        return self._generation.given.get("streamer") is None and self._generation.takes_one_token_a_step()

    def stepped(self, instance: Any) -> bool:
        """Whether the loop of this call has come round with a token: it also passes there before its first."""
        if instance is not self._generation.model:
            return False
        self._loops += 1
        return self._loops > 1

    def returned(self, result: Any) -> None:
        """Take in what the call returned: ids `(rows, length)`, or an object that has them."""
        self._succeeded = True
        sequences = getattr(result, "sequences", result)
        if getattr(sequences, "ndim", None) == 2 and not sequences.is_floating_point():
            self._returned = sequences[:, self._generation.prefix(sequences) :].tolist()

    def tokens(self) -> Sequence[int]:
        """How many tokens each step brought; what pads the rows that have ended is none."""
        if self._returned is not None and not self._steps:
            lengths = sorted(len(row) for row, _ in self._sequences(self._returned))
            return [len(lengths) - bisect_right(lengths, step) for step in range(lengths[-1])]
        if all(len(step) == 1 for step in self._steps):
            return [1 if isinstance(step[0], int) else len(step[0]) for step in self._steps]
        counts: list[int] = []
        ended: set[int] = set()
        for step in self._steps:
            count = 0
            for place, row in enumerate(_by_row(step)):
                if place not in ended:
                    own, ends = _own(row, self._ends, ())
                    count += len(own)
                    if ends:
                        ended.add(place)
            counts.append(count)
        return counts

    def response(self) -> Response:
        """What has been generated so far. A sequence that did not come to its end is an error's."""
        rows = self._returned if self._returned is not None else self._streamed()
        if not rows:
            return Response()
        own = self._sequences(rows)
        reasons = tuple(self._reason(len(row), ends=ends) for row, ends in own)
        return Response(
            finish_reasons=reasons,
            usage=Usage(input=self._generation.prompt_tokens(), output=sum(len(row) for row, _ in own)),
            messages=self._messages(own, reasons) if self._content else (),
        )

    def _sequences(self, rows: list[list[int]]) -> list[tuple[list[int], bool]]:
        return [_own(row, self._ends, self._padding(len(rows))) for row in rows]

    def _streamed(self) -> list[list[int]]:
        rows: list[list[int]] = []
        for step in self._steps:
            by_row = _by_row(step)
            rows += ([] for _ in range(len(by_row) - len(rows)))
            for place, tokens in enumerate(by_row):
                rows[place] += tokens
        return rows

    def _padding(self, rows: int) -> tuple[int, ...]:
        # A row that no token ended is padded only if something else may have ended it before the others.
        if rows == 1 or not self._generation.may_stop_early:
            return (_NO_TOKEN,)
        return (_NO_TOKEN, *self._generation.token_ids("pad_token_id"))

    def _reason(self, length: int, *, ends: bool) -> str:
        if ends:
            return gen_ai.STOP
        if not self._succeeded:
            return gen_ai.ERROR
        return gen_ai.STOP if self._generation.may_stop_early and length < self._generation.length else gen_ai.LENGTH

    def _messages(self, own: list[tuple[list[int], bool]], reasons: tuple[str, ...]) -> tuple[Message, ...]:
        tokenizer = self._generation.tokenizer
        if tokenizer is None:
            return ()
        texts = [tokenizer.decode(row[:-1] if ends else row) for row, ends in own]
        return tuple(
            Message("assistant", (Text(text),), finish_reason=reason)
            for text, reason in zip(texts, reasons, strict=True)
        )


def _by_row(step: Any) -> list[list[int]]:
    return [token if isinstance(token, list) else [token] for token in step]


def _own(row: list[int], ends: frozenset[int], padding: tuple[int, ...]) -> tuple[list[int], bool]:
    # The tokens that the model generated, and whether the last of them is one that ends a sequence.
    for place, token in enumerate(row):
        if token in ends:
            return row[: place + 1], True
    length = len(row)
    while length and row[length - 1] in padding:
        length -= 1
    return row[:length], False


def generate_tap(arguments: Arguments, content: bool, tee: StreamerTee) -> tuple[Arguments, StreamerFold]:
    """The call with its streamer, if any, in a proxy; the first thing that a streamer gets is the prompt."""
    generated = Generated(Generation(arguments), content)
    streamer = _streamer(arguments)
    if streamer is None:
        return arguments, generated
    ours = tee(streamer, 1)
    if len(arguments.args) > _STREAMER:
        args = (*arguments.args[:_STREAMER], ours, *arguments.args[_STREAMER + 1 :])
        return arguments._replace(args=args), generated
    return arguments._replace(kwargs={**arguments.kwargs, "streamer": ours}), generated


def _streamer(arguments: Arguments) -> Any | None:
    return Generation(arguments).given.get("streamer")


def generate_failure(error: BaseException, content: bool) -> Failure | None:
    """An error of the model, of torch, or of the application's own streamer. Of memory that is short it is said how much was wanted."""
    if type(error).__name__ == _GONE:
        return None
    wanted = _ALLOCATION.search(str(error))
    details = [f"tried to allocate {wanted[1]}"] if wanted else []
    return Failure.of(error, *details, message=str(error) if content else None)


GENERATE: Final = Endpoint(
    default=Request(operation=gen_ai.TEXT_COMPLETION, provider=otel_genai.HUGGING_FACE, side=Side.INTERNAL),
    request=generate_request,
    prompt=generate_prompt,
    failure=generate_failure,
    tap=generate_tap,
    origin=_streamer,
)
