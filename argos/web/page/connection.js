"use strict";
// The WebSocket to the server; comes back by itself. Where a proxy lets none through, pictures come one by one.
(function (argos) {
  const FIRST_MS = 300, LONGEST_MS = 5000, FAILURES = 3;
  const SILENT_MS = 4000, GONE_MS = 15000; // the server tells its state every second
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
      setInterval(() => this.listen(), 1000);
    }

    open() {
      const address = new URL("live", location); // a proxy may serve the page below a path
      address.protocol = address.protocol.replace("http", "ws");
      const socket = new WebSocket(address);
      this.socket = socket;
      this.heard = performance.now();
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        [this.wait, this.failures, this.known] = [FIRST_MS, 0, ""];
        this.stopPolling();
        this.on.link("live");
        this.watch();
      };
      socket.onmessage = ({ data }) => {
        this.heard = performance.now();
        if (this.silent) this.on.link("live");
        this.silent = false;
        return typeof data === "string" ? this.on.message(JSON.parse(data)) : this.picture(data);
      };
      socket.onclose = () => this.closed();
    }

    closed() {
      this.failures += 1;
      this.silent = false;
      if (!this.polling) this.on.link("no connection");
      if (this.failures >= FAILURES) this.poll();
      setTimeout(() => this.open(), this.wait * (0.8 + 0.4 * Math.random()));
      this.wait = Math.min(LONGEST_MS, 2 * this.wait);
    }

    // A server that hangs or a network that is gone does not say so: nothing comes any more.
    listen() {
      const { socket } = this, silent_ms = performance.now() - this.heard;
      if (socket.readyState === WebSocket.OPEN && silent_ms > SILENT_MS && !this.silent) {
        this.silent = true;
        this.on.link("no answer");
      }
      if (socket.readyState > WebSocket.OPEN || silent_ms < GONE_MS) return;
      socket.onopen = socket.onmessage = socket.onclose = null; // closing would wait for the answer of the other side
      socket.close();
      this.closed();
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

    // Without a WebSocket: the state every second, and pictures if the server answers at all.
    poll() {
      if (this.polling) return;
      this.polling = setInterval(() => this.ask(), 1000);
      this.ask();
    }

    async ask() {
      if (this.asking) return;
      this.asking = true;
      let words = "no connection";
      try {
        const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(SILENT_MS) });
        if (answer.status === 401) words = "token needed";
        if (!answer.ok) throw new Error(answer.status);
        const state = await answer.json();
        if (!this.polling) return;
        this.on.message({ ...state, kind: "hello", cameras: Object.keys(state.cameras), poor: true });
        this.on.message(state);
        this.on.link("pictures only");
      } catch {
        if (this.polling) this.on.link(words);
      } finally {
        this.asking = false;
      }
    }

    stopPolling() {
      clearInterval(this.polling);
      this.polling = null;
    }
  }

  Object.assign(argos, { Connection });
})((window.argos ??= {}));
