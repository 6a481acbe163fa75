"use strict";
// The one global: every part of the page hangs on it, so that each can be called alone.
const Labelling = {};

// An element with attributes and children; texts are texts, never HTML.
Labelling.element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};

Labelling.find = (id) => document.getElementById(id);
