"use strict";
// What the answers say when compared: with themselves at the second look, and with a model's opinion.
Labelling.agreement = (() => {
  // Share of equal answers at both looks for each class, of those who could tell twice: {pairs, shares: [0..1] or nulls}.
  function withOneself(classes, answers) {
    const pairs = [...answers.values()].filter((a) => a.labels && a.again && a.again.labels);
    const equal = (k) => pairs.filter((a) => a.labels[k] === a.again.labels[k]).length;
    return { pairs: pairs.length, shares: classes.map((_, k) => (pairs.length ? equal(k) / pairs.length : null)) };
  }

  // Whether a model's probabilities, cut at 0.5, say something else than the labels.
  function differs(labels, opinion) {
    return Boolean(labels && opinion && opinion.some((p, k) => (p >= 0.5) !== (labels[k] === 1)));
  }

  // Places (first looks) whose answer differs from the model's opinion.
  function disputed(content, slots, answers) {
    return slots.flatMap((slot, index) => {
      const patch = content.patches[slot.patch];
      return !slot.again && differs(answers.get(patch.image)?.labels, patch.opinion) ? [index] : [];
    });
  }

  // Patches with each class, with none, those that cannot be told, and seconds over all.
  function counts(classes, answers) {
    const told = [...answers.values()].filter((a) => a.labels);
    const seconds = [...answers.values()].reduce((sum, a) => sum + (a.seconds ?? 0) + (a.again?.seconds ?? 0), 0);
    return {
      perClass: classes.map((_, k) => told.filter((a) => a.labels[k]).length),
      none: told.filter((a) => !a.labels.some(Boolean)).length,
      cannotTell: answers.size - told.length,
      seconds,
    };
  }

  return { withOneself, differs, disputed, counts };
})();
