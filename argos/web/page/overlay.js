"use strict";
// A result drawn over its picture, in pixels of the screen.
(function (argos) {
  const HEAT_W = 64, HEAT_H = 36, HEAT_HALF_S = 120, TRAIL = 60;

  // What a camera remembers from result to result: where people stood.
  class Memory {
    constructor() {
      this.heat = new Float32Array(HEAT_W * HEAT_H);
      this.trails = new Map();
      this.epoch = -1;
      this.at = 0;
    }

    add(result) {
      if (result.epoch !== this.epoch) this.trails.clear();
      this.epoch = result.epoch;
      const now = performance.now() / 1000, fade = this.at ? 0.5 ** ((now - this.at) / HEAT_HALF_S) : 1;
      const passed = this.at ? Math.min(1, now - this.at) : 0.1;
      this.at = now;
      for (let n = 0; n < this.heat.length; n++) this.heat[n] *= fade;
      const seen = new Set();
      for (const person of result.people) {
        if (!person.foot) continue;
        this.warm(person.foot[0] / result.size[0], person.foot[1] / result.size[1], passed);
        if (person.id === null) continue;
        seen.add(person.id);
        const trail = this.trails.get(person.id) ?? [];
        trail.push(person.foot);
        if (trail.length > TRAIL) trail.shift();
        this.trails.set(person.id, trail);
      }
      for (const id of this.trails.keys()) if (!seen.has(id)) this.trails.delete(id);
    }

    warm(x, y, amount) {
      const cx = x * HEAT_W, cy = y * HEAT_H;
      for (let j = Math.floor(cy) - 2; j <= cy + 2; j++) {
        for (let i = Math.floor(cx) - 2; i <= cx + 2; i++) {
          if (i < 0 || j < 0 || i >= HEAT_W || j >= HEAT_H) continue;
          this.heat[j * HEAT_W + i] += amount * Math.exp(-((i + 0.5 - cx) ** 2 + (j + 0.5 - cy) ** 2) / 2);
        }
      }
    }
  }

  const colourOf = (person) => argos.palette[(person.id ?? person.order) % argos.palette.length];
  const css = (rgb, alpha = 1) => `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]} / ${alpha})`;

  // Draw on a canvas that covers the picture: what `layers` asks for of `result`, and the shapes of the camera.
  function drawOverlay(canvas, result, memory, layers, shapes, dpr) {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (result) {
      const scale = canvas.width / result.size[0];
      if (layers.heat) drawHeat(context, canvas, memory.heat);
      if (layers.semantic && result.semantic) {
        const alone = !(layers.masks && result.people.length);
        argos.paintMask(context, result.semantic, scale, argos.semantic, alone ? 0.35 : 0, 0.95);
      }
      if (layers.regions) drawRegions(context, result, scale, dpr);
      if (layers.masks) {
        for (const person of result.people) if (person.mask) argos.paintMask(context, person.mask, scale, colourOf(person), 0.42, 1);
      }
      if (layers.trails) drawTrails(context, result, memory, scale, dpr);
      if (layers.boxes) drawBoxes(context, result, scale, dpr);
      if (layers.ids) drawLabels(context, canvas, result, scale, dpr);
    }
    if (layers.zones) drawShapes(context, canvas, shapes, dpr);
  }

  function drawRegions(context, result, scale, dpr) {
    context.lineWidth = 1.5 * dpr;
    for (const [colour, offset] of [["rgb(0 0 0 / .55)", 6], ["#fff", 0]]) {
      context.strokeStyle = colour;
      context.setLineDash([6 * dpr, 6 * dpr]);
      context.lineDashOffset = offset * dpr;
      for (const [x, y, w, h] of result.regions) context.strokeRect(x * scale, y * scale, w * scale, h * scale);
    }
    context.setLineDash([]);
  }

  function drawBoxes(context, result, scale, dpr) {
    context.lineWidth = 1.5 * dpr;
    for (const person of result.people) {
      const [x, y, w, h] = person.box;
      context.strokeStyle = css(colourOf(person));
      context.strokeRect(x * scale, y * scale, w * scale, h * scale);
    }
  }

  function drawTrails(context, result, memory, scale, dpr) {
    context.lineWidth = 2.5 * dpr;
    context.lineJoin = "round";
    for (const person of result.people) {
      const trail = memory.trails.get(person.id);
      if (!trail || trail.length < 2) continue;
      context.strokeStyle = css(colourOf(person), 0.85);
      context.beginPath();
      for (const [x, y] of trail) context.lineTo(x * scale, y * scale);
      context.stroke();
    }
  }

  // Labels above, inside or below their boxes: the first place that covers no other label.
  function drawLabels(context, canvas, result, scale, dpr) {
    const high = 17 * dpr, taken = [];
    context.font = `600 ${12 * dpr}px system-ui, "DejaVu Sans", sans-serif`;
    context.textBaseline = "middle";
    for (const person of result.people) {
      const score = `${Math.round(100 * person.score)} %`;
      const text = person.id === null ? score : canvas.width < 480 * dpr ? `${person.id}` : `${person.id}  ${score}`;
      const wide = context.measureText(text).width + 8 * dpr, [bx, by, , bh] = person.box.map((side) => side * scale);
      const x = Math.max(0, Math.min(bx, canvas.width - wide));
      const rows = [by - high, by, by + bh, by + bh - high].filter((y) => y >= 0 && y + high <= canvas.height);
      const free = (y) => !taken.some((t) => x < t[0] + t[2] && t[0] < x + wide && y < t[1] + high && t[1] < y + high);
      const y = rows.find(free) ?? rows[0] ?? 0;
      taken.push([x, y, wide]);
      context.fillStyle = css(colourOf(person), 0.92);
      context.fillRect(x, y, wide, high);
      context.fillStyle = "#0b0d10";
      context.fillText(text, x + 4 * dpr, y + high / 2 + dpr / 2);
    }
  }

  const heatCanvas = document.createElement("canvas");

  function drawHeat(context, canvas, heat) {
    [heatCanvas.width, heatCanvas.height] = [HEAT_W, HEAT_H];
    const small = heatCanvas.getContext("2d"), image = small.createImageData(HEAT_W, HEAT_H);
    const most = Math.max(0.5, ...heat);
    for (let n = 0; n < heat.length; n++) {
      const t = Math.sqrt(heat[n] / most);
      image.data.set([255 * Math.min(1, 0.25 + 1.6 * t), 255 * Math.max(0, 1.5 * t - 0.45), 255 * Math.max(0, 0.55 - 1.2 * t), 205 * Math.min(1, 1.4 * t)], 4 * n);
    }
    small.putImageData(image, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(heatCanvas, 0, 0, canvas.width, canvas.height);
  }

  // Zones and lines, points 0..1 of the frame.
  function drawShapes(context, canvas, shapes, dpr) {
    const at = ([x, y]) => [x * canvas.width, y * canvas.height];
    context.font = `600 ${12 * dpr}px system-ui, "DejaVu Sans", sans-serif`;
    context.textBaseline = "alphabetic";
    shapes.forEach((shape, n) => {
      const colour = argos.palette[(3 * n + 1) % argos.palette.length], points = shape.points.map(at);
      if (!points.length) return;
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x, y);
      if (shape.kind === "zones" && !shape.open) {
        context.closePath();
        context.fillStyle = css(colour, 0.14);
        context.fill();
      }
      for (const [stroke, width] of [["rgb(0 0 0 / .6)", 4], [css(colour), 2]]) {
        context.strokeStyle = stroke;
        context.lineWidth = width * dpr;
        context.stroke();
      }
      if (shape.kind === "lines" && points.length > 1) drawSide(context, points, colour, dpr);
      if (shape.handles) {
        for (const [x, y] of points) {
          context.fillStyle = css(colour);
          context.beginPath();
          context.arc(x, y, 5 * dpr, 0, 7);
          context.fill();
        }
      }
      const wide = context.measureText(shape.name).width, [left, low] = points[0];
      const x = Math.max(4 * dpr, Math.min(left + 6 * dpr, canvas.width - wide - 4 * dpr)), y = Math.max(low - 6 * dpr, 15 * dpr);
      context.lineWidth = 3 * dpr;
      context.strokeStyle = "rgb(0 0 0 / .75)";
      context.fillStyle = css(colour);
      context.strokeText(shape.name, x, y);
      context.fillText(shape.name, x, y);
    });
  }

  // A small arrow across the middle of a line, from its left to its right for somebody who looks along it.
  function drawSide(context, points, colour, dpr) {
    const [[ax, ay], [bx, by]] = points, long = Math.hypot(bx - ax, by - ay) || 1;
    const nx = -(by - ay) / long, ny = (bx - ax) / long, mx = (ax + bx) / 2, my = (ay + by) / 2, size = 12 * dpr;
    const tip = [mx + nx * size * 1.6, my + ny * size * 1.6];
    context.fillStyle = css(colour);
    context.beginPath();
    context.moveTo(...tip);
    context.lineTo(mx + nx * size * 0.6 + ny * size * 0.5, my + ny * size * 0.6 - nx * size * 0.5);
    context.lineTo(mx + nx * size * 0.6 - ny * size * 0.5, my + ny * size * 0.6 + nx * size * 0.5);
    context.fill();
  }

  Object.assign(argos, { Memory, drawOverlay, css });
})((window.argos ??= {}));
