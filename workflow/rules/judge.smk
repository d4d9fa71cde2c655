# Pairwise comparisons: which of two answers is better, and one table for each.
# Replies are paid for: they are kept beside the downloads, and shared by all scales.
REPLIES = f"{RESOURCES}/replies"
COMPARISONS = judging.names(GRAPH)


JUDGMENTS = {
    name: [judgment_path(name, cell) for cell in judging.cells(GRAPH, name)]
    for name in COMPARISONS
}
WIN_RATES = expand(
    "results/tables/win-rates-{comparison}.{kind}",
    comparison=COMPARISONS,
    kind=["md", "tex", "csv"],
)


wildcard_constraints:
    comparison=any_of(COMPARISONS) or "none",


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
        spec=lambda w: to_json(judging.spec(GRAPH, w.comparison, w.task, int(w.seed))),
        code=code("selfgen.judge.comparison"),
        files=lambda w, input: [
            argument
            for name in ("scorer", "prompt")
            if input.get(name)
            for argument in (f"--{name}", input.get(name))
        ],
        replies=REPLIES,
    shell:
        "python -m selfgen judge --spec {params.spec:q} --records {input.records:q}"
        " --answers {input.answers:q} --opponents {input.opponents:q} {params.files:q}"
        " --replies {params.replies:q} --limits {resources.limits:q} --out {output.judgments:q}"
        " --manifest {output.manifest:q} --threads {threads}"
        " --name '{wildcards.comparison} {wildcards.node} {wildcards.task}' > {log:q} 2>&1"


rule tabulate_win_rates:
    """One table a comparison."""
    input:
        judgments=lambda w: JUDGMENTS[w.comparison],
    output:
        expand(
            "results/tables/win-rates-{{comparison}}.{kind}", kind=["md", "tex", "csv"]
        ),
    log:
        "logs/tabulate_win_rates/{comparison}.log",
    localrule: True
    conda:
        CONDA
    params:
        spec=lambda w: to_json(judging.table(GRAPH, w.comparison)),
        code=code("selfgen.report.win_rates"),
    shell:
        "python -m selfgen tabulate-win-rates --spec {params.spec:q}"
        " --judgments {input.judgments:q} --tables results/tables > {log:q} 2>&1"
