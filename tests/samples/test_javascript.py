"""``samples/subscribe.js`` reads the golden messages and every encoding as the Python reader does."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zmq
from publishing_results import made_result
from test_message import read_golden

from argos.publishing.message import MaskEncodings, decode, encode_result
from argos.types import Instances, SemanticMask

SAMPLES = Path(__file__).parents[2] / "samples"


def missing() -> str:
    """Why the sample cannot run; empty where it can."""
    node = shutil.which("node")
    if node is None:
        return "node is not installed"
    command = [node, "-e", "require('zeromq')"]
    done = subprocess.run(command, cwd=SAMPLES, capture_output=True, text=True, timeout=60, check=False)
    return "the package zeromq is missing: npm install --prefix samples" if done.returncode else ""


def random_masks(seed: int) -> tuple[Instances, SemanticMask]:
    """Ragged masks, empty and full ones among them, some long enough for runs of three letters."""
    rng = np.random.default_rng(seed)
    size = (90, 120)
    boxes = np.array([[0, 0, 120, 90], [3, 4, 4, 90], [10, 10, 50, 60], [0, 0, 1, 1]], np.int32)
    shapes = [(int(y1 - y0), int(x1 - x0)) for x0, y0, x1, y1 in boxes]
    masks = [rng.random(shape) < share for shape, share in zip(shapes, (0.01, 1.1, 0.5, -1), strict=True)]
    people = Instances(boxes, np.full(4, 0.5, np.float32), np.zeros(4, np.int32), tuple(masks), size)
    return people, SemanticMask(rng.random(size) < 0.3)


def test_the_javascript_subscriber_reads_what_python_reads() -> None:
    if why := missing():
        pytest.skip(why)
    messages = [read_golden("result-1.0")]
    for seq in range(20, 24):
        people, semantic = random_masks(seq)
        encodings = MaskEncodings(semantic="bits" if seq % 2 else "bits_zlib")
        messages.append(encode_result(made_result(seq, instances=people, semantic=semantic), encodings))
    messages.append(encode_result(made_result(24, instances=None, semantic=None)))
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        command = ["node", "subscribe.js", f"tcp://127.0.0.1:{port}"]
        process = subprocess.Popen(command, cwd=SAMPLES, env=os.environ, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert socket.poll(60_000), "node did not subscribe"
            assert socket.recv() == b"\x01argos/1/result/"
            lines = []
            for parts in messages:
                socket.send_multipart(parts)
                assert select.select([process.stdout], [], [], 30)[0], "node printed nothing"
                lines.append(json.loads(process.stdout.readline()))
        finally:
            process.kill()
            process.communicate()
    for line, parts in zip(lines, messages, strict=True):
        result = decode(parts)
        people = [] if result.instances is None else list(result.instances.masks)
        assert [one["pixels"] for one in line["people"]] == [int(mask.sum()) for mask in people]
        assert line["semantic"] == (None if result.semantic is None else int(result.semantic.mask.sum()))
        assert (line["camera"], line["seq"], line["pts_s"]) == (result.camera, result.seq, result.pts_s)
    assert [line["missed"] for line in lines] == [0, 2, 2, 2, 2, 2]  # 18 and 19 were never sent
