"""Requests to the simulator without a client library."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionUserMessageParam

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say hello"}]
GET_TIME: ChatCompletionFunctionToolParam = {"type": "function", "function": {"name": "get_time"}}


def send(base_url: str, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, str], str]:
    """One exchange: (status, headers with lower-case names, body)."""
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
    finally:
        connection.close()


def post(base_url: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    status, _, body = send(base_url, "POST", "/v1/chat/completions", json.dumps(fields))
    return status, json.loads(body)
