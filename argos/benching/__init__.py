"""The modes of ARGOS beside their honest opponents: one interleaved run, speed and quality in one table."""
