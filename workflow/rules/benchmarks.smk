# AlpacaEval 2.0 and MT-Bench: answers, and grades by an endpoint. GSM8K and MATH with
# shots: answers and grades in one go.
wildcard_constraints:
    benchmark=any_of(benchmarks.names(GRAPH)) or "none",
    protocol=any_of(benchmarks.FEW_SHOT),


def graded(w):
    return to_json(benchmarks.graded(GRAPH, w.benchmark, w.model, w.node, int(w.seed)))


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
        **step(
            "answer_benchmark",
            lambda w: to_json(benchmarks.answers(GRAPH, w.benchmark, int(w.seed))),
        ),
    shell:
        STEP


rule grade_alpaca_eval:
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
        benchmark="alpaca-eval",
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="8h",
    params:
        **step("grade_alpaca_eval", graded),
    shell:
        STEP


use rule grade_alpaca_eval as grade_mt_bench with:
    wildcard_constraints:
        benchmark="mt-bench",
    params:
        **step("grade_mt_bench", graded),


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
        **step("ask_few_shot", spec(partial(benchmarks.few_shot, GRAPH), "protocol")),
    shell:
        STEP
