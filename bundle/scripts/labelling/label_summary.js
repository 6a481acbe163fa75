"use strict";
// What there is once nothing is open: counts, time, agreement, what to look at again.
Labelling.summary = (() => {
  const percent = (share) => (share === null ? "–" : `${Math.round(100 * share)} %`);

  function render(app) {
    const make = Labelling.element;
    const { content, session } = app;
    const { perClass, none, cannotTell, seconds } = Labelling.agreement.counts(content.classes, session.answers);
    const { pairs, shares } = Labelling.agreement.withOneself(content.classes, session.answers);
    const disputed = Labelling.agreement.disputed(content, session.slots, session.answers);
    const repeats = session.slots.some((slot) => slot.again);
    const cells = (tag, texts) => texts.map((text) => make(tag, {}, text));
    const row = (name, count, more = []) => make("tr", {}, make("th", { scope: "row" }, name), ...cells("td", [String(count), ...more]));
    const head = ["class", "patches", ...(repeats ? ["equal at the second look"] : [])];
    const lines = content.classes.map((c, k) => row(c.name, perClass[k], repeats ? [percent(shares[k])] : []));
    const others = [row("none of these", none, repeats ? [""] : []), row("cannot tell", cannotTell, repeats ? [""] : [])];
    const time = `${session.answers.size} patches in ${(seconds / 60).toFixed(1)} minutes.`;
    const twice = repeats ? ` Shown twice and told both times: ${pairs}.` : "";
    Labelling.find("summary").replaceChildren(
      make("h2", { tabindex: "-1" }, "Nothing is open"),
      make("p", {}, time + twice),
      make("table", {}, make("thead", {}, make("tr", {}, ...cells("th", head))), make("tbody", {}, ...lines, ...others)),
      make("div", { class: "row" },
        button("export labels.csv", () => Labelling.commands.run(app, "export"), "primary"),
        ...(disputed.length ? [button(`review ${disputed.length} that differ from the model's opinion`, () => app.review(disputed))] : []),
        button("back to the patches", () => app.show(session.at))),
      make("p", {}, "Save labels.csv beside label.html, in the folder of this round."),
      ...next(content.next ?? []),
    );
  }

  // The commands that follow, each with a button that copies it.
  function next(commands) {
    const make = Labelling.element;
    const said = ["Then, where this page was made, train on all rounds, with the dataset file and settings of before, if there were some:", "and ask what to label after that:"];
    return commands.flatMap((command, k) => {
      const text = make("pre", { tabindex: "0" }, command);
      const copy = button("copy", async () => {
        try {
          await navigator.clipboard.writeText(command);
          copy.textContent = "copied";
        } catch { // not every browser lets a page from the disk: selected, it can be copied by keys
          getSelection().selectAllChildren(text);
          copy.textContent = "press Ctrl+C";
        }
      });
      return [make("p", {}, said[k]), make("div", { class: "command" }, text, copy)];
    });
  }

  function button(text, click, kind = "") {
    return Labelling.element("button", { type: "button", class: kind, click }, text);
  }

  return { render };
})();
