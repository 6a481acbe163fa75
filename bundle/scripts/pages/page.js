// Sorts tables by a click on a column, switches the classes of layered images, copies the next command.
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim().replace(/,/g, "");
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const missing = (v) => v === "–" || v === "";
      const rows = [...body.rows].sort((one, two) => {
        const [a, b] = [value(one, column), value(two, column)];
        if (missing(a) || missing(b)) return missing(a) - missing(b); // without a value: last, either way
        const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        return falling ? -order : order;
      });
      body.append(...rows);
    });
  });
}
for (const box of document.querySelectorAll("input[data-class]")) {
  const show = () => {
    for (const layer of document.querySelectorAll(`.layer[data-class="${box.dataset.class}"]`)) layer.hidden = !box.checked;
  };
  box.addEventListener("change", show);
  show(); // browsers keep what was checked before a reload
}
const opacity = document.getElementById("opacity");
if (opacity) {
  const show = () => document.documentElement.style.setProperty("--opacity", opacity.value / 100);
  opacity.addEventListener("input", show);
  show();
}
for (const button of document.querySelectorAll(".command button")) {
  button.addEventListener("click", async () => {
    const text = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "copied";
    } catch { // a page from the file system may not: selected, it can be copied by keys
      getSelection().selectAllChildren(text);
      button.textContent = "press Ctrl+C";
    }
  });
}
