"""How fast growthpace scores, beside the paper's loop and beside lm-evaluation-harness: one run, side by side.

    python benchmarks/evaluation.py [--shape 30m] [--items 48] [--rounds 3] [--table benchmarks/evaluation.md]
    python benchmarks/evaluation.py gpu [--table benchmarks/evaluation.md]

The same checkpoint (random weights, the paper's tokenizer), items, token ids, device and precision. Every round has new
items, and the sides take turns on them, so that whatever else the machine does hits all alike. Ratios are medians over
the rounds, of ours over theirs in the same round.

- letters: MMLU's test questions with five worked examples of their subject, four options. perplexity: MBPP's tasks with
  five worked examples, the right program and two of other tasks.
- paper: one item and one candidate at a time, each by a forward pass of its own, all logits (the released code's loop).
- lm-eval: lm-evaluation-harness's Hugging Face engine, log-softmax in fp32, given the same ids; at the best of several
  batch sizes, found before the first round. Options of one token share a pass there too.
- ours: `growthpace.evaluation.engine.Engine.score`.

Each side's log-probabilities must be the others' to 1e-3, or there is no result.

gpu: the whole test of MMLU, without and with five worked examples, by a 7b-shaped model with random weights in bf16:
items and tokens per second, and the share of the device's stated peak that the tokens really computed come to; then
some items once more, each alone, to tell how far a batch moves log-probabilities and turns choices.

The last line is JSON: ratio_vs_paper_letters, ratio_vs_paper_perplexity, ratio_vs_lm_eval (the smaller one of both
suites).
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tables import NO_GPU, installed, processor, replace_section
from training_items import SHAPES, data_folder, llama_config, save_tokenizer

SUITES = ("letters", "perplexity")
SIZES = (1, 4, 8, 16)
"""Batch sizes that are tried for lm-evaluation-harness."""
SHOTS = 5
WORST = 1e-3
"""Nats by which two sides' log-probabilities of a candidate may differ."""
LIBRARIES = ("torch", "transformers", "lm-eval")


# --- what is asked ---------------------------------------------------------------------------------------------------


def mmlu(per_subject: int | None, subjects: int | None, seed: int = 0) -> list:
    """Items of MMLU's test with worked examples of their subject; of some subjects, some of their items."""
    from growthpace.data.benchmarks.mmlu import SUBJECTS
    from growthpace.data.importers import read_items_of
    from growthpace.study import BenchmarkItems

    chance, found = random.Random(seed), []
    names = chance.sample(SUBJECTS, subjects) if subjects else SUBJECTS
    wanted = BenchmarkItems(
        importer="benchmark", name="mmlu", folder=data_folder() / "mmlu", shots=SHOTS, subjects=list(names)
    )
    by_subject: dict[str, list] = {name: [] for name in names}
    for item in read_items_of(wanted, ["mmlu"]):
        by_subject[item.subject].append(item)
    for items in by_subject.values():
        found += chance.sample(items, per_subject) if per_subject else items
    return found


def mbpp(number: int, seed: int) -> list[tuple[list, list[str]]]:
    """(Messages with worked examples, the right program and two others) of MBPP."""
    from growthpace.data.items import Message

    path = next((data_folder() / "mbpp").glob("*.jsonl"))
    tasks = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    shots = [m for task in tasks[:SHOTS] for m in (Message("user", task["text"]), Message("assistant", task["code"]))]
    chance, found = random.Random(seed), []
    for task in chance.sample(tasks[10:510], number):
        others = chance.sample([t["code"] for t in tasks[600:] if t is not task], 2)
        found.append(([*shots, Message("user", task["text"])], [task["code"], *others]))
    return found


def questions(encoder, suite: str, items: list[tuple[list, list[str]]]) -> list:
    """The items as the engine is asked about them."""
    from growthpace.evaluation.questions import Question

    end = [encoder.end_of_turn] if suite == "perplexity" else []
    return [
        Question(encoder.prompt(messages), tuple([*encoder.answer(text), *end] for text in candidates))
        for messages, candidates in items
    ]


# --- the sides -------------------------------------------------------------------------------------------------------


