"use strict";
// labels.csv out of the page and into it.
Labelling.transfer = (() => {
  const NAME = "labels.csv";

  const text = (app) => Labelling.table.write(app.content, app.session.answers);

  function save(app) {
    const url = URL.createObjectURL(new Blob([text(app)], { type: "text/csv;charset=utf-8" }));
    Labelling.element("a", { href: url, download: NAME }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    app.exported = true;
    app.view.say(`${NAME}: ${app.session.answers.size} answers exported`);
  }

  // Merge a file; what differs is asked about once. Nothing is changed unless all of it can be read.
  async function take(app, csv, name = NAME) {
    if (app.refused()) return;
    app.view.notice("import", null);
    try {
      const { found, unknown } = Labelling.table.read(app.content, csv, name);
      const { added, conflicts, same } = Labelling.table.merge(app.session.answers, found);
      const choice = conflicts.length ? await Labelling.dialogs.conflict(conflicts.length) : "mine";
      if (choice === null) return app.view.say(`${name}: nothing was changed`);
      const changes = choice === "theirs" ? [...added, ...conflicts] : added;
      if (changes.length) await app.keep(app.session.change(changes));
      app.resume();
      const others = unknown ? `; ${unknown} ${unknown === 1 ? "row is" : "rows are"} of images that are not on this page` : "";
      app.view.notice("import", `${name}: ${changes.length} answers taken, ${same} as here, ${conflicts.length} differ${others}.`, "close", () => app.view.notice("import", null));
    } catch (error) {
      app.view.notice("import", error.message, "close", () => app.view.notice("import", null));
    }
  }

  function choose(app) {
    const input = Labelling.element("input", { type: "file", accept: ".csv,text/csv", change: () => takeFile(app, input.files[0]) });
    input.click();
  }

  async function takeFile(app, file) {
    if (file) await take(app, await file.text(), file.name);
  }

  function listen(app) {
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      takeFile(app, event.dataTransfer.files[0]);
    });
  }

  const setting = (app) => JSON.stringify(["file", app.content.set, app.session.annotator]);

  // Let the answers be written to a file that is chosen now, and at the next start again; again: end that.
  async function chooseFile(app) {
    const handle = app.file.handle ? null : await showSaveFilePicker({ suggestedName: NAME, types: [{ accept: { "text/csv": [".csv"] } }] }).catch(() => undefined);
    if (handle === undefined) return;
    await use(app, handle);
    await app.store.put(setting(app), handle).catch(() => {}); // the file is written to all the same, and chosen anew next time
    if (!handle) app.view.say("answers go to the file no longer");
  }

  async function use(app, handle) {
    app.file.use(handle);
    app.view.notice("file", null);
    app.view.render();
    await app.file.write();
  }

  // The file of the last time: used at once where the browser allows it, else after a click.
  async function reuse(app) {
    app.file.use(null);
    app.view.notice("file", null);
    const handle = await app.store.get(setting(app));
    if (!handle?.queryPermission) return;
    const mode = { mode: "readwrite" };
    if ((await handle.queryPermission(mode)) === "granted") return use(app, handle);
    app.view.notice("file", `Answers went to the file ${handle.name} before.`, "go on saving to it", async () => {
      if ((await handle.requestPermission(mode)) === "granted") await use(app, handle);
    });
  }

  // What a write to the file came to.
  function told(app, error) {
    if (error) app.view.notice("file", `${app.file.name} could not be written (${error.message}); the answers stay in the browser. Export them, or choose the file again.`);
    else {
      app.exported = true;
      app.view.notice("file", null);
    }
    Labelling.find("filed").textContent = error ? "" : `in ${app.file.name}`;
  }

  return { text, save, take, choose, listen, chooseFile, reuse, told };
})();
