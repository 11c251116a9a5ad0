// @ts-check
// Parts that all charts share: colours, axes, layout, and the zoom over time.

import { brief } from "./format.js";
import { named } from "./elements.js";

/** @typedef {Partial<Plotly.LayoutAxis>} Axis */

/**
 * A chart, as plotly extends its element.
 * @typedef {import("plotly.js").PlotlyHTMLElement} Chart
 */

export const PALETTE = [
  "#3b6fd4", "#e07b39", "#2f9e77", "#c0458a", "#8b62d9", "#b59a1d", "#2aa3c0", "#d2504b",
  "#6a9a2d", "#a35f9e", "#4c8f8a", "#d98fb3", "#7d7fd1", "#b0743a", "#5aa76b", "#8f97a8",
];

/** The recording's own resolution, in seconds. A logarithmic axis has no zero. */
export const FLOOR = 1e-6;

/**
 * A colour of the style sheet.
 * @param {string} name
 */
export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** @param {string} text */
export function titled(text) {
  return { text, font: { color: ink("soft"), size: 12.5 }, standoff: 8 };
}

/**
 * @param {Axis} changes
 * @returns {Axis}
 */
export function axis(changes) {
  return {
    gridcolor: ink("grid"), linecolor: ink("line"), zeroline: false, tickfont: { color: ink("soft"), size: 12 },
    automargin: true, ...changes,
  };
}

/**
 * An axis of times: 10µs, 10ms, 10s.
 * @param {string} title
 * @param {Axis} [changes]
 */
export function timesAxis(title, changes) {
  return axis({ title: titled(title), tickformat: "~s", ticksuffix: "s", ...changes });
}

/**
 * A logarithmic axis of times: 10ms, 20ms, 50ms, 100ms.
 * @param {string} title
 * @param {number} span of the values, in decades
 * @param {Axis} [changes]
 */
export function logTimesAxis(title, span, changes) {
  // Plotly's own ticks are good within half a decade, and crowded beyond.
  if (span < 0.5) return timesAxis(title, { type: "log", nticks: 6, ...changes });
  const steps = span > 3 ? [1] : [1, 2, 5];
  const decades = Array.from({ length: 12 }, (_, decade) => 10 ** (decade - 7));
  const tickvals = decades.flatMap((decade) => steps.map((step) => step * decade));
  return timesAxis(title, { type: "log", tickmode: "array", tickvals, ticktext: tickvals.map(brief), ...changes });
}

/**
 * An axis of counts, from zero up.
 * @param {number} most
 * @returns {Axis}
 */
export function countsAxis(most) {
  return axis({ rangemode: "tozero", tickformat: most < 10_000 ? ",d" : "~s", nticks: 5, ...(most <= 4 ? { dtick: 1 } : {}) });
}

/**
 * @param {Partial<Plotly.Layout>} changes
 * @returns {Partial<Plotly.Layout>}
 */
export function layout(changes) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 64, r: 14, t: 8, b: 40 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink("ink") },
    hovermode: "closest", dragmode: "zoom", showlegend: false,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: ink("line"), activecolor: ink("soft") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12.5 }, itemsizing: "constant" },
    ...changes,
  };
}

/** @type {Partial<Plotly.Config>} */
const CONFIG = {
  responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
};

/**
 * @param {string} id
 * @param {Partial<Plotly.PlotData>[]} traces
 * @param {Partial<Plotly.Layout>} layoutOf
 */
export function draw(id, traces, layoutOf) {
  Plotly.react(id, traces, layoutOf, CONFIG);
}

/** Whether the graphics card can draw dots; without it they are fewer. */
export const WEBGL = (() => {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
})();
export const DOTS = WEBGL ? "scattergl" : "scatter";
export const MOST_DOTS = WEBGL ? 2_000_000 : 20_000;

/** The margin of all charts over time, so that the same moment is at the same place in each. */
export const TIME_MARGIN = innerWidth < 640 ? { l: 56, r: 46, t: 8, b: 30 } : { l: 72, r: 64, t: 8, b: 30 };

/** The charts that share the time axis: a zoom of one zooms all. */
export class TimeZoom {
  /**
   * @param {string[]} ids of the charts
   * @param {number} end of the recording
   * @param {number} from where the charts open
   * @param {() => void} onZoom
   */
  constructor(ids, end, from, onZoom) {
    /** @type {(since: number) => number} */
    const margin = (since) => Math.max((end - since) * 0.01, 1e-4);
    this.ids = ids;
    /** @type {[number, number]} */
    this.whole = [-margin(0), end + margin(0)];
    /** @type {[number, number]} */
    this.range = [from - margin(from), end + margin(from)];
    this.onZoom = onZoom;
  }

  listen() {
    for (const id of this.ids) {
      /** @type {Chart} */ (named(id)).on("plotly_relayout", (change) => this.#changed(change));
    }
  }

  /** @param {Plotly.PlotRelayoutEvent} change */
  #changed(change) {
    const { "xaxis.range[0]": start, "xaxis.range[1]": end } = change;
    const range = /** @type {{ "xaxis.range"?: [number, number] }} */ (change)["xaxis.range"];
    if (change["xaxis.autorange"]) this.to(this.whole);
    else if (range) this.to(range);
    else if (start !== undefined && end !== undefined) this.to([start, end]);
  }

  /**
   * Plotly reports the page's own change as well, which then changes nothing.
   * @param {[number, number]} range
   */
  to(range) {
    if (range[0] === this.range[0] && range[1] === this.range[1]) return;
    this.range = range;
    for (const id of this.ids) Plotly.relayout(id, /** @type {object} */ ({ "xaxis.range": [...range] }));
    this.onZoom();
  }

  /** @param {Axis} [changes] */
  axis(changes) {
    return timesAxis("", { automargin: false, range: [...this.range], ...changes });
  }
}
