"use strict";
// A file that is rewritten whole after each answer: one write at a time, the last state wins.
Labelling.FileSaver = class {
  // text: gives what is to be written; tell(error or null): called after each write.
  constructor(text, tell) {
    this.text = text;
    this.tell = tell;
    this.handle = null;
    this.writing = null;
    this.due = false;
  }

  get name() {
    return this.handle?.name ?? "labels.csv";
  }

  use(handle) {
    this.handle = handle;
  }

  // Write soon; resolves once the state of now is in the file, or could not be written.
  write() {
    if (!this.handle) return Promise.resolve();
    this.due = true;
    this.writing ??= this.run().finally(() => (this.writing = null));
    return this.writing;
  }

  async run() {
    await new Promise((go) => setTimeout(go)); // the next patch is shown first
    while (this.due && this.handle) {
      this.due = false;
      try {
        const file = await this.handle.createWritable(); // replaces the file on close, whole
        await file.write(this.text());
        await file.close();
        this.tell(null);
      } catch (error) {
        this.tell(error);
      }
    }
  }
};
