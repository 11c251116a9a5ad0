"""`GenerationMixin.generate`: token ids in, token ids out, with each step's ids to a streamer if the call has one.

Usage is a count of these ids. Ids do not show whether a text is a conversation, so every call is a text completion.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, StreamerFold
from otel_genai.instrumentors.transformers.generation import POSITIONS, Generation
from otel_genai.instrumentors.transformers.model_name import model_name
from otel_genai.operation import Failure, Request, Response, Side, Usage
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import StreamerTee

_STREAMER: Final = POSITIONS.index("streamer")
_CLIENT_LEFT: Final = "_GenerationCancelled"
"""The exception of `transformers serve` when its client disconnects (transformers 5.23 cli/serving/utils.py)."""
_NO_TOKEN: Final = -1
"""Beam search pads with it if a model has no padding and no end token (transformers 5.23 `GenerationMixin._beam_search`)."""
_ALLOCATION: Final = re.compile(r"[Tt]ried to allocate ([\d.]+ \w+)")


def generate_request(arguments: Arguments) -> Request:
    """The request: the model's name, and the parameters in effect."""
    generation = Generation(arguments)
    samples = bool(generation.setting("do_sample"))
    stops = generation.setting("stop_strings")
    return Request(
        operation=gen_ai.TEXT_COMPLETION,
        provider=otel_genai.HUGGING_FACE,
        model=model_name(generation.model),
        side=Side.INTERNAL,
        stream=generation.named.get("streamer") is not None,
        choice_count=generation.number("num_return_sequences"),
        max_tokens=generation.requested_length(),
        # Greedy decoding and plain beam search ignore these, though their configuration may have them.
        temperature=_real(generation.number("temperature")) if samples else None,
        top_p=_real(generation.number("top_p")) if samples else None,
        top_k=generation.number("top_k") if samples else None,
        stop_sequences=None if not stops else (stops,) if isinstance(stops, str) else tuple(stops),
    )


def _real(number: float | None) -> float | None:
    return None if number is None else float(number)


def generate_prompt(arguments: Arguments) -> Prompt:
    """The prompts as the model reads them, with special tokens and without padding; empty without a tokenizer."""
    generation = Generation(arguments)
    prompt, mask, tokenizer = generation.prompt, generation.mask, generation.tokenizer
    if prompt is None or tokenizer is None:
        return Prompt()
    rows: list[list[int]] = prompt.tolist()
    if mask is not None and mask.shape == prompt.shape:
        rows = [
            [token for token, counts in zip(row, row_mask, strict=True) if counts]
            for row, row_mask in zip(rows, mask.tolist(), strict=True)
        ]
    return Prompt(messages=tuple(Message("user", (Text(tokenizer.decode(row)),)) for row in rows))


