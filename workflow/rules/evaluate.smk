# Answers (GPU) apart from scores (CPU).
rule generate_answers:
    """Answers of a node to the held-out prompts."""
    input:
        unpack(checked_records),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
        drafts=drafts,
    output:
        shard="results/answers/{task}/{model}/{node}/{decoding}/seed{seed}/shard{shard}.parquet",
        manifest="results/answers/{task}/{model}/{node}/{decoding}/seed{seed}/shard{shard}.json",
    log:
        "logs/generate_answers/{task}/{model}/{node}/{decoding}/seed{seed}.shard{shard}.log",
    conda:
        CONDA
    threads: model_threads
    resources:
        **GENERATING,
    params:
        spec=spec(GRAPH.answers, "task", "node", "decoding", "seed"),
        code=code("selfgen.generation.answers"),
    shell:
        "python -m selfgen answers --spec {params.spec:q} --shard {wildcards.shard}"
        " --records {input.records:q} --weights {input.weights:q}"
        " --drafts {input.drafts:q} --out {output.shard:q}"
        " --manifest {output.manifest:q} --threads {threads} --gpus {resources.gpu}"
        " --name 'answers {wildcards.node} {wildcards.task}' > {log:q} 2>&1"


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
        spec=spec(GRAPH.scores, "task"),
        code=scoring_code("selfgen.evaluation.scores"),
        root=os.path.relpath(ROOT),
    shell:
        "python -m selfgen score --spec {params.spec:q} --records {input.records:q}"
        " --answers {input.answers:q} --drafts {input.drafts:q} --root {params.root:q}"
        " --out {output.scores:q} > {log:q} 2>&1"


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
        spec=spec(GRAPH.exposure, "task", "seed"),
        code=code("selfgen.evaluation.oracle"),
    shell:
        "python -m selfgen exposure --spec {params.spec:q} --records {input.records:q}"
        " --weights {input.weights:q} --oracle {input.oracle:q}"
        " --out {output.errors:q} --manifest {output.manifest:q} --threads {threads}"
        " --name 'exposure {wildcards.node} {wildcards.task}' > {log:q} 2>&1"


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
        spec=spec(partial(dialogues.loss, GRAPH), "task", "node"),
        code=code("selfgen.evaluation.held_out"),
    shell:
        "python -m selfgen held-out-loss --spec {params.spec:q}"
        " --dialogues {input.dialogues:q} --weights {input.weights:q}"
        " --out {output.losses:q} --manifest {output.manifest:q} --threads {threads}"
        " --name 'loss {wildcards.node} {wildcards.task}' > {log:q} 2>&1"
