"""From collected scores to tables and figures: pure functions, no clock, no network."""
