# Passes, training rows, fine-tuning. Their jobs are long and others wait for them, so
# they go first; the many short jobs of answers then fill the end of a run.
rule generate_pass:
    """Self-generated tokens over the training records: mixed answers or drafts."""
    input:
        unpack(checked_records),
        weights=lambda w: GRAPH.weights(w.task, w.model, w.node, w.seed),
    output:
        tokens="results/passes/{task}/{model}/{node}/{pass_}/seed{seed}/shard{shard}.parquet",
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
        **step("generate_pass", spec(GRAPH.generation, "task", "node", "pass_", "seed")),
    shell:
        STEP


rule mix_rows:
    """Training rows of a node, in training order."""
    input:
        unpack(rows_from),
        tokenizer=lambda w: f"results/base/{w.model}",
        passed=lambda w: GRAPH.pass_shards(w.task, w.model, w.node, w.seed),
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
        **step(
            "mix_rows",
            spec(partial(dialogues.rows, GRAPH), "task", "node", "seed"),
            mixing_code,
        ),
    shell:
        STEP


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
        **step("finetune", spec(GRAPH.train, "task", "node", "seed")),
    shell:
        STEP


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