def paper_side(model) -> Callable[[list], list]:
    import torch

    @torch.inference_mode()
    def score(asked: list) -> list[tuple[float, ...]]:
        found = []
        for question in asked:
            scores = []
            for candidate in question.candidates:
                ids = torch.tensor([[*question.prompt, *candidate]], device=model.device)
                logits = torch.log_softmax(model(ids).logits[0].float(), dim=-1)
                places = torch.arange(len(question.prompt) - 1, ids.shape[1] - 1, device=model.device)
                scores.append(float(logits[places, ids[0, len(question.prompt) :]].sum()))
            found.append(tuple(scores))
        return found

    return score


def lm_eval_side(model, tokenizer) -> tuple[Callable[[list], list], Any]:
    """The side, and its engine, whose `batch_size_per_gpu` may be set."""
    from lm_eval.models.huggingface import HFLM

    engine = HFLM(pretrained=model, tokenizer=tokenizer, softmax_dtype="float32", batch_size=1)

    def score(asked: list) -> list[tuple[float, ...]]:
        # lm-evaluation-harness tells requests apart by their ids; the texts are for a cache that is not used.
        requests = [(("", ""), list(q.prompt), list(candidate)) for q in asked for candidate in q.candidates]
        values = iter(engine._loglikelihood_tokens(requests, disable_tqdm=True))
        return [tuple(next(values)[0] for _ in question.candidates) for question in asked]

    return score, engine


def best_batch_size(score, engine, asked: list) -> int:
    """The size with which lm-evaluation-harness is fastest on these questions."""
    seconds = {}
    for size in SIZES:
        engine.batch_size_per_gpu = size
        began = time.perf_counter()
        score(asked)
        seconds[size] = time.perf_counter() - began
    return min(seconds, key=seconds.get)


