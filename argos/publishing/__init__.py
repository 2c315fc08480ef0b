"""Results leave here: the ``argos/1`` messages, the ZeroMQ publisher and subscriber, JSONL, COCO, recordings."""
