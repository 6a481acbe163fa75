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

  // A message on an import, until it is closed.
  const tell = (app, message) => app.view.notice("import", message, "close", () => app.view.notice("import", null));

  // A table that was chosen: labels.csv is merged, of patches to talk about a review begins.
  async function take(app, csv, name = NAME) {
    try {
      const talk = app.ready && Labelling.talk.read(app.content, csv, name);
      if (talk) return Labelling.talk.review(app, talk, name);
    } catch (error) {
      return tell(app, error.message);
    }
    if (!app.refused()) await merge(app, csv, name);
  }

  // Merge a table; what differs is asked about once. Nothing is changed unless all of it can be read.
  // toReplace: the table stands in a file that is written over next. Whether it was merged.
  async function merge(app, csv, name, toReplace = false) {
    app.view.notice("import", null);
    try {
      const { found, unknown } = Labelling.table.read(app.content, csv, name, toReplace);
      const { added, conflicts, same } = Labelling.table.merge(app.session.answers, found);
      const choice = conflicts.length ? await Labelling.dialogs.conflict(conflicts.length) : "mine";
      if (choice === null || app.readOnly) {
        app.view.say(`${name}: nothing was changed`);
        return false;
      }
      const changes = choice === "theirs" ? [...added, ...conflicts] : added;
      if (changes.length) await app.keep(app.session.change(changes));
      if (changes.length || !toReplace) app.resume();
      const others = unknown ? `; ${unknown} ${unknown === 1 ? "row is" : "rows are"} of images that are not on this page` : "";
      if (changes.length || !toReplace) tell(app, `${name}: ${changes.length} answers taken, ${same} as here, ${conflicts.length} differ${others}.`);
      return true;
    } catch (error) {
      tell(app, error.message);
      return false;
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

  const remember = (app, handle) => app.store.put(setting(app), handle).catch(() => {}); // or it is chosen anew next time

  function end(app) {
    app.file.use(null);
    Labelling.find("filed").textContent = "";
  }

  // Let the answers be written to a file that is chosen now, and at the next start again; again: end that.
  async function chooseFile(app) {
    if (app.file.handle) {
      end(app);
      app.view.render();
      await remember(app, null);
      return app.view.say("answers go to the file no longer");
    }
    const handle = await picked(await Labelling.dialogs.whichFile()).catch(() => null); // the browser's own window was closed
    if (handle && (await use(app, handle))) await remember(app, handle);
  }

  // A browser empties a file that is picked to be saved to: one that is there is picked to be opened.
  async function picked(choice) {
    const types = [{ accept: { "text/csv": [".csv"] } }];
    if (choice === "new") return showSaveFilePicker({ suggestedName: NAME, types });
    return choice === "there" ? (await showOpenFilePicker({ types }))[0] : null;
  }

  // Write to a file from now on, after what it holds was taken in; whether that is so. A file that cannot be taken in is left as it is.
  async function use(app, handle) {
    const { session } = app;
    app.view.notice("file", null);
    try {
      const granted = (await handle.requestPermission?.({ mode: "readwrite" })) ?? "granted";
      if (granted !== "granted") throw new Error("the browser was not allowed to");
      const held = await (await handle.getFile()).text();
      if (held.trim() && !(await merge(app, held, handle.name, true))) return false;
    } catch (error) {
      app.view.notice("file", `${handle.name} could not be read (${error.message}), and is not written to. Choose the file again.`);
      return false;
    }
    if (session !== app.session || app.readOnly) return false; // somebody else works here by now
    app.file.use(handle);
    app.view.render();
    await app.file.write();
    return true;
  }

  // The file of the last time: gone on with at once where the browser allows it, else after a click.
  async function reuse(app) {
    end(app);
    app.view.notice("file", null);
    const handle = await app.store.get(setting(app));
    if (!handle?.queryPermission) return;
    const mode = { mode: "readwrite" };
    if ((await handle.queryPermission(mode)) === "granted") return use(app, handle);
    app.view.notice("file", `Answers went to the file ${handle.name} before.`, "go on saving to it", async () => {
      if (!app.refused()) await use(app, handle);
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

  return { text, tell, save, take, choose, listen, chooseFile, reuse, told };
})();
