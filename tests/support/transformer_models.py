"""Models of transformers, made on the spot: real architectures, random weights, too small to be of any use. Nothing is downloaded."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.engines.tiny_model import tiny_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

import torch
import transformers
from opentelemetry.instrumentation.utils import suppress_instrumentation

torch.set_num_threads(1)  # such models gain nothing from more, and other tests may be running

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
_T5_SIZES: dict[str, Any] = {"d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 2, "num_heads": 2}
_CLASSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", _SIZES),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", _SIZES),
    "t5": ("T5Config", "T5ForConditionalGeneration", _T5_SIZES),
}
DECODERS = ("llama", "qwen2")
ENCODER_DECODER = "t5"

HELLO = "Hello, world!"
HELLO_TOKENS = 10
SEA = "Tell me something about the sea"
SEA_TOKENS = 6

BASIC = {
    "gen_ai.operation.name": "text_completion",
    "gen_ai.provider.name": "huggingface",
    "gen_ai.request.model": "tiny/llama",
}
LIMITED = BASIC | {
    "gen_ai.request.max_tokens": 4,
    "gen_ai.response.finish_reasons": ("length",),
    "gen_ai.usage.input_tokens": HELLO_TOKENS,
    "gen_ai.usage.output_tokens": 4,
}
"""What is reported of a call of the Llama that was given `asked()`."""


@cache
def tokenizer() -> Any:
    """The tokenizer that all of the models share."""
    return tiny_tokenizer()


def make(architecture: str) -> Any:
    """A model of this architecture, `tiny/<architecture>` by name. Its greedy output is always the same, and never ends by itself."""
    config_class, model_class, sizes = _CLASSES[architecture]
    tokens = tokenizer()
    config = getattr(transformers, config_class)(
        vocab_size=len(tokens),
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
        decoder_start_token_id=tokens.pad_token_id if architecture == ENCODER_DECODER else None,
        **sizes,
    )
    config._name_or_path = f"tiny/{architecture}"
    with torch.random.fork_rng():
        torch.manual_seed(20260)
        model = getattr(transformers, model_class)(config).eval()
    with torch.no_grad():
        for never in (tokens.eos_token_id, tokens.pad_token_id):
            model.lm_head.weight[never] = 0  # a logit of 0 is never the greatest
    return model


@cache
def model(architecture: str) -> Any:
    """The same, made once a process: not to be changed."""
    return make(architecture)


def save(architecture: str, folder: Path) -> Path:
    """A folder to load the model and its tokenizer from."""
    make(architecture).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def encoded(*texts: str) -> Any:
    """Token ids and attention mask; several texts are padded on the left."""
    return tokenizer()(list(texts), return_tensors="pt", padding=True, padding_side="left")


def asked(*texts: str, **settings: Any) -> dict[str, Any]:
    """Arguments of `generate` for these texts, or for `HELLO`: four tokens."""
    return {**encoded(*(texts or (HELLO,))), "max_new_tokens": 4, **settings}


def output(*texts: str, architecture: str = "llama", **settings: Any) -> list[list[int]]:
    """What a decoder answers to that, in a call that is not reported."""
    given = asked(*texts, **settings)
    with suppress_instrumentation():
        ids: list[list[int]] = model(architecture).generate(**given)[:, given["input_ids"].shape[1] :].tolist()
    return ids
