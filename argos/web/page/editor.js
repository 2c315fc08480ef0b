"use strict";
// Zones and lines, drawn on the large camera; kept in this browser, printed as YAML for camera.yaml.
(function (argos) {
  const HINTS = {
    idle: "Choose zone or line, name it, press Draw, then click on the picture.",
    zones: "Click the corners. Enter or a click on the first corner ends, Backspace takes one back, Esc gives up.",
    lines: "Click where the line starts and where it ends; the arrow points from its left to its right, the direction left_to_right.",
  };
  const by = (id) => document.getElementById(id);
  const round = (value) => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;

  // Whether two sides of a polygon that share no corner meet, as the configuration counts it.
  function crossesItself(points) {
    const turn = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    const n = points.length, side = (k) => [points[k], points[(k + 1) % n]];
    const near = (a, b, c, d, k) => Math.max(Math.min(a[k], b[k]), Math.min(c[k], d[k])) <= Math.min(Math.max(a[k], b[k]), Math.max(c[k], d[k]));
    for (let i = 0; i < n; i++) {
      for (let j = i + 2; j < n; j++) {
        if (i === 0 && j === n - 1) continue;
        const [a, b] = side(i), [c, d] = side(j), turns = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)];
        const isOneLine = turns.every((value) => value === 0);
        if (isOneLine ? near(a, b, c, d, 0) && near(a, b, c, d, 1) : turns[0] * turns[1] <= 0 && turns[2] * turns[3] <= 0) return true;
      }
    }
    return false;
  }

  // What the configuration would refuse of a shape, in words; "" when nothing.
  function fault({ kind, points }) {
    if (kind === "lines") {
      if (points.length < 2) return "A line needs 2 points.";
      return String(points[0]) === String(points[1]) ? "Both points are the same." : "";
    }
    if (points.length < 3) return "A zone needs 3 points.";
    if (crossesItself(points)) return "Its sides cross each other.";
    const doubled = points.reduce((sum, [x, y], n) => sum + x * points[(n + 1) % points.length][1] - points[(n + 1) % points.length][0] * y, 0);
    return Math.abs(doubled) < 1e-9 ? "Its corners lie on one line." : "";
  }

  class Editor {
    constructor(redraw) {
      this.redraw = redraw;
      this.camera = null;
      this.draft = null;
      this.cursor = null;
      this.configured = {};
      this.kept = {};
      by("shape-draw").onclick = () => (this.draft ? this.stop() : this.start());
      by("shape-kind").onchange = () => this.draft && this.start();
      by("yaml-copy").onclick = () => this.copy();
      by("shape-reset").onclick = () => this.reset();
      addEventListener("storage", () => this.configure(this.configured)); // drawn in another window
      by("shape-list").onclick = (event) => {
        const name = event.target.dataset.remove;
        if (name) this.remove(name);
      };
    }

    // Shapes of a camera as they are drawn: those that count, and in the editor those of this browser.
    shapes(camera) {
      if (!this.active || camera !== this.camera) return this.fromConfiguration(camera);
      const own = this.own(camera);
      return this.draft ? [...own, { ...this.draft, open: true, handles: true }] : own.map((shape) => ({ ...shape, handles: true }));
    }

    // Those of this browser; those of the configuration until one is changed.
    own(camera) {
      if (!(camera in this.kept)) {
        const stored = JSON.parse(localStorage.getItem(`argos.shapes.${camera}`));
        this.kept[camera] = stored ?? this.fromConfiguration(camera);
        if (stored && !this.differs(camera)) localStorage.removeItem(`argos.shapes.${camera}`); // it was taken over
      }
      return this.kept[camera];
    }

    fromConfiguration(camera) {
      const { zones = {}, lines = {} } = this.configured[camera] ?? {};
      const list = (kind, shapes, key) => Object.entries(shapes).map(([name, shape]) => ({ kind, name, points: [...shape[key]], more: shape.more }));
      return [...list("zones", zones, "polygon"), ...list("lines", lines, "points")];
    }

    differs(camera) {
      return this.yaml(camera, this.own(camera)) !== this.yaml(camera, this.fromConfiguration(camera));
    }

    configure(shapes) {
      this.configured = shapes;
      this.kept = {};
      if (this.active) this.show();
    }

    get active() {
      return !by("editor").hidden;
    }

    open(camera, stage) {
      [this.camera, this.stage] = [camera, stage];
      by("editor").hidden = false;
      stage.classList.add("editing");
      this.stop();
    }

    close() {
      this.stop();
      this.stage?.classList.remove("editing");
      by("editor").hidden = true;
    }

    start() {
      const kind = by("shape-kind").value, typed = nameOf(by("shape-name").value);
      this.draft = { kind, name: typed || this.freeName(kind), points: [] };
      this.cursor = [0.5, 0.5];
      this.stage.classList.add("drawing");
      this.stage.focus();
      this.show();
    }

    stop() {
      this.draft = null;
      this.cursor = null;
      this.stage?.classList.remove("drawing");
      this.show();
    }

    freeName(kind) {
      const names = this.own(this.camera).map((shape) => shape.name), stem = kind === "zones" ? "zone" : "line";
      for (let n = 1; ; n++) if (!names.includes(`${stem}-${n}`)) return `${stem}-${n}`;
    }

    addPoint(x, y) {
      const points = this.draft.points, first = points[0];
      if (this.draft.kind === "zones" && points.length > 2 && Math.hypot(x - first[0], y - first[1]) < 0.02) return this.finish();
      const point = [round(x), round(y)], last = points[points.length - 1];
      if (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < 0.005) return this.show(); // a double click
      points.push(point);
      if (this.draft.kind === "lines" && points.length === 2) return this.finish();
      this.show();
    }

    finish() {
      const { draft } = this, words = fault(draft);
      if (words) return this.say(draft.points.length > 2 ? `${words} Take points back with Backspace.` : words);
      const own = this.own(this.camera), { more } = own.find(({ name, kind }) => name === draft.name && kind === draft.kind) ?? {};
      this.keep([...own.filter((shape) => shape.name !== draft.name), { ...draft, more }]);
      by("shape-name").value = "";
      this.stop();
    }

    remove(name) {
      this.keep(this.own(this.camera).filter((shape) => shape.name !== name));
      this.show();
    }

    keep(shapes) {
      this.kept[this.camera] = shapes;
      if (this.differs(this.camera)) localStorage.setItem(`argos.shapes.${this.camera}`, JSON.stringify(shapes));
      else localStorage.removeItem(`argos.shapes.${this.camera}`);
    }

    // Forget what was drawn here.
    reset() {
      delete this.kept[this.camera];
      localStorage.removeItem(`argos.shapes.${this.camera}`);
      this.stop();
    }

    say(words) {
      by("shape-hint").textContent = words;
    }

    // Keys while drawing; true when the key was for the editor.
    key(event) {
      if (!this.draft) return false;
      const step = event.shiftKey ? 0.05 : 0.01, moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      if (event.key in moves) this.cursor = this.cursor.map((value, n) => round(value + moves[event.key][n]));
      else if (event.key === " ") this.addPoint(...this.cursor);
      else if (event.key === "Enter") this.finish();
      else if (event.key === "Backspace") this.draft.points.pop();
      else if (event.key === "Escape") this.stop();
      else return false;
      if (this.draft && event.key !== "Enter" && event.key !== " ") this.show();
      return true;
    }

    // A press on the picture at (x, y), 0..1; true when the editor takes it.
    press(x, y) {
      if (!this.active) return false;
      if (this.draft) this.addPoint(x, y);
      else this.dragged = this.nearest(x, y);
      return true;
    }

    nearest(x, y) {
      for (const shape of this.own(this.camera)) {
        const n = shape.points.findIndex((point) => Math.hypot(point[0] - x, point[1] - y) < 0.025);
        if (n >= 0) return { shape, n, from: shape.points[n] };
      }
      return null;
    }

    drag(x, y) {
      if (!this.dragged) return;
      this.dragged.shape.points[this.dragged.n] = [round(x), round(y)];
      this.redraw(this.camera);
    }

    drop() {
      if (!this.dragged) return;
      const { shape, n, from } = this.dragged, words = fault(shape);
      this.dragged = null;
      if (words) shape.points[n] = from;
      this.keep(this.own(this.camera));
      this.show();
      if (words) this.say(`${words} The point is back where it was.`);
    }

    show() {
      if (!this.camera) return;
      const shapes = this.own(this.camera);
      by("shape-draw").textContent = this.draft ? "Give up" : "Draw";
      this.say(HINTS[this.draft ? this.draft.kind : "idle"]);
      by("shape-differs").hidden = !this.differs(this.camera);
      by("shape-list").replaceChildren(
        ...shapes.map((shape, n) => {
          const item = document.createElement("li"), swatch = document.createElement("span"), words = document.createElement("span"), button = document.createElement("button");
          swatch.className = "swatch";
          swatch.style.background = argos.css(argos.palette[(3 * n + 1) % argos.palette.length]);
          words.textContent = `${shape.name} (${shape.kind === "zones" ? `zone, ${shape.points.length} corners` : "line"})`;
          button.type = "button";
          button.textContent = "Remove";
          button.dataset.remove = shape.name;
          item.append(swatch, words, button);
          return item;
        }),
      );
      by("yaml").textContent = this.yaml(this.camera, shapes);
      this.redraw(this.camera);
    }

    yaml(camera, shapes) {
      const text = (points) => `[${points.map(([x, y]) => `[${x}, ${y}]`).join(", ")}]`;
      const rest = (more) => Object.entries(more ?? {}).map(([key, value]) => `, ${key}: ${JSON.stringify(value)}`).join("");
      const lines = ["cameras:", `  ${camera}:`];
      for (const [kind, key] of [["zones", "polygon"], ["lines", "points"]]) {
        const some = shapes.filter((shape) => shape.kind === kind);
        if (some.length) lines.push(`    ${kind}:`, ...some.map((shape) => `      ${quoted(shape.name)}: {${key}: ${text(shape.points)}${rest(shape.more)}}`));
      }
      return shapes.length ? `${lines.join("\n")}\n` : "# nothing is drawn yet\n";
    }

    async copy() {
      const button = by("yaml-copy");
      try {
        await navigator.clipboard.writeText(by("yaml").textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(by("yaml")); // no clipboard without https: select it for the reader
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 1500);
    }
  }

  // A name that the configuration takes: a-z, 0-9, - and _, the first a letter or digit.
  const nameOf = (typed) => typed.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|-+$/g, "").slice(0, 63);

  // YAML reads some names as something else.
  const quoted = (name) => (/^[a-z][a-z0-9_-]*$/.test(name) && !/^(true|false|null|yes|no|on|off)$/i.test(name) ? name : JSON.stringify(name));

  Object.assign(argos, { Editor });
})((window.argos ??= {}));
