"use strict";
// From key events to classes and commands.
Labelling.keys = (() => {
  const ARROWS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -3, ArrowDown: 3 };
  const MOVES = new Set(["ArrowLeft", "ArrowRight", "+", "-", "="]); // may repeat while a key is held

  // The name of a key: digits by their place, as Shift gives them other signs, letters small. Where a keyboard writes
  // other letters (Cyrillic, Greek), by the place that a Latin letter has; signs that stand for something stay as they are.
  function nameOf({ code, key }) {
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(code ?? "");
    if (digit) return digit[1];
    const letter = /^Key([A-Z])$/.exec(code ?? "");
    if (letter && !/^[a-z]$/i.test(key) && !Labelling.commands.byKey.has(key)) return letter[1].toLowerCase();
    return key.length === 1 ? key.toLowerCase() : key;
  }

  // What an event asks for: {classIndex, shift}, {command} or null.
  function meaning(event, classes) {
    const name = nameOf(event);
    if (event.ctrlKey || event.metaKey) return name === "z" && !event.altKey && !event.shiftKey ? { command: "undo" } : null;
    if (event.altKey) return null;
    const classIndex = classes.findIndex((c) => c.key === name);
    if (classIndex >= 0) return { classIndex, shift: Boolean(event.shiftKey) };
    const command = Labelling.commands.byKey.get(name);
    return command && (!event.repeat || MOVES.has(name)) ? { command } : null;
  }

  function handle(app, event) {
    if (!app.ready || document.querySelector("dialog[open]") || event.target.closest?.("input, pre")) return; // a text is scrolled by keys
    const button = event.target.closest?.("button");
    if (button && event.key === " ") return; // pressed by the browser
    if (button && event.key === "Enter" && !button.matches(".tile")) return;
    if (app.mode === "nine" && event.key in ARROWS && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      return app.nine.move(ARROWS[event.key]);
    }
    if (app.mode === "nine" && event.key === " ") {
      event.preventDefault();
      return app.nine.leaveOut();
    }
    const asked = meaning(event, app.content.classes);
    if (!asked) return;
    event.preventDefault();
    if (asked.command) Labelling.commands.run(app, asked.command);
    else if (!event.repeat) app.classChosen(asked.classIndex, asked.shift);
  }

  const listen = (app) => addEventListener("keydown", (event) => handle(app, event));

  return { nameOf, meaning, listen };
})();
