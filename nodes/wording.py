"""The engine's sentences in a node's terms: they propose options of the command line, which a graph does not have."""

from __future__ import annotations

_TERMS = (
    (
        "name a folder or file that holds a copy, or use --captioner micro or --captioner none",
        "choose another captioner or none in Load Interrogator, or connect a caption of your own",
    ),
    (
        "name a folder or file that holds a copy, or use --clip micro",
        "choose another CLIP in Load Interrogator, such as micro, a toy that needs no download",
    ),
    ("--captioner micro or --captioner none", "another captioner or none in Load Interrogator"),
    ("--captioner none", "the captioner none in Load Interrogator"),
    ("--clip micro", "another CLIP in Load Interrogator"),
    ("--device cpu, or", "or"),
    (
        "name another folder for downloads in UNRENDER_CACHE",
        "name another folder as unrender in extra_model_paths.yaml",
    ),
    ("; `unrender models` lists what can be named.", "; choose one in Load Interrogator."),
    ("`unrender models` lists", "Load Interrogator lists"),
)


def in_node_terms(sentence: str) -> str:
    for option, term in _TERMS:
        sentence = sentence.replace(option, term)
    return sentence
