"""The logger plugin ``selfgen`` of Snakemake: what a run shows in the terminal. The default
profile names it, and Snakemake finds it by the name of this package.

It imports nothing of ``selfgen``: it is loaded before the workflow, whose package may be that
of another checkout.
"""

from snakemake_logger_plugin_selfgen.handler import LogHandler

__all__ = ["LogHandler"]
