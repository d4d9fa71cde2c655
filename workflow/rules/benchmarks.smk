# Benchmarks that a judge grades: answers, and grades by an endpoint. Those with shots:
# answers and grades in one go.
wildcard_constraints:
    graded=any_of(benchmarks.judged(GRAPH)) or "none",
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
        **step(
            "answer_benchmark",
            spec(partial(benchmarks.answers, GRAPH), "graded", "seed"),
            benchmark_code("answer_benchmark"),
        ),
    shell:
        STEP


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
        **step(
            "grade_benchmark",
            spec(partial(benchmarks.grades, GRAPH), "graded", "model", "node", "seed"),
            benchmark_code("grade_benchmark"),
        ),
    shell:
        STEP


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
        **step(
            "ask_few_shot",
            spec(partial(benchmarks.shots, GRAPH), "protocol"),
            benchmark_code("ask_few_shot"),
        ),
    shell:
        STEP
