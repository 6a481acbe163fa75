"use strict";
// One window at a time works on a set: a lock, which ends with its window however that ends.
Labelling.windows = (() => {
  const locked = (name, options, lost) => new Promise((settle) => {
    let held = false;
    navigator.locks.request(name, options, (lock) => {
      if (!lock) return settle(null);
      held = true;
      return new Promise((release) => settle(release));
    }).catch(() => (held ? lost() : settle(() => {}))); // denied, as storage may be: one works without
  });

  // Hold a name: a function that lets it go, or null where another window has it.
  // steal: take it from that window; lost: called once another window takes it from this one.
  async function hold(name, steal, lost) {
    if (!navigator.locks) return () => {};
    if (steal) return locked(name, { steal: true }, lost);
    const wait = () => new Promise((go) => setTimeout(go, 250)); // a page that is loaded anew may still hold it
    return (await locked(name, { ifAvailable: true }, lost)) ?? (await wait(), locked(name, { ifAvailable: true }, lost));
  }

  return { hold };
})();
