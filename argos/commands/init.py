"""``argos init``: write a commented ``camera.yaml``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from argos.errors import PublishError, UsageError

TEMPLATE = """\
# ARGOS: who is where in the picture. Validate with `argos check FILE`, start with `argos run FILE`.
# A key behind a # shows its default; remove the # to change it. `argos schema config` has every key with its meaning.
# Text may hold ${NAME}, ${NAME:-default} (environment) and ${file:path}: keep passwords out of this file.
version: 1

camera:                            # one camera; for several write `cameras:` with their names as keys
  name: @NAME@
  source:
    # rtsp(s)://user:password@host/path, http(s)://..., webcam:N, /dev/videoN, fake://people?n=5&seed=1,
    # or a video, an image, a directory or a pattern of images
    url: @URL@
    #transport: tcp                # of RTSP: tcp or udp
    #open_timeout_s: 2
    #stall_timeout_s: 1.5          # a live source without a picture for this long is lost
    #reconnect: {initial_s: 0.1, max_s: 1, factor: 2, jitter: 0.2, give_up_after: null}   # null: never give up
    #isolate: thread               # process: decode in a process of its own, which may crash or hang and starts again
    #memory_mb: 1024               # most memory that such a process takes beyond its start; null: no limit

  #rate: {fps: null}               # at most this many frames per second; null: all
  #latency: {policy: null, max_age_ms: null}   # latest (drop old frames) or every_frame; null: every_frame for files
    # max_age_ms: 500: under overload compute less, step by step, so that results stay this young
  #priority: 1                    # of several cameras under overload: with 2 twice as many frames as with 1
  #tasks: [instances]              # instances: people one by one; semantic: one mask of all people

  #regions:                        # where the deep network looks
    #mode: auto                    # pack, gather, full, mask; auto: skip, pack, full; after argos tune also gather
    #threshold: null               # of the proposals, 0..1; null: the one the model was tuned with
    #dilation: 4                   # growth of the proposals, in cells of a 320th; dynamic: in proportion to their size
    #min_area: 0.0002              # smaller proposals are dropped; share of the frame
    #margin: null                  # context around each region, frame pixels; null: 16 pixels of the network
    #memory: true                  # what the network found corrects later proposals; false: each frame for itself
    #refresh_full_s: 10            # the whole frame this often: bounds how long anyone can be missed; null: never

  #instances:
    #score_threshold: null         # lowest score of a person, 0..1; null: the one the model was tuned with
    #nms: null                     # of two boxes with a larger IoU the better one is kept; null: as score_threshold
    #max_people: 100

  #track:                          # ids that stay with people
    #enabled: true
    #low_score: null               # weaker people are shown where they continue a track; null: half of score_threshold
    #min_iou: 0.1                  # least overlap with where somebody is expected
    #confirm_frames: 3             # frames in a row after which somebody new gets an id
    #lost_s: 2                     # somebody unseen for longer is somebody new, seconds

  #zones:                          # who enters and leaves, how many are there; corners as shares of the frame
    #porch: {polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]], enter_frames: 3, leave_frames: 6}
    # with crowd: {people: 5, end_people: 4, start_s: 1, end_s: 3} and loiter: {after_s: 60, grace_s: 5}
  #lines:                          # who crosses, in which direction
    #gate: {points: [[0.2, 0.8], [0.8, 0.8]], anchor: mask_bottom, confirm_frames: 2}
    # in pixels: {units: px, reference: [1280, 720], points: [[256, 576], [1024, 576]]}
  #active: null                    # watched only in {hours: ["mon-fri 22:00-06:00", "sat,sun"],
                                   # timezone: Europe/Berlin}; also below a zone or line

  #mask_areas: []                  # filled before anything looks, e.g. [[[0, 0], [0.3, 0], [0.3, 0.2], [0, 0.2]]]
  #privacy:                        # covered in every picture that is published, written, streamed or given to Python
    #people: none                  # blur, pixelate, fill, background (the empty scene as learned)
    #rest: none                    # the same for everything but people
    #on_uncertain: regions         # covered where somebody is proposed but not found; full_frame: everything then
    #margin: 0.01                  # growth of the people; share of the frame's shorter side
    #hold_s: 0.5                   # where somebody was stays covered for so long
    #late_s: 5                     # a mask that took longer is not trusted: everything is covered

  #semantic:
    #threshold: null               # from which a pixel is person, 0..1; null: the one the model was tuned with
    #patch_threshold: null         # what some pixel of a patch must reach, or it is dropped; 0: none is; null: as above

