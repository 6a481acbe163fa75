"use strict";
// Up to nine open patches that look alike, answered together.
Labelling.Nine = class {
  constructor(app) {
    this.app = app;
    this.place = Labelling.find("nine");
    this.skipped = new Set(); // left out before: they come when nothing else is open
  }

  // Take up the next ones from the current place on; false if no patch is open.
  next() {
    const { session, content } = this.app;
    this.slots = Labelling.order.together(content, session.slots, session.answers, session.at, this.skipped);
    if (!this.slots.length) return false;
    session.go(this.slots[0]);
    this.chosen = this.slots.map(() => true);
    this.draft = content.classes.map(() => 0);
    this.focus = 0;
    this.make();
    return true;
  }

  get answering() {
    return this.slots.filter((_, k) => this.chosen[k]);
  }

  make() {
    const tiles = this.slots.map((slot, k) => {
      const { image } = this.app.session.patchAt(slot);
      const entry = Labelling.pictures.load(image);
      entry.image.alt = "";
      const tile = Labelling.element("button", { type: "button", class: "tile", click: () => this.leaveOut(k) }, entry.image,
        Labelling.element("span", { class: "check", "aria-hidden": "true" }, "✓"));
      entry.done.then(() => entry.state === "broken" && this.unreadable(tile, k, image));
      return tile;
    });
    this.place.replaceChildren(...tiles);
    this.render();
    tiles[0].focus({ preventScroll: true });
  }

  // One that cannot be seen is not answered with the others.
  unreadable(tile, k, image) {
    if (this.place.children[k] !== tile) return;
    tile.replaceChildren(`this picture cannot be read: ${image}`);
    tile.disabled = true;
    this.chosen[k] = false;
    this.render();
  }

  leaveOut(k = this.focus) {
    if (this.place.children[k].disabled) return;
    this.chosen[k] = !this.chosen[k];
    this.focus = k;
    this.render();
  }

  move(step) {
    const next = this.focus + step;
    if (next < 0 || next >= this.slots.length) return;
    this.focus = next;
    this.place.children[next].focus({ preventScroll: true });
  }

  render() {
    [...this.place.children].forEach((tile, k) => {
      tile.setAttribute("aria-pressed", String(this.chosen[k]));
      tile.setAttribute("aria-label", `patch ${k + 1} of ${this.slots.length}, ${this.chosen[k] ? "taken" : "left out"}`);
    });
  }

  // Answer those taken; time is shared out evenly. The changes, or null where none is taken.
  answer(labels, seconds) {
    const taken = this.answering;
    if (!taken.length) return null;
    this.slots.filter((_, k) => !this.chosen[k]).forEach((slot) => this.skipped.add(slot));
    return this.app.session.answer(taken, labels, seconds / taken.length);
  }
};
