"use strict";
// Questions that must be answered before one goes on, and help.
Labelling.dialogs = (() => {
  const make = Labelling.element;

  // Ask; resolves to the value of the button pressed, null for Escape. buttons: [[value, text]], the first is the usual one.
  function ask(title, body, buttons, closable = true) {
    return new Promise((settle) => {
      const form = make("form", { method: "dialog" }, make("h2", {}, title), ...body,
        make("div", { class: "row" }, ...buttons.map(([value, text], k) => make("button", { value, class: k ? "" : "primary" }, text))));
      const dialog = make("dialog", { "aria-label": title, cancel: (event) => closable || event.preventDefault(),
        close: () => { dialog.remove(); settle(dialog.returnValue || null); } }, form);
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  // The annotator's name; null where one is known and stays.
  async function annotator(known) {
    const field = make("input", { name: "annotator", required: true, maxlength: "80", autocomplete: "off", value: known ?? "", "aria-label": "annotator" });
    const body = [make("p", {}, "Answers are kept in this browser under this name, and it stands in labels.csv."), field];
    const buttons = known ? [["yes", "go on"], ["", "cancel"]] : [["yes", "start"]];
    const asked = ask("Who is labelling?", body, buttons, Boolean(known));
    field.closest("dialog").querySelector('button[value=""]')?.setAttribute("formnovalidate", "");
    field.select();
    const name = (await asked) === "yes" ? field.value.trim() : "";
    return name || (known ? null : annotator(known));
  }

  function help(app) {
    const rows = Labelling.commands.LIST.filter((command) => command.shown && !command.lacking?.(app)).map(({ shown, help }) =>
      make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, shown)), make("td", {}, help)));
    const keys = app.content.classes.map((c) => c.key).join(" ");
    rows.unshift(make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, keys)), make("td", {}, "choose a class, or take it back; with “one key answers”: answer with it alone (Shift: choose)")));
    const body = [make("table", { class: "help" }, make("tbody", {}, ...rows)),
      make("p", {}, "Wheel or two fingers: closer. Drag: move the picture. Double click: as at first. In nine at once, arrows and Space (or a click) leave a patch out.")];
    return ask("Keys", body, [["yes", "close"]]);
  }

  function conflict(count) {
    const body = [make("p", {}, `${count} ${count === 1 ? "patch is" : "patches are"} answered otherwise in the file than here.`)];
    return ask("Which answers count?", body, [["mine", "keep mine"], ["theirs", "take theirs"], ["", "cancel"]]);
  }

  // The file to save to: "new", "there" or null.
  function whichFile() {
    const body = [make("p", {}, "Choose it in the folder of this round, beside label.html. What a file that is there holds is taken in before it is written. A new file takes the place of one that has its name.")];
    return ask("Save to which file?", body, [["new", "a new file"], ["there", "a file that is there"], ["", "cancel"]]);
  }

  // The page cannot be worked with.
  function stop(message) {
    document.body.replaceChildren(make("main", { class: "stopped", role: "alert" }, make("p", {}, message)));
  }

  return { ask, annotator, help, conflict, whichFile, stop };
})();
