// How much went on at once: operations in flight, and what came out of them.

const BINS = 240;

function drawInFlight(recording, operations, zoom) {
  const waiting = operations
    .filter((operation) => operation.stream)
    .map((operation) => [operation.start, firstArrival(recording, operation) ?? operation.end]);
  const all = steps(operations.map((operation) => [operation.start, operation.end]));
  const area = ({ x, y }, name, colour) => ({
    type: "scatter", mode: "lines", x, y, name, line: { color: ink(colour), width: 1.4, shape: "hv" }, fill: "tozeroy",
    fillcolor: `${ink(colour)}22`, hovertemplate: `%{y} ${name}<extra></extra>`,
  });
  const traces = [area(all, "in flight", "accent"), area(steps(waiting), "waiting for their first token", "wait")];
  draw("in-flight", traces, layout({
    xaxis: zoom.axis(), yaxis: countsAxis(all.most), showlegend: true, hovermode: "x unified",
    margin: TIME_MARGIN,
  }));
}

/** How many of the intervals cover each moment, as a line of steps. */
function steps(intervals) {
  const starts = Float64Array.from(intervals, ([start]) => start).sort();
  const ends = Float64Array.from(intervals, ([, end]) => end).sort();
  const x = [];
  const y = [];
  let most = 0;
  for (let started = 0, ended = 0; ended < ends.length; ) {
    const opens = started < starts.length && starts[started] <= ends[ended];
    x.push(opens ? starts[started++] : ends[ended++]);
    y.push(started - ended);
    most = Math.max(most, started - ended);
  }
  return { x, y, most };
}

function drawThroughput(recording, operations, zoom) {
  const streams = operations.filter((operation) => operation.chunks > 0);
  const counted = streams.length > 0 && streams.every((operation) => operation.counted);
  const [from, to] = zoom.range;
  const width = (to - from) / BINS;
  const sums = new Float64Array(BINS);
  for (const operation of streams) {
    for (let chunk = 0; chunk < operation.chunks; chunk++) {
      const place = operation.firstChunk + chunk;
      const bin = Math.floor((recording.at[place] - from) / width);
      if (bin >= 0 && bin < BINS) sums[bin] += counted ? recording.tokens[place] : 1;
    }
  }
  const thing = counted ? "tokens" : "chunks";
  draw("throughput", [{
    type: "scatter", mode: "lines", x: Float64Array.from(sums, (_, bin) => from + bin * width),
    y: sums.map((sum) => sum / width), line: { color: ink("receive"), width: 1.4, shape: "hv" }, fill: "tozeroy",
    fillcolor: `${ink("receive")}22`, hovertemplate: `%{y:,.0f} ${thing}/s<extra></extra>`,
  }], layout({
    xaxis: zoom.axis({ title: sinceStart(recording) }),
    yaxis: axis({ rangemode: "tozero", tickformat: "~s" }), hovermode: "x unified", margin: { ...TIME_MARGIN, b: 42 },
  }));
  document.getElementById("throughput-title").textContent = counted ? "Output tokens per second" : "Chunks per second";
  const left = operations.length - streams.length;
  document.getElementById("throughput-meaning").textContent = [
    `What arrived, in steps of ${seconds(width)}.`,
    counted || !streams.length ? "" : "These streams do not tell how many tokens each chunk brought, so that chunks are counted.",
    left ? `${numbered(left, "operation")} without a stream ${left === 1 ? "is" : "are"} not in it.` : "",
  ].filter(Boolean).join(" ");
}
