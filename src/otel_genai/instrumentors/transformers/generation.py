"""One call of `generate`, as its arguments and the configurations behind them have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.instrumentors.transformers.decoding import tokenizer_of

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments

POSITIONS: Final = (
    "inputs",
    "generation_config",
    "logits_processor",
    "stopping_criteria",
    "prefix_allowed_tokens_fn",
    "synced_gpus",
    "assistant_model",
    "streamer",
)
"""The names of what `generate` also takes by position."""
_DEFAULT_LENGTH: Final = 20
"""New tokens where nobody says how many: in 4.x `max_length` of every configuration, in 5.x that of none."""


class Generation:
    """What a call of `generate` was given. Tensors are looked at, never changed."""

    def __init__(self, arguments: Arguments) -> None:
        self.model = arguments.instance
        self.given: dict[str, Any] = {**dict(zip(POSITIONS, arguments.args, strict=False)), **arguments.kwargs}

    def setting(self, name: str) -> Any:
        """A generation parameter, from the call itself, its configuration, the model's, or the library's own; `None` if nobody has it."""
        if name in self.given:
            return self.given[name]
        configurations = [self.given.get("generation_config"), getattr(self.model, "generation_config", None)]
        for configuration in configurations:
            value = getattr(configuration, name, None)
            if value is not None:
                return value
        defaults: Any = getattr(configurations[-1], "_get_default_generation_params", dict)
        return defaults().get(name)

    def number(self, name: str) -> Any:
        """A generation parameter that is a number."""
        value = self.setting(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def token_ids(self, name: str) -> tuple[int, ...]:
        """A generation parameter that is one token or several."""
        value = self.setting(name)
        value = value.tolist() if hasattr(value, "tolist") else value
        return () if value is None else tuple(value) if isinstance(value, list | tuple) else (int(value),)

    # ── the prompt ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt goes into an encoder, and so not into what is returned."""
        return bool(getattr(self.model.config, "is_encoder_decoder", False))

    @property
    def prompt(self) -> Any | None:
        """The prompt's token ids, `(batch, length)`; `None` if it has none, being embeddings, sounds or pictures, or nothing at all."""
        main = getattr(self.model, "main_input_name", "input_ids")
        for name in ("inputs", main, "input_ids"):
            tensor = self.given.get(name)
            if _is_ids(tensor):
                return tensor
        return None

    @property
    def mask(self) -> Any | None:
        """Which tokens of the prompt are no padding, `(batch, length)`, if the caller told."""
        mask = self.given.get("attention_mask")
        return mask if getattr(mask, "ndim", None) == 2 else None

    def prompt_tokens(self) -> int | None:
        """Tokens of all prompts without padding; `None` if they are not made of tokens."""
        prompt = self.prompt if self.prompt is not None else self.given.get("inputs_embeds")
        if prompt is None:
            return 1 if self._begins_by_itself() else None
        return int(prompt.shape[0] * prompt.shape[1] if self.mask is None else self.mask.sum())

    def _begins_by_itself(self) -> bool:
        # Without any input there is one sequence, which begins with the token that begins all.
        main = getattr(self.model, "main_input_name", "input_ids")
        return not self.is_encoder_decoder and all(self.given.get(name) is None for name in ("inputs", main))

    def prefix(self, sequences: Any) -> int:
        """How many tokens at the head of each of the returned `(rows, length)` are no output."""
        if self.is_encoder_decoder:
            given = self.given.get("decoder_input_ids")
            if given is None:
                return 1
            # The token that starts a decoder's output is put before what the caller gave, unless it is there.
            return int(given.shape[1]) + int(given[0, 0].item() != sequences[0, 0].item())
        if self.prompt is not None:
            return int(self.prompt.shape[1])
        return 0 if self.given.get("inputs_embeds") is not None else 1

    # ── how long ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def asked_length(self) -> int | None:
        """The most tokens that each sequence may come to, without its prompt; `None` if nobody set a limit."""
        new = self.number("max_new_tokens")
        if new is not None:
            return int(new)
        whole = self.number("max_length")
        if whole is None or (whole == _DEFAULT_LENGTH and "max_length" not in self.given):
            return None
        prompt = None if self.is_encoder_decoder else self.prompt
        return int(whole) if prompt is None else max(int(whole) - int(prompt.shape[1]), 0)

    @property
    def length(self) -> int:
        """The same, with the library's own limit where nobody set one."""
        asked = self.asked_length()
        return _DEFAULT_LENGTH if asked is None else asked

    @property
    def may_stop_early(self) -> bool:
        """Whether something else than a token may end a sequence before its time."""
        return bool(self.setting("stop_strings")) or bool(self.given.get("stopping_criteria"))

    def takes_one_token_a_step(self) -> bool:
        """Whether each step decides on one more token: beams decide in the end, and assistants guess several at once."""
        assisted = ("assistant_model", "assistant_early_exit", "prompt_lookup_num_tokens")
        return self.number("num_beams") in {None, 1} and not any(self.setting(name) for name in assisted)

    # ── text ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def tokenizer(self) -> Any | None:
        """Something that can decode tokens: what the call was given, by itself or within its streamer, or the model's own if known."""
        for tokenizer in (self.given.get("tokenizer"), getattr(self.given.get("streamer"), "tokenizer", None)):
            if hasattr(tokenizer, "decode"):
                return tokenizer
        return tokenizer_of(self.model)


def _is_ids(tensor: Any) -> bool:
    return getattr(tensor, "ndim", None) == 2 and not tensor.is_floating_point()
