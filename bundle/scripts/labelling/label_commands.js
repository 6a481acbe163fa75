"use strict";
// Everything that can be done besides choosing a class: each by key, and by a button that can be seen.
Labelling.commands = (() => {
  const noOpinion = (app) => !app.content.patches.some((patch) => patch.opinion);
  const noContext = (app) => !app.content.patches.some((patch) => patch.context);

  // keys: as the browser names them; shown: on buttons; place: where the button stands; lacking: whether there is no use for it
  const LIST = [
    { name: "keep", keys: ["Enter", " "], shown: "Enter", text: "keep and go on", help: "keep the answer and go on (also Space)", place: "answers", run: (app) => app.keepDraft() },
    { name: "undo", keys: ["z"], shown: "z", text: "undo", help: "take the last answer back (also Ctrl+Z)", place: "answers", run: (app) => app.undo() },
    { name: "none", keys: ["0"], shown: "0", text: "none of these", help: "none of the classes is there: answer, go on", place: "answers", toggle: true, run: (app) => app.answer(app.content.classes.map(() => 0)) },
    { name: "cannot", keys: ["x"], shown: "x", text: "cannot tell", help: "it cannot be told: answer, go on", place: "answers", toggle: true, run: (app) => app.answer(null) },
    { name: "back", keys: ["ArrowLeft"], shown: "←", text: "back", help: "back, without an answer", place: "ways", run: (app) => app.move(-1) },
    { name: "forward", keys: ["ArrowRight"], shown: "→", text: "forward", help: "forward, without an answer", place: "ways", run: (app) => app.move(1) },
    { name: "next", keys: ["n"], shown: "n", text: "next open", help: "to the next open patch", place: "ways", run: (app) => app.toOpen() },
    { name: "nine", keys: ["g"], shown: "g", text: "nine at once", help: "up to nine open patches that look alike, or one again", place: "ways", toggle: true, run: (app) => app.switchNine() },
    { name: "oneKey", keys: ["a"], shown: "a", text: "one key answers", help: "a class key answers with this class alone and goes on", place: "ways", toggle: true, run: (app) => app.switchOneKey() },
    { name: "opinion", keys: ["m"], shown: "m", text: "model's opinion", help: "the model's opinion on answered patches", place: "ways", toggle: true, lacking: noOpinion, run: (app) => app.switchOpinion() },
    { name: "context", keys: ["c"], shown: "c", text: "tissue around", help: "tissue around the patch, on or off", place: "tools", toggle: true, lacking: noContext, run: (app) => app.switchContext() },
    { name: "farther", keys: ["-"], shown: "-", text: "farther", help: "farther away", place: "tools", run: (app) => app.picture.zoomBy(1 / 1.25) },
    { name: "fit", keys: [], text: "", help: "as at first", place: "tools", run: (app) => app.picture.fit() },
    { name: "closer", keys: ["+", "="], shown: "+", text: "closer", help: "closer", place: "tools", run: (app) => app.picture.zoomBy(1.25) },
    { name: "import", keys: [], text: "import", help: "take the answers of a labels.csv in, or go through a talk.csv (also by dropping it here)", place: "files", run: (app) => Labelling.transfer.choose(app) },
    { name: "export", keys: [], text: "export", help: "download the answers as labels.csv", place: "files", run: (app) => Labelling.transfer.save(app) },
    { name: "file", keys: [], text: "save to file", help: "write labels.csv after each answer; what the file holds is taken in first", place: "files", toggle: true, lacking: () => !window.showSaveFilePicker, run: (app) => app.refused() || Labelling.transfer.chooseFile(app) },
    { name: "annotator", keys: [], text: "", help: "annotator", place: "files", run: (app) => app.changeAnnotator() },
    { name: "help", keys: ["h", "?"], shown: "h", text: "help", help: "this list of keys (also ?)", place: "files", run: (app) => Labelling.dialogs.help(app) },
  ];
  const byName = new Map(LIST.map((command) => [command.name, command]));
  const byKey = new Map(LIST.flatMap((command) => command.keys.map((key) => [key, command.name])));

  const run = (app, name) => byName.get(name).lacking?.(app) || byName.get(name).run(app);

  return { LIST, byKey, run };
})();
