// @ts-check
// Numbers, times and names as text.

/**
 * Text that plotly draws as it is; it would take a `<` for markup.
 * @param {unknown} text
 */
export function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/**
 * @param {string} text
 * @param {number} [length] in characters
 */
export function short(text, length = 48) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/**
 * A time in the terminal's form: 250 µs, 3.21 ms, 812 ms, 1.24 s.
 * @param {number | undefined} value in seconds
 */
export function seconds(value) {
  if (value === undefined) return "–";
  if (value < 0.0009995) return `${(value * 1e6).toFixed(0)} µs`;
  const [number, unit] = value < 0.9995 ? [value * 1e3, "ms"] : [value, "s"];
  const digits = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
  return `${number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`;
}

/**
 * A time on an axis: 10µs, 10ms, 10s.
 * @param {number} value in seconds
 */
export function brief(value) {
  const [number, unit] = value < 0.9995e-3 ? [value * 1e6, "µs"] : value < 0.9995 ? [value * 1e3, "ms"] : [value, "s"];
  return `${Number(number.toPrecision(2))}${unit}`;
}

/** @param {number} count */
export function whole(count) {
  return count.toLocaleString("en");
}

/**
 * `1 call`, `2,000 calls`.
 * @param {number} count
 * @param {string} thing
 */
export function numbered(count, thing) {
  return `${whole(count)} ${thing}${count === 1 ? "" : "s"}`;
}

/**
 * The percentile, interpolated between the two nearest values.
 * @param {Float64Array} ordered ascending, not empty
 * @param {number} share 0 to 1
 */
export function percentile(ordered, share) {
  const place = share * (ordered.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, ordered.length - 1);
  return ordered[below] + (ordered[above] - ordered[below]) * (place - below);
}
