"""A complete causal language model with random weights, small enough to load and serve in seconds.

Nothing is downloaded, and every run makes the same model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

BEGIN_OF_TURN = "<|im_start|>"
END_OF_TURN = "<|im_end|>"
PADDING = "<|pad|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] or '') + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# The tokenizer learns its merges from these: English text has fewer tokens than letters.
SENTENCES = (
    "The lighthouse keeper counted the ships that passed before the fog came in.",
    "Every morning the baker opens the shutters and the smell of bread fills the street.",
    "What is the weather like where you are, and will it rain tomorrow?",
    "She asked the assistant a short question and waited for a long answer.",
    "One, two, three, four, five: the children were counting the steps to the door.",
    "A river that nobody had named ran through the valley and out to the sea.",
    "Tell me something about the sea, the mountains and the colour of the sky.",
    "The system answers the user, and the user asks the system again.",
)


def tiny_tokenizer() -> Any:
    """A tokenizer of about 500 tokens, for any text, with a ChatML template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=[PADDING, BEGIN_OF_TURN, END_OF_TURN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),  # every byte, so that any text can be encoded
        show_progress=False,
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN_OF_TURN,
        eos_token=END_OF_TURN,
        pad_token=PADDING,
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_tiny_model(folder: Path) -> Path:
    """Save a Llama of about 150 000 random parameters and its tokenizer in `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,  # the smallest of vLLM's attention kernel for CPUs
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(20260)
        model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = 0  # a logit of 0 is never the greatest: no early end
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    make_tiny_model(Path(sys.argv[1]))
