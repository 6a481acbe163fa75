"use strict";
// labels.csv: written (RFC 4180), read with the line of what is wrong, merged with what is answered here.
Labelling.table = (() => {
  const NEEDED = ["image", "cannot_tell"];

  const quote = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const shown = (seconds) => (seconds === null || seconds === undefined ? "" : String(seconds));

  function columns(content) {
    const placed = content.patches.some((patch) => patch.position);
    const names = Labelling.content.FIXED.filter((name) => placed || !name.startsWith("position_"));
    return [...names, ...content.classes.map((c) => c.name)];
  }

  // The table of answers (a Map of image to answer), in the order of the patches.
  function write(content, answers) {
    const placed = content.patches.some((patch) => patch.position);
    const lines = [columns(content).map(quote).join(",")];
    for (const patch of content.patches) {
      const answer = answers.get(patch.image);
      if (answer) lines.push(row(content, patch, answer, placed).map(quote).join(","));
    }
    return lines.join("\r\n") + "\r\n";
  }

  function row(content, patch, answer, placed) {
    const { labels, again } = answer;
    const place = placed ? (patch.position ?? ["", ""]).map(String) : [];
    const second = again ? (again.labels ? again.labels.join(" ") : "?") : "";
    const marks = content.classes.map((_, k) => (labels ? String(labels[k]) : ""));
    return [patch.image, patch.group ?? "", ...place, shown(answer.seconds), answer.annotator, labels ? "0" : "1",
      second, again ? shown(again.seconds) : "", ...marks];
  }

  // Whether a column of the table is meant: those that are no classes may be written Image, IMAGE.
  const isColumn = (cell, column) => cell.trim().toLowerCase() === column;

  // What stands between the cells: spreadsheets of many countries write semicolons or tabs. Told by the head.
  function delimiterOf(text) {
    const fits = (delimiter) => {
      try {
        return rowsOf(text, delimiter).next().value?.cells.some((cell) => isColumn(cell, "image"));
      } catch { // a quote, where this is no delimiter
        return false;
      }
    };
    return [",", ";", "\t"].find(fits) ?? ",";
  }

  // Rows of a CSV text: [{line, cells}], without those of empty cells alone.
  const parse = (text) => [...rowsOf(text, delimiterOf(text))];

  function* rowsOf(text, delimiter) {
    const field = new RegExp(`("(?:[^"]|"")*"|[^"${delimiter}\\r\\n]*)(${delimiter}|\\r\\n|\\n|\\r|$)`, "y");
    let cells = [], line = 1, first = 1;
    field.lastIndex = text.startsWith("\ufeff") ? 1 : 0;
    while (field.lastIndex < text.length || cells.length) {
      const found = field.exec(text);
      if (!found) throw new Error(`line ${line}: a quote stands where none may, or is not closed`);
      const [, raw, end] = found;
      cells.push(raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw);
      line += (raw.match(/\r\n|\n|\r/g) ?? []).length;
      if (end === delimiter) continue;
      if (cells.some((cell) => cell !== "")) yield { line: first, cells };
      cells = [];
      line += end ? 1 : 0;
      first = line;
    }
  }

  // Answers of a labels.csv: {found: Map of image to answer, unknown: rows of images that are not on this page}.
  // toReplace: it is written over next; it may hold no answers yet, and must hold none that would be lost.
  function read(content, text, name = "labels.csv", toReplace = false) {
    try {
      const [head, ...rows] = parse(text);
      const index = places(content, head);
      head.cells.length = Math.max(...index.values()) + 1; // without columns that have no name
      const here = new Set(content.patches.map((patch) => patch.image));
      const found = new Map();
      let unknown = 0;
      const seen = new Set();
      for (const { line, cells } of rows) {
        if (cells.slice(head.cells.length).every((cell) => cell === "")) cells.length = Math.min(cells.length, head.cells.length);
        if (cells.length !== head.cells.length) throw new Error(`line ${line}: ${cells.length} cells, expected ${head.cells.length} as in line ${head.line}`);
        const image = cells[index.get("image")];
        if (seen.has(image)) throw new Error(`line ${line}: ${image} is there a second time`);
        seen.add(image);
        const answer = answerOf(content, (column) => cells[index.get(column)] ?? "", line);
        if (here.has(image)) found.set(image, answer);
        else unknown += 1;
      }
      if (toReplace && unknown) throw new Error(`${unknown} of its ${rows.length} images ${unknown === 1 ? "is" : "are"} not on this page, and would be lost if it was saved to`);
      if (!rows.length && !toReplace) throw new Error("it holds no answers");
      if (rows.length && !found.size) throw new Error(`none of its ${rows.length} images is among the ${here.size} of this page; it belongs to other patches`);
      return { found, unknown };
    } catch (error) {
      throw new Error(`${name}: ${error.message}; nothing was changed`);
    }
  }

  function places(content, head) {
    if (!head) throw new Error("it is empty");
    const known = new Set([...Labelling.content.FIXED, ...content.classes.map((c) => c.name)]);
    const index = new Map();
    head.cells.forEach((cell, k) => {
      if (cell === "" && head.cells.slice(k).every((c) => c === "")) return; // beyond the last column
      const column = known.has(cell) ? cell : (Labelling.content.FIXED.find((name) => isColumn(cell, name)) ?? cell);
      if (index.has(column)) throw new Error(`line ${head.line}: the column ${column} is there twice`);
      if (!known.has(column)) throw new Error(`line ${head.line}: the column ${column} is none of this page; expected are ${columns(content).join(", ")}`);
      index.set(column, k);
    });
    const missing = [...NEEDED, ...content.classes.map((c) => c.name)].find((column) => !index.has(column));
    if (missing !== undefined) throw new Error(`line ${head.line}: the column ${missing} is missing; found are ${head.cells.join(", ")}`);
    return index;
  }

  function answerOf(content, cell, line) {
    const wrong = (column, expected) => new Error(`line ${line}: ${column} is "${cell(column)}", expected ${expected}`);
    const bit = (column) => {
      if (!["0", "1"].includes(cell(column))) throw wrong(column, "0 or 1");
      return Number(cell(column));
    };
    const seconds = (column) => {
      if (cell(column) === "") return null;
      if (!/^\d+([.,]\d+)?$/.test(cell(column))) throw wrong(column, "seconds, such as 2.5");
      return Number(cell(column).replace(",", "."));
    };
    const cannot = bit("cannot_tell") === 1;
    const filled = content.classes.find((c) => cell(c.name) !== "");
    if (cannot && filled) throw wrong(filled.name, "nothing, as cannot_tell is 1");
    const labels = cannot ? null : content.classes.map((c) => bit(c.name));
    const second = cell("again");
    const marks = second.split(" ");
    if (second && second !== "?" && !(marks.length === content.classes.length && marks.every((m) => m === "0" || m === "1"))) {
      throw wrong("again", `0 or 1 for each of ${content.classes.length} classes, with a space between them, or ?`);
    }
    const again = second ? { labels: second === "?" ? null : marks.map(Number), seconds: seconds("again_seconds") } : null;
    return { labels, seconds: seconds("seconds"), annotator: cell("annotator"), again };
  }

  const equal = (a, b) => (a && b ? a.every((value, k) => value === b[k]) : a === b);

  // What an import would do: {added: [[image, answer]], conflicts: [[image, theirs]], same: count}.
  function merge(mine, found) {
    const added = [], conflicts = [];
    for (const [image, theirs] of found) {
      const own = mine.get(image);
      if (!own) added.push([image, theirs]);
      else if (!equal(own.labels, theirs.labels) || (own.again && theirs.again && !equal(own.again.labels, theirs.again.labels))) conflicts.push([image, theirs]);
      else if (!own.again && theirs.again) added.push([image, { ...own, again: theirs.again }]);
    }
    return { added, conflicts, same: found.size - added.length - conflicts.length };
  }

  return { columns, write, parse, read, merge, equal };
})();
