"""A chat page for any OpenAI-compatible server: answers are streamed, and the model may ask for the weather."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, omit
from pydantic import BaseModel
from weather import weather

MAX_TOOL_ROUNDS = 5  # in one turn: a model may call tools forever
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather now", "parameters": CITY}}]

client = AsyncOpenAI()  # takes OPENAI_BASE_URL and OPENAI_API_KEY from the environment


class Turn(BaseModel):
    """The conversation so far, in the model server's format; the last message is the user's."""

    messages: list[dict[str, Any]]
    tools: bool = True


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with client:
        yield


app = FastAPI(title="Chat", lifespan=lifespan, openapi_url=None)


@app.post("/chat")
async def chat(turn: Turn) -> StreamingResponse:
    return StreamingResponse(lines(turn), media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


@app.get("/settings")
async def settings() -> dict[str, str | None]:
    return {"trace_url": os.environ.get("TRACE_URL")}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


app.mount("/", StaticFiles(directory=Path(__file__).with_name("page"), html=True))


async def lines(turn: Turn) -> AsyncIterator[str]:
    """Lines of JSON: `text` and `tool` events, then `done`, or an `error` in plain English."""
    try:
        async for event in events(turn):
            yield json.dumps(event) + "\n"
    except APIError as error:
        yield json.dumps({"error": describe(error)}) + "\n"


async def events(turn: Turn) -> AsyncIterator[dict[str, Any]]:
    model = os.environ.get("OPENAI_MODEL") or (await client.models.list()).data[0].id
    added: list[dict[str, Any]] = []
    tokens = 0
    for round_ in range(MAX_TOOL_ROUNDS + 1):
        stream = await client.chat.completions.create(
            model=model,
            messages=turn.messages + added,
            tools=TOOLS if turn.tools and round_ < MAX_TOOL_ROUNDS else omit,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, calls, reason = "", {}, None
        async with stream:
            async for chunk in stream:
                tokens += chunk.usage.completion_tokens if chunk.usage else 0
                for choice in chunk.choices:
                    reason = choice.finish_reason or reason
                    if choice.delta.content:
                        text += choice.delta.content
                        yield {"text": choice.delta.content}
                    for part in choice.delta.tool_calls or ():
                        call = {"id": part.id, "type": "function", "function": {"name": "", "arguments": ""}}
                        function = calls.setdefault(part.index, call)["function"]
                        function["name"] += part.function.name or ""
                        function["arguments"] += part.function.arguments or ""
        if reason is None:
            yield {"error": "The answer ended early."}
            return
        if not calls:
            added.append({"role": "assistant", "content": text})
            yield {"done": added, "model": model, "tokens": tokens, "reason": reason}
            return
        added.append({"role": "assistant", "content": text or None, "tool_calls": list(calls.values())})
        for call in calls.values():
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            result = result_of(name, arguments)
            added.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            yield {"tool": name, "arguments": arguments, "result": result}


def result_of(name: str, arguments: str) -> str:
    """The result of a tool as JSON, or the error if the model chose a wrong name or wrong arguments."""
    try:
        return json.dumps({"weather": weather}[name](**json.loads(arguments)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return json.dumps({"error": repr(error)})


def describe(error: APIError) -> str:
    match error:
        case APITimeoutError():
            return "The model server did not answer in time."
        case APIConnectionError():
            return "There is no connection to the model server."
        case APIStatusError(status_code=429):
            return "The model server is overloaded (429)."
        case APIStatusError(status_code=status) if status >= 500:
            return f"The model server failed ({status})."
        case APIStatusError(status_code=status, body={"message": message}):
            return f"The model server refused the request ({status}): {message}"
        case APIStatusError(status_code=status):
            return f"The model server refused the request ({status})."
        case _:
            return f"The model server failed: {error.message}"
