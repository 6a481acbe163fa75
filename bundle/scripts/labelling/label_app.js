"use strict";
// The page at work: what commands do, what is shown after them, what is kept.
Labelling.App = class {
  constructor(content, store) {
    Object.assign(this, { content, store, mode: "one", oneKey: false, opinion: false, readOnly: false, ready: false, exported: true });
    this.unkept = new Map(); // changes that the browser has not said to have kept
    this.clock = new Labelling.times.Clock();
    this.view = new Labelling.View(this);
    this.picture = new Labelling.Picture(content);
    this.strip = new Labelling.Strip(this);
    this.nine = new Labelling.Nine(this);
    this.file = new Labelling.FileSaver(() => Labelling.transfer.text(this), (error) => Labelling.transfer.told(this, error));
  }

  // Work as an annotator; steal: also where another window does.
  async open(annotator, steal = false) {
    this.ready = false; // nothing is answered meanwhile
    this.watched = []; // places whose seconds are counted
    delete document.body.dataset.ready;
    this.release?.();
    const { set } = this.content;
    const name = JSON.stringify(["labelling", set, annotator]);
    const lost = () => this.annotator === annotator && this.stepBack(annotator);
    this.annotator = annotator;
    this.release = await Labelling.windows.hold(name, steal, lost);
    const answers = await this.store.load(set, annotator);
    for (const [image, answer] of this.unkept) answer ? answers.set(image, answer) : answers.delete(image);
    this.session = new Labelling.Session(this.content, answers, annotator);
    this.readOnly = !this.release;
    this.view.notice("window", null);
    if (this.readOnly) this.stepBack(annotator);
    else await Labelling.transfer.reuse(this);
    this.resume();
    if (this.unkept.size && !this.readOnly) this.keep([]);
    else this.view.kept(this.store.kind === "nothing" || this.unkept.size ? "not" : "kept");
    this.ready = true;
    await this.picture.entry?.done;
    requestAnimationFrame(() => {
      document.body.dataset.ready = "yes";
      performance.mark("ready");
    });
  }

  // Another window works on this: look, and answer nothing.
  stepBack(annotator) {
    this.readOnly = true;
    this.release = null;
    this.file.use(null);
    this.view.notice("window", "Another window works on these patches under this name. Here they can be looked at, not answered.", "go on here",
      () => this.open(annotator, true));
  }

  async changeAnnotator() {
    const name = await Labelling.dialogs.annotator(this.session.annotator);
    if (!name || name === this.session.annotator) return;
    await this.keeping;
    if (this.unkept.size) return this.view.say("some answers are not kept yet: export them first, and load this page anew");
    await this.store.put("annotator", name).catch(() => {});
    await this.open(name);
  }

  get draft() {
    return this.mode === "nine" ? this.nine.draft : this.session.draft;
  }

  refused() {
    if (this.readOnly) this.view.say("another window works on these patches: nothing is answered here");
    return this.readOnly || !this.ready;
  }

  // --- what is shown ---

  show(index) {
    this.mode = "one";
    this.session.go(index);
    this.shown();
  }

  // Show the current place, and load what comes next.
  shown() {
    const { session, content } = this;
    this.picture.show(session.patchAt(), () => this.view.render());
    this.watch([session.at]);
    this.render();
    const next = session.nextOpen();
    for (const index of [session.at + 1, session.at - 1, ...Array.from({ length: 6 }, (_, k) => next + k)]) {
      const slot = session.slots[index];
      if (!slot) continue;
      const { image, context } = content.patches[slot.patch];
      for (const path of [image, context]) if (path) Labelling.pictures.load(path);
    }
  }

  // Count the seconds of some places from now on; those of the places before stay with them until they are answered.
  watch(places) {
    if (this.watched.length) this.session.look(this.watched, this.clock.take());
    this.watched = places;
    this.clock.restart();
  }

  render() {
    this.view.render();
    this.strip.render();
  }

  // Go where work is left after answers have changed.
  resume() {
    this.session.walk = null;
    this.mode = "one";
    this.toOpen(this.session.given() ? this.session.at : this.session.at - 1);
  }

  toOpen(from = this.session.at) {
    const next = this.session.nextOpen(from);
    this.session.walk = null;
    if (next < 0) return this.sumUp();
    this.show(next);
  }

  sumUp() {
    this.mode = "summary";
    this.watch([]);
    this.render();
    Labelling.summary.render(this);
  }

  move(step) {
    if (this.mode !== "one") return this.mode === "summary" && this.show(this.session.at);
    if (this.session.move(step)) this.shown();
    else this.view.say(step < 0 ? "this is the first" : "this is the last");
  }

  // Go through some places alone. talk: what was said of their images, a Map; without it, what the model says is shown.
  review(places, talk = null) {
    this.session.walk = places;
    this.talk = talk;
    if (!talk) this.opinion = true;
    this.show(places[0]);
  }

  // --- answers ---

  classChosen(k, shift) {
    if (this.mode === "summary" || this.refused() || this.cannotSee()) return;
    if (this.oneKey && !shift && this.mode === "one") return this.answer(this.content.classes.map((_, i) => Number(i === k)));
    this.draft[k] = 1 - this.draft[k];
    this.view.render();
  }

  cannotSee() {
    const broken = this.mode === "one" && this.picture.broken;
    if (broken) this.view.say("a picture that cannot be read is passed over (→) or answered with x: cannot tell");
    return broken;
  }

  keepDraft() {
    if (this.mode === "summary") return;
    if (this.mode === "one" && this.session.unchanged()) return this.onward();
    if (!this.draft.some(Boolean)) return this.view.say("no class is chosen; 0: none of these");
    this.answer(this.draft);
  }

  answer(labels) {
    if (this.mode === "summary" || this.refused() || (labels && this.cannotSee())) return;
    const seconds = this.clock.take();
    const nine = this.mode === "nine";
    const changes = nine ? this.nine.answer(labels, seconds) : this.session.answer([this.session.at], labels, seconds);
    if (!changes) return this.view.say("no patch is taken");
    this.watched = []; // the answer has their seconds
    this.keep(changes, `kept: ${this.words(labels, changes.length)}`);
    if (nine) this.nineOn();
    else this.onward();
  }

  words(labels, count) {
    const names = this.content.classes.filter((_, k) => labels?.[k]).map((c) => c.name);
    return (labels ? names.join(", ") || "none of these" : "cannot tell") + (count > 1 ? ` for ${count} patches` : "");
  }

  onward() {
    if (!this.session.walk) return this.toOpen();
    if (this.session.move(1)) return this.shown();
    this.session.walk = null;
    this.toOpen();
  }

  undo() {
    if (this.refused()) return;
    const changes = this.session.undo();
    if (!changes) return this.view.say("there is nothing to take back");
    this.mode = "one";
    this.keep(changes, "taken back");
    this.shown();
  }

  // Keep changes in the browser and in the file; "kept" is said once that is so.
  keep(changes, words = "") {
    for (const [image, answer] of changes) this.unkept.set(image, answer);
    const all = [...this.unkept];
    const { kind } = this.store;
    const since = this.view.notes;
    this.exported = false;
    this.view.kept(kind === "nothing" ? "not" : "keeping");
    this.keeping = this.store.keep(this.content.set, this.session.annotator, all).then(() => {
      for (const [image, answer] of all) if (this.unkept.get(image) === answer) this.unkept.delete(image);
      this.view.notice("unkept", null);
      if (kind === "nothing" || this.unkept.size) return;
      this.view.kept("kept");
      if (words) this.view.say(words, since);
    }, (error) => {
      this.view.kept("not");
      this.view.notice("unkept", `The browser could not keep ${all.length} answers (${error.message}). Export labels.csv before you close this page.`);
    });
    this.file.write();
    return this.keeping;
  }

  // --- switches ---

  nineOn() {
    if (this.nine.next()) {
      this.mode = "nine";
      this.watch(this.nine.slots);
      return this.render();
    }
    this.toOpen();
  }

  switchNine() {
    if (this.mode === "nine") return this.show(this.session.at);
    if (this.mode === "summary") return;
    this.nine.skipped.clear();
    this.nineOn();
    if (this.mode === "one") this.view.say("no patch is open that can be answered with others");
  }

  switchOneKey() {
    this.oneKey = !this.oneKey;
    this.store.put("oneKey", this.oneKey).catch(() => {});
    this.view.render();
  }

  switchOpinion() {
    if (this.mode !== "one" || !this.session.given()) return this.view.say("the model's opinion is shown once you have answered");
    this.opinion = !this.opinion;
    this.view.say("");
    this.view.render();
  }

  switchContext() {
    this.picture.context = !this.picture.context;
    this.picture.place();
    this.view.render();
  }

  // Whether answers would be lost with the page.
  get unsafe() {
    return this.unkept.size > 0 || (this.store.kind === "nothing" && !this.exported);
  }
};
