"""The cost of this package for every token of transformers' `generate`, with a streamer and without one.

`streamed` and `unstreamed` run the library without a model, so that microseconds are visible; `model` is a very small Llama. The histogram
of the times between tokens is written at the end of the call. `harness.py` runs the cells.

python benchmarks/transformers_token.py                     all cells, about two minutes
python benchmarks/transformers_token.py streamed ours       one cell: CPU microseconds per token
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Cell, added, measure, ratio
from instrumentations import INSTRUMENTATIONS, switched_on

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
MEASURED = {"streamed": ("ours", "no-histogram"), "unstreamed": ("ours",), "model": ("ours",)}
GOAL_US = 2
JUDGED = {("streamed", "no-histogram"), ("unstreamed", "ours")}
TOKENS = {"streamed": 20_000, "unstreamed": 20_000, "model": 400}
TITLES = {
    "streamed": "a token for a streamer, without a model",
    "unstreamed": "a token without a streamer, without a model",
    "model": "a token of a Llama of 52,000 parameters, for a streamer",
}


class Sink:
    """A streamer that does nothing."""

    def put(self, value: Any) -> None:
        """One token."""

    def end(self) -> None:
        """The end."""


def generating(workload: str) -> Callable[[], None]:
    """A call of `generate` that generates `TOKENS[workload]` tokens."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    class Emptied(LlamaForCausalLM):  # type: ignore[misc]
        def _sample(self, input_ids: Any, *_: Any, generation_config: Any, streamer: Any = None, **__: Any) -> Any:
            token = torch.tensor([5])
            wanted = generation_config.max_length - input_ids.shape[1]
            while self._has_unfinished_sequences(wanted == 0, False, device=input_ids.device):
                wanted -= 1
                if streamer is not None:
                    streamer.put(token)
            if streamer is not None:
                streamer.end()
            return torch.full((1, generation_config.max_length), 5)

    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS[workload] + 16,
        eos_token_id=None,
    )
    model = (LlamaForCausalLM if workload == "model" else Emptied)(config).eval()
    asked: dict[str, Any] = {"inputs": torch.full((1, 8), 7), "max_new_tokens": TOKENS[workload]}
    if workload != "unstreamed":
        asked["streamer"] = Sink()

    def generate() -> None:
        assert model.generate(**asked).shape == (1, 8 + TOKENS[workload])

    return generate


def cell(workload: str, instrumentation: str) -> float:
    """CPU microseconds per token, of all threads, export included."""
    kept = switched_on(INSTRUMENTATIONS[instrumentation])
    generate = generating(workload)
    generate()
    kept.flush()
    started = time.process_time()
    generate()
    kept.flush()
    used = time.process_time() - started
    assert len(kept.spans.get_finished_spans()) == (0 if instrumentation == "bare" else 2)
    return used / TOKENS[workload] * 1e6


def main() -> None:
    cells = {
        (workload, instrumentation): Cell(Path(__file__).name, (workload, instrumentation))
        for workload in TOKENS
        for instrumentation in ("bare", *MEASURED[workload])
    }
    figures = measure(cells.values(), ROUNDS)
    print(f"{'':22}{'µs added':<24}{'x bare':<22}goal")
    for workload, title in TITLES.items():
        bare = figures[cells[workload, "bare"]]
        print(f"{title} (bare: {sorted(bare)[len(bare) // 2]:.1f} µs)")
        for instrumentation in MEASURED[workload]:
            measured = figures[cells[workload, instrumentation]]
            more = added(measured, bare)
            goal = ""
            if (workload, instrumentation) in JUDGED:
                goal = f"≤ {GOAL_US} µs: {'met' if more.median <= GOAL_US else 'missed'}"
            print(f"  {instrumentation:<20}{more.show(2):<24}{ratio(measured, bare).show(2):<22}{goal}".rstrip())


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(cell(*sys.argv[1:]))
    else:
        main()
