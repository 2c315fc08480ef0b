"use strict";
// Masks as they travel: COCO's compressed run lengths, cropped to a box, column by column.
(function (argos) {
  // Run lengths of COCO's compressed form (Uint8Array of text), zeros first.
  function runsOf(text) {
    const runs = [];
    for (let at = 0; at < text.length; ) {
      let value = 0, shift = 0, more = true;
      while (more) {
        const code = text[at++] - 48;
        value |= (code & 31) << shift;
        more = (code & 32) !== 0;
        shift += 5;
        if (!more && code & 16 && shift < 32) value |= -1 << shift;
      }
      if (runs.length > 2) value += runs[runs.length - 2];
      runs.push(value);
    }
    return runs;
  }

  // A mask {x, y, w, h, bits}: bits is Uint8Array of 0 and 1, column by column.
  function maskOf(text, x, y, w, h) {
    const bits = new Uint8Array(w * h);
    let at = 0, value = 0;
    for (const run of runsOf(text)) {
      if (value) bits.fill(1, at, at + run);
      at += run;
      value ^= 1;
    }
    return { x, y, w, h, bits };
  }

  // The mask of one person, or of the frame, in a message whose parts are [header, part...]; null if it has none.
  function maskIn(header, parts) {
    if (!header || header.enc !== "coco_rle" || !parts[header.part]) return null;
    const part = parts[header.part];
    if (header.crop) return maskOf(part.subarray(header.off, header.off + header.len), ...header.crop);
    return maskOf(part, 0, 0, ...header.size);
  }

  const scratch = document.createElement("canvas");

  // Paint a mask: a fill, and a contour that is crisp because it is found on the pixels of the screen.
  function paintMask(target, mask, scale, colour, fill, line) {
    const x0 = Math.floor(mask.x * scale), y0 = Math.floor(mask.y * scale);
    const w = Math.max(1, Math.ceil((mask.x + mask.w) * scale) - x0), h = Math.max(1, Math.ceil((mask.y + mask.h) * scale) - y0);
    const inside = sampled(mask, scale, x0, y0, w, h);
    if (scratch.width < w || scratch.height < h) {
      scratch.width = Math.max(w, scratch.width);
      scratch.height = Math.max(h, scratch.height);
    }
    const context = scratch.getContext("2d", { willReadFrequently: true });
    const image = context.createImageData(w, h), pixels = new Uint32Array(image.data.buffer), stride = w + 2;
    const rgb = colour[0] | (colour[1] << 8) | (colour[2] << 16);
    const filled = (Math.round(255 * fill) << 24) | rgb, edge = (Math.round(255 * line) << 24) | rgb;
    for (let j = 0, out = 0; j < h; j++) {
      for (let i = 0, at = (j + 1) * stride + 1; i < w; i++, at++, out++) {
        if (!inside[at]) continue;
        const all = inside[at - 1] & inside[at + 1] & inside[at - stride] & inside[at + stride];
        pixels[out] = all ? filled : edge;
      }
    }
    context.putImageData(image, 0, 0);
    target.drawImage(scratch, 0, 0, w, h, x0, y0, w, h);
  }

  // The mask on the pixels of the screen, with a border of zeros; smooth where one of its pixels covers several.
  function sampled(mask, scale, x0, y0, w, h) {
    const { bits, w: wide, h: high } = mask, stride = w + 2, inside = new Uint8Array(stride * (h + 2));
    const column = new Int32Array(w), part = new Float32Array(w);
    for (let i = 0; i < w; i++) {
      const x = (x0 + i + 0.5) / scale - mask.x - 0.5;
      column[i] = Math.floor(x);
      part[i] = x - column[i];
    }
    const smooth = scale > 1;
    const bit = (x, y) => (x < 0 || y < 0 || x >= wide || y >= high ? 0 : bits[x * high + y]);
    for (let j = 0; j < h; j++) {
      const y = (y0 + j + 0.5) / scale - mask.y - 0.5, top = Math.floor(y), v = y - top;
      for (let i = 0, at = (j + 1) * stride + 1; i < w; i++, at++) {
        const x = column[i], u = part[i];
        if (smooth) {
          const upper = bit(x, top) * (1 - u) + bit(x + 1, top) * u, lower = bit(x, top + 1) * (1 - u) + bit(x + 1, top + 1) * u;
          inside[at] = upper * (1 - v) + lower * v >= 0.5 ? 1 : 0;
        } else {
          inside[at] = bit(x + (u >= 0.5 ? 1 : 0), top + (v >= 0.5 ? 1 : 0));
        }
      }
    }
    return inside;
  }

  // The lowest point of a mask, [x, y] in the frame: where a person stands.
  function foot(mask) {
    let lowest = -1, sum = 0, count = 0;
    for (let x = 0; x < mask.w; x++) {
      const y = mask.bits.lastIndexOf(1, (x + 1) * mask.h - 1) - x * mask.h;
      if (y < 0 || y < lowest) continue;
      if (y > lowest) [lowest, sum, count] = [y, 0, 0];
      sum += x;
      count += 1;
    }
    return count ? [mask.x + sum / count + 0.5, mask.y + lowest + 1] : null;
  }

  Object.assign(argos, { maskIn, paintMask, foot });
})((window.argos ??= {}));
