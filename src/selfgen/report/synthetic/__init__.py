"""Tables and figures of the controlled runs."""
