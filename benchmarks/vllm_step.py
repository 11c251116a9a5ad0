"""What this package adds to a step of vLLM with 64 sequences.

In `outputs` the model is left out: the real engine takes 64 requests, and its output processor is given what a step would have brought, so
that microseconds can be seen. In `step` the engine works, with a model that is as small as they come. `harness.py` says how it is measured.
It needs an environment with vLLM; the engine is in the process that is measured.

python benchmarks/vllm_step.py                 all cells, about eight minutes
python benchmarks/vllm_step.py outputs ours    one cell: CPU microseconds a step
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Cell, added, measure, ratio
from instrumentations import INSTRUMENTATIONS, switched_on

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
SEQUENCES = 64
GOAL = 0.01
"""Of the time of a step."""
STEPS = {"outputs": 2000, "step": 200}
TITLES = {"outputs": "the outputs of a step, without a model", "step": "a step with a Llama of 148,000 parameters"}
TESTS = Path(__file__).parents[1] / "tests"


def stepping(workload: str) -> Callable[[], None]:
    """One step of an engine with 64 requests, none of which is near its end."""
    sys.path.insert(0, str(TESTS))
    from engines.tiny_model import make_tiny_model
    from engines.vllm_in_process import make_llm

    with tempfile.TemporaryDirectory() as folder:
        llm = make_llm(make_tiny_model(Path(folder)), max_model_len=1024)
    from vllm import SamplingParams
    from vllm.v1.engine import EngineCoreOutput
    from vllm.v1.metrics.stats import IterationStats

    engine = llm.llm_engine
    params = SamplingParams(temperature=0.0, max_tokens=900, ignore_eos=True, detokenize=False)
    for number in range(SEQUENCES):
        engine.add_request(f"r{number}", "The lighthouse keeper", params)
    if workload == "step":
        step: Callable[[], None] = engine.step
        return step
    processor: Any = engine.output_processor
    names = list(processor.request_states)

    def process() -> None:
        outputs = [EngineCoreOutput(name, [5]) for name in names]
        processor.process_outputs(outputs, time.monotonic(), IterationStats())

    return process


def cell(workload: str, instrumentation: str) -> float:
    """CPU microseconds a step."""
    switched_on(INSTRUMENTATIONS[instrumentation])
    step = stepping(workload)
    for _ in range(20):
        step()
    started = time.thread_time()
    for _ in range(STEPS[workload]):
        step()
    return (time.thread_time() - started) / STEPS[workload] * 1e6


def main() -> None:
    cells = {
        (workload, instrumentation): Cell(Path(__file__).name, (workload, instrumentation))
        for workload in STEPS
        for instrumentation in ("bare", "ours")
    }
    figures = measure(cells.values(), ROUNDS)
    print(f"{'':44}{'bare µs':<12}{'µs added':<24}x bare")
    for workload, title in TITLES.items():
        bare, ours = (figures[cells[workload, instrumentation]] for instrumentation in ("bare", "ours"))
        middle = sorted(bare)[len(bare) // 2]
        print(f"{title:<44}{middle:<12.0f}{added(ours, bare).show(1):<24}{ratio(ours, bare).show(3)}")
    step = sorted(figures[cells["step", "bare"]])[ROUNDS // 2]
    share = added(*(figures[cells["outputs", one]] for one in ("ours", "bare"))).median / step
    verdict = "met" if share <= GOAL else "missed"
    print(f"What the outputs cost more is {share:.2%} of that step; the goal is {GOAL:.0%}: {verdict}.")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if len(sys.argv) == 3:
        print(cell(*sys.argv[1:]))
    else:
        main()
