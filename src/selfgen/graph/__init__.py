"""From the configuration to the graph: every file and every step's spec."""
