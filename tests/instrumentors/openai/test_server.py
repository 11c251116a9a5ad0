"""The provider, from the base URL, from an Azure client or from the user; and the model that the server reports."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import otel_genai
from otel_genai.instrumentors.openai.server import provider
from tests.support.openai.clients import USER, attributes, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import Recorded, attribute


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://res.openai.azure.com/openai/v1/", "azure.ai.openai"),
        ("https://res.services.ai.azure.com/openai/v1/", "azure.ai.openai"),
        ("https://res.services.ai.azure.com/models", "azure.ai.inference"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://api.anthropic.com/v1/", "anthropic"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://us-south.ml.cloud.ibm.com/ml/gateway/v1", "ibm.watsonx.ai"),
        ("https://api.mistral.ai/v1", "mistral_ai"),
        ("https://api.moonshot.cn/v1", "moonshot_ai"),
        ("https://api.perplexity.ai", "perplexity"),
        ("https://API.X.AI/v1", "x_ai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.fireworks.ai/inference/v1", "fireworks"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://localhost:8000/v1", "openai"),
        ("https://notapi.x.ai.example.org/v1", "openai"),
        ("https://myapi.groq.com.evil.example/v1", "openai"),
    ],
)
def test_the_provider_comes_from_the_base_url(url: str, name: str) -> None:
    base = openai.OpenAI(base_url=url, api_key="sk").base_url
    assert provider(base.host, base.port, base.path) == name


def test_an_azure_client_is_azure_at_any_address(instrumented: Recorded) -> None:
    with scripted(Answer(completion(), headers={"x-ms-served-model": "gpt-4o-2024-11-20"})) as server:
        with openai.AzureOpenAI(
            azure_endpoint=server.url.removesuffix("/v1"), api_key="sk", api_version="2024-10-21", max_retries=0
        ) as azure:
            azure.chat.completions.create(model="my-deployment", messages=USER)
        assert server.received[0].path == "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    span = instrumented.span()
    assert span.name == "chat my-deployment"
    assert attribute(span, "gen_ai.provider.name") == "azure.ai.openai"
    assert attribute(span, "gen_ai.response.model") == "gpt-4o-2024-11-20"


@pytest.mark.parametrize("streamed", [False, True])
def test_the_served_model_has_precedence_over_the_body(instrumented: Recorded, streamed: bool) -> None:
    headers = {"x-ms-served-model": "gpt-4o-2024-11-20"}
    answer = Answer(events=HELLO, headers=headers) if streamed else Answer(completion(), headers=headers)
    with scripted(answer) as server:
        result: Any = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=streamed)
        list(result)
    assert attribute(instrumented.span(), "gen_ai.response.model") == "gpt-4o-2024-11-20"


def test_a_provider_name_from_an_argument(recorded: Recorded) -> None:
    otel_genai.instrument(provider="vllm", **recorded.providers)
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    assert attributes(recorded.span())["gen_ai.provider.name"] == "vllm"
    (point,) = recorded.metrics()["gen_ai.client.operation.duration"]
    assert point.attributes["gen_ai.provider.name"] == "vllm"


def test_a_provider_name_from_the_environment(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_GENAI_PROVIDER_NAMES", "127.0.0.1=my-gateway")
    otel_genai.instrument(**recorded.providers)
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    assert attributes(recorded.span())["gen_ai.provider.name"] == "my-gateway"


def test_propagation_can_be_switched_off(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_GENAI_PROPAGATE_CONTEXT", "false")
    otel_genai.instrument(**recorded.providers)
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
        assert "traceparent" not in server.received[0].headers
    otel_genai.uninstrument()
