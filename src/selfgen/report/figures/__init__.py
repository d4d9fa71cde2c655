"""One file a figure: a module that defines ``FIGURE`` (``report.registry``)."""
