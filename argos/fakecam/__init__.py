"""A camera that speaks RTSP and has faults on demand: for tests, and for reports that others can repeat."""
