// How often each time occurred, with its percentiles.

const SHARES = [50, 90, 95, 99];
const STEPS = 80;

const MEASURES = [
  {
    id: "duration", title: "Duration",
    meaning: "From the start of a call until the answer was received or given up; failed calls included.",
    colour: "whole", values: (recording, operations) => operations.map((operation) => operation.duration),
  },
  {
    id: "first-token", title: "Time to first token",
    meaning: "From the start of a streamed call to the first chunk that brought generated output.",
    colour: "wait", values: (recording, operations) => known(operations, "first_token"),
    instead: {
      title: "Time to first chunk",
      meaning: "From the start of a streamed call to its first chunk: these streams do not tell which brought the first token.",
      values: (recording, operations) =>
        operations.filter((operation) => operation.chunks).map((operation) => recording.gap[operation.firstChunk]),
    },
  },
  {
    id: "inter-token", title: "Inter-token latency", meaning: "Gaps between the chunks of a stream, from the first to the last.",
    colour: "accent", values: (recording, operations) => laterOf(operations, recording.gap),
  },
  {
    id: "per-output-token", title: "Time per output token",
    meaning: "(last token − first token) / (output tokens − 1), for each stream that tells both.",
    colour: "receive", values: (recording, operations) => known(operations, "per_output_token"),
  },
];

function known(operations, field) {
  return operations.map((operation) => operation[field]).filter((value) => value !== undefined);
}

function drawDistributions(recording, operations) {
  const grid = document.getElementById("distributions");
  // All of them before the first is drawn: a chart takes the width that it finds.
  if (!grid.children.length) grid.append(...MEASURES.map(newPanel));
  for (const measure of MEASURES) {
    let told = measure;
    let values = told.values(recording, operations);
    if (!values.length && measure.instead) {
      told = measure.instead;
      values = told.values(recording, operations);
    }
    const panel = document.getElementById(`panel-${measure.id}`);
    const ordered = Float64Array.from(values).sort();
    const marks = ordered.length ? SHARES.map((share) => [`p${share}`, percentile(ordered, share / 100)]) : [];
    panel.querySelector("h3").textContent = told.title;
    panel.querySelector(".meaning").textContent = told.meaning;
    panel.querySelector(".percentiles").replaceChildren(
      ...[...marks.map(([name, value]) => [name, seconds(value)]), ["of", whole(ordered.length)]].map(([name, text]) => {
        const pair = document.createElement("div");
        pair.append(element("dt", name), element("dd", text));
        return pair;
      }),
    );
    drawDistribution(`distribution-${measure.id}`, ordered, marks, measure.colour);
  }
}

function newPanel({ id }) {
  const panel = document.createElement("div");
  panel.className = "panel";
  panel.id = `panel-${id}`;
  const chart = document.createElement("div");
  chart.className = "chart tiny";
  chart.id = `distribution-${id}`;
  const [meaning, percentiles] = [element("p", ""), element("dl", "")];
  meaning.className = "meaning";
  percentiles.className = "percentiles";
  panel.append(element("h3", ""), meaning, percentiles, chart);
  return panel;
}

function drawDistribution(id, ordered, marks, colour) {
  const { x, y } = histogram(ordered);
  draw(id, [{
    type: "scatter", mode: "lines", x, y, line: { color: ink(colour), width: 1.4, shape: "hv" }, fill: "tozeroy",
    fillcolor: `${ink(colour)}33`, hovertemplate: "%{y:,d} from %{x}<extra></extra>",
  }], layout({
    xaxis: logTimesAxis("", Math.log10(x[x.length - 1] / x[0])), yaxis: countsAxis(Math.max(...y)),
    margin: { l: 48, r: 10, t: 6, b: 30 }, dragmode: false,
    shapes: marks.map(([, value], rank) => ({
      type: "line", yref: "paper", y0: 0, y1: 1, x0: Math.max(value, FLOOR), x1: Math.max(value, FLOOR),
      line: { color: ink("ink"), width: 1, dash: ["solid", "dash", "dashdot", "dot"][rank] },
    })),
  }));
}

/** Counts of ordered values, in steps of equal ratio. */
function histogram(ordered) {
  if (!ordered.length) return { x: [], y: [0] };
  const least = Math.max(ordered[0], FLOOR) / 1.02;
  const most = Math.max(ordered[ordered.length - 1], FLOOR) * 1.02;
  const ratio = Math.log(most / least) / STEPS;
  const y = new Array(STEPS + 1).fill(0);
  for (const value of ordered) y[Math.min(Math.floor(Math.log(Math.max(value, FLOOR) / least) / ratio), STEPS - 1)]++;
  return { x: y.map((_, step) => least * Math.exp(step * ratio)), y };
}
