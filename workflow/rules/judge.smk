# Pairwise comparisons: which of two answers is better.
wildcard_constraints:
    comparison=any_of(judging.names(GRAPH)) or "none",


rule judge_answers:
    """Who wins, pair by pair. An endpoint's replies are kept as they come."""
    input:
        records="results/records/{task}.parquet",
        answers=lambda w: GRAPH.answer_shards(
            w.task, w.model, w.node, w.decoding, w.seed
        ),
        opponents=lambda w: judging.opponents(
            GRAPH, w.comparison, w.task, w.model, w.seed
        ),
        scorer=scorer,
        prompt=judge_prompt,
    output:
        judgments="results/judgments/{comparison}/{task}/{model}/{node}/{decoding}/seed{seed}.parquet",
        manifest="results/judgments/{comparison}/{task}/{model}/{node}/{decoding}/seed{seed}.json",
    log:
        "logs/judge_answers/{comparison}/{task}/{model}/{node}/{decoding}/seed{seed}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        mem=memory(4),
        runtime="8h",
        limits=lambda w: to_json(judging.limits(GRAPH, w.comparison)),
    params:
        **step(
            "judge_answers",
            spec(partial(judging.spec, GRAPH), "comparison", "task", "seed"),
        ),
    shell:
        STEP