#engine:
  #device: auto                    # auto, cpu or cuda:0
  #threads: null                   # CPU threads; null: all cores
  #in_flight: null                 # frames at once on a CPU; null: 2, or 1 with one thread
  #scale: auto                     # network pixels per frame pixel; auto: the long side becomes 640
  #backend: auto                   # what runs the deep networks on a CPU: torch, onnxruntime or openvino
  #precision: float32              # int8: in 8 bits, by onnxruntime or openvino; bfloat16: by openvino; not in gather
  #calibration: null               # video or folder whose pictures set the ranges of int8; null: rendered people
  #sparse: masked                  # mode gather: masked (rest of the frame is zero), previous (as last computed) or
                                   # exact (as in the whole frame)
  #packing: {canvas: [384, 640], max_canvases: 2, gutter: 8}   # height, width; where less is enough a part is used
  #models: {proposal: qunet16, semantic: unet_lite, instances: ssdisb, semantic_small: null, instances_small: null}
    # shipped names or paths; the small ones take over at the last step under overload (latency.max_age_ms)
    # for semantic and instances networks of your own too (docs/own_network.md): module:function, file.py:function (its
    # code is run), a .pt2 of torch.export or an .onnx; without input its pictures are RGB of any size in 0..1
    # semantic:
    #   network: mine.py:build
    #   arguments: {classes: 21}
    #   weights: mine.safetensors
    #   input: {stride: 32, range: [0, 1], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], order: rgb}
    #     # and, where it takes one size only, size: [352, 640]
    #   output: {name: out, meaning: logits, person: [15], stride: null}   # meaning: probabilities or classes
    # instances:
    #   network: mine.onnx
    #   output: {boxes: boxes, scores: scores, labels: labels, masks: masks, cover: picture, person: [1]}   # cover: box

publish:                           # subscribe with: argos sub tcp://127.0.0.1:5555
  bind: "tcp://127.0.0.1:5555"     # for other machines tcp://0.0.0.0:5555 and curve
  #curve: null                    # {server_key: keys/server.key_secret, clients: keys/clients}; argos keygen keys
  #insecure: false                 # true: anyone who reaches the port may see the results
  #every: null                     # {bind: tcp://127.0.0.1:5556, spool_mb: 64}: for consumers that need each one
  #kinds: [result, event, status, overlay, notice]
  #masks: {semantic: bits_zlib}    # bits is larger and faster
  #overlay: {quality: 80, max_fps: 5, width: 960, style: mask}   # drawn pictures, while someone subscribes

#outputs:                          # files, from the current directory; %camera% becomes the name
  #- {type: jsonl, path: out/%camera%/results.jsonl}
  #- {type: events, path: out/%camera%/events.jsonl}
  #- {type: overlay, path: out/%camera%/overlay.mp4, style: mask}   # outline, blur, pixelate, background, heatmap
    # or style: backdrop with backdrop: room.jpg, the picture behind people; null: their blurred surroundings
  #- {type: contact_sheet, path: out/%camera%/contact_sheet.png}
  #- {type: webhook, url: "${HOOK_URL:-http://127.0.0.1:8123/api/webhook/argos}", headers: {}}
    # of webhook and mqtt also timeout_s: 3, spool: 1000, retry: {initial_s: 0.5, max_s: 60, factor: 2, jitter: 0.2};
    # of these, moments and events also events: [zone_enter], active: {hours: ["22:00-06:00"]}
  #- {type: mqtt, host: 127.0.0.1, prefix: argos, home_assistant: null}   # homeassistant: announce sensors there
    # with port: null, username: null, password: null, tls: false, ca: null
  #- {type: moments, path: moments/%camera%, before_s: 5, after_s: 5, longest_s: 60, fps: 10, clip: true}
  #- {type: recording, path: rec/%camera%, segment_s: 60, quota_mb: null}   # packets as they come, results beside

#http:                             # live page, /status, /healthz, /readyz, /metrics
  #bind: null                      # 127.0.0.1:8080; for other machines 0.0.0.0:8080 and a token
  #token: null                     # ${ARGOS_TOKEN:-}; 16 letters or more
  #hosts: []                       # names in the browser's address besides IP addresses and localhost
  #pictures: {quality: 75, max_fps: 15, width: 1280}   # made only while somebody looks

#logging: {level: info, format: auto}   # debug, info, warning, error; auto, text, json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos init``."""
    parser.add_argument(
        "--source", metavar="URL", default="webcam:0", help="where pictures come from (default: webcam:0)"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, default=Path("camera.yaml"), help="(default: camera.yaml)"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")


def run(args: argparse.Namespace) -> int:
    """Write the file.

    Raises:
        UsageError: it exists, or the source cannot be one.
        PublishError: it cannot be written.
    """
    from argos.sources.names import redact

    text = configuration_text(args.source)
    try:
        with args.output.open("w" if args.force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{args.output}: exists; choose another with -o FILE, or replace it with --force") from error
    except OSError as error:
        raise PublishError(f"{args.output}: cannot be written ({error.strerror})") from error
    print(f"wrote {args.output}; next: argos run {args.output}")
    if redact(args.source) != args.source:
        print(
            f"{args.output} holds a password: keep it private, or write ${{CAMERA_PASSWORD}} in its place",
            file=sys.stderr,
        )
    return 0


def configuration_text(source: str) -> str:
    """A commented configuration for one source.

    Raises:
        UsageError: the source cannot be one.
    """
    from argos.config import config_from_sources
    from argos.config_yaml import dump_yaml
    from argos.errors import ConfigError

    try:
        ((name, camera),) = config_from_sources([source]).cameras.items()
    except ConfigError as error:
        raise UsageError(f"--source: {error}") from error
    quoted = dump_yaml([camera.source.url]).strip().removeprefix("[").removesuffix("]")
    return TEMPLATE.replace("@NAME@", dump_yaml([name]).strip("[]\n")).replace("@URL@", quoted)
