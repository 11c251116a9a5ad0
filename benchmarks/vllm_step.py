"""The cost of this package for a step of vLLM with 64 sequences.

`outputs` runs without a model: the real engine takes 64 requests, and its output processor and statistics get the output of a step, so
that microseconds are visible. `step` runs the engine with a tiny model, for the share. A step varies by a fifth between processes, far more
than the added cost. `harness.py` runs the cells. They need an environment with vLLM; the engine runs in the measured process.

python benchmarks/vllm_step.py                 all cells, about three minutes
python benchmarks/vllm_step.py outputs ours    one cell: CPU microseconds per step
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Cell, added, measure
from instrumentations import INSTRUMENTATIONS, switched_on

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
SEQUENCES = 64
GOAL = 0.01
"""The goal, as a share of a step."""
STEPS = {"outputs": 2000, "step": 200}
ROOT = Path(__file__).parents[1]


def stepping(workload: str) -> Callable[[], None]:
    """One step of an engine with 64 requests, none of which ends during the measurement."""
    sys.path.insert(0, str(ROOT))
    from tests.support.tiny_model import make_tiny_model
    from tests.support.vllm.in_process import make_llm

    with tempfile.TemporaryDirectory() as folder:
        llm = make_llm(make_tiny_model(Path(folder)), max_model_len=1024)
    from vllm import SamplingParams
    from vllm.v1.engine import EngineCoreOutput
    from vllm.v1.metrics.stats import IterationStats, SchedulerStats

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
        statistics = IterationStats()
        processor.process_outputs(outputs, time.monotonic(), statistics)
        engine.logger_manager.record(SchedulerStats(num_running_reqs=SEQUENCES), statistics)

    return process


def cell(workload: str, instrumentation: str) -> float:
    """CPU microseconds per step."""
    switched_on(INSTRUMENTATIONS[instrumentation])
    step = stepping(workload)
    for _ in range(20):
        step()
    started = time.thread_time()
    for _ in range(STEPS[workload]):
        step()
    return (time.thread_time() - started) / STEPS[workload] * 1e6


def main() -> None:
    cells = [Cell(Path(__file__).name, words) for words in (("outputs", "bare"), ("outputs", "ours"), ("step", "bare"))]
    figures = measure(cells, ROUNDS)
    bare, ours, steps = (figures[cell] for cell in cells)
    step = sorted(steps)[ROUNDS // 2]
    more = added(ours, bare)
    share = more.median / step
    verdict = "met" if share <= GOAL else "missed"
    print(f"a step of 64 sequences, with a Llama of 148,000 parameters:  {step:.0f} µs")
    print(f"its outputs and statistics, without the model:               {sorted(bare)[ROUNDS // 2]:.0f} µs")
    print(f"added to those by us:                                        {more.show(1)} µs")
    print(f"as a share of the step:                                      {share:.2%}; ≤ {GOAL:.0%}: {verdict}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if len(sys.argv) == 3:
        print(cell(*sys.argv[1:]))
    else:
        main()
