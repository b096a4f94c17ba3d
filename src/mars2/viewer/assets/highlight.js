// Python, coloured: a tokenizer that knows comments, strings, numbers, words. It decides nothing
// but colours, so what is no Python is merely less colourful.

import { el } from "./text.js";

const KEYWORDS = new Set(
  `False None True and as assert async await break class continue def del elif else except finally
  for from global if import in is lambda nonlocal not or pass raise return try while with yield
  match case`.split(/\s+/),
);
const BUILTINS = new Set(
  `abs all any bin bool bytes chr dict divmod enumerate filter float frozenset hash hex input int
  isinstance iter len list map max min next object ord pow print range repr reversed round self set
  slice sorted str sum super tuple type zip Exception ValueError KeyError IndexError`.split(/\s+/),
);
const TOKEN = new RegExp(
  [
    "(?<comment>#[^\\n]*)",
    "(?<string>[rbfuRBFU]{0,2}(?:\"\"\"(?:\\\\[^]|[^\\\\])*?(?:\"\"\"|$(?![^]))" +
      "|'''(?:\\\\[^]|[^\\\\])*?(?:'''|$(?![^]))" +
      '|"(?:\\\\[^]|[^"\\\\\\n])*"?|\'(?:\\\\[^]|[^\'\\\\\\n])*\'?))',
    "(?<number>\\b(?:0[xob][\\da-f_]+|\\d[\\d_]*\\.?[\\d_]*(?:e[+-]?\\d+)?j?)\\b)",
    "(?<decorator>^[ \\t]*@[\\w.]+)",
    "(?<word>[\\p{L}_][\\p{L}\\p{N}_]*)",
  ].join("|"),
  "gimu",
);
const LONGEST = 60_000; // characters that are coloured

/** [[kind or "", text], …], whose texts make up the program. */
export function tokens(code) {
  if (code.length > LONGEST) return [["", code]];
  const found = [];
  let end = 0;
  let before = "";
  for (const match of code.matchAll(TOKEN)) {
    if (match.index > end) found.push(["", code.slice(end, match.index)]);
    const [kind, text] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    found.push([kind === "word" ? wordKind(text, before) : kind, text]);
    before = text;
    end = match.index + text.length;
  }
  if (end < code.length) found.push(["", code.slice(end)]);
  return found;
}

function wordKind(word, before) {
  if (before === "def" || before === "class") return "name";
  if (KEYWORDS.has(word)) return "keyword";
  return BUILTINS.has(word) ? "builtin" : "";
}

/** Elements and texts of a program. */
export function coloured(code) {
  return tokens(code).map(([kind, text]) => (kind ? el("span", { class: `t-${kind}` }, text) : text));
}
