"use strict";
// Where answers are kept in the browser: its database, else its local storage, else nowhere.
Labelling.store = (() => {
  const NAME = "labelling";
  const ANSWERS = "answers", SETTINGS = "settings";

  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

  async function openDatabase() {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => [ANSWERS, SETTINGS].forEach((store) => opening.result.createObjectStore(store));
    const store = databaseStore(await done(opening));
    await store.put("opened", Date.now()); // one that opens and does not keep is found out now
    return store;
  }

  function databaseStore(database) {
    // "strict": complete is on the disk, so that what is said to be kept outlives a browser that is killed
    const write = (store, changes) => new Promise((resolve, reject) => {
      const transaction = database.transaction(store, "readwrite", { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("the browser's database gave up"));
      changes(transaction.objectStore(store));
    });
    return {
      kind: "database",
      keep: (set, annotator, changes) => write(ANSWERS, (store) => {
        for (const [image, answer] of changes) {
          if (answer) store.put(answer, [set, annotator, image]);
          else store.delete([set, annotator, image]);
        }
      }),
      async load(set, annotator) {
        const store = database.transaction(ANSWERS).objectStore(ANSWERS);
        const range = IDBKeyRange.bound([set, annotator], [set, annotator, []]); // lists come after all texts
        const [keys, answers] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))]);
        return new Map(keys.map((key, k) => [key[2], answers[k]]));
      },
      get: (name) => done(database.transaction(SETTINGS).objectStore(SETTINGS).get(name)),
      put: (name, value) => write(SETTINGS, (store) => store.put(value, name)),
    };
  }

  async function openLocal() {
    const storage = localStorage;
    const key = (...parts) => JSON.stringify([NAME, ...parts]);
    storage.setItem(key("opened"), "1");
    return {
      kind: "local",
      async keep(set, annotator, changes) {
        for (const [image, answer] of changes) {
          if (answer) storage.setItem(key(set, annotator, image), JSON.stringify(answer));
          else storage.removeItem(key(set, annotator, image));
        }
      },
      async load(set, annotator) {
        const start = `${key(set, annotator).slice(0, -1)},`;
        const names = Object.keys(storage).filter((name) => name.startsWith(start));
        return new Map(names.map((name) => [JSON.parse(name)[3], JSON.parse(storage.getItem(name))]));
      },
      get: async (name) => JSON.parse(storage.getItem(key("setting", name)) ?? "null") ?? undefined,
      put: async (name, value) => storage.setItem(key("setting", name), JSON.stringify(value)),
    };
  }

  // Within the page alone, for an annotator who comes back to it.
  function openNothing() {
    const settings = new Map(), answers = new Map();
    const of = (set, annotator) => {
      const key = JSON.stringify([set, annotator]);
      if (!answers.has(key)) answers.set(key, new Map());
      return answers.get(key);
    };
    return {
      kind: "nothing",
      async keep(set, annotator, changes) {
        for (const [image, answer] of changes) of(set, annotator).set(image, answer);
      },
      load: async (set, annotator) => new Map([...of(set, annotator)].filter(([, answer]) => answer)),
      get: async (name) => settings.get(name),
      put: async (name, value) => void settings.set(name, value),
    };
  }

  async function open() {
    for (const attempt of [openDatabase, openLocal]) {
      try {
        return await attempt();
      } catch (error) {
        console.info(`not kept by ${attempt.name}: ${error.message}`);
      }
    }
    return openNothing();
  }

  return { open };
})();
