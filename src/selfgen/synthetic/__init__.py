"""Small models trained from nothing on procedural tasks, all variants in one process."""
