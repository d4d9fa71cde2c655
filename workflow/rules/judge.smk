# Pairwise comparisons: which of two answers is better.
rule judge_answers:
    """Who wins, pair by pair. An endpoint's replies are kept as they come."""
    input:
        unpack(inputs("judge_answers")),
    output:
        judgments=paths.JUDGMENTS,
        manifest=paths.manifest(paths.JUDGMENTS),
    log:
        paths.log("judge_answers", paths.JUDGMENTS),
    conda:
        CONDA
    threads: model_threads
    resources:
        mem=memory(4),
        runtime="8h",
        limits=GRAPH.limits,
    params:
        **step("judge_answers"),
    shell:
        STEP
