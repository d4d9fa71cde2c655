"""A finished run as one page of HTML that needs no network: ``selfgen report``."""
