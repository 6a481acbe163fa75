"use strict";
// The table of patches to talk about, on which two annotators differ: read for a walk through them.
Labelling.talk = (() => {
  const COLUMNS = ["image", "who", "says", "other", "says otherwise"];

  // What is said of the images of such a table: {found: Map of image to text, unknown: images not on this page}; null: another table.
  function read(content, text, name) {
    const [head, ...rows] = parsed(text);
    const names = head?.cells.map((cell) => cell.trim().toLowerCase()) ?? [];
    if (!COLUMNS.every((column) => names.includes(column))) return null;
    const here = new Set(content.patches.map((patch) => patch.image));
    const said = new Map(); // image to texts: of several annotators, two and two
    for (const { cells } of rows) {
      const [image, who, says, other, otherwise] = COLUMNS.map((column) => cells[names.indexOf(column)] ?? "");
      const texts = said.get(image) ?? new Set();
      said.set(image, texts.add(`${who}: ${says}`).add(`${other}: ${otherwise}`));
    }
    const found = new Map([...said].filter(([image]) => here.has(image)).map(([image, texts]) => [image, [...texts].join(" | ")]));
    if (!found.size) {
      throw new Error(said.size ? `${name}: none of its ${said.size} images is among the ${here.size} of this page; it belongs to other patches`
        : `${name}: it names no patches to talk about`);
    }
    return { found, unknown: said.size - found.size };
  }

  function parsed(text) {
    try {
      return Labelling.table.parse(text);
    } catch { // said by who reads it as labels.csv
      return [];
    }
  }

  // Go through the patches of such a table, in its order.
  function review(app, { found, unknown }, name) {
    const places = new Map();
    app.session.slots.forEach((slot, index) => slot.again || places.set(app.content.patches[slot.patch].image, index));
    app.review([...found.keys()].map((image) => places.get(image)), found);
    const others = unknown ? `; ${unknown} ${unknown === 1 ? "is" : "are"} not on this page` : "";
    Labelling.transfer.tell(app, `${name}: going through ${found.size} ${found.size === 1 ? "patch" : "patches"} to talk about${others}.`);
  }

  return { read, review };
})();
