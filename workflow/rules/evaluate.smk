# Answers (GPU) apart from scores (CPU).
rule generate_answers:
    """Answers of a node to the held-out prompts."""
    input:
        unpack(checked_records),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
        drafts=drafts,
    output:
        answers="results/answers/{task}/{model}/{node}/{decoding}/seed{seed}/shard{shard}.parquet",
        manifest="results/answers/{task}/{model}/{node}/{decoding}/seed{seed}/shard{shard}.json",
    log:
        "logs/generate_answers/{task}/{model}/{node}/{decoding}/seed{seed}.shard{shard}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        **GENERATING,
    params:
        **step(
            "generate_answers", spec(GRAPH.answers, "task", "node", "decoding", "seed")
        ),
    shell:
        STEP


rule score_answers:
    """Per-example scores of a node's answers; kept."""
    input:
        records="results/records/{task}.parquet",
        answers=lambda w: GRAPH.answer_shards(
            w.task, w.model, w.node, w.decoding, w.seed
        ),
        drafts=drafts,
    output:
        scores="results/scores/{task}/{model}/{node}/{decoding}/seed{seed}.parquet",
    log:
        "logs/score_answers/{task}/{model}/{node}/{decoding}/seed{seed}.log",
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="1h",
    params:
        **step(
            "score_answers",
            spec(GRAPH.scores, "task"),
            scoring_code("selfgen.evaluation.scores"),
        ),
    shell:
        STEP


rule measure_exposure:
    """Step errors of a node against the oracle, after own and after reference tokens."""
    input:
        unpack(checked_records),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
        oracle=lambda w: GRAPH.oracle_weights(w.task, w.model, w.seed),
    output:
        errors="results/exposure/{task}/{model}/{node}/seed{seed}.parquet",
        manifest="results/exposure/{task}/{model}/{node}/seed{seed}.json",
    log:
        "logs/measure_exposure/{task}/{model}/{node}/seed{seed}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("measure_exposure", spec(GRAPH.exposure, "task", "seed")),
    shell:
        STEP


rule measure_loss:
    """Loss of a node on held-out dialogues, packed as those that it was trained on."""
    input:
        dialogues=lambda w: file_input(dialogues.of(GRAPH, w.task, w.node).test),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
    output:
        losses="results/losses/{task}/{model}/{node}/seed{seed}.parquet",
        manifest="results/losses/{task}/{model}/{node}/seed{seed}.json",
    log:
        "logs/measure_loss/{task}/{model}/{node}/seed{seed}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("measure_loss", spec(partial(dialogues.loss, GRAPH), "task", "node")),
    shell:
        STEP
