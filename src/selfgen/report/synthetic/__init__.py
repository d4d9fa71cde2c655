"""Tables and figures of the synthetic experiments."""
