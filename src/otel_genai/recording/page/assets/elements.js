// @ts-check
// Elements of the page. Everything is set as text, so that nothing in a recording is ever markup.

/**
 * The element with this id, which the page's template has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function named(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * The menu with this id.
 * @param {string} id
 */
export function menu(id) {
  return /** @type {HTMLSelectElement} */ (named(id));
}

/**
 * A new element with a text, and a class if one is given.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} text
 * @param {string} [className]
 */
export function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
