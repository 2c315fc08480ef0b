// Prints a line of JSON for each result: node samples/subscribe.js [tcp://127.0.0.1:5555]     (npm install zeromq)
const zmq = require("zeromq")
const { inflateSync } = require("zlib")

// COCO's compressed run lengths: five bits a letter, lowest first; from the third on the difference to the one before last
function runLengths(text) {
  const runs = []
  for (let at = 0; at < text.length; ) {
    let value = 0, shift = 0, code
    do {
      code = text[at++] - 48
      value += (code & 31) * 2 ** shift
      shift += 5
    } while (code & 32)
    if (code & 16) value -= 2 ** shift
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value)
  }
  return runs // in columns: nobody, person, nobody, ...
}

const countBits = (bytes) => bytes.reduce((sum, byte) => { while (byte) { sum += byte & 1; byte >>= 1 } return sum }, 0)

function pixels(mask, parts) {
  const part = parts[mask.part] // the header is part 0
  const bytes = mask.off === undefined ? part : part.subarray(mask.off, mask.off + mask.len)
  if (mask.enc === "coco_rle") return runLengths(bytes).reduce((sum, run, n) => sum + (n % 2 ? run : 0), 0)
  if (mask.enc === "bits_zlib") return countBits(inflateSync(bytes))
  if (mask.enc === "bits") return countBits(bytes)
  return null // an encoding of a later version
}

async function main(endpoint) {
  const socket = new zmq.Subscriber({ receiveHighWaterMark: 256, maxMessageSize: 64 << 20 })
  socket.connect(endpoint)
  socket.subscribe("argos/1/result/")
  let last = {}, missed = 0
  for await (const [topic, ...parts] of socket) {
    const header = JSON.parse(parts[0])
    const stream = `${header.run} ${header.camera}`
    if (stream in last) missed += Math.max(0, header.seq - last[stream] - 1)
    last[stream] = header.seq
    const people = (header.instances ?? []).map((one) => ({ box: one.box, score: one.score, pixels: pixels(one.mask, parts) }))
    const semantic = header.semantic && pixels(header.semantic, parts)
    console.log(JSON.stringify({ camera: header.camera, seq: header.seq, pts_s: header.pts_s, people, semantic, missed }))
  }
}

main(process.argv[2] ?? "tcp://127.0.0.1:5555")
