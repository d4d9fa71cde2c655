# Collected tables, and every rendering drawn from them.


rule collect_results:
    """Scores, runs, timings and curves of all cells, in four tables; all manifests."""
    input:
        unpack(inputs("collect_results")),
    output:
        **paths.COLLECTED,
        manifests=paths.MANIFESTS,
        manifest=paths.manifest(paths.MANIFESTS),
    log:
        paths.log("collect_results"),
    localrule: True
    conda:
        CONDA
    params:
        **step("collect_results"),
    shell:
        STEP


rule tabulate:
    """One table of the registry, and the spec that it was drawn with."""
    input:
        unpack(inputs("tabulate")),
    output:
        **{
            kind: paths.bound(paths.TABLE, kind=kind)
            for kind in TABLES
            if kind != "csv"
        },
        csv=drawn(paths.bound(paths.TABLE, kind="csv"), "Tables", "{table}"),
        manifest=paths.manifest(paths.TABLE),
    log:
        "logs/tabulate/{table}.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("tabulate"),
        about=GRAPH.about,
    shell:
        STEP


rule plot:
    """One figure of the registry."""
    input:
        unpack(inputs("plot")),
    output:
        **{
            kind: paths.bound(paths.FIGURE, kind=kind)
            for kind in FIGURES
            if kind != "svg"
        },
        svg=drawn(paths.bound(paths.FIGURE, kind="svg"), "Figures", "{figure}"),
        manifest=paths.manifest(paths.FIGURE),
    log:
        "logs/plot/{figure}.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("plot"),
        about=GRAPH.about,
    shell:
        STEP


rule render_samples:
    """Sample answers side by side."""
    input:
        unpack(inputs("render_samples")),
    output:
        page=paths.SAMPLES,
        manifest=paths.manifest(paths.SAMPLES),
    log:
        paths.log("render_samples"),
    localrule: True
    conda:
        CONDA
    params:
        **step("render_samples"),
    shell:
        STEP
