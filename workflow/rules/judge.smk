# Contests: who says which of two answers is better.
wildcard_constraints:
    contest=any_of(judging.names(GRAPH)) or "none",


rule judge_answers:
    """Who wins, pair by pair. An endpoint's replies are kept as they come."""
    input:
        records="results/records/{task}.parquet",
        answers=lambda w: GRAPH.answer_shards(
            w.task, w.model, w.node, w.decoding, w.seed
        ),
        opponents=lambda w: judging.opponents(GRAPH, w.contest, w.task, w.model, w.seed),
        scorer=scorer,
        prompt=judge_prompt,
    output:
        verdicts="results/verdicts/{contest}/{task}/{model}/{node}/{decoding}/seed{seed}.parquet",
        manifest="results/verdicts/{contest}/{task}/{model}/{node}/{decoding}/seed{seed}.json",
    log:
        "logs/judge_answers/{contest}/{task}/{model}/{node}/{decoding}/seed{seed}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        mem=memory(4),
        runtime="8h",
    params:
        **step(
            "judge_answers",
            lambda w: to_json(judging.pairs(GRAPH, w.contest, w.task, int(w.seed))),
        ),
    shell:
        STEP
