// @ts-check
// The recording in the page's data element, and selections of its operations. `payload.py` packs it.

/**
 * One operation. Times are in seconds, `start` and `end` since the recording's start, all others since the operation's own.
 * @typedef {object} Operation
 * @property {string} operation
 * @property {string} provider
 * @property {string} [model]
 * @property {number} process its place among the processes
 * @property {string} [trace]
 * @property {string} [span]
 * @property {string} [parent]
 * @property {number} start
 * @property {number} end
 * @property {number} duration
 * @property {number} [first_token]
 * @property {number} [per_output_token]
 * @property {boolean} [stream]
 * @property {boolean} [unfinished]
 * @property {number} chunks how many there are
 * @property {number} firstChunk the place of its first chunk in the columns
 * @property {boolean} [counted] whether its chunks have token counts
 * @property {Record<string, number | Record<string, number>> & { input?: number, output?: number }} usage
 * @property {Record<string, number>} [phases]
 * @property {{ type: string, summary: string, message?: string }} [error]
 * @property {Record<string, string>} [request]
 * @property {Record<string, string>} [response]
 * @property {number} index its place among the operations
 */

/**
 * A recording: operations, and columns with a value for each chunk. Times are in seconds.
 * @typedef {object} Recording
 * @property {number} beganMs milliseconds since 1970 in UTC
 * @property {{ host: string, pid: number, file: string }[]} processes
 * @property {Operation[]} operations
 * @property {Float64Array} gap from the chunk before, or from the operation's start
 * @property {Float64Array} wait from the consumer's request for the chunk
 * @property {Float64Array} at since the recording's start
 * @property {Uint32Array} owner the place of the chunk's operation
 * @property {Uint32Array} tokens output tokens, where they are counted
 */

/** @typedef {"model" | "operation" | "process"} Kind what operations can be selected and coloured by */

/**
 * @param {string} text the data element's
 * @returns {Promise<Recording>}
 */
export async function readRecording(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const view = new DataView(bytes.buffer);
  const length = view.getUint32(0, true);
  const content = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const { began_ms: beganMs, tick, processes } = content;
  /** @type {Operation[]} */
  const operations = content.operations;

  const count = operations.reduce((sum, operation) => sum + (operation.chunks ?? 0), 0);
  const gap = new Float64Array(count);
  const wait = new Float64Array(count);
  const at = new Float64Array(count);
  const owner = new Uint32Array(count);
  const tokens = new Uint32Array(count);
  /** @type {(column: number, place: number) => number} */
  const read = (column, place) => view.getUint32(4 + length + 4 * (column * count + place), true);
  let place = 0;
  let counted = 0;
  operations.forEach((operation, index) => {
    operation.index = index;
    operation.end = operation.start + operation.duration;
    operation.firstChunk = place;
    operation.chunks ??= 0;
    operation.usage ??= {};
    let ticks = 0;
    for (let chunk = 0; chunk < operation.chunks; chunk++, place++) {
      ticks += read(0, place);
      gap[place] = read(0, place) * tick;
      wait[place] = read(1, place) * tick;
      at[place] = operation.start + ticks * tick;
      owner[place] = index;
      if (operation.counted) tokens[place] = read(2, counted++);
    }
  });
  return { beganMs, processes, operations, gap, wait, at, owner, tokens };
}

/**
 * When the operation's first token arrived, or its first chunk if the token is unknown; undefined without either.
 * @param {Recording} recording
 * @param {Operation} operation
 */
export function firstArrival(recording, operation) {
  if (operation.first_token !== undefined) return operation.start + operation.first_token;
  return operation.chunks ? recording.at[operation.firstChunk] : undefined;
}

/**
 * Where the charts open: at the start, or at the first request with chunks if loading took longer than all that followed.
 * @param {Recording} recording
 * @param {number} end
 */
export function generatingSince({ operations }, end) {
  const since = operations.reduce((earliest, { start, chunks }) => (chunks ? Math.min(earliest, start) : earliest), end);
  return since < end && since > end - since ? since : 0;
}

/**
 * A column's values for all chunks of the operations but their first.
 * @param {Operation[]} operations
 * @param {Float64Array} column
 */
export function valuesAfterFirstChunk(operations, column) {
  const values = new Float64Array(operations.reduce((sum, { chunks }) => sum + Math.max(chunks - 1, 0), 0));
  let filled = 0;
  for (const { firstChunk, chunks } of operations) {
    if (chunks > 1) values.set(column.subarray(firstChunk + 1, firstChunk + chunks), filled);
    filled += Math.max(chunks - 1, 0);
  }
  return values;
}

/** @param {{ host: string, pid: number }} process */
export function processName(process) {
  return `${process.host} ${process.pid}`;
}

/**
 * The name of an operation's model, operation or process.
 * @type {Record<Kind, (operation: Operation, recording: Recording) => string>}
 */
export const NAME_BY_KIND = {
  model: (operation) => operation.model ?? "–",
  operation: (operation) => operation.operation,
  process: (operation, recording) => processName(recording.processes[operation.process]),
};

/**
 * The different models, operations or processes, the most frequent first.
 * @param {Recording} recording
 * @param {Kind} kind
 * @param {Operation[]} [operations]
 */
export function namesOf(recording, kind, operations = recording.operations) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const operation of operations) {
    const name = NAME_BY_KIND[kind](operation, recording);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort(([, one], [, other]) => other - one).map(([name]) => name);
}

/**
 * The operations with the wanted names. A kind without a name does not restrict them.
 * @param {Recording} recording
 * @param {[Kind, string | undefined][]} wanted
 */
export function selectOperations(recording, wanted) {
  return recording.operations.filter((operation) =>
    wanted.every(([kind, name]) => name === undefined || NAME_BY_KIND[kind](operation, recording) === name),
  );
}
