"""The server that a client talks to, and its provider: the base URL decides, not the name of the client's library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments

OPENAI: Final = "openai"
"""Also the provider of unknown servers: all that is known of them is OpenAI's protocol."""

_AZURE: Final = "azure.ai.openai"

BY_HOST: Final = {
    # Names that the conventions list.
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
    # Names of ours: the conventions list none.
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
"""Host name, or the end of one after a dot (`my-resource.openai.azure.com`) → provider."""
BY_ENDING: Final = {"-aiplatform.googleapis.com": "gcp.vertex_ai"}
"""End of a host name that begins with a region (`us-central1-aiplatform.googleapis.com`) → provider."""
BY_PORT: Final = {11434: "ollama"}
"""A server's usual port → provider, for hosts that are in no other table."""
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Server(TypedDict):
    """The fields of a `Request` that name the server."""

    provider: str
    server_address: str | None
    server_port: int | None


# Client → (base URL, server). To read a base URL takes longer than to read the rest of a request.
_servers: WeakKeyDictionary[Any, tuple[Any, Server]] = WeakKeyDictionary()


def server(arguments: Arguments) -> Server:
    """The server of a call of one of the client's resources."""
    # A resource has no public way to its client (openai 1.0 to 3.52 _resource.py).
    client: Any = arguments.instance._client
    url = client.base_url
    found = _servers.get(client)
    if found is None or found[0] is not url:
        found = _servers[client] = (url, _server(client, url))
    return found[1]


def _server(client: Any, url: Any) -> Server:
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    return Server(
        provider=_AZURE if _is_azure(type(client)) else provider(url.host, port, url.path),
        server_address=url.host or None,
        server_port=port,
    )


def _is_azure(client: type[Any]) -> bool:
    # An Azure client may go through a gateway with any host name.
    return any(base.__name__ == "BaseAzureClient" for base in client.__mro__)


def provider(host: str, port: int | None, path: str) -> str:
    """`gen_ai.provider.name` of the server at a base URL."""
    labels = host.lower().split(".")
    for first in range(len(labels)):
        name = BY_HOST.get(".".join(labels[first:]))
        if name == "azure.ai.inference" and path.startswith("/openai"):
            return _AZURE  # one Azure resource offers both APIs
        if name is not None:
            return name
    for ending, name in BY_ENDING.items():
        if host.lower().endswith(ending):
            return name
    return BY_PORT.get(port or 0, OPENAI)
