"use strict";
// Seconds of work: what passes while the page is visible, of each pause at most half a minute.
Labelling.times = (() => {
  const LONGEST = 30; // s of a pause between two events that count: after that, one has looked away

  const start = (at) => ({ seconds: 0, last: at, visible: true });

  // The state after a moment. kind: "event" (key, pointer, answer), "hidden" or "visible"; at: ms.
  function step(state, kind, at) {
    const passed = state.visible ? Math.min(Math.max((at - state.last) / 1000, 0), LONGEST) : 0;
    const visible = kind === "event" ? state.visible : kind === "visible";
    return { seconds: state.seconds + passed, last: at, visible };
  }

  // Seconds between the first and the last of moments [kind, ms].
  function activeSeconds(moments) {
    return moments.slice(1).reduce((state, [kind, at]) => step(state, kind, at), start(moments[0][1])).seconds;
  }

  const rounded = (seconds) => Math.round(seconds * 100) / 100;

  function median(values) {
    if (!values.length) return null;
    const sorted = Float64Array.from(values).sort();
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  // Watches the page; take() gives the seconds since it was last shown something.
  class Clock {
    constructor() {
      this.restart();
      const event = () => this.note("event");
      for (const name of ["keydown", "pointerdown", "pointermove", "wheel"]) addEventListener(name, event, { capture: true, passive: true });
      document.addEventListener("visibilitychange", () => this.note(document.hidden ? "hidden" : "visible"));
    }

    restart() {
      this.state = { ...start(performance.now()), visible: !document.hidden };
    }

    note(kind) {
      this.state = step(this.state, kind, performance.now());
    }

    take() {
      this.note("event");
      return rounded(this.state.seconds);
    }
  }

  return { LONGEST, start, step, activeSeconds, rounded, median, Clock };
})();
