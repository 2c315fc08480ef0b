"""Networks, one file for one paper; ``table.NETWORKS`` has their builders by name."""
