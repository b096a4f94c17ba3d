/* Search, filters and sorting of the problems' table. Without it the whole table is there. */
(() => {
  "use strict";
  const table = document.getElementById("problem-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({
    row,
    text: row.cells[0].textContent.toLowerCase(),
    solved: row.dataset.s,
    difficulty: row.dataset.d || "",
  }));
  const search = document.getElementById("search");
  const difficulty = document.getElementById("difficulty");
  const solved = document.getElementById("solved");
  const shown = document.getElementById("shown");

  // "all", "none", "some", or the number of a solver, after "-" if it must have failed.
  const matches = (marks, wanted) => {
    if (!wanted) return true;
    const tried = marks.replaceAll("-", "");
    if (wanted === "all") return tried !== "" && !tried.includes("0");
    if (wanted === "none") return !tried.includes("1");
    if (wanted === "some") return tried.includes("0") && tried.includes("1");
    const failed = wanted.startsWith("-");
    return marks[Number(failed ? wanted.slice(1) : wanted)] === (failed ? "0" : "1");
  };

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const level = difficulty ? difficulty.value : "";
    let count = 0;
    for (const r of rows) {
      const fits =
        (!level || r.difficulty === level) &&
        matches(r.solved, solved.value) &&
        words.every((w) => r.text.includes(w));
      r.row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  };

  const collator = new Intl.Collator("en", { numeric: true });
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    return cell.textContent.trim() || null;
  };
  // Cells with nothing in them stay last, whichever way the others go.
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * collator.compare(String(a), String(b));
  };

  const sort = (header, column) => {
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.cells)
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((r) => [key(r.row, column), r.row]);
    keyed.sort((a, b) => compare(a[0], b[0], down ? -1 : 1));
    body.append(...keyed.map((k) => k[1]));
  };

  [...table.tHead.rows].at(-1).querySelectorAll("th[aria-sort]").forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(header, column));
    header.append(button);
  });
  const controls = document.getElementById("controls");
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("input", filter);
  controls.hidden = false;
  filter();
})();
