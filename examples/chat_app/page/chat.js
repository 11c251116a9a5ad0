// The conversation, in the model server's format. Failed turns are not part of it.
const conversation = [];
const element = (id) => document.getElementById(id);
const [log, composer, text, send, stop, tools, status] =
  ["log", "composer", "text", "send", "stop", "tools", "status"].map(element);

// The AbortController of the turn in progress.
let running = null;
const traceUrl = fetch("settings").then((response) => response.json()).then((settings) => settings.trace_url).catch(() => null);

// ── user input ──────────────────────────────────────────────────────────────────────────────────────────────────

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = text.value.trim();
  if (running || !question) return;
  text.value = "";
  fit();
  ask(question);
});

text.addEventListener("input", fit);
text.addEventListener("keydown", (event) => {
  // Keys of an input method's composition are not ours.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) running?.abort();
});

stop.addEventListener("click", () => running?.abort());

element("new").addEventListener("click", () => {
  running?.abort();
  conversation.length = 0;
  log.querySelectorAll("article").forEach((turn) => turn.remove());
  element("welcome").hidden = false;
  status.textContent = "";
  text.focus();
});

for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => {
    text.value = example.textContent;
    fit();
    text.focus();
  });
}

function fit() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px`;
  send.disabled = Boolean(running) || !text.value.trim();
}

// ── a turn ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function ask(question) {
  element("welcome").hidden = true;
  // Only the last turn can be retried: an older question would come after newer messages.
  log.querySelectorAll(".again").forEach((button) => button.remove());
  const turn = element("turn").content.cloneNode(true).firstElementChild;
  turn.querySelector(".question").textContent = question;
  log.append(turn);
  return answer(question, turn);
}

async function answer(question, turn) {
  const control = new AbortController();
  const trace = hex(16);
  const said = { role: "user", content: question };
  let answered = "";
  let arrived = false;
  begin(turn, control);
  try {
    const response = await request([...conversation, said], trace, control.signal);
    arrived = true;
    for await (const event of events(response, control.signal)) {
      if (event.text !== undefined) {
        answered += event.text;
        say(turn, event.text);
      } else if (event.tool !== undefined) {
        show(turn, event);
      } else if (event.error !== undefined) {
        throw new Failure(event.error);
      } else {
        conversation.push(said, ...event.done);
        const cut = event.reason === "length" ? ", cut off there" : "";
        note(turn, `${event.model} · ${event.tokens} tokens${cut}`);
      }
    }
    status.textContent = answered;
  } catch (error) {
    // A new chat has begun.
    if (!turn.isConnected) return;
    if (control.signal.aborted) {
      if (answered) conversation.push(said, { role: "assistant", content: answered });
      note(turn, "Stopped.");
      status.textContent = "Stopped.";
    } else {
      fail(turn, error instanceof Failure ? error.message : "Something went wrong on this page.");
      if (!(error instanceof Failure)) console.error(error);
    }
    if (!answered || !control.signal.aborted) offerAgain(question, turn);
  } finally {
    end(turn, control);
  }
  if (arrived) link(turn, trace);
}

class Failure extends Error {}

// The page creates the trace id, so it can link to the trace (https://www.w3.org/TR/trace-context/).
async function request(messages, trace, signal) {
  const response = await fetch("chat", {
    method: "POST",
    headers: { "Content-Type": "application/json", traceparent: `00-${trace}-${hex(8)}-01` },
    body: JSON.stringify({ messages, tools: tools.checked }),
    signal,
  }).catch(lost("The chat app cannot be reached.", signal));
  if (!response.ok) throw new Failure(`The chat app failed (${response.status}).`);
  return response;
}

async function* events(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(lost("The connection was lost.", signal));
    if (done) throw new Failure("The connection was lost.");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      yield event;
      if (event.done) return;
    }
  }
}

function lost(message, signal) {
  return (error) => {
    throw signal.aborted ? error : new Failure(message);
  };
}

function hex(bytes) {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ── rendering: text only, because model output is untrusted ────────────────────────────────────────────────────

// The log stays at its end while text grows, unless the user has scrolled up.
let follows = true;
const scrollToEnd = () => { if (follows) log.scrollTop = log.scrollHeight; };
log.addEventListener("scroll", () => { follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40; });
new MutationObserver(scrollToEnd).observe(log, { childList: true, characterData: true, subtree: true });
new ResizeObserver(scrollToEnd).observe(log);

function begin(turn, control) {
  running = control;
  follows = true;
  turn.querySelectorAll(".said, .tool, .again, .trace").forEach((part) => part.remove());
  turn.classList.remove("failed");
  turn.classList.add("running");
  turn.setAttribute("aria-busy", "true");
  note(turn, "");
  status.textContent = "Waiting for the answer.";
  send.hidden = true;
  stop.hidden = false;
}

function end(turn, control) {
  turn.classList.remove("running");
  turn.removeAttribute("aria-busy");
  if (running !== control) return;
  running = null;
  // Hiding a focused button loses the focus.
  const wasStop = document.activeElement === stop;
  stop.hidden = true;
  send.hidden = false;
  if (wasStop) text.focus();
  fit();
}

function say(turn, piece) {
  const last = turn.querySelector(".waiting").previousElementSibling;
  const said = last?.classList.contains("said") ? last : insert(turn, made("p", "said"));
  said.append(piece);
}

function show(turn, { tool, arguments: given, result }) {
  const details = made("details", "tool");
  details.append(made("summary", "", `${tool} ${given}`), made("pre", "", result));
  insert(turn, details);
}

function insert(turn, part) {
  turn.querySelector(".waiting").before(part);
  return part;
}

function note(turn, words) {
  const said = made("span", "", words);
  turn.querySelector(".note").replaceChildren(...(words ? [said] : []));
  return said;
}

function fail(turn, words) {
  turn.classList.add("failed");
  note(turn, words).setAttribute("role", "alert");
  status.textContent = "";
}

function offerAgain(question, turn) {
  const again = made("button", "again", "Try again");
  again.type = "button";
  again.addEventListener("click", () => {
    if (running) return;
    text.focus();
    answer(question, turn);
  });
  turn.querySelector(".note").append(" ", again);
}

async function link(turn, trace) {
  const url = await traceUrl;
  if (!url || turn.classList.contains("running")) return;
  const anchor = made("a", "trace", "Trace");
  Object.assign(anchor, { href: url.replace("{trace_id}", trace), target: "_blank", rel: "noopener" });
  turn.querySelector(".note").append(" ", anchor);
}

function made(tag, name, words = "") {
  const part = document.createElement(tag);
  part.className = name;
  part.textContent = words;
  return part;
}

fit();
