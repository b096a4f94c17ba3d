// Untrusted text on the page: programs, outputs, names. It becomes text nodes, never markup, and
// what would not show, or would reorder what is around it, is written out.

// C0 and C1 controls but newline and tab; bidirectional marks; separators; lone surrogates.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\p{Cs}]/gu;

/** The same text with what cannot be seen made visible. */
export function visible(text) {
  return text.replace(HIDDEN, (c) => {
    const code = c.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code); // control pictures
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** An element with attributes (on… are listeners) and children, of which strings become text. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined) continue;
    element.append(typeof child === "object" ? child : visible(String(child)));
  }
  return element;
}

/** 1234567 → "1,234,567" */
export function count(number) {
  return number.toLocaleString("en-US");
}

/** Up to three significant decimals, without trailing zeros. */
export function short(number) {
  if (number === null || number === undefined) return "∞";
  return String(Number(number.toPrecision(3)));
}

/** "wrong_answer" → "wrong answer" */
export function words(name) {
  return name.replaceAll("_", " ");
}
