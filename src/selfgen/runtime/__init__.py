"""How a step runs: locks, launching, threads, jobs of a cluster."""
