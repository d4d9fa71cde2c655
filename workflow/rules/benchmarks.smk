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
ANSWERING = {"alpaca-eval": "instructions", "mt-bench": "dialogues"}
GRADING = {"alpaca-eval": "selfgen.judge.alpaca", "mt-bench": "selfgen.judge.mt_bench"}


wildcard_constraints:
    benchmark=any_of(BENCHMARKS) or "none",
    protocol=any_of(benchmarks.FEW_SHOT),


rule answer_benchmark:
    """Answers of a node to the prompts of a benchmark."""
    input:
        unpack(benchmark_files(True)),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
    output:
        answers="results/benchmarks/{benchmark}/{task}/{model}/{node}/seed{seed}/answers.parquet",
        manifest="results/benchmarks/{benchmark}/{task}/{model}/{node}/seed{seed}/answers.json",
    log:
        "logs/answer_benchmark/{benchmark}/{task}/{model}/{node}/seed{seed}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        spec=lambda w: to_json(benchmarks.answers(GRAPH, w.benchmark, int(w.seed))),
        code=code("selfgen.judge.answers"),
        verb=lambda w: ANSWERING[w.benchmark],
        files=benchmark_arguments,
    shell:
        "python -m selfgen {params.verb} --spec {params.spec:q} {params.files:q}"
        " --weights {input.weights:q} --out {output.answers:q}"
        " --manifest {output.manifest:q} --threads {threads}"
        " --name '{wildcards.benchmark} {wildcards.node}' > {log:q} 2>&1"


rule grade_benchmark:
    """What an endpoint says of the answers; its replies are kept as they come."""
    input:
        unpack(benchmark_files(False)),
        answers="results/benchmarks/{benchmark}/{task}/{model}/{node}/seed{seed}/answers.parquet",
    output:
        grades="results/benchmarks/{benchmark}/{task}/{model}/{node}/seed{seed}/grades.parquet",
        manifest="results/benchmarks/{benchmark}/{task}/{model}/{node}/seed{seed}/grades.json",
    log:
        "logs/grade_benchmark/{benchmark}/{task}/{model}/{node}/seed{seed}.log",
    wildcard_constraints:
        benchmark=any_of(GRADING),
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="8h",
    params:
        spec=lambda w: to_json(
            benchmarks.graded(GRAPH, w.benchmark, w.model, w.node, int(w.seed))
        ),
        code=lambda w: code_digest(GRADING[w.benchmark]),
        files=benchmark_arguments,
        replies=REPLIES,
    shell:
        "python -m selfgen {wildcards.benchmark} --spec {params.spec:q} {params.files:q}"
        " --answers {input.answers:q} --replies {params.replies:q}"
        " --out {output.grades:q} --manifest {output.manifest:q} --threads {threads}"
        " --name '{wildcards.benchmark} {wildcards.node}' > {log:q} 2>&1"


rule ask_few_shot:
    """Problems after some solved ones, by lm-evaluation-harness."""
    input:
        problems=lambda w: few_shot_files(w.protocol),
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
        spec=spec(partial(benchmarks.few_shot, GRAPH), "protocol"),
        code=code("selfgen.evaluation.few_shot"),
    shell:
        "python -m selfgen few-shot --spec {params.spec:q} --problems {input.problems:q}"
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
