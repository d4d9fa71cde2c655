# Benchmarks that a judge grades: answers, and grades by an endpoint. Those with shots:
# answers and grades in one go.
rule answer_benchmark:
    """Answers of a checkpoint to the prompts of a benchmark."""
    input:
        unpack(inputs("answer_benchmark")),
    output:
        answers=paths.REPLIES,
        manifest=paths.manifest(paths.REPLIES),
    log:
        paths.log("answer_benchmark", paths.REPLIES),
    wildcard_constraints:
        benchmark=any_of(NAMES["judged"]),
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("answer_benchmark"),
    shell:
        STEP


rule grade_benchmark:
    """What an endpoint says of the answers; its replies are kept as they come."""
    input:
        unpack(inputs("grade_benchmark")),
    output:
        grades=paths.GRADES,
        manifest=paths.manifest(paths.GRADES),
    log:
        paths.log("grade_benchmark", paths.GRADES),
    wildcard_constraints:
        benchmark=any_of(NAMES["judged"]),
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="8h",
        limits=GRAPH.limits,
    params:
        **step("grade_benchmark"),
    shell:
        STEP


rule ask_few_shot:
    """Problems after some solved ones, by lm-evaluation-harness."""
    input:
        unpack(inputs("ask_few_shot")),
    output:
        grades=paths.GRADES,
        manifest=paths.manifest(paths.GRADES),
    log:
        paths.log("ask_few_shot", paths.GRADES),
    wildcard_constraints:
        benchmark=any_of(NAMES["few_shot"]),
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("ask_few_shot"),
    shell:
        STEP
