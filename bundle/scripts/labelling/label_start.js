"use strict";
// From the page as it is loaded to the first patch.
Labelling.start = async () => {
  const content = Labelling.content.read();
  const problem = Labelling.content.problem(content);
  if (problem) return Labelling.dialogs.stop(problem);
  const store = await Labelling.store.open();
  const app = new Labelling.App(content, store);
  Labelling.app = app;
  if (store.kind === "nothing") {
    app.view.notice("storage", "This browser keeps nothing: answers are lost with this page. Save to a file, or export labels.csv before you close it.");
  } else navigator.storage?.persist?.().catch(() => {}); // or a full disk may empty it
  app.oneKey = Boolean(await store.get("oneKey"));
  let annotator = await store.get("annotator");
  if (!annotator) {
    annotator = await Labelling.dialogs.annotator(null);
    await store.put("annotator", annotator).catch(() => {}); // or it is asked for anew next time
  }
  Labelling.keys.listen(app);
  Labelling.transfer.listen(app);
  addEventListener("beforeunload", (event) => app.unsafe && event.preventDefault());
  await app.open(annotator);
};
Labelling.start().catch((error) => Labelling.dialogs.stop(`This page cannot be read: ${error.message}`));
