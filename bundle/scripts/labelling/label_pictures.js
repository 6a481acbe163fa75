"use strict";
// Pictures loaded ahead, and the one that is looked at: its tissue around, scale bar, zoom.
Labelling.pictures = (() => {
  const MOST = 64; // decoded pictures that are held
  const held = new Map();

  const address = (path) => path.split("/").map(encodeURIComponent).join("/");

  // A picture, from now on loading: {image, state: "loading", "ready" or "broken", done: promise of the state}.
  function load(path) {
    let entry = held.get(path);
    if (entry) held.delete(path); // to the end: the newest
    else {
      const image = new Image();
      entry = { image, state: "loading" };
      image.src = address(path);
      image.draggable = false;
      const settle = (state) => () => (entry.state = state);
      entry.done = image.decode().then(settle("ready"), settle("broken"));
    }
    held.set(path, entry);
    if (held.size > MOST) held.delete(held.keys().next().value);
    return entry;
  }

  // The largest of 1, 2 and 5 times a power of ten that is at most `most`.
  function roundLength(most) {
    const power = 10 ** Math.floor(Math.log10(most) + 1e-9);
    return [5, 2, 1].map((k) => k * power).find((length) => length <= most * (1 + 1e-9));
  }

  // A scale bar of at most so many px of the screen: {px, text}. scale: px of the screen for one of the patch.
  function scaleBar(widest, scale, mpp) {
    const length = roundLength((widest / scale) * (mpp ?? 1));
    const text = mpp === null || mpp === undefined ? `${length} px` : length < 1000 ? `${length} µm` : `${length / 1000} mm`;
    return { px: (length / (mpp ?? 1)) * scale, text };
  }

  return { address, load, roundLength, scaleBar };
})();

// The picture on the stage. Its size follows the stage; zoom stays from patch to patch, the place looked at does not.
Labelling.Picture = class {
  static LOW = 66; // px at the bottom of the stage

  constructor(content) {
    this.content = content;
    const found = (id) => Labelling.find(id);
    [this.stage, this.around, this.frame, this.holder, this.bar] = ["stage", "around", "frame", "patch", "scale"].map(found);
    this.context = true;
    this.zoom = 1;
    this.pan = [0, 0];
    this.fingers = new Map();
    new ResizeObserver(() => this.place()).observe(this.stage);
    this.listen();
  }

  // Show a patch; changed is called once its picture is there or cannot be read.
  show(patch, changed) {
    if (patch !== this.patch) this.pan = [0, 0];
    this.patch = patch;
    this.entry = Labelling.pictures.load(patch.image);
    this.entry.image.alt = "the patch"; // its name would tell a second look
    this.holder.replaceChildren(this.entry.image);
    this.surroundings = patch.context ? Labelling.pictures.load(patch.context) : null;
    this.around.replaceChildren(...(this.surroundings ? [this.surroundings.image] : []));
    for (const part of [this.entry, this.surroundings]) {
      if (part?.state === "loading") part.done.then(() => patch === this.patch && (this.place(), changed()));
    }
    this.place();
  }

  get broken() {
    return this.entry?.state === "broken";
  }

  // Of the stage above scale bar and tools, which hide nothing of a patch that fits.
  get centre() {
    return [this.stage.clientWidth / 2, Math.max(this.stage.clientHeight - Labelling.Picture.LOW, 1) / 2];
  }

  // Height and width of the patch in px of its own picture; before that is there, those that patches have as a rule.
  get size() {
    const { naturalHeight, naturalWidth } = this.entry.image;
    if (this.entry.state === "ready" && naturalWidth) return [naturalHeight, naturalWidth];
    return this.content.patch_size?.length ? this.content.patch_size : [1, 1];
  }

  place() {
    if (!this.patch) return;
    const [height, width] = this.size;
    const around = this.context && this.surroundings?.state === "ready" && this.patch.box;
    const [cx, cy] = this.centre;
    const scale = 2 * Math.min(cx / width, cy / height) * (around ? 0.84 : 0.97) * this.zoom;
    const [w, h] = [width * scale, height * scale];
    const [x, y] = [cx - w / 2 + this.pan[0], cy - h / 2 + this.pan[1]];
    const put = (part, left, top, w, h) => Object.assign(part.style, { left: `${left}px`, top: `${top}px`, width: `${w}px`, height: `${h}px` });
    put(this.holder, x, y, w, h);
    put(this.frame, x, y, w, h);
    this.around.hidden = !around;
    this.frame.classList.toggle("dims", Boolean(around));
    if (around) {
      const [top, left, boxHeight, boxWidth] = this.patch.box;
      const { naturalWidth, naturalHeight } = this.surroundings.image;
      const [kx, ky] = [w / boxWidth, h / boxHeight];
      put(this.around, x - left * kx, y - top * ky, naturalWidth * kx, naturalHeight * ky);
    }
    this.holder.classList.toggle("close", scale >= 6); // single pixels are meant to be seen then
    const bar = Labelling.pictures.scaleBar(Math.min(cx / 2, 180), scale, this.content.mpp);
    this.bar.firstElementChild.style.width = `${bar.px}px`;
    this.bar.lastElementChild.textContent = bar.text;
    Labelling.find("zoom").textContent = `${Math.round(this.zoom * 100)} %`;
  }

  // Zoom by a factor; the point [x, y] of the stage stays where it is.
  zoomBy(factor, [x, y] = this.centre) {
    const zoom = Math.min(Math.max(this.zoom * factor, 0.25), 16);
    const [cx, cy] = this.centre;
    const rest = [x - cx, y - cy];
    this.pan = this.pan.map((p, k) => rest[k] - ((rest[k] - p) * zoom) / this.zoom);
    this.zoom = zoom;
    this.place();
  }

  fit() {
    this.zoom = 1;
    this.pan = [0, 0];
    this.place();
  }

  listen() {
    const at = (event) => {
      const { left, top } = this.stage.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    this.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 400), at(event));
    }, { passive: false });
    this.stage.addEventListener("dblclick", () => this.fit());
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      this.fingers.set(event.pointerId, at(event));
      this.stage.setPointerCapture(event.pointerId);
    });
    this.stage.addEventListener("pointermove", (event) => this.fingers.has(event.pointerId) && this.drag(event.pointerId, at(event)));
    for (const name of ["pointerup", "pointercancel"]) this.stage.addEventListener(name, (event) => this.fingers.delete(event.pointerId));
  }

  // One finger (or the mouse) moves the picture, two zoom.
  drag(finger, now) {
    const before = this.fingers.get(finger);
    const other = [...this.fingers].find(([id]) => id !== finger)?.[1];
    this.fingers.set(finger, now);
    const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (other) this.zoomBy(apart(now, other) / Math.max(apart(before, other), 1), other);
    else {
      this.pan = this.pan.map((p, k) => p + now[k] - before[k]);
      this.place();
    }
  }
};
