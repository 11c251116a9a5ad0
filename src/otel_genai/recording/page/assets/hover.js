// What is told of the dot or bar beneath the pointer. Everything is set as text, so that nothing in a recording is ever markup.

const MARGIN = 14;

/** Show what `lines` gives for a point of the chart: pairs of a name and a text, or nothing. */
function tellOnHover(id, lines) {
  const chart = document.getElementById(id);
  const tip = document.getElementById("tip");
  chart.on("plotly_hover", ({ points, event }) => {
    const told = lines(points[0]);
    if (!told) return;
    const list = document.createElement("dl");
    for (const [name, text] of told) {
      list.append(element("dt", name), element("dd", text));
    }
    tip.replaceChildren(list);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const right = event.clientX + MARGIN + width < innerWidth;
    tip.style.left = `${Math.max(4, right ? event.clientX + MARGIN : event.clientX - MARGIN - width)}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + MARGIN, innerHeight - height - 4))}px`;
  });
  chart.on("plotly_unhover", () => {
    tip.hidden = true;
  });
}

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

/** Wall clock of a time since the recording's start, to the millisecond. */
function clock(recording, time) {
  return new Date(recording.beganMs + time * 1e3).toISOString().slice(11, 23);
}

/** What stands beneath an axis of time. */
function sinceStart(recording) {
  return { ...titled(`time since ${clock(recording, 0)} UTC`), standoff: 4 };
}

/** An operation's attributes. */
function aboutOperation(recording, operation) {
  const { usage, error } = operation;
  const told = [
    ["operation", `${operation.operation} ${operation.model ?? ""}`],
    ["provider", operation.provider],
    ["began", `${clock(recording, operation.start)} UTC`],
    ["duration", seconds(operation.duration)],
    ["first token", seconds(operation.first_token)],
    ["per output token", operation.per_output_token && seconds(operation.per_output_token)],
    ["tokens", Object.entries(usage).map(([name, count]) => `${name} ${counts(count)}`).join(", ")],
    ["chunks", operation.chunks ? whole(operation.chunks) : ""],
    ["phases", Object.entries(operation.phases ?? {}).map(([name, lasted]) => `${name} ${seconds(lasted)}`).join(", ")],
    ["error", error && [error.type, error.summary, error.message].filter(Boolean).join(": ")],
    ["ended", operation.unfinished && "not before its process"],
    ["process", processName(recording.processes[operation.process])],
    ["trace", operation.trace],
    ["span", operation.span],
    ["parent", operation.parent],
    ...Object.entries(operation.request ?? {}).map(([name, text]) => [name, text]),
    ...Object.entries(operation.response ?? {}).map(([name, text]) => [name, text]),
  ];
  return told.filter(([, text]) => text && text !== "–").map(([name, text]) => [name.replaceAll("_", " "), short(String(text), 160)]);
}

/** A count, or counts by modality. */
function counts(count) {
  return typeof count === "number" ? whole(count) : Object.entries(count).map(([name, part]) => `${name} ${whole(part)}`).join(" + ");
}

/** A chunk's own times, then its operation's attributes. */
function aboutChunk(recording, place) {
  const operation = recording.operations[recording.owner[place]];
  const number = place - operation.firstChunk;
  const away = recording.gap[place] - recording.wait[place];
  return [
    ["chunk", `${whole(number + 1)} of ${whole(operation.chunks)}`],
    ["arrived", `${clock(recording, recording.at[place])} UTC`],
    [number ? "after the one before" : "after the start", seconds(recording.gap[place])],
    ...(number && away > 0 ? [["of that, not asked for", seconds(away)]] : []),
    ...(operation.counted ? [["its tokens", whole(recording.tokens[place])]] : []),
    ...aboutOperation(recording, operation),
  ];
}
