"use strict";
// What the page was written with: read, and refused in one sentence where it cannot be worked with.
Labelling.content = (() => {
  const FORMAT = 1;
  // columns of labels.csv that are no classes
  const FIXED = ["image", "group", "position_y", "position_x", "seconds", "annotator", "cannot_tell", "again", "again_seconds"];

  function read() {
    return JSON.parse(Labelling.find("content").textContent);
  }

  const twice = (names) => {
    const seen = new Set();
    return names.find((name) => seen.size === seen.add(name).size);
  };

  // Why this content cannot be labelled, or null.
  function problem(content) {
    if (content.format !== FORMAT) {
      return `This page holds patches in format ${content.format}, and its script reads format ${FORMAT}. Write the page anew.`;
    }
    if (!content.patches.length) return "This page holds no patches: there is nothing to label. Choose patches and write the page anew.";
    if (!content.classes.length) return "This page holds no classes: there is nothing to answer. Name the classes and write the page anew.";
    const image = twice(content.patches.map((patch) => patch.image));
    if (image !== undefined) return `The patch ${image} is on this page twice; each may be there once. Write the page anew.`;
    const name = twice([...FIXED, ...content.classes.map((c) => c.name)]);
    if (name !== undefined) {
      return `The name ${name} would stand for two columns of labels.csv. Give each class another name, none of ${FIXED.join(", ")}.`;
    }
    const key = twice(content.classes.map((c) => c.key));
    if (key !== undefined) return `The key ${key} stands for two classes. Write the page anew.`;
    return orderProblem(content);
  }

  function orderProblem({ order, patches }) {
    const counts = new Uint32Array(patches.length);
    for (const index of order) {
      if (!(index in patches)) return `The order of this page names patch ${index}; there are ${patches.length}. Write the page anew.`;
      counts[index] += 1;
    }
    const missing = counts.indexOf(0);
    if (missing >= 0) return `The order of this page leaves out ${patches[missing].image}. Write the page anew.`;
    const often = counts.findIndex((count) => count > 2);
    if (often >= 0) return `The order of this page shows ${patches[often].image} ${counts[often]} times; twice is the most. Write the page anew.`;
    return null;
  }

  return { FIXED, FORMAT, read, problem };
})();
