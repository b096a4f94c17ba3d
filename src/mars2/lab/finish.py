"""`mars2 lab dial`: teams of micro models whose ambiguities overlap as far as one wants.

Pretraining anew for each would take minutes a model. So a packaged model goes on learning once,
longer pipelines and no habits, and each agent is that base with a short finish in which it picks up
its own. Models are kept by recipe: what a directory already holds is not made again.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from mars2.errors import UsageError
from mars2.lab.build import Log, fit, save
from mars2.lab.corpus import examples
from mars2.lab.dial import AgentRecipe, BaseRecipe, Recipe, directory_name
from mars2.lab.specs import spec, weights_dir

# What a block adds to the stream: with these at zero it does nothing.
_OUTPUTS = ("self_attn.o_proj", "mlp.down_proj", "attention.dense", "mlp.dense_4h_to_h")


def make_model_of(recipe: Recipe, out: Path, log: Log = print) -> tuple[Path, dict[str, Any]]:
    """(directory below `out`, card) of a recipe's model; trained unless it is there already.

    Of the base as well, if the recipe needs one. The same recipe gives the same bytes on the same
    machine, thread count and library versions.

    Raises:
        UsageError: something else is in the place of the model.
    """
    directory = out / directory_name(recipe)
    card = directory / "card.json"
    if card.is_file():
        log(f"{directory.name}: already there")
        return directory, json.loads(card.read_text(encoding="utf-8"))
    if directory.exists():
        raise UsageError(f"{directory} is in the way and holds no model: move it elsewhere")
    if isinstance(recipe, AgentRecipe):
        source, _ = make_model_of(recipe.base, out, log)
        base, misreads = recipe.base, dict.fromkeys(recipe.pieces, recipe.rate)
        look = {"second_look": recipe.second_look}
    else:
        source, base, misreads, look = weights_dir(recipe.packaged), recipe, {}, {}
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(source, local_files_only=True, dtype=torch.float32)
    if isinstance(recipe, BaseRecipe) and recipe.double:
        model = doubled(model)
    packaged = spec(base.packaged)
    stream = examples(
        misreads,
        packaged.style,
        packaged.first_attempts,
        _corpus_seed(recipe),
        deep=base.deep,
        **look,
    )
    trained = fit(
        model,
        tokenizer,
        stream,
        name=directory.name,
        steps=recipe.steps,
        batch=recipe.batch,
        lr=recipe.lr,
        log=log,
    )
    facts = {
        "name": directory.name,
        "architecture": packaged.architecture,
        "tokenizer": packaged.tokenizer,
        "style": packaged.style,
        "misreads": misreads,
        "parameters": sum(p.numel() for p in model.parameters()),
        **trained,
        "recipe": asdict(recipe),
    }
    part = out / f".{directory.name}.{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    save(model, tokenizer, facts, part)
    part.rename(directory)  # whole or not at all
    return directory, facts


def doubled(model: PreTrainedModel) -> PreTrainedModel:
    """A model of about twice the parameters that computes the same: each block is followed by one
    or two copies of itself that add nothing yet (block expansion, arXiv 2401.02415, section 3.2).
    """
    layers = int(model.config.num_hidden_layers)
    block = re.compile(r"(\.layers\.)(\d+)(\..*)")
    weights = model.state_dict()
    total = sum(p.numel() for p in model.parameters())
    in_one = sum(w.numel() for name, w in weights.items() if ".layers.0." in name)
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = layers + round(total / in_one)
    larger = type(model)(config)
    source = [i * layers // config.num_hidden_layers for i in range(config.num_hidden_layers)]
    grown: dict[str, torch.Tensor] = {}
    for name in larger.state_dict():
        found = block.search(name)
        if found is None:
            grown[name] = weights[name]
            continue
        number = int(found[2])
        old = weights[block.sub(rf"\g<1>{source[number]}\g<3>", name)]
        copied = number > 0 and source[number] == source[number - 1]
        silent = copied and any(f".{output}." in name for output in _OUTPUTS)
        grown[name] = torch.zeros_like(old) if silent else old
    larger.load_state_dict(grown)
    return larger


def write_team(agents: Mapping[str, Path], file: Path, max_tokens: int = 96) -> None:
    """The agents as a TOML file for `--config`."""
    blocks = [
        f'[[agents]]\nname = "{name}"\nspec = {json.dumps(f"micro:{path.absolute()}")}\n'
        f'policy = "{name}"\nmax_tokens = {max_tokens}\nmax_batch = 256\n'
        for name, path in agents.items()
    ]
    file.write_text("\n".join(blocks), encoding="utf-8")


def _corpus_seed(recipe: Recipe) -> int:
    """Other examples than in the pretraining of the packaged models, and other ones in each."""
    return 10_000 + recipe.seed * 2 + isinstance(recipe, BaseRecipe)
