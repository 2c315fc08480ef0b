"""Prints who is seen where: python samples/subscribe.py [tcp://127.0.0.1:5555]"""

import sys

import argos

endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"

with argos.Subscriber(endpoint, queue=1000) as subscriber:
    try:
        for result in subscriber:
            people = result.instances
            boxes = people.boxes.tolist() if people is not None else []
            line = f"{result.camera} {result.seq} at {result.pts_s:.2f} s: {len(boxes)} people {boxes}"
            if result.semantic is not None:
                line += f", {result.semantic.area:.1%} of the picture"
            print(line, flush=True)
    except KeyboardInterrupt:
        print(f"missed {subscriber.missed}", file=sys.stderr)
