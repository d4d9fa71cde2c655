# AlpacaEval 2.0 and MT-Bench: answers, and grades by an endpoint. GSM8K and MATH with
# shots: answers and grades in one go. One table each.
BENCHMARKS = benchmarks.names(GRAPH)
GRADES = {
    name: [
        f"results/benchmarks/{name}/{c.task}/{c.model}/{c.method}/seed{c.seed}/grades.parquet"
        for c in benchmarks.cells(GRAPH, name)
    ]
    for name in BENCHMARKS
}
JUDGED = expand(
    "results/tables/{benchmark}.{kind}",
    benchmark=BENCHMARKS,
    kind=["md", "tex", "csv"],
)
GRADED = benchmarks.judged(GRAPH)


wildcard_constraints:
    benchmark=any_of(BENCHMARKS) or "none",
    graded=any_of(GRADED) or "none",
    protocol=any_of(benchmarks.few_shot(GRAPH)) or "none",


rule answer_benchmark:
    """Answers of a node to the prompts of a benchmark."""
    input:
        unpack(benchmark_files(True)),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
    output:
        answers="results/benchmarks/{graded}/{task}/{model}/{node}/seed{seed}/answers.parquet",
        manifest="results/benchmarks/{graded}/{task}/{model}/{node}/seed{seed}/answers.json",
    log:
        "logs/answer_benchmark/{graded}/{task}/{model}/{node}/seed{seed}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        spec=lambda w: to_json(benchmarks.answers(GRAPH, w.graded, int(w.seed))),
        code=benchmark_code("selfgen.judge.answers"),
        files=benchmark_arguments,
    shell:
        "python -m selfgen benchmark-answers --spec {params.spec:q}"
        " --files {params.files:q}"
        " --weights {input.weights:q} --out {output.answers:q}"
        " --manifest {output.manifest:q} --threads {threads}"
        " --name '{wildcards.graded} {wildcards.node}' > {log:q} 2>&1"


rule grade_benchmark:
    """What an endpoint says of the answers; its replies are kept as they come."""
    input:
        unpack(benchmark_files(False)),
        answers="results/benchmarks/{graded}/{task}/{model}/{node}/seed{seed}/answers.parquet",
    output:
        grades="results/benchmarks/{graded}/{task}/{model}/{node}/seed{seed}/grades.parquet",
        manifest="results/benchmarks/{graded}/{task}/{model}/{node}/seed{seed}/grades.json",
    log:
        "logs/grade_benchmark/{graded}/{task}/{model}/{node}/seed{seed}.log",
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="8h",
        limits=lambda w: to_json(benchmarks.limits(GRAPH, w.graded)),
    params:
        spec=lambda w: to_json(
            benchmarks.grades(GRAPH, w.graded, w.model, w.node, int(w.seed))
        ),
        code=benchmark_code("selfgen.judge.grades"),
        files=benchmark_arguments,
        replies=REPLIES,
    shell:
        "python -m selfgen benchmark-grades --spec {params.spec:q} --files {params.files:q}"
        " --limits {resources.limits:q}"
        " --answers {input.answers:q} --replies {params.replies:q}"
        " --out {output.grades:q} --manifest {output.manifest:q} --threads {threads}"
        " --name '{wildcards.graded} {wildcards.node}' > {log:q} 2>&1"


rule ask_few_shot:
    """Problems after some solved ones, by lm-evaluation-harness."""
    input:
        unpack(benchmark_files(False)),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
    output:
        grades="results/benchmarks/{protocol}/{task}/{model}/{node}/seed{seed}/grades.parquet",
        manifest="results/benchmarks/{protocol}/{task}/{model}/{node}/seed{seed}/grades.json",
    log:
        "logs/ask_few_shot/{protocol}/{task}/{model}/{node}/seed{seed}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        spec=spec(partial(benchmarks.shots, GRAPH), "protocol"),
        code=benchmark_code("selfgen.evaluation.few_shot"),
        files=benchmark_arguments,
    shell:
        "python -m selfgen few-shot --spec {params.spec:q} --files {params.files:q}"
        " --weights {input.weights:q} --out {output.grades:q}"
        " --manifest {output.manifest:q} --threads {threads}"
        " --name '{wildcards.protocol} {wildcards.node}' > {log:q} 2>&1"


rule tabulate_benchmark:
    """One table a benchmark."""
    input:
        grades=lambda w: GRADES[w.benchmark],
    output:
        expand("results/tables/{{benchmark}}.{kind}", kind=["md", "tex", "csv"]),
    log:
        "logs/tabulate_benchmark/{benchmark}.log",
    localrule: True
    conda:
        CONDA
    params:
        spec=lambda w: to_json(benchmarks.table(GRAPH, w.benchmark)),
        code=code("selfgen.report.benchmarks"),
    shell:
        "python -m selfgen tabulate-benchmark --spec {params.spec:q}"
        " --benchmark {wildcards.benchmark} --grades {input.grades:q}"
        " --tables results/tables > {log:q} 2>&1"
