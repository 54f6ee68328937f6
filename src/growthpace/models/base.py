"""Base models made ready: fetched or made from scratch, with the tokens that the study's format needs.

Writes a plain Hugging Face folder (`from_pretrained` loads it) and, last, `base.json`: where the model comes from,
its number of parameters and the hash of its weights. Weights are read from safetensors only, in their own precision.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from growthpace.conversation import PAPER_TOKENS
from growthpace.errors import InputError
from growthpace.files import fingerprint, read_json, sha256, write_json
from growthpace.grid import Grid
from growthpace.study import Model, Study

WEIGHTS = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")
CODE = ("*.py",)
"""Fetched only where the study trusts it."""


def make_ready(study: Study, model: str, folder: Path, report: Callable[[str], None]) -> dict[str, Any]:
    """Puts the base model `model` of the study into `folder` and returns what `base.json` says.

    Does nothing but rewrite `base.json` if the folder already holds this very model. Raises `InputError` where a
    folder or hub repository has no safetensors weights or cannot be read.
    """
    settings = study.models[model]
    wanted = fingerprint([Grid(study).model_settings(model), [sha256(path) for path in made_from(settings)]])
    done = folder / "ready.json"  # undeclared: Snakemake removes base.json at every attempt, not this
    if done.exists() and read_json(done)["fingerprint"] == wanted:
        described = read_json(done)["base"]
        if weights_hash(folder) == described["weights_sha256"]:
            report(f"{model}: already made ready, weights verified")
            write_json(folder / "base.json", described)
            return described
    quiet_libraries()
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    made = {}
    if settings.initialise is not None:
        from growthpace.models.initialise import initialise

        documents, words = _corpus(study, settings)
        made = initialise(
            settings.initialise,
            documents,
            words,
            aside,
            study.threads,
            lambda line: report(f"base model {model}: {line}"),
        )
        origin = aside
    else:
        origin = _local_copy(settings, fetched_path(folder))
    parameters = _prepare(origin, aside, settings, study.format, report)
    described = {
        "model": model,
        "origin": settings.hub or ("made from scratch" if settings.initialise else settings.folder.name),
        "revision": settings.revision,
        "parameters": parameters,
        "weights_sha256": weights_hash(aside),
        **({"pretraining": {key: made[key] for key in ("final_loss", "tokens") if key in made}} if made else {}),
    }
    write_json(aside / "ready.json", {"fingerprint": wanted, "base": described})
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)
    write_json(folder / "base.json", described)
    return described


def fetched_path(folder: Path) -> Path:
    """Beside a base model's folder: where the hub's files of it lie."""
    return folder.with_name(f"{folder.name}.fetched.json")


def weights_hash(folder: Path) -> str | None:
    """One hash over all safetensors files of a folder; None where there is none."""
    files = sorted(folder.glob("*.safetensors"))
    return fingerprint([[file.name, sha256(file)] for file in files]) if files else None


def _corpus(study: Study, settings: Model) -> tuple[list[str], list[str] | None]:
    corpus = settings.initialise.corpus
    if corpus == "microworld":
        from growthpace import microworld

        return microworld.corpus(study.microworld), microworld.words(study.microworld)
    documents = []
    for path in corpus:
        try:
            documents += [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except FileNotFoundError:
            raise InputError(f"initialise.corpus: {path}: no such file") from None
        except UnicodeDecodeError as error:
            raise InputError(f"initialise.corpus: {path}: not UTF-8 at byte {error.start}") from None
    return documents, None


def quiet_libraries() -> None:
    """Keeps a job's own lines readable: no progress bars for files, no word of DeepSpeed (which transformers imports
    where it is installed) that there is no GPU."""
    import torch
    from transformers import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")


def made_from(settings: Model) -> list[Path]:
    """The local files that a base model depends on: its folder's, or the corpus that it reads."""
    if settings.folder is not None:
        found = {path for pattern in WEIGHTS for path in settings.folder.glob(pattern) if path.is_file()}
        return sorted(found)
    corpus = settings.initialise.corpus if settings.initialise else []
    return [] if corpus == "microworld" else list(corpus)


def fetch(study: Study, model: str, target: Path, report: Callable[[str], None]) -> dict[str, Any]:
    """Brings a hub model into the hub's own cache and writes where it lies there to `target`.

    The only step that needs a network: it runs where Snakemake itself runs. Raises `InputError` where the hub cannot
    be reached or has no such model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    settings = study.models[model]
    report(f"fetching {settings.hub} from the hub")
    try:
        patterns = [*WEIGHTS, *CODE] if settings.trust_remote_code else list(WEIGHTS)
        place = Path(snapshot_download(settings.hub, revision=settings.revision, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise InputError(
            f"models: cannot fetch {settings.hub} from the hub ({type(error).__name__}: {error}). "
            "Without a network, copy the model's folder here by other means and name it with folder:"
        ) from None
    found = {"hub": settings.hub, "revision": settings.revision, "commit": place.name, "folder": str(place)}
    write_json(target, found)
    return found


def _local_copy(settings: Model, fetched: Path) -> Path:
    """The folder that the model is read from; a hub model's is in the cache that it was fetched into."""
    if settings.hub is None:
        if not settings.folder.is_dir():
            raise InputError(f"models: {settings.folder}: no such folder")
        return settings.folder
    if not fetched.exists():
        raise InputError(f"models: {settings.hub} has not been fetched yet (growthpace fetch-model)")
    place = Path(read_json(fetched)["folder"])
    if not place.is_dir():
        raise InputError(
            f"models: {settings.hub} was fetched into {place}, which is not there (any more, or not on this machine: "
            f"set HF_HOME to a folder that all nodes share); remove {fetched} and start the study again"
        )
    return place


def _prepare(origin: Path, target: Path, settings: Model, form: str, report: Callable[[str], None]) -> int:
    """Copies the model into `target` with the format's tokens; returns its number of parameters."""
    import torch

    from growthpace.models.checkpoints import copy_code, load_weights
    from growthpace.models.tokenizer import load_tokenizer

    if not list(origin.glob("*.safetensors")):
        raise InputError(
            f"models: {origin} has no *.safetensors weights (pickled weights are refused: they can run any code; "
            "convert them with transformers' save_pretrained)"
        )
    model = load_weights(origin, settings, "auto")
    tokenizer = load_tokenizer(origin, settings.trust_remote_code)
    if form == "paper":
        missing = [t for t in PAPER_TOKENS if tokenizer.convert_tokens_to_ids(t) in (None, tokenizer.unk_token_id)]
        if missing:
            rows = model.get_input_embeddings().weight.shape[0]
            known = min(rows, len(tokenizer))  # many models have spare rows, which were never trained
            tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
            report(f"adding {', '.join(missing)} to the {known} tokens")
            if len(tokenizer) > rows:
                model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
            # Random rows would make small volumes measure how fast <eot> is learned (the paper's fault B9);
            # the mean of the known rows is a neutral start.
            new = tokenizer.convert_tokens_to_ids(missing)
            with torch.no_grad():
                for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
                    layer.weight[new] = layer.weight[:known].float().mean(dim=0).to(layer.weight.dtype)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    if settings.trust_remote_code:
        copy_code(origin, target)
    return sum(parameter.numel() for parameter in model.parameters())
