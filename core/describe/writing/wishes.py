"""What a folder may wish of how its model writes: which tokens, and what is not said again; not how much, in how many
versions, or by which program."""

from __future__ import annotations

from typing import Any

_NOT_TAKEN = (
    *("num_return_sequences", "return_dict_in_generate", "output_scores", "output_logits", "output_attentions"),
    *("output_hidden_states", "num_beam_groups", "diversity_penalty", "constraints", "force_words_ids"),
    *("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h"),
    *("penalty_alpha", "dola_layers", "low_memory", "prompt_lookup_num_tokens", "assistant_early_exit", "use_mtp"),
    *("is_assistant", "guidance_scale", "watermarking_config", "custom_generate", "compile_config", "stop_strings"),
    *("min_new_tokens", "max_time", "cache_implementation", "cache_config", "use_cache", "sequence_bias"),
)


def tame(model: Any) -> None:
    """Changes the model's settings of writing in place."""
    wished = getattr(model, "generation_config", None)
    if wished is None:
        return
    usual = type(wished)()
    for name in _NOT_TAKEN:
        if hasattr(wished, name):
            setattr(wished, name, getattr(usual, name, None))
