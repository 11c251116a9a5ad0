"""Which server a client talks to, and whose it is: the provider is told by the base URL, not by the name of the client's library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments

OPENAI: Final = "openai"
"""Also of servers that nobody knows: they speak OpenAI's protocol, and that is all that can be said."""

_AZURE: Final = "azure.ai.openai"

BY_HOST: Final = {
    # The conventions' own names.
    "api.openai.com": OPENAI,
    "openai.azure.com": _AZURE,
    "cognitiveservices.azure.com": _AZURE,
    "services.ai.azure.com": "azure.ai.inference",
    "inference.ai.azure.com": "azure.ai.inference",
    "amazonaws.com": "aws.bedrock",
    "api.aws": "aws.bedrock",
    "api.anthropic.com": "anthropic",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.groq.com": "groq",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    # Names of ours, where the conventions have none.
    "api.cerebras.ai": "cerebras",
    "api.deepinfra.com": "deepinfra",
    "api.fireworks.ai": "fireworks",
    "endpoints.huggingface.cloud": "huggingface",
    "router.huggingface.co": "huggingface",
    "integrate.api.nvidia.com": "nvidia",
    "openrouter.ai": "openrouter",
    "api.sambanova.ai": "sambanova",
    "api.together.ai": "together",
    "api.together.xyz": "together",
}
"""By host name, or the end of one: `my-resource.openai.azure.com`."""
BY_ENDING: Final = {"-aiplatform.googleapis.com": "gcp.vertex_ai"}
"""By the end of a host name that begins with a region: `us-central1-aiplatform.googleapis.com`."""
BY_PORT: Final = {11434: "ollama"}
"""By a port that a server is known for, where the host name says nothing."""
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Server(TypedDict):
    """The fields of a `Request` that say who is asked."""

    provider: str
    server_address: str | None
    server_port: int | None


# (base URL, server) of the clients that were used: a base URL takes longer to read than all the rest of a request.
_known: WeakKeyDictionary[Any, tuple[Any, Server]] = WeakKeyDictionary()


def server(arguments: Arguments) -> Server:
    """Who is asked by a call of one of the client's resources."""
    client: Any = arguments.instance._client  # the one way to a resource's client, since 1.0
    url = client.base_url
    known = _known.get(client)
    if known is None or known[0] is not url:
        known = _known[client] = (url, _server(client, url))
    return known[1]


def _server(client: Any, url: Any) -> Server:
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    return Server(
        provider=_AZURE if _is_azure(type(client)) else provider(url.host, port, url.path),
        server_address=url.host or None,
        server_port=port,
    )


def _is_azure(client: type[Any]) -> bool:
    # Azure's own client may well go through a gateway with a name of its owner's.
    return any(base.__name__ == "BaseAzureClient" for base in client.__mro__)


def provider(host: str, port: int | None, path: str) -> str:
    """`gen_ai.provider.name` of the server at a base URL."""
    labels = host.lower().split(".")
    for first in range(len(labels)):
        name = BY_HOST.get(".".join(labels[first:]))
        if name == "azure.ai.inference" and path.startswith("/openai"):
            return _AZURE  # one Azure resource offers both interfaces
        if name is not None:
            return name
    for ending, name in BY_ENDING.items():
        if host.lower().endswith(ending):
            return name
    return BY_PORT.get(port or 0, OPENAI)
