"use strict";
// The WebSocket to the server; comes back by itself. Where a proxy lets none through, pictures come as MJPEG.
(function (argos) {
  const FIRST_MS = 300, LONGEST_MS = 5000, FAILURES = 3;
  const text = new TextDecoder();

  // Parts of a binary message: their number, their lengths, then all of them.
  function split(buffer) {
    const view = new DataView(buffer), count = view.getUint32(0, true), parts = [];
    let at = 4 + 4 * count;
    for (let n = 0; n < count; n++) {
      const length = view.getUint32(4 + 4 * n, true);
      parts.push(new Uint8Array(buffer, at, length));
      at += length;
    }
    return parts;
  }

  // A result as the page uses it, from an argos/1 message [topic, header, part...].
  function resultOf([, ...parts]) {
    const header = JSON.parse(text.decode(parts[0]));
    const people = (header.instances ?? []).map((person, order) => {
      const mask = argos.maskIn(person.mask, parts), [x, y, w, h] = person.box;
      return { id: person.id, order, score: person.score, box: person.box, mask, foot: (mask && argos.foot(mask)) ?? [x + w / 2, y + h] };
    });
    return { ...header, people, semantic: argos.maskIn(header.semantic, parts) };
  }

  // `on` has link(words), message(json) and picture(camera, bitmap, result); `watched()` gives {camera: width}.
  class Connection {
    constructor(on, watched) {
      this.on = on;
      this.watched = watched;
      this.wait = FIRST_MS;
      this.failures = 0;
      this.known = "";
      this.open();
    }

    open() {
      const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
      this.socket = socket;
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        [this.wait, this.failures, this.known] = [FIRST_MS, 0, ""];
        this.stopPolling();
        this.on.link("live");
        this.watch();
      };
      socket.onmessage = ({ data }) => (typeof data === "string" ? this.on.message(JSON.parse(data)) : this.picture(data));
      socket.onclose = () => {
        this.failures += 1;
        if (!this.polling) this.on.link("no connection");
        if (this.failures >= FAILURES) this.poll();
        setTimeout(() => this.open(), this.wait * (0.8 + 0.4 * Math.random()));
        this.wait = Math.min(LONGEST_MS, 2 * this.wait);
      };
    }

    // Tell the server which cameras can be seen, and how wide.
    watch() {
      const now = JSON.stringify(this.watched());
      if (this.socket.readyState !== WebSocket.OPEN || now === this.known) return;
      this.known = now;
      this.socket.send(`{"watch":${now}}`);
    }

    async picture(data) {
      const [jpeg, ...message] = split(data), result = resultOf(message);
      try {
        const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
        this.on.picture(result.camera, bitmap, result);
        bitmap.close();
      } finally {
        if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ seen: result.camera }));
      }
    }

    // Without a WebSocket: the state every second, and streams of pictures if the server answers at all.
    poll() {
      if (this.polling) return;
      this.polling = setInterval(() => this.ask(), 1000);
      this.ask();
    }

    async ask() {
      try {
        const answer = await fetch("/status", { cache: "no-store" });
        if (!answer.ok) throw new Error(answer.status);
        const state = await answer.json();
        if (!this.polling) return;
        this.on.message({ ...state, kind: "hello", cameras: Object.keys(state.cameras), poor: true });
        this.on.message(state);
        this.on.link("pictures only");
      } catch {
        this.on.link("no connection");
      }
    }

    stopPolling() {
      clearInterval(this.polling);
      this.polling = null;
    }
  }

  Object.assign(argos, { Connection });
})((window.argos ??= {}));
