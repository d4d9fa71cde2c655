# Passes, training rows, fine-tuning. Their jobs are long and others wait for them, so
# they go first; the many short jobs of answers then fill the end of a run.
rule generate_pass:
    """Self-generated tokens over the training records: mixed answers or drafts."""
    input:
        unpack(checked_records),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
    output:
        shard="results/passes/{task}/{model}/{node}/{pass_}/seed{seed}/shard{shard}.parquet",
        manifest="results/passes/{task}/{model}/{node}/{pass_}/seed{seed}/shard{shard}.json",
    log:
        "logs/generate_pass/{task}/{model}/{node}/{pass_}/seed{seed}.shard{shard}.log",
    priority: 1
    conda:
        CONDA
    threads: model_threads
    resources:
        **GENERATING,
    params:
        spec=spec(GRAPH.generation, "task", "node", "pass_", "seed"),
        code=code("selfgen.generation.passes"),
    shell:
        "python -m selfgen pass --spec {params.spec:q} --shard {wildcards.shard}"
        " --records {input.records:q} --weights {input.weights:q}"
        " --out {output.shard:q} --manifest {output.manifest:q}"
        " --threads {threads} --gpus {resources.gpu}"
        " --name 'pass {wildcards.pass_} {wildcards.task}' > {log:q} 2>&1"


rule mix_rows:
    """Training rows of a node, in training order."""
    input:
        unpack(rows_from),
        tokenizer=lambda w: f"results/base/{w.model}",
        shards=lambda w: GRAPH.pass_shards(w.task, w.model, w.node, w.seed),
        time_of=time_of,
    output:
        rows="results/rows/{task}/{model}/{node}/seed{seed}.parquet",
        manifest="results/rows/{task}/{model}/{node}/seed{seed}.json",
    log:
        "logs/mix_rows/{task}/{model}/{node}/seed{seed}.log",
    priority: 1
    conda:
        CONDA
    resources:
        mem=rows_memory,
        runtime="1h",
    params:
        spec=spec(partial(dialogues.rows, GRAPH), "task", "node", "seed"),
        code=mixing_code,
        root=os.path.relpath(ROOT),
        data=lambda w, input: next(
            [f"--{name}", input[name]]
            for name in ("pairs", "dialogues", "records")
            if input.get(name)
        ),
    shell:
        "python -m selfgen rows --spec {params.spec:q} {params.data:q}"
        " --tokenizer {input.tokenizer:q} --pass {input.shards:q}"
        " --time-of {input.time_of:q} --root {params.root:q}"
        " --out {output.rows:q} --manifest {output.manifest:q} > {log:q} 2>&1"


rule finetune:
    """Fine-tune a node from its parent's weights; resumes from scratch/."""
    input:
        rows="results/rows/{task}/{model}/{node}/seed{seed}.parquet",
        weights=lambda w: GRAPH.parent_weights(w.task, w.model, w.node, w.seed),
    output:
        weights=directory("results/models/{task}/{model}/{node}/seed{seed}/weights"),
        curve="results/models/{task}/{model}/{node}/seed{seed}/curve.jsonl",
        manifest="results/models/{task}/{model}/{node}/seed{seed}/manifest.json",
    log:
        "logs/finetune/{task}/{model}/{node}/seed{seed}.log",
    benchmark:
        "benchmarks/finetune/{task}/{model}/{node}/seed{seed}.jsonl"
    wildcard_constraints:
        node=any_of(sorted(set(GRAPH.nodes) - set(ROUNDS))),
    priority: 1
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
        # By --set-resources or a profile: several machines, and a configuration of
        # `accelerate launch` that says what the processes share.
        nodes=1,
        launch="",
        checkpoint_minutes=10,
        # Tokens of a forward pass; 0: by device, and halved when memory runs out.
        micro_batch_tokens=0,
    params:
        spec=spec(GRAPH.train, "task", "node", "seed"),
        code=code("selfgen.training.causal"),
        root=os.path.relpath(ROOT),
    shell:
        "python -m selfgen train --spec {params.spec:q} --rows {input.rows:q}"
        " --weights {input.weights:q} --out {output.weights:q} --curve {output.curve:q}"
        " --manifest {output.manifest:q} --scratch scratch --threads {threads}"
        " --checkpoint-minutes {resources.checkpoint_minutes}"
        " --micro-batch-tokens {resources.micro_batch_tokens}"
        " --processes {resources.gpu} --nodes {resources.nodes}"
        " --launch={resources.launch:q} --root {params.root:q}"
        " --name 'train {wildcards.node} {wildcards.task}' > {log:q} 2>&1"


# The weights of all rounds but the last go once the next round has been trained.
use rule finetune as finetune_round with:
    output:
        weights=temp(
            directory("results/models/{task}/{model}/{node}/seed{seed}/weights")
        ),
        curve="results/models/{task}/{model}/{node}/seed{seed}/curve.jsonl",
        manifest="results/models/{task}/{model}/{node}/seed{seed}/manifest.json",
    wildcard_constraints:
        node=any_of(ROUNDS) or "none",
