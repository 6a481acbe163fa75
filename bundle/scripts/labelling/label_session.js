"use strict";
// One annotator's work on the patches: where one is, what is chosen, what was answered, what can be taken back.
Labelling.Session = class {
  constructor(content, answers, annotator) {
    this.content = content;
    this.slots = Labelling.order.slots(content.order);
    this.answers = answers; // Map of image to {labels: 0/1 for each class or null (cannot tell), seconds, annotator, again}
    this.annotator = annotator;
    this.history = [];
    this.looked = new Map(); // place to the seconds that it was looked at since its last answer
    this.unfinished = new Map(); // place to what was chosen there, and left without an answer
    this.walk = null; // places to go through, where it is not all
    this.go(Math.max(this.nextOpen(-1), 0));
  }

  patchAt(index = this.at) {
    return this.content.patches[this.slots[index].patch];
  }

  given(index = this.at) {
    return Labelling.order.given(this.content, this.answers, this.slots[index]);
  }

  nextOpen(from = this.at) {
    return Labelling.order.nextOpen(this.content, this.slots, this.answers, from < 0 ? this.slots.length - 1 : from);
  }

  // Show a place, with what was answered there, or what was chosen and left.
  go(index) {
    if (this.draft && !this.unchanged() && (this.given() || this.draft.some(Boolean))) this.unfinished.set(this.at, this.draft);
    else this.unfinished.delete(this.at);
    this.at = index;
    this.draft = this.unfinished.get(index) ?? this.standing();
  }

  // The choice that was answered at the current place; where there is none: no class.
  standing() {
    return [...(this.given()?.labels ?? this.content.classes.map(() => 0))];
  }

  // Count seconds that places were looked at without an answer, shared out evenly.
  look(indices, seconds) {
    for (const index of indices) this.looked.set(index, (this.looked.get(index) ?? 0) + seconds / indices.length);
  }

  // Back (-1) or forward (1) without an answer; false at the end.
  move(step) {
    const places = this.walk;
    const index = places ? places[places.indexOf(this.at) + step] : this.at + step;
    if (index === undefined || index < 0 || index >= this.slots.length) return false;
    this.go(index);
    return true;
  }

  toggle(k) {
    this.draft[k] = 1 - this.draft[k];
  }

  // Whether the choice is what stands already.
  unchanged() {
    const given = this.given();
    if (!given) return false;
    return given.labels ? Labelling.table.equal(given.labels, this.draft) : !this.draft.some(Boolean);
  }

  // Answer places with labels (null: cannot tell), each in so many seconds and those it was looked at before;
  // returns the changes to be kept.
  answer(indices, labels, seconds) {
    const spent = indices.map((index) => [index, seconds + (this.looked.get(index) ?? 0)]);
    for (const index of indices) this.looked.delete(index);
    const changes = spent.map(([index, seconds]) => {
      const { image } = this.patchAt(index);
      const before = this.answers.get(image);
      const second = this.slots[index].again && before; // a second look without a first one is the first
      const earlier = second ? before.again : before;
      const look = { labels: labels && [...labels], seconds: Labelling.times.rounded(seconds + (earlier?.seconds ?? 0)) };
      return [image, second ? { ...before, again: look } : { ...look, annotator: this.annotator, again: before?.again ?? null }];
    });
    return this.change(changes, spent);
  }

  // Put answers (undefined: none) in place, as one step that can be taken back; returns them. spent: [[place, seconds]] that went into them.
  change(changes, spent = []) {
    this.history.push({ at: this.at, spent, before: changes.map(([image]) => [image, this.answers.get(image)]) });
    this.put(changes);
    return changes;
  }

  put(changes) {
    for (const [image, answer] of changes) {
      if (answer) this.answers.set(image, answer);
      else this.answers.delete(image);
    }
    const changed = new Set(changes.map(([image]) => image));
    for (const index of this.unfinished.keys()) if (changed.has(this.patchAt(index).image)) this.unfinished.delete(index);
    if (changed.has(this.patchAt().image)) this.draft = this.standing();
  }

  // Take the last step back and return to it: the changes, or null if there is none.
  undo() {
    const last = this.history.pop();
    if (!last) return null;
    this.put(last.before);
    for (const [index, seconds] of last.spent) this.look([index], seconds); // the next answer there has taken them, too
    if (this.walk && !this.walk.includes(last.at)) this.walk = null;
    this.go(last.at);
    return last.before;
  }

  // {answered, all, median (s), minutes, left (minutes)}
  progress() {
    const seconds = [];
    let answered = 0, total = 0;
    for (let index = 0; index < this.slots.length; index += 1) {
      const given = this.given(index);
      if (!given) continue;
      answered += 1;
      if (given.seconds === null) continue; // of an import that does not say
      seconds.push(given.seconds);
      total += given.seconds;
    }
    const median = Labelling.times.median(seconds);
    const left = median === null ? null : (median * (this.slots.length - answered)) / 60;
    return { answered, all: this.slots.length, median, minutes: total / 60, left };
  }
};
