"use strict";
// What stands around the picture: classes, progress, messages.
Labelling.View = class {
  static LIVE = { fit: "zoom", annotator: "who" }; // buttons whose text is a figure or a name

  constructor(app) {
    this.app = app;
    this.notes = 0;
    const { classes, name } = app.content;
    Labelling.find("name").textContent = name;
    this.classes = classes.map((c, k) => this.classButton(c, k));
    Labelling.find("classes").replaceChildren(...this.classes);
    Labelling.find("classes").classList.toggle("many", classes.length > 8); // two columns, descriptions by the mouse
    for (const command of Labelling.commands.LIST) this.commandButton(command);
    // who clicks goes on by key: Enter must not press the button again, also after a dialog that it opened
    document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur(), true);
  }

  classButton({ name, description, colour, key }, k) {
    const make = Labelling.element;
    const more = description && description !== name ? [make("small", {}, description)] : [];
    return make("button", { type: "button", class: "class", "aria-pressed": "false", "aria-keyshortcuts": key, title: description || null,
      click: (event) => this.app.classChosen(k, event.shiftKey) },
    make("kbd", {}, key), make("i", { class: "swatch", style: `background:rgb(${colour.join(",")})` }),
    make("span", { class: "name" }, name, ...more), make("span", { class: "opinion", hidden: true }),
    make("span", { class: "check", "aria-hidden": "true" }, "✓"));
  }

  commandButton({ name, shown, text, help, place, toggle, lacking }) {
    if (lacking?.(this.app)) return;
    const make = Labelling.element;
    const { LIVE } = Labelling.View;
    const made = make("button", { type: "button", "data-command": name, title: help, "aria-pressed": toggle ? "false" : null,
      "aria-keyshortcuts": shown ?? null, click: () => Labelling.commands.run(this.app, name) },
    ...(shown ? [make("kbd", {}, shown)] : []), make("span", { class: "text", id: LIVE[name] ?? null }, text));
    Labelling.find(place).append(made);
  }

  render() {
    const { app } = this;
    const { session, mode } = app;
    const given = session.given();
    document.body.dataset.mode = mode;
    document.body.classList.toggle("answered", mode === "one" && Boolean(given));
    const opinion = app.opinion && mode === "one" && given ? session.patchAt().opinion : null;
    this.classes.forEach((button, k) => {
      button.setAttribute("aria-pressed", String(mode !== "summary" && app.draft[k] === 1));
      this.opinion(button.querySelector(".opinion"), opinion?.[k]);
    });
    this.pressed("none", mode === "one" && given?.labels && !given.labels.some(Boolean) && !app.draft.some(Boolean));
    this.pressed("cannot", mode === "one" && given && !given.labels && !app.draft.some(Boolean));
    for (const [name, on] of [["oneKey", app.oneKey], ["nine", mode === "nine"], ["context", app.picture.context], ["opinion", app.opinion], ["file", Boolean(app.file.handle)]]) {
      this.pressed(name, on);
    }
    Labelling.find("who").textContent = session.annotator;
    this.progress(session.progress());
    this.which();
    this.unreadable();
  }

  // The names of the patch and of its slide, once it is answered or reviewed: before, they would tell a second look. And in
  // a review what was said of it.
  which() {
    const { mode, session, talk } = this.app;
    const { image, group } = session.patchAt();
    const place = Labelling.find("which");
    const named = session.walk || session.given();
    place.hidden = mode !== "one";
    place.title = named ? [image, group].filter(Boolean).join("\n") : "";
    Labelling.find("image").textContent = named ? image.split("/").pop() : "\u00a0"; // the line stays: no button moves
    Labelling.find("group").textContent = (named && group) || "";
    const said = session.walk && mode === "one" && talk?.get(image);
    Labelling.find("talk").hidden = !said;
    Labelling.find("talk").textContent = said || "";
  }

  pressed(command, on) {
    document.querySelector(`[data-command=${command}]`)?.setAttribute("aria-pressed", String(Boolean(on)));
  }

  opinion(place, probability) {
    const none = probability === undefined || probability === null;
    place.hidden = none;
    place.textContent = none ? "" : `${Math.round(100 * probability)} %`;
    place.setAttribute("aria-label", none ? "" : `the model says ${place.textContent}`);
    place.style.setProperty("--share", none ? 0 : probability);
  }

  progress({ answered, all, median, minutes, left }) {
    const text = [`${answered} / ${all}`];
    if (median !== null) text.push(`${median.toFixed(1)} s per patch`, `${duration(minutes)} so far`);
    if (left) text.push(`${left < 1 ? "" : "about "}${duration(left)} left`);
    Labelling.find("figures").textContent = text.join(" · ");
    const bar = Labelling.find("bar");
    Object.assign(bar, { max: all, value: answered });

    function duration(length) {
      if (length < 1) return length > 0 ? "under a minute" : "0 min";
      return length < 90 ? `${Math.round(length)} min` : `${(length / 60).toFixed(1)} h`;
    }
  }

  unreadable() {
    const { mode, picture, session } = this.app;
    const broken = mode === "one" && picture.broken;
    const place = Labelling.find("unreadable");
    place.hidden = !broken;
    place.textContent = broken ? `this picture cannot be read: ${session.patchAt().image}` : "";
    document.body.classList.toggle("unreadable", broken);
  }

  // state: "kept", "keeping" or "not"
  kept(state) {
    const place = Labelling.find("kept");
    place.dataset.state = state;
    place.textContent = { kept: "✓ kept", keeping: "keeping …", not: "not kept" }[state];
  }

  // Say something in passing. since: what `notes` was when it began, for what is known late: it does not hide newer words.
  say(text, since = null) {
    if (since === null) this.notes += 1;
    else if (since !== this.notes) return;
    Labelling.find("said").textContent = text;
  }

  // A standing message, with what can be done; null removes it.
  notice(name, text, action = null, run = null) {
    const place = Labelling.find("notices");
    place.querySelector(`[data-notice=${name}]`)?.remove();
    if (text === null) return;
    const make = Labelling.element;
    place.append(make("div", { class: "notice", "data-notice": name, role: "alert" }, make("span", {}, text),
      ...(action ? [make("button", { type: "button", click: run }, action)] : [])));
  }
};
