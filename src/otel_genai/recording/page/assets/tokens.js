// Tokens of whole operations: what went in against what came out, and against the time to the first token.

/** Draws both charts; returns for each the operation for each point of each trace. */
function drawTokens(recording, operations) {
  const names = namesOf(recording, "model");
  const cloud = (id, up, axisUp) => {
    const of = [];
    const traces = namesOf(recording, "model", operations).map((name) => {
      const told = operations.filter(
        (operation) => KINDS.model(operation) === name && operation.usage.input !== undefined && up(operation) !== undefined,
      );
      of.push(told);
      return {
        type: DOTS, mode: "markers", hoverinfo: "none", name: plain(short(name)), x: told.map(({ usage }) => usage.input), y: told.map(up),
        marker: { color: PALETTE[names.indexOf(name) % PALETTE.length], size: 5, opacity: 0.65 },
      };
    });
    draw(id, traces, layout({
      xaxis: axis({ title: titled("input tokens"), rangemode: "tozero", tickformat: "~s" }), yaxis: axisUp, showlegend: traces.length > 1,
    }));
    return of;
  };
  return {
    "tokens-in-out": cloud("tokens-in-out", ({ usage }) => usage.output,
      axis({ title: titled("output tokens"), rangemode: "tozero", tickformat: "~s" })),
    "tokens-first": cloud("tokens-first", ({ first_token: first }) => first, timesAxis("time to first token", { rangemode: "tozero" })),
  };
}
