# Wildcards, and what rules that run a model have in common.
NAMES = GRAPH.names()
# Weights that are not kept go once they are read, so that goes before further training.
READING = 0 if GRAPH.keeps_weights else 2
HEAVY = {"mem": memory(GRAPH.model_gb), "runtime": "8h", "gpu": GRAPH.gpus()}


@asked
def model_threads(wildcards):
    cores = workflow.resource_settings.cores or os.cpu_count()
    return GRAPH.threads(wildcards.model, cores)


wildcard_constraints:
    task=any_of(NAMES["task"]),
    model=any_of(NAMES["model"]),
    checkpoint=any_of(NAMES["checkpoint"]),
    pass_=r"[a-z0-9.-]+",
    decoding=any_of(NAMES["decoding"]),
    seed=r"\d+",
    comparison=any_of(NAMES["comparison"]),
    table=any_of(NAMES["table"]),
    figure=any_of(NAMES["figure"]),


def shards_of(rule):
    given = workflow.resource_settings.overwrite_resources.get(rule)
    found = given.get("shards").value if given else None
    return int(found or 1)


def shard_name(template, shards):
    return paths.shard(template, shards) if shards > 1 else template


def shard_of(template, name, shards):
    part = shard_name(template, shards)
    made = {name: part, "manifest": paths.manifest(part)}
    return {key: temp(path) for key, path in made.items()} if shards > 1 else made


def gathered(template, shards):
    part = paths.shard(template, shards)
    files = [part.replace("{shard}", str(number)) for number in range(shards)]
    return {"parts": files, "manifests": list(map(paths.manifest, files))}


def drawn(path, category, name):
    """What the report page shows of a table or figure."""
    return report(
        path,
        caption="../report/drawn.rst",
        category=category,
        labels={"name": name, "scale": config["scale"]},
    )
