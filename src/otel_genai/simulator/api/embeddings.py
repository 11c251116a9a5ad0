"""The embeddings endpoint: its request and its response. Pure functions.

An embedding is a vector of length 1, drawn at random with the text as the seed: the same text has the same embedding.
"""

from __future__ import annotations

import base64
import hashlib
import math
import random
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_genai.simulator.api.validation import check_fields, fields_of, model_of, texts, unsupported
from otel_genai.simulator.engine.inference import Event, Inference, Prefill

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULT_DIMENSIONS: Final = 256
_MAX_DIMENSIONS: Final = 4096
FORMATS: Final = ("float", "base64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """A request, and the response to it."""

    inference: Inference
    dimensions: int
    encoding: str

    @classmethod
    def of(cls, body: bytes) -> Embeddings:
        """The request in an HTTP body; raises `ApiError`."""
        fields = fields_of(body)
        model = model_of(fields)
        inputs = texts(fields, "input")
        integers = {"dimensions": (1, _MAX_DIMENSIONS)}
        check_fields(fields, numbers={}, integers=integers, strings=("encoding_format", "user"))
        encoding = fields.get("encoding_format", FORMATS[0])
        if encoding not in FORMATS:
            raise unsupported("encoding_format", encoding, FORMATS)
        return cls(
            inference=Inference(prompts=inputs, model=model, pooled=True),
            dimensions=fields.get("dimensions", _DEFAULT_DIMENSIONS),
            encoding=encoding,
        )

    def whole(self, events: Sequence[Event]) -> dict[str, Any]:
        """The response: one embedding a text."""
        prompt_tokens = sum(event.prompt_tokens for event in events if isinstance(event, Prefill))
        data = [
            {"object": "embedding", "index": index, "embedding": self._encoded(embedding(text, self.dimensions))}
            for index, text in enumerate(self.inference.prompts)
        ]
        usage = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
        return {"object": "list", "model": self.inference.model, "data": data, "usage": usage}

    def _encoded(self, vector: list[float]) -> list[float] | str:
        if self.encoding == FORMATS[0]:
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def embedding(text: str, dimensions: int) -> list[float]:
    """A vector of length 1 that depends on the arguments alone."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    draw = random.Random(int.from_bytes(digest))  # noqa: S311 - no secret here
    vector = [draw.random() * 2 - 1 for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
