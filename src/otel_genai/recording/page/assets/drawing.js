// What all charts share: colours of the page, axes, the zoom over time, and how figures are written.

const PALETTE = [
  "#3b6fd4", "#e07b39", "#2f9e77", "#c0458a", "#8b62d9", "#b59a1d", "#2aa3c0", "#d2504b",
  "#6a9a2d", "#a35f9e", "#4c8f8a", "#d98fb3", "#7d7fd1", "#b0743a", "#5aa76b", "#8f97a8",
];

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Text that plotly draws as it is: it would take what looks like a tag for markup. */
function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function short(text, length = 48) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** As the terminal writes it: 250 µs, 3.21 ms, 812 ms, 1.24 s. */
function seconds(value) {
  if (value === undefined) return "–";
  if (value < 0.0009995) return `${(value * 1e6).toFixed(0)} µs`;
  const [number, unit] = value < 0.9995 ? [value * 1e3, "ms"] : [value, "s"];
  const digits = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
  return `${number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`;
}

function whole(count) {
  return count.toLocaleString("en");
}

function numbered(count, thing) {
  return `${whole(count)} ${thing}${count === 1 ? "" : "s"}`;
}

/** Interpolated between the two nearest of ordered values. */
function percentile(ordered, share) {
  const place = share * (ordered.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, ordered.length - 1);
  return ordered[below] + (ordered[above] - ordered[below]) * (place - below);
}

function titled(text) {
  return { text, font: { color: ink("soft"), size: 12.5 }, standoff: 8 };
}

function axis(changes) {
  return {
    gridcolor: ink("grid"), linecolor: ink("line"), zeroline: false, tickfont: { color: ink("soft"), size: 12 },
    automargin: true, ...changes,
  };
}

/** An axis of times: 10µs, 10ms, 10s. */
function timesAxis(title, changes) {
  return axis({ title: titled(title), tickformat: "~s", ticksuffix: "s", ...changes });
}

/** The same, logarithmic, for values that span so many decades: 10ms, 20ms, 50ms, 100ms. */
function logTimesAxis(title, span, changes) {
  // Plotly's own ticks are good within half a decade, and crowded beyond.
  if (span < 0.5) return timesAxis(title, { type: "log", nticks: 6, ...changes });
  const steps = span > 3 ? [1] : [1, 2, 5];
  const decades = Array.from({ length: 12 }, (_, decade) => 10 ** (decade - 7));
  const tickvals = decades.flatMap((decade) => steps.map((step) => step * decade));
  return timesAxis(title, { type: "log", tickmode: "array", tickvals, ticktext: tickvals.map(brief), ...changes });
}

/** An axis of how many, from nothing up. */
function countsAxis(most, changes) {
  return axis({ rangemode: "tozero", tickformat: most < 10_000 ? ",d" : "~s", nticks: 5, ...(most <= 4 ? { dtick: 1 } : {}), ...changes });
}

function brief(time) {
  const [number, unit] = time < 0.9995e-3 ? [time * 1e6, "µs"] : time < 0.9995 ? [time * 1e3, "ms"] : [time, "s"];
  return `${Number(number.toPrecision(2))}${unit}`;
}

function layout(changes) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 64, r: 14, t: 8, b: 40 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink("ink") },
    hovermode: "closest", dragmode: "zoom", showlegend: false,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: ink("line"), activecolor: ink("soft") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12.5 }, itemsizing: "constant" },
    ...changes,
  };
}

const CONFIG = {
  responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
};

function draw(id, traces, layoutOf) {
  return Plotly.react(id, traces, layoutOf, CONFIG);
}

/** Whether dots can be drawn by the graphics card; without it they are fewer. */
const WEBGL = (() => {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
})();
const DOTS = WEBGL ? "scattergl" : "scatter";
const MOST_DOTS = WEBGL ? 2_000_000 : 20_000;

/** The same for all charts over time, so that what is one above the other happened at once. */
const TIME_MARGIN = innerWidth < 640 ? { l: 56, r: 46, t: 8, b: 30 } : { l: 72, r: 64, t: 8, b: 30 };

/** The charts that share the time axis: to zoom one is to zoom all. */
class TimeZoom {
  constructor(ids, [start, end], from, onZoom) {
    const margin = (since) => Math.max((end - since) * 0.01, 1e-4);
    this.ids = ids;
    this.whole = [start - margin(start), end + margin(start)];
    this.range = [from - margin(from), end + margin(from)];
    this.onZoom = onZoom;
  }

  listen() {
    for (const id of this.ids) document.getElementById(id).on("plotly_relayout", (change) => this.#changed(change));
  }

  #changed(change) {
    if (change["xaxis.autorange"]) this.to(this.whole);
    else if (change["xaxis.range"]) this.to(change["xaxis.range"]);
    else if (change["xaxis.range[0]"] !== undefined) this.to([change["xaxis.range[0]"], change["xaxis.range[1]"]]);
  }

  /** Plotly tells our own change as well, which then is none. */
  to(range) {
    if (range[0] === this.range[0] && range[1] === this.range[1]) return;
    this.range = range;
    for (const id of this.ids) Plotly.relayout(id, { "xaxis.range": [...range] });
    this.onZoom();
  }

  axis(changes) {
    return timesAxis("", { automargin: false, range: [...this.range], ...changes });
  }
}
