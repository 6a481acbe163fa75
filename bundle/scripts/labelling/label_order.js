"use strict";
// The order of presentation: which place is open, which comes next, which go together.
Labelling.order = (() => {
  // Places in order: {patch: index, again: whether it is the second look}.
  function slots(order) {
    const seen = new Set();
    return order.map((patch) => ({ patch, again: seen.size === seen.add(patch).size }));
  }

  // What was answered at a place: {labels, seconds}, or null.
  function given(content, answers, slot) {
    const answer = answers.get(content.patches[slot.patch].image);
    if (!answer) return null;
    return slot.again ? answer.again : answer;
  }

  // The next place after `from` that fits, around the end to the start; -1 where there is none. `from` itself comes last.
  function nextWhere(all, from, fits) {
    for (let step = 1; step <= all.length; step += 1) {
      const index = (from + step) % all.length;
      if (fits(all[index], index)) return index;
    }
    return -1;
  }

  // The next open place. A second look is due only once there was a first.
  function nextOpen(content, all, answers, from) {
    const due = (slot) => !given(content, answers, slot) && (!slot.again || answers.has(content.patches[slot.patch].image));
    return nextWhere(all, from, due);
  }

  // Up to `most` open places of the same look as the current one, which comes first if it is open; no second looks.
  function together(content, all, answers, current, skipped = new Set(), most = 9) {
    const open = (slot, index) => !slot.again && !skipped.has(index) && !given(content, answers, slot);
    const first = open(all[current], current) ? current : nextWhere(all, current, open);
    if (first < 0) return [];
    const { look } = content.patches[all[first].patch];
    const found = [first];
    for (let step = 1; step < all.length && found.length < most; step += 1) {
      const index = (first + step) % all.length;
      if (open(all[index], index) && content.patches[all[index].patch].look === look) found.push(index);
    }
    return found;
  }

  return { slots, given, nextOpen, together };
})();
