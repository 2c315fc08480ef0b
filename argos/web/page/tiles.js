"use strict";
// One tile per camera: picture, what is drawn over it, state and figures.
(function (argos) {
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const STILL_MS = 200;

  class Tile {
    constructor(camera, page) {
      this.camera = camera;
      this.page = page;
      this.memory = new argos.Memory();
      this.result = null;
      this.visible = false;
      this.picture = element("canvas", { className: "picture" });
      this.overlay = element("canvas", { className: "overlay" });
      this.still = element("img", { className: "still", hidden: true, alt: "" });
      this.still.onload = () => this.askAgain(STILL_MS);
      this.still.onerror = () => this.askAgain(5 * STILL_MS);
      this.coverTitle = element("b");
      this.coverWords = element("span");
      const cover = element("div", { className: "cover" }, this.coverTitle, this.coverWords);
      this.stage = element("div", { className: "stage", tabIndex: 0 }, this.picture, this.still, this.overlay, cover);
      this.stage.setAttribute("role", "button");
      this.state = element("span", { className: "state", textContent: "connecting" });
      this.numbers = element("span", { className: "numbers" });
      this.edit = element("button", { type: "button", className: "only-large edit", textContent: "Zones…" });
      const dot = element("span", { className: "dot" });
      const footer = element("footer", {}, dot, element("span", { className: "name", textContent: camera }), this.state, this.numbers, this.edit);
      this.root = element("article", { className: "tile" }, this.stage, footer);
      this.root.dataset.camera = camera;
      this.root.dataset.state = "connecting";
      this.edit.onclick = () => page.toggleEditor(this);
      this.stage.addEventListener("pointerdown", (event) => this.press(event));
      this.stage.addEventListener("pointermove", (event) => page.editor.drag(...this.place(event)));
      this.stage.addEventListener("pointerup", () => page.editor.drop());
      this.stage.addEventListener("pointercancel", () => page.editor.drop());
      this.stage.addEventListener("click", () => this.click());
      new ResizeObserver(() => {
        this.redraw();
        page.watch();
      }).observe(this.stage);
      new IntersectionObserver(([entry]) => {
        this.visible = entry.isIntersecting;
        this.askIfPoor();
        page.watch();
      }).observe(this.stage);
      this.describe();
    }

    place(event) {
      const box = this.stage.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    }

    press(event) {
      this.taken = event.button === 0 && this.isLarge && this.page.editor.press(...this.place(event));
      if (this.taken) this.stage.setPointerCapture(event.pointerId);
    }

    click() {
      if (!this.taken) this.page.open(this.isLarge ? null : this);
      this.taken = false;
    }

    get isLarge() {
      return this.page.large === this;
    }

    // Pixels of the screen that the picture covers.
    get width() {
      return Math.round(this.stage.clientWidth * Math.min(2, devicePixelRatio || 1));
    }

    show(bitmap, result) {
      const { width, height } = bitmap;
      if (this.picture.width !== width || this.picture.height !== height) [this.picture.width, this.picture.height] = [width, height];
      this.picture.getContext("2d").drawImage(bitmap, 0, 0);
      this.fit(result.size);
      this.result = result;
      this.memory.add(result);
      this.root.dataset.seq = result.seq;
      this.redraw();
    }

    fit([w, h]) {
      const ratio = (w / h).toFixed(4);
      if (this.ratio !== ratio) this.root.style.setProperty("--ratio", (this.ratio = ratio));
    }

    redraw() {
      const dpr = Math.min(2, devicePixelRatio || 1), w = Math.round(this.stage.clientWidth * dpr), h = Math.round(this.stage.clientHeight * dpr);
      if (!w || !h) return;
      if (this.overlay.width !== w || this.overlay.height !== h) [this.overlay.width, this.overlay.height] = [w, h];
      const result = this.page.poor ? null : this.result; // the pictures that are asked for are drawn on already
      argos.drawOverlay(this.overlay, result, this.memory, this.page.layers, this.page.editor.shapes(this.camera), dpr);
      const { editor } = this.page;
      if (this.isLarge && editor.draft && editor.cursor) this.drawCross(editor.cursor, dpr);
    }

    drawCross([x, y], dpr) {
      const context = this.overlay.getContext("2d"), at = [x * this.overlay.width, y * this.overlay.height];
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5 * dpr;
      for (const [dx, dy] of [[9, 0], [0, 9]]) {
        context.beginPath();
        context.moveTo(at[0] - dx * dpr, at[1] - dy * dpr);
        context.lineTo(at[0] + dx * dpr, at[1] + dy * dpr);
        context.stroke();
      }
    }

    setState({ status, figures, mode }, nowNs) {
      this.root.dataset.state = status.state;
      const since = argos.ago((nowNs - status.t_since_ns) / 1e9);
      this.state.textContent = status.state === "up" ? mode ?? "up" : status.state;
      this.coverTitle.textContent = status.state === "ended" ? "ended" : `${status.state} for ${since}`;
      this.coverWords.textContent = status.message || status.code || "";
      if (status.size) this.fit(status.size);
      const people = figures.people === null ? "" : `${figures.people} ${figures.people === 1 ? "person" : "people"}`;
      const age = figures.age_ms === null ? "" : `${Math.round(figures.age_ms)} ms`;
      const share = figures.share === null ? "" : `${Math.round(100 * figures.share)} %`;
      this.numbers.title = share && `${share} of the pixels computed`;
      this.numbers.textContent = [people, `${figures.fps_out.toFixed(1)} fps`, age, share].filter(Boolean).join(" · ");
      this.describe(people);
    }

    describe(people = "") {
      const words = [this.camera, this.root.dataset.state, people].filter(Boolean).join(", ");
      this.stage.setAttribute("aria-label", `${words}. ${this.isLarge ? "Back to all cameras" : "Open large"}`);
    }

    // Without a WebSocket one picture is asked for after the other, while it can be seen. Streams would keep all the
    // connections that a browser has for a server, six, and nothing tells that one has ended.
    askIfPoor() {
      this.still.hidden = !this.page.poor;
      if (this.asked || !this.page.poor || !this.visible || document.hidden) return;
      this.asked = true;
      this.still.src = `cameras/${this.camera}.jpg?width=${this.width}&at=${Date.now()}`;
    }

    askAgain(wait_ms) {
      setTimeout(() => {
        this.asked = false;
        this.askIfPoor();
      }, wait_ms);
    }
  }

  // Seconds in words.
  function ago(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s < 120) return `${s} s`;
    return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
  }

  Object.assign(argos, { Tile, ago });
})((window.argos ??= {}));
