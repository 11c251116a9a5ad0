// @ts-check
// The failed operations, as a table.

import { element, named } from "./elements.js";
import { seconds, whole } from "./format.js";
import { clock, errorText } from "./hover.js";
import { NAME_BY_KIND, processName } from "./recording.js";

const MOST_ERRORS = 200;
const COLUMNS = ["began", "after", "operation", "model", "error", "process", "trace"];

/**
 * @param {import("./recording.js").Recording} recording
 * @param {import("./recording.js").Operation[]} operations
 */
export function drawErrors(recording, operations) {
  const failed = operations.filter((operation) => operation.error);
  /** @type {(tag: "th" | "td", texts: string[]) => HTMLTableRowElement} */
  const row = (tag, texts) => {
    const made = document.createElement("tr");
    made.append(...texts.map((text) => element(tag, text)));
    return made;
  };
  const head = document.createElement("thead");
  head.append(row("th", COLUMNS));
  const body = document.createElement("tbody");
  body.append(
    ...failed.slice(0, MOST_ERRORS).map((operation) =>
      row("td", [
        `${clock(recording, operation.start)} UTC`, seconds(operation.duration), operation.operation,
        NAME_BY_KIND.model(operation, recording), errorText(operation), processName(recording.processes[operation.process]),
        operation.trace ?? "–",
      ]),
    ),
  );
  named("errors").replaceChildren(...(failed.length ? [head, body] : []));
  named("errors-remark").textContent = !failed.length
    ? "None."
    : failed.length > MOST_ERRORS
      ? `The first ${MOST_ERRORS} of ${whole(failed.length)}.`
      : "";
}
