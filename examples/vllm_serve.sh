#!/bin/sh
# A model behind vLLM's OpenAI-compatible server, which takes all options of the server's:
#
#     sh examples/vllm_serve.sh --model HuggingFaceTB/SmolLM2-135M-Instruct --port 8000
#
# and then, in another terminal, a question for it:
#
#     OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=unused python3 examples/chat.py
exec python3 -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --enforce-eager --max-model-len 1024 "$@"
