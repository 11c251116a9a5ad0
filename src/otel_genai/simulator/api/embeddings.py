"""The embeddings endpoint. A text's embedding is drawn from the text: the same text, the same vector, of length 1. Pure functions."""

from __future__ import annotations

import base64
import hashlib
import math
import random
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_genai.simulator.api.validation import checked, fields_of, model_of, texts, unsupported
from otel_genai.simulator.engine.inference import Event, Inference, Prefill

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIMENSIONS: Final = 256
_MOST_DIMENSIONS: Final = 4096
FORMATS: Final = ("float", "base64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """The request, and the answer to it."""

    inference: Inference
    dimensions: int
    encoding: str

    @classmethod
    def of(cls, body: bytes) -> Embeddings:
        """The request in an HTTP body; `ApiError` if it is not one."""
        fields = fields_of(body)
        model = model_of(fields)
        inputs = texts(fields, "input")
        integers = {"dimensions": (1, _MOST_DIMENSIONS)}
        checked(fields, numbers={}, integers=integers, strings=("encoding_format", "user"))
        encoding = fields.get("encoding_format", FORMATS[0])
        if encoding not in FORMATS:
            raise unsupported("encoding_format", encoding, FORMATS)
        return cls(
            inference=Inference(prompts=inputs, model=model, pooled=True),
            dimensions=fields.get("dimensions", _DIMENSIONS),
            encoding=encoding,
        )

    def whole(self, events: Sequence[Event]) -> dict[str, Any]:
        """The embeddings, one a text."""
        read = sum(event.prompt_tokens for event in events if isinstance(event, Prefill))
        data = [
            {"object": "embedding", "index": index, "embedding": self._encoded(embedding(text, self.dimensions))}
            for index, text in enumerate(self.inference.prompts)
        ]
        usage = {"prompt_tokens": read, "total_tokens": read}
        return {"object": "list", "model": self.inference.model, "data": data, "usage": usage}

    def _encoded(self, vector: list[float]) -> list[float] | str:
        if self.encoding == FORMATS[0]:
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def embedding(text: str, dimensions: int) -> list[float]:
    """A vector of length 1, determined by the arguments alone."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    draw = random.Random(int.from_bytes(digest))  # noqa: S311 - no secret here
    vector = [draw.random() * 2 - 1 for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
