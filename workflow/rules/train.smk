# Passes, training rows, fine-tuning. Their jobs are long and others wait for them, so
# they go first; the many short jobs of answers then fill the end of a run.
# In several jobs, each of a part of the plan: by --set-resources or a profile,
# generate_pass:shards=4. The parts go once they are gathered (docs/rerun.md).
PASS_SHARDS = shards_of("generate_pass")


rule generate_pass:
    """Self-generated tokens over the training records: mixed answers or drafts."""
    input:
        unpack(inputs("generate_pass")),
    output:
        **shard_of(paths.PASSED, "tokens", PASS_SHARDS),
    log:
        paths.log("generate_pass", shard_name(paths.PASSED, PASS_SHARDS)),
    priority: 1
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
        shards=1,
        batch_size=256,
    params:
        **step("generate_pass"),
    shell:
        STEP


if PASS_SHARDS > 1:

    rule gather_pass:
        """One file of the parts."""
        input:
            unpack(inputs("generate_pass")),
            **gathered(paths.PASSED, PASS_SHARDS),
        output:
            tokens=paths.PASSED,
            manifest=paths.manifest(paths.PASSED),
        log:
            paths.log("gather_pass", paths.PASSED),
        localrule: True
        conda:
            CONDA
        params:
            **step("generate_pass", "gather_pass"),
        shell:
            STEP


rule mix_rows:
    """Training rows of a checkpoint, in training order."""
    input:
        unpack(inputs("mix_rows")),
    output:
        rows=paths.ROWS,
        manifest=paths.manifest(paths.ROWS),
    log:
        paths.log("mix_rows", paths.ROWS),
    priority: 1
    conda:
        CONDA
    resources:
        mem=lambda w, attempt: memory(GRAPH.rows_gb(w))(w, attempt),
        runtime="1h",
    params:
        **step("mix_rows"),
    shell:
        STEP


rule finetune:
    """Fine-tune a checkpoint from its parent's weights; resumes from scratch/."""
    input:
        unpack(inputs("finetune")),
    output:
        weights=directory(paths.WEIGHTS),
        curve=paths.CURVE,
        manifest=paths.TRAINED,
    log:
        paths.log("finetune", paths.TRAINED),
    wildcard_constraints:
        checkpoint=any_of(NAMES["kept"]),
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
        # Trackers by their names in accelerate, with commas: tensorboard, wandb, mlflow, ...
        report_to="",
    params:
        **step("finetune"),
    shell:
        STEP


# The weights of all rounds but the last go once the next round has been trained, those of a
# learning rate that is tried once they have answered, and all with `keep_weights: false`.
use rule finetune as finetune_temporary with:
    output:
        weights=temp(directory(paths.WEIGHTS)),
        curve=paths.CURVE,
        manifest=paths.TRAINED,
    wildcard_constraints:
        checkpoint=any_of(NAMES["temporary"]),


rule choose_rate:
    """The learning rate that a method is trained at, by scores on validation."""
    input:
        unpack(inputs("choose_rate")),
    output:
        choice=paths.RATE,
        manifest=paths.manifest(paths.RATE),
    log:
        paths.log("choose_rate", paths.RATE),
    wildcard_constraints:
        checkpoint=any_of(NAMES["declared"]),
    priority: 1
    localrule: True
    conda:
        CONDA
    params:
        **step("choose_rate"),
    shell:
        STEP


# All models that are fine-tuned, and nothing that is made of them.
rule trained:
    input:
        GRAPH.trained(),
    localrule: True
