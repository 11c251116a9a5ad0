"""Questions that vLLM answers all at once, in this program.

python examples/vllm_offline.py [a model of the Hugging Face hub, or a folder with one in it]
"""

import sys

from vllm import LLM, SamplingParams

QUESTIONS = (
    "Why is the sky blue? One sentence, please.",
    "Count from one to ten, in words.",
    "What is the capital of France?",
)

# vLLM starts processes that import this file, too.
if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "HuggingFaceTB/SmolLM2-135M-Instruct"
    llm = LLM(model=name, max_model_len=512, enforce_eager=True)
    answers = llm.chat(
        [[{"role": "user", "content": question}] for question in QUESTIONS],
        SamplingParams(max_tokens=40, temperature=0),
    )
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"> {question}\n{answer.outputs[0].text}\n")
