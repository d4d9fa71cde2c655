"""What each figure of the synthetic experiments shows, and what it does not."""

from __future__ import annotations

from selfgen.report.synthetic.spec import AblationSpec

BY_EXPERIMENT = ("variants", "gain")
"""Figures of which there is one an experiment."""


def captions(confidence: float) -> dict[str, str]:
    """By figure, in the order of the page; ``confidence`` of intervals (0..1)."""
    percent = f"{100 * confidence:g} %"
    upright = f"Upright lines: {percent} intervals over seeds and prompts."
    return {
        "beta": "Exact match and excess error over beta, for BASH and for random tokens at"
        " exactly the same positions, side by side. At beta 0 stands continued SFT."
        f" {upright} Shown: how both move with the share of own tokens. Not shown: that beta"
        " is a dose; how much of the context it changes depends on how good the model is"
        " (next figure).",
        "corruption": "The same, over the measured share of context tokens that differ"
        f" from the reference. {upright} Shown: BASH and its control at equal corruption. Not"
        " shown: other kinds of noise.",
        "variants": "Every method's difference to continued SFT from the same weights,"
        f" with {percent} intervals of the paired difference; filled where 0 is outside."
        " Shown: equal steps, rows and learning rates, unless the name says otherwise. Not"
        " shown: what each method would reach with hyperparameters of its own.",
        "lengths": "Exact match and excess error by the length of the prompt, side by side"
        f" with {percent} intervals over seeds and prompts. Shown: whether exposure bias"
        " grows with length. Not shown: lengths that were not trained on.",
        "positions": "Error by position in the answers to the longest prompts:"
        " free-running (solid) and teacher-forced (dashed), over all seeds. In chains every"
        " third position is a digit that had to be computed. Positions that fewer than a"
        " fifth of the answers have are left out. Shown: where the two part. Not shown:"
        " intervals.",
        "curves": "Exact match, free-running and excess error on validation prompts while"
        " training goes on, of the methods that are trained longer than the others, each"
        f" beside continued SFT. Upright lines: {percent} t-intervals over seeds. Shown:"
        " whether a gain is one of speed, and what is left of it at the end. Not shown: runs"
        " that stop earlier and whose learning rate has fallen by then.",
        "frontier": "Free-running against teacher-forced error while training goes on, mean"
        " of the seeds at each measured step; on the dotted line a model's own tokens do no"
        " harm. Shown: what is left of a difference when learning speed is taken out. Not"
        " shown: intervals (they are in frontier.md), and that points side by side are of"
        " different steps and learning rates.",
        "corrections": "Two turns of RAC: exact match of both, wrong answers that the"
        " second turn mends, right ones that it breaks, and answers that it changes at all,"
        f" with {percent} intervals. Shown: models trained from nothing. Not shown:"
        " pretrained models, which can copy a draft before they are trained to correct it.",
        "gain": "Exact match gained over continued SFT, and the seconds of the pass and of"
        f" training on one thread, the cheapest first, with {percent} intervals of the paired"
        " difference; filled where 0 is outside. Shown: what a gain costs on this machine."
        " Not shown: the ratio of pass and training for larger models, where a pass is"
        " relatively cheaper.",
    }


def page(spec: AblationSpec) -> str:
    """All figures with their captions, as Markdown beside the tables' folder."""
    named = files(spec)
    parts = []
    for name, caption in captions(spec.confidence).items():
        parts += [f"![{file}](../figures/{file}.svg)\n" for file in named[name]]
        parts.append(f"**{name.capitalize()}.** {caption}\n")
    return "\n".join(parts)


def files(spec: AblationSpec) -> dict[str, list[str]]:
    """The names of the files of each figure."""
    return {
        name: [f"{name}-{experiment.name}" for experiment in spec.experiments]
        if name in BY_EXPERIMENT
        else [name]
        for name in captions(spec.confidence)
    }