class Generated(StreamerFold):
    """The output of a call: the ids put to its streamer, and at the end the ids that it returns."""

    def __init__(self, generation: Generation, content: bool) -> None:
        self._generation = generation
        self._content = content
        self._ends = frozenset(generation.token_ids("eos_token_id"))
        self._steps: list[Any] = []
        self._loops = 0
        self._returned: list[list[int]] | None = None
        self._succeeded = False

    def add(self, chunk: Any) -> bool:
        """Take in the ids of one step: `(rows,)`, or `(1, count)` of assisted generation."""
        self._steps.append(chunk.tolist())
        return True

    def counts_steps(self) -> bool:
        """True without a streamer, if each step adds one token."""
        return self._generation.named.get("streamer") is None and self._generation.takes_one_token_a_step()

    def stepped(self, instance: Any) -> bool:
        """Whether a step of this call has added a token. The loop also calls the hook before its first step."""
        if instance is not self._generation.model:
            return False
        self._loops += 1
        return self._loops > 1

    def returned(self, result: Any) -> None:
        """Take in the result: ids `(rows, length)`, or an object with them as `sequences`."""
        self._succeeded = True
        sequences = getattr(result, "sequences", result)
        if getattr(sequences, "ndim", None) == 2 and not sequences.is_floating_point():
            self._returned = sequences[:, self._generation.prefix(sequences) :].tolist()

    def tokens(self) -> Sequence[int]:
        """How many tokens each step added, without the padding of rows that have ended."""
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
                    generated, ends = _generated(row, self._ends, ())
                    count += len(generated)
                    if ends:
                        ended.add(place)
            counts.append(count)
        return counts

    def response(self) -> Response:
        """The output so far. The finish reason of a sequence cut short is `error`."""
        rows = self._returned if self._returned is not None else self._streamed()
        if not rows:
            return Response()
        sequences = self._sequences(rows)
        reasons = tuple(self._reason(len(row), ends=ends) for row, ends in sequences)
        return Response(
            finish_reasons=reasons,
            usage=Usage(input=self._generation.prompt_tokens(), output=sum(len(row) for row, _ in sequences)),
            messages=self._messages(sequences, reasons) if self._content else (),
        )

    def _sequences(self, rows: list[list[int]]) -> list[tuple[list[int], bool]]:
        return [_generated(row, self._ends, self._padding(len(rows))) for row in rows]

    def _streamed(self) -> list[list[int]]:
        rows: list[list[int]] = []
        for step in self._steps:
            by_row = _by_row(step)
            rows += ([] for _ in range(len(by_row) - len(rows)))
            for place, tokens in enumerate(by_row):
                rows[place] += tokens
        return rows

    def _padding(self, rows: int) -> tuple[int, ...]:
        # A row without an end token is padded only if it may have stopped before the others for another reason.
        if rows == 1 or not self._generation.may_stop_early:
            return (_NO_TOKEN,)
        return (_NO_TOKEN, *self._generation.token_ids("pad_token_id"))

    def _reason(self, length: int, *, ends: bool) -> str:
        if ends:
            return gen_ai.STOP
        if not self._succeeded:
            return gen_ai.ERROR
        return gen_ai.STOP if self._generation.may_stop_early and length < self._generation.length else gen_ai.LENGTH

    def _messages(self, sequences: list[tuple[list[int], bool]], reasons: tuple[str, ...]) -> tuple[Message, ...]:
        tokenizer = self._generation.tokenizer
        if tokenizer is None:
            return ()
        texts = [tokenizer.decode(row[:-1] if ends else row) for row, ends in sequences]
        return tuple(
            Message("assistant", (Text(text),), finish_reason=reason)
            for text, reason in zip(texts, reasons, strict=True)
        )


def _by_row(step: Any) -> list[list[int]]:
    return [token if isinstance(token, list) else [token] for token in step]


def _generated(row: list[int], ends: frozenset[int], padding: tuple[int, ...]) -> tuple[list[int], bool]:
    # The generated tokens of a row, and whether the last one is an end token.
    for place, token in enumerate(row):
        if token in ends:
            return row[: place + 1], True
    length = len(row)
    while length and row[length - 1] in padding:
        length -= 1
    return row[:length], False


def generate_tap(arguments: Arguments, content: bool, tee: StreamerTee) -> tuple[Arguments, StreamerFold]:
    """The call with a proxy of its streamer, if it has one. The first `put` is the prompt."""
    generated = Generated(Generation(arguments), content)
    streamer = _streamer(arguments)
    if streamer is None:
        return arguments, generated
    proxy = tee(streamer, 1)
    if len(arguments.args) > _STREAMER:
        args = (*arguments.args[:_STREAMER], proxy, *arguments.args[_STREAMER + 1 :])
        return arguments._replace(args=args), generated
    return arguments._replace(kwargs={**arguments.kwargs, "streamer": proxy}), generated


def _streamer(arguments: Arguments) -> Any | None:
    return Generation(arguments).named.get("streamer")


def generate_failure(error: BaseException, content: bool) -> Failure | None:
    """An error of the model, torch or the application's streamer, with the size of an allocation that failed; `None` if the client left."""
    if type(error).__name__ == _CLIENT_LEFT:
        return None
    allocation = _ALLOCATION.search(str(error))
    details = [f"tried to allocate {allocation[1]}"] if allocation else []
    return Failure.of(error, *details, message=str(error) if content else None)


GENERATE: Final = Endpoint(
    default=Request(operation=gen_ai.TEXT_COMPLETION, provider=otel_genai.HUGGING_FACE, side=Side.INTERNAL),
    request=generate_request,
    prompt=generate_prompt,
    failure=generate_failure,
    tap=generate_tap,
    origin=_streamer,
)
