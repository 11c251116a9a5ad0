"""Three ordinary calls to an OpenAI-compatible server: a plain one, a streamed one, and one that offers a tool."""

import os

from openai import BadRequestError, OpenAI

client = OpenAI()  # takes OPENAI_BASE_URL and OPENAI_API_KEY from the environment
model = os.environ.get("OPENAI_MODEL")
if not model:
    model = client.models.list().data[0].id if os.environ.get("OPENAI_BASE_URL") else "gpt-4o-mini"


def ask(messages, **options):
    return client.chat.completions.create(model=model, messages=messages, max_completion_tokens=60, **options)


question = {"role": "user", "content": "Why is the sky blue? One sentence, please."}
print(f"> {question['content']}\n{ask([question]).choices[0].message.content}\n")

question = {"role": "user", "content": "Count from one to ten, in words."}
print(f"> {question['content']}")
for chunk in ask([question], stream=True, stream_options={"include_usage": True}):
    print("".join(choice.delta.content or "" for choice in chunk.choices), end="", flush=True)
print("\n")

city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
weather = {"type": "function", "function": {"name": "weather", "description": "The weather now", "parameters": city}}
conversation = [{"role": "user", "content": "Do I need an umbrella in Bergen?"}]
print(f"> {conversation[0]['content']}")
try:
    answer = ask(conversation, tools=[weather]).choices[0].message
    if answer.tool_calls:
        conversation.append(answer)
        for call in answer.tool_calls:
            print(f"[{call.function.name} {call.function.arguments}]")
            conversation.append({"role": "tool", "tool_call_id": call.id, "content": '{"sky": "rain", "celsius": 9}'})
        answer = ask(conversation, tools=[weather]).choices[0].message
    print(answer.content)
except BadRequestError:
    print("(this server has tools switched off)")
