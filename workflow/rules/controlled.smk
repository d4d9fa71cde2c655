# Small models trained from nothing: one process a regime and seed, then all tables.
RESULTS = GRAPH.results()


wildcard_constraints:
    regime=any_of(GRAPH.graph.regimes),
    seed=r"\d+",


rule run_regime:
    """All variants of a regime under one seed, from a base that is trained here."""
    output:
        scores=paths.bound(paths.SYNTHETIC, kind="scores"),
        positions=paths.bound(paths.SYNTHETIC, kind="positions"),
        curves=paths.bound(paths.SYNTHETIC, kind="curves"),
        manifest=paths.SYNTHETIC_RUN,
    log:
        paths.log("run_regime", paths.SYNTHETIC_RUN).replace("controlled/", ""),
    # The longest first, so that no core waits for one that began last.
    priority: lambda w: len(GRAPH.graph.regimes[w.regime].methods)
    conda:
        CONDA
    threads: 1
    resources:
        mem=memory(3),
        runtime="2h",
    params:
        **step("run_regime"),
    shell:
        STEP


rule collect_regimes:
    """Scores, positions, learning curves and costs of all regimes and seeds."""
    input:
        unpack(inputs("collect_regimes")),
    output:
        **paths.SYNTHETIC_COLLECTED,
        manifests=paths.MANIFESTS,
    log:
        paths.log("collect_regimes"),
    localrule: True
    conda:
        CONDA
    params:
        **step("collect_regimes"),
    shell:
        STEP


rule render_ablations:
    """Tables and figures of the controlled runs: a pure function of what was collected."""
    input:
        unpack(inputs("render_ablations")),
    output:
        RESULTS["tables"],
        [path for path in RESULTS["figures"] if not path.endswith(".svg")],
        [
            report(
                path,
                caption="../report/ablations.rst",
                category="Controlled runs",
                labels={"figure": os.path.basename(path)},
            )
            for path in RESULTS["figures"]
            if path.endswith(".svg")
        ],
    log:
        paths.log("render_ablations"),
    localrule: True
    conda:
        CONDA
    params:
        **step("render_ablations"),
    shell:
        STEP
