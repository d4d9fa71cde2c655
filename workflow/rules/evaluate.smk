# Answers (GPU) apart from scores (CPU).
# In several jobs, each of a part of the plan: by --set-resources or a profile,
# generate_answers:shards=4. The parts go once they are gathered (docs/rerun.md).
ANSWERS_SHARDS = shards_of("generate_answers")


rule generate_answers:
    """Answers of a checkpoint to the held-out prompts."""
    input:
        unpack(inputs("generate_answers")),
    output:
        **shard_of(paths.ANSWERS, "answers", ANSWERS_SHARDS),
    log:
        paths.log("generate_answers", shard_name(paths.ANSWERS, ANSWERS_SHARDS)),
    priority: READING
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
        shards=1,
        batch_size=256,
    params:
        **step("generate_answers"),
    shell:
        STEP


if ANSWERS_SHARDS > 1:

    rule gather_answers:
        """One file of the parts."""
        input:
            unpack(inputs("generate_answers")),
            **gathered(paths.ANSWERS, ANSWERS_SHARDS),
        output:
            answers=paths.ANSWERS,
            manifest=paths.manifest(paths.ANSWERS),
        log:
            paths.log("gather_answers", paths.ANSWERS),
        localrule: True
        conda:
            CONDA
        params:
            **step("generate_answers", "gather_answers"),
        shell:
            STEP


rule score_answers:
    """Per-example scores of a checkpoint's answers; kept."""
    input:
        unpack(inputs("score_answers")),
    output:
        scores=paths.SCORES,
        manifest=paths.manifest(paths.SCORES),
    log:
        paths.log("score_answers", paths.SCORES),
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="1h",
    params:
        **step("score_answers"),
    shell:
        STEP


rule choose_baseline:
    """The method that the others of a task are compared with, by scores on validation."""
    input:
        unpack(inputs("choose_baseline")),
    output:
        choice=paths.BASELINE,
        manifest=paths.manifest(paths.BASELINE),
    log:
        paths.log("choose_baseline", paths.BASELINE),
    localrule: True
    conda:
        CONDA
    params:
        **step("choose_baseline"),
    shell:
        STEP


rule score_lead_1:
    """The first sentence as a summary: what no model has to do."""
    input:
        unpack(inputs("score_lead_1")),
    output:
        scores=paths.LEAD_1,
        manifest=paths.manifest(paths.LEAD_1),
    log:
        paths.log("score_lead_1", paths.RECORDS),
    localrule: True
    conda:
        CONDA
    params:
        **step("score_lead_1"),
    shell:
        STEP


rule measure_exposure:
    """Step errors of a checkpoint against the oracle, after own and after reference tokens."""
    input:
        unpack(inputs("measure_exposure")),
    output:
        errors=paths.EXPOSURE,
        manifest=paths.manifest(paths.EXPOSURE),
    log:
        paths.log("measure_exposure", paths.EXPOSURE),
    priority: READING
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("measure_exposure"),
    shell:
        STEP


rule measure_steps:
    """Which steps of answers are right: of a checkpoint's own, and after the reference's."""
    input:
        unpack(inputs("measure_steps")),
    output:
        errors=paths.STEPS,
        manifest=paths.manifest(paths.STEPS),
    log:
        paths.log("measure_steps", paths.STEPS),
    priority: READING
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("measure_steps"),
    shell:
        STEP


rule measure_model:
    """What the instrument for exposure bias reads of a checkpoint (docs/measure.md)."""
    input:
        unpack(inputs("measure_model")),
    output:
        read=paths.MEASURED,
        manifest=paths.manifest(paths.MEASURED),
    log:
        paths.log("measure_model", paths.MEASURED),
    priority: READING
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("measure_model"),
    shell:
        STEP


rule show_measures:
    """What the instrument found of the methods of a task, on a page."""
    input:
        unpack(inputs("show_measures")),
    output:
        **paths.MEASURES,
        manifest=paths.manifest(paths.MEASURES["html"]),
    log:
        paths.log("show_measures", paths.MEASURES["html"]),
    localrule: True
    conda:
        CONDA
    params:
        **step("show_measures"),
    shell:
        STEP


rule measure_loss:
    """Loss of a checkpoint on held-out dialogues, packed as those that it was trained on."""
    input:
        unpack(inputs("measure_loss")),
    output:
        losses=paths.LOSSES,
        manifest=paths.manifest(paths.LOSSES),
    log:
        paths.log("measure_loss", paths.LOSSES),
    priority: READING
    conda:
        CONDA
    threads: model_threads
    resources:
        **HEAVY,
    params:
        **step("measure_loss"),
    shell:
        STEP


# All answers, and nothing that is made of them.
rule answered:
    input:
        GRAPH.answered(),
    localrule: True