def side_by_side(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measures all sides on both suites."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    from growthpace.evaluation.engine import Engine

    torch.set_num_threads(options.threads)
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = save_tokenizer(folder)
        torch.manual_seed(0)
        LlamaForCausalLM(llama_config(options.shape, len(tokenizer))).save_pretrained(folder)
        engine = Engine(folder, "paper", options.threads)
        model = AutoModelForCausalLM.from_pretrained(folder).eval().to(engine.model.device)
        referee, harness = lm_eval_side(model, tokenizer)
        sides = {"paper": paper_side(model), "lm-eval": referee, "ours": engine.score}
        for suite in SUITES:
            rounds = [
                questions(
                    engine.encoder,
                    suite,
                    [(list(item.messages[:-1]), list(item.candidates)) for item in mmlu(options.items // 2, 2, seed)]
                    if suite == "letters"
                    else mbpp(options.items, seed),
                )
                for seed in range(options.rounds)
            ]
            size = best_batch_size(referee, harness, rounds[0][: options.items // 2])
            harness.batch_size_per_gpu = size
            engine.score(rounds[0][:4])
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            worst = 0.0
            for number, asked in enumerate(rounds):
                found = {}
                for place in range(len(sides)):  # another side goes first in every round
                    side = list(sides)[(place + number) % len(sides)]
                    began = time.perf_counter()
                    found[side] = sides[side](asked)
                    seconds[side].append(time.perf_counter() - began)
                worst = max(
                    worst, difference(found["ours"], found["paper"]), difference(found["ours"], found["lm-eval"])
                )
                told = ", ".join(f"{side} {seconds[side][-1]:.1f} s" for side in sides)
                print(f"{suite}, round {number + 1}, {len(asked)} items: {told}", flush=True)
            if worst > WORST:
                raise SystemExit(f"{suite}: two sides' log-probabilities differ by {worst:.2g} nats")
            results[suite] = summary(rounds, seconds, size, worst)
    return results


def difference(first: list, second: list) -> float:
    """The largest difference of two sides' log-probabilities, in nats."""
    return max(abs(a - b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True))


def summary(rounds: list[list], seconds: dict[str, list[float]], size: int, worst: float) -> dict[str, Any]:
    def ratio(side: str) -> float:
        return round(statistics.median(a / b for a, b in zip(seconds[side], seconds["ours"], strict=True)), 2)

    lengths = [len(question.prompt) for asked in rounds for question in asked]
    speeds = {
        side: round(statistics.median(len(asked) / s for asked, s in zip(rounds, spent, strict=True)), 2)
        for side, spent in seconds.items()
    }
    return {
        "items": sum(map(len, rounds)),
        "prompt_tokens": round(statistics.mean(lengths)),
        "items_per_second": speeds,
        "ratio_vs_paper": ratio("paper"),
        "ratio_vs_lm_eval": ratio("lm-eval"),
        "lm_eval_batch_size": size,
        "worst_difference": worst,
    }


# --- a model of the paper's size on a GPU ----------------------------------------------------------------------------


def whole_mmlu(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The whole test of MMLU, without and with worked examples."""
    import torch
    from transformers import AutoModelForCausalLM

    from growthpace.evaluation import engine as engine_module
    from growthpace.planning.formulas import model_operations
    from growthpace.planning.shape import of_folder
    from growthpace.training.devices import device_name, peak_memory, peak_of

    points = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = llama_config(options.shape, len(save_tokenizer(folder)))
        config.save_pretrained(folder)
        shape = of_folder(folder)

        def random_model(*arguments, **named):
            with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
                return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)

        engine_module.load_checkpoint = random_model
        engine = engine_module.Engine(folder, "paper", options.threads)
        for shots in (0, SHOTS):
            items = mmlu(options.per_subject, options.subjects)
            asked = [within_context(engine, item, shots > 0) for item in items]
            computed, attended = 0, 0

            def count(module, arguments, named):
                nonlocal computed, attended
                computed += named["input_ids"].shape[1]
                spans = named["forest"].segments
                attended += sum((b - a) * (2 * sum(y - x for x, y in before) + b - a) for (a, b), before in spans)

            hook = engine.model.base_model.register_forward_pre_hook(count, with_kwargs=True)
            engine.score(asked[:64])
            computed = attended = 0
            began = time.perf_counter()
            found = engine.score(asked)
            seconds = time.perf_counter() - began
            hook.remove()
            alone = apart(engine, asked, found)
            peak = peak_of(device_name(options.threads), "bf16")
            work = model_operations(shape, computed, attended, "full") / 3  # forward only
            points.append(
                {
                    "shape": options.shape,
                    "shots": shots,
                    "items": len(asked),
                    "items_per_second": round(len(asked) / seconds, 1),
                    "tokens_of_prompts": sum(len(question.prompt) for question in asked),
                    "tokens_computed": computed,
                    "tokens_computed_per_second": round(computed / seconds),
                    "share_of_peak": round(work / seconds / peak.tflops / 1e12, 4) if peak else None,
                    "peak_gb": round(peak_memory() / 2**30, 2),
                    **alone,
                }
            )
            print(json.dumps(points[-1]), flush=True)
    return points


def within_context(engine, item, with_shots: bool):
    """The item as predictions ask it: whole worked examples are left out where the context is too small."""
    from growthpace.evaluation.answering import fitted
    from growthpace.evaluation.questions import Question

    messages = item.messages[:-1]
    candidates = tuple(engine.encoder.answer(text) for text in item.candidates)
    room = engine.context - max(map(len, candidates))
    return Question(fitted(engine.encoder, item, messages if with_shots else messages[-1:], room).prompt, candidates)


ALONE = 300
"""Items that are scored once more, each in a pass of its own."""


def apart(engine, asked: list, found: list) -> dict[str, Any]:
    """How far some items scored alone are from the same in batches: nats, and choices that differ, near-ties or not."""
    from growthpace.analysis.scores import NEAR_TIE

    chosen = random.Random(0).sample(range(len(asked)), min(ALONE, len(asked)))
    worst, other, firm = 0.0, 0, 0
    for place in chosen:
        alone, batch = list(engine.score([asked[place]])[0]), list(found[place])
        worst = max(worst, *(abs(a - b) for a, b in zip(alone, batch, strict=True)))
        if alone.index(max(alone)) != batch.index(max(batch)):
            first, second = sorted(batch)[-2:]
            other, firm = other + 1, firm + (second - first >= NEAR_TIE)
    return {"alone": len(chosen), "alone_nats": round(worst, 4), "alone_differ": other, "alone_differ_firmly": firm}


# --- what is written -------------------------------------------------------------------------------------------------

TITLE = "# Evaluation: speed\n\nWritten by `benchmarks/evaluation.py`; its docstring says what each side is.\n"
SIDES, GPU = "## Side by side", "## The whole of MMLU on a GPU"
GPU_HEADER = (
    "| model | worked examples | items/s | tokens computed/s | share of the stated peak | peak memory, GB "
    "| alone and in a batch, nats | choices that differ, beyond near-ties |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def write_section(path: Path, title: str, body: str) -> None:
    """Replaces one section of the table's file; the other one stays."""
    empty = "".join(f"| 7b | {shots} | | | | | | |\n" for shots in (0, SHOTS))
    sections = {SIDES: "", GPU: f"{NO_GPU} `python benchmarks/evaluation.py gpu` measures them.\n\n{GPU_HEADER}{empty}"}
    replace_section(path, TITLE, sections, title, body)


def circumstances(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor(options.threads)
    versions = installed(LIBRARIES)
    return {"device": device, "versions": versions, "date": datetime.date.today().isoformat()}


def said(around: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in around["versions"].items())
    return f"{around['date']}, {around['device']}; {versions}."


def side_table(found: dict[str, dict[str, Any]], around: dict[str, Any], shape: str) -> str:
    lines = [
        f"{said(around)} Shape {shape}, fp32, {SHOTS} worked examples.\n",
        "| suite | items | prompt, tokens | side | items/s | ours over it |",
        "|---|---|---|---|---|---|",
    ]
    for suite, one in found.items():
        for side, speed in one["items_per_second"].items():
            ratio = {"paper": one["ratio_vs_paper"], "lm-eval": one["ratio_vs_lm_eval"]}.get(side, "")
            named = f"lm-eval, batches of {one['lm_eval_batch_size']}" if side == "lm-eval" else side
            lines.append(f"| {suite} | {one['items']} | {one['prompt_tokens']} | {named} | {speed} | {ratio} |")
    worst = max(one["worst_difference"] for one in found.values())
    lines.append(f"\nLog-probabilities of the sides differ by {worst:.1g} nats at most.")
    return "\n".join(lines) + "\n"


def gpu_table(points: list[dict[str, Any]], around: dict[str, Any]) -> str:
    rows = []
    for point in points:
        share = "" if point["share_of_peak"] is None else f"{100 * point['share_of_peak']:.1f} %"
        cells = [point["shape"], point["shots"], f"{point['items_per_second']:,}"]
        cells += [f"{point['tokens_computed_per_second']:,}", share, point["peak_gb"], point["alone_nats"]]
        cells.append(f"{point['alone_differ']} of {point['alone']}, {point['alone_differ_firmly']}")
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return f"{said(around)} bf16, random weights.\n\n{GPU_HEADER}" + "\n".join(rows) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=("compare", "gpu"), default="compare")
    parser.add_argument("--shape", choices=SHAPES, help="default: 30m; for gpu 7b")
    parser.add_argument("--items", type=int, default=48, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subjects", type=int, help="gpu: so many of MMLU's subjects; all by default")
    parser.add_argument("--per-subject", type=int, help="gpu: so many items of each; all by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path, help="Markdown file to write the results to")
    options = parser.parse_args()
    options.shape = options.shape or ("7b" if options.mode == "gpu" else "30m")
    return options


def main(options: argparse.Namespace) -> None:
    around = circumstances(options)
    if options.mode == "gpu":
        points = whole_mmlu(options)
        if options.table:
            write_section(options.table, GPU, gpu_table(points, around))
        print(json.dumps({**around, "points": points}))
        return
    found = side_by_side(options)
    if options.table:
        write_section(options.table, SIDES, side_table(found, around, options.shape))
    ratios = {
        "ratio_vs_paper_letters": found["letters"]["ratio_vs_paper"],
        "ratio_vs_paper_perplexity": found["perplexity"]["ratio_vs_paper"],
        "ratio_vs_lm_eval": min(one["ratio_vs_lm_eval"] for one in found.values()),
    }
    print(json.dumps({**ratios, **around, "suites": found}))


if __name__ == "__main__":
    main(parse())
