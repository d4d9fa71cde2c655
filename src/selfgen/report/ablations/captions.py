"""What each figure of the controlled runs shows, and what it does not."""

from __future__ import annotations

from selfgen.report.ablations.spec import AblationSpec

BANDS = "Bands: 95 % intervals over seeds and prompts."

CAPTIONS = {
    "beta": "Exact match and excess error over beta, for BASH and for random tokens at"
    " exactly the same positions. The diamond is continued SFT, which is beta 0. "
    + BANDS
    + " Shown: how both move with the share of own tokens. Not shown: that beta is a dose;"
    " how much of the context it changes depends on how good the model is (next figure).",
    "corruption": "The same, over the measured share of context tokens that differ from"
    " the reference. "
    + BANDS
    + " Shown: BASH and its control at equal corruption. Not shown: other kinds of noise.",
    "variants": "Every method's difference to continued SFT from the same weights, with 95 %"
    " intervals of the paired difference; filled where 0 is outside. Shown: equal steps, rows"
    " and learning rates, unless the name says otherwise; SPIN alone has a fifth of the rate."
    " Not shown: what each method would reach with hyperparameters of its own.",
    "lengths": "Exact match and excess error by the length of the prompt. "
    + BANDS
    + " Shown: whether exposure bias grows with length. Not shown: lengths that were not"
    " trained on.",
    "positions": "Error by position in the answers to the longest prompts: free-running"
    " (lines) and teacher-forced (dashes), over all seeds. In chains every third position is"
    " a digit that had to be computed. Positions that fewer than a"
    " fifth of the answers have are left out. Shown: where the two part. Not shown:"
    " intervals.",
    "curves": "Exact match, free-running and excess error on validation prompts while"
    " training goes on, three times as long as for the other methods. Bands: 95 %"
    " t-intervals over seeds. Shown: whether a gain is one of speed, and what is left of it"
    " at the end. Not shown: runs that stop earlier and whose learning rate has fallen by"
    " then.",
    "corrections": "Two turns of RAC: exact match of both, wrong answers that the second"
    " turn mends, right ones that it breaks, and answers that it changes at all, with 95 %"
    " intervals. Shown: models trained from nothing. Not shown: pretrained models, which"
    " can copy a draft before they are trained to correct it.",
    "gain": "Exact match gained over continued SFT against the seconds of the pass and of"
    " training, on one thread. Blue: BASH; orange: random tokens; grey: other methods;"
    " diamond: continued SFT. Shown: what a gain costs on this machine. Not shown: the"
    " ratio of pass and training for larger models, where a pass is relatively cheaper.",
}
"""In the order of the page; ``variants`` is one figure a regime."""


def page(spec: AblationSpec) -> str:
    """All figures with their captions, as Markdown beside the tables' folder."""
    parts = []
    for name, caption in CAPTIONS.items():
        files = (
            [f"{name}-{regime.name}" for regime in spec.regimes]
            if name == "variants"
            else [name]
        )
        parts += [f"![{file}](../figures/{file}.svg)\n" for file in files]
        parts.append(f"**{name.capitalize()}.** {caption}\n")
    return "\n".join(parts)
