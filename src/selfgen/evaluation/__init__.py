"""From answers to numbers: per-example graders, and statistics that compare methods."""
