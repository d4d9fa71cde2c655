"""One file a table: a module that defines ``TABLE`` (``report.registry``)."""
