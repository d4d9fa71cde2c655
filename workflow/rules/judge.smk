# Contests: who says which of two answers is better, and one table for each.
CONTESTS = judging.names(GRAPH)


VERDICTS = {
    name: [verdict_path(name, cell) for cell in judging.cells(GRAPH, name)]
    for name in CONTESTS
}
WIN_RATES = expand(
    "results/tables/win-rates-{contest}.{kind}",
    contest=CONTESTS,
    kind=["md", "tex", "csv"],
)


wildcard_constraints:
    contest=any_of(CONTESTS) or "none",


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


rule tabulate_win_rates:
    """One table a contest."""
    input:
        verdicts=lambda w: VERDICTS[w.contest],
    output:
        expand("results/tables/win-rates-{{contest}}.{kind}", kind=["md", "tex", "csv"]),
    log:
        "logs/tabulate_win_rates/{contest}.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("tabulate_win_rates", lambda w: to_json(judging.table(GRAPH, w.contest))),
    shell:
        STEP
