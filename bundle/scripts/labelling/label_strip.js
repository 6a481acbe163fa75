"use strict";
// Small pictures of the places around the current one; there are as many elements as can be seen, however many patches.
Labelling.Strip = class {
  constructor(app) {
    this.app = app;
    this.place = Labelling.find("strip");
    this.shown = new Map(); // place in the order to its button
    new ResizeObserver(() => app.session && this.render()).observe(this.place);
  }

  // Places that are seen: [first, one after the last].
  range() {
    const { slots, at } = this.app.session;
    const count = Math.max(Math.floor(this.place.clientWidth / 64), 3);
    const first = Math.max(Math.min(at - (count >> 1), slots.length - count), 0);
    return [first, Math.min(first + count, slots.length)];
  }

  render() {
    const { session } = this.app;
    const [first, end] = this.range();
    for (const [index, button] of this.shown) {
      if (index >= first && index < end && button.dataset.session === session.annotator) continue;
      button.remove();
      this.shown.delete(index);
    }
    let before = null;
    for (let index = end - 1; index >= first; index -= 1) {
      const button = this.shown.get(index) ?? this.make(index);
      if (button.parentNode !== this.place || button.nextSibling !== before) this.place.insertBefore(button, before);
      this.mark(button, index);
      before = button;
    }
  }

  make(index) {
    const { session } = this.app;
    const { image } = session.patchAt(index);
    const picture = Labelling.element("img", { src: Labelling.pictures.address(image), alt: "", draggable: "false", decoding: "async",
      error: () => button.classList.add("broken") });
    const button = Labelling.element("button", { type: "button", tabindex: "-1", "data-session": session.annotator,
      click: () => this.app.show(index) }, picture, Labelling.element("span", { class: "check", "aria-hidden": "true" }, "✓"));
    this.shown.set(index, button);
    return button;
  }

  mark(button, index) {
    const { session, mode } = this.app;
    const answered = Boolean(session.given(index));
    button.classList.toggle("answered", answered);
    const current = mode === "one" && index === session.at;
    if (current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    button.setAttribute("aria-label", `patch ${index + 1}, ${answered ? "answered" : "open"}`);
  }
};
