"""transformers' Trainer for packed rows: one batch is one optimiser step, on one rank or on several.

The loss is the mean over the step's answer tokens, whatever rows they fall in and whichever rank has the row.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from growthpace.study import Training
from growthpace.training.devices import peak_memory
from growthpace.training.packing import IGNORED, Row
from growthpace.training.ranks import Ranks
from growthpace.training.record import in_words
from growthpace.training.schedule import learning_rate_at
from growthpace.training.states import aside, put_in_place
from growthpace.training.zero import deepspeed_config

COSTLY_SECONDS = 30
"""A state after an epoch is left out where writing one took this long and longer than what there is to save took."""
SPEAK_SECONDS = 5


def training_arguments(recipe: Training, steps: int, seed: int, folder: str, ranks: Ranks) -> TrainingArguments:
    """The recipe in transformers' words. For zero3 they must be there before the model is loaded, in parts.

    recipe: as it is carried out (`Training.effective`), with `gradient_checkpointing` decided.
    """
    zero = deepspeed_config(recipe, ranks.world)
    gpu = torch.cuda.is_available()
    if zero:
        import deepspeed

        if not gpu:
            deepspeed.ops.__compatible_ops__ = {}  # or it compiles an operator for gloo's work, for minutes
        if not deepspeed.comm.is_initialized():
            deepspeed.init_distributed("nccl" if gpu else "gloo", auto_mpi_discovery=False)
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=recipe.learning_rate,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        adam_epsilon=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=recipe.precision == "bf16" and not zero,  # DeepSpeed has an autocast of its own
        fp16=recipe.precision == "fp16" and not zero,
        use_cpu=not gpu,  # bf16 on a CPU is refused unless it is asked for by name
        optim="adamw_torch_fused",  # one pass over the weights, and no copy of them
        torch_compile=recipe.compile,
        seed=seed,
        save_strategy="no",
        logging_strategy="no",
        report_to=list(recipe.tracking) if ranks.leads else [],
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cache=True,  # what a saved checkpoint says to whoever loads it; training passes its own
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
        deepspeed=zero,
    )
    if ranks.world == 1:
        arguments._n_gpu = min(arguments.n_gpu, 1)  # more GPUs in sight are no reason to split rows among them
    return arguments


class PackedTrainer(Trainer):
    """transformers' Trainer, whose batch is one optimiser step: the packed rows of its items."""

    def __init__(self, training, arguments: TrainingArguments, model):
        """training: the run's `_Training`, whose history and states this keeps."""
        self.training, self.ranks = training, training.ranks
        super().__init__(model=model, args=arguments, train_dataset=training.steps, callbacks=[Keeper(training)])
        for callback in list(self.callback_handler.callbacks):
            if type(callback).__name__ == "PrinterCallback":
                self.remove_callback(callback)

    def get_train_dataloader(self):
        return DataLoader(self.training.steps, batch_size=1, shuffle=False, collate_fn=_tensors)

    def create_scheduler(self, num_training_steps, optimizer=None):
        recipe = self.training.recipe

        def factor(step: int) -> float:
            return learning_rate_at(step, num_training_steps, recipe) / recipe.learning_rate

        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model, inputs, num_items_in_batch=None):
        model.train()
        rows = inputs["rows"]
        answer_tokens = sum(len(row["targets"]) for row in rows)
        share = self.ranks.share(rows)
        total = torch.zeros((), device=self.args.device)
        losses = []
        # Every rank makes equally many backward passes, since they meet in them (ZeRO in each one): a rank without a
        # row left repeats the step's first, and learns nothing from it.
        passes = -(-len(rows) // self.ranks.world)
        idle = [] if len(share) == passes else rows[:1]
        for number, row in enumerate([*share, *idle], start=1):
            last = number == passes
            self.accelerator.gradient_state._set_sync_gradients(last)
            with nullcontext() if last or not isinstance(model, DistributedDataParallel) else model.no_sync():
                with self.compute_loss_context_manager():
                    loss = model(**self._placed(row)) / answer_tokens
                if number > len(share):
                    loss = loss * 0
                self.accelerator.backward(loss * self.ranks.world)  # gradients are averaged over the ranks
            losses.append(loss.detach())
            total += losses[-1]
        mean = self.ranks.total(float(total))
        self.training.last = {
            "loss": mean,
            "learning_rate": live_optimiser(self).param_groups[0]["lr"],
            "tokens": sum(row["input_ids"].numel() for row in rows),
            "answer_tokens": answer_tokens,
            "attended": sum(int((row["lengths"] ** 2).sum()) for row in rows),
        }
        if not math.isfinite(mean):
            self._refuse_loss(mean, losses[: len(share)], len(rows))
        return total

    def _placed(self, row: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A row on the model's device, but for its lengths (see `attention`)."""
        return {**self._prepare_input({k: v for k, v in row.items() if k != "lengths"}), "lengths": row["lengths"]}

    def _refuse_loss(self, mean: float, losses: list[torch.Tensor], rows: int) -> None:
        """Raises FloatingPointError that names the items of the rows whose loss is not finite, on whichever rank."""
        flags = [False] * rows
        flags[self.ranks.rank :: self.ranks.world] = [not math.isfinite(float(loss)) for loss in losses]
        broken, step = self.ranks.any(*flags), self.state.global_step
        examples, packed = self.training.steps.examples_of(step), self.training.steps[step]
        ids = [examples[i].item for row, bad in zip(packed, broken, strict=True) if bad for i in row.examples]
        named = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
        raise FloatingPointError(
            f"{self.training.run_}: the loss is {mean} at step {step + 1} (learning rate "
            f"{self.training.last['learning_rate']:.3g}; it came from the items {named}); lower training.learning_rate "
            "or look at these items"
        )

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """Every weight by name, on rank 0; every rank must ask."""
        if self.is_deepspeed_enabled:
            return self.accelerator.get_state_dict(self.deepspeed)
        return self.accelerator.unwrap_model(self.model).state_dict() if self.ranks.leads else None

    def _get_output_dir(self, trial):
        """Where Trainer writes a state: aside, until it is whole."""
        return str(aside(self.training.state.folder))

    def _save_checkpoint(self, model, trial):
        self.began_saving = time.monotonic()
        super()._save_checkpoint(model, trial)

    def save_model(self, output_dir=None, _internal_call=False):
        if not self.is_deepspeed_enabled:  # whose own files hold the weights
            super().save_model(output_dir, _internal_call)

    def floating_point_ops(self, inputs):
        return 0  # Trainer's estimate assumes one tensor a batch


def _tensors(batch: list[list[Row]]) -> dict[str, Any]:
    (rows,) = batch
    return {"rows": [row_tensors(row) for row in rows]}


def row_tensors(row: Row) -> dict[str, torch.Tensor]:
    """A packed row as a model learns it (`loss.learn_answers`): ids and positions of shape (1, tokens); the positions
    that predict an answer token, and these tokens; the lengths of its examples."""
    labels = torch.tensor(row.labels[1:])
    positions = (labels != IGNORED).nonzero().squeeze(1)
    return {
        "input_ids": torch.tensor([row.input_ids]),
        "position_ids": torch.tensor([row.position_ids]),
        "positions": positions,
        "targets": labels[positions],
        "lengths": torch.tensor(row.lengths),
    }


def live_optimiser(trainer: PackedTrainer) -> torch.optim.Optimizer:
    """The optimiser that changes the weights, inside whatever wraps it (accelerate, DeepSpeed)."""
    optimiser = trainer.optimizer
    while hasattr(optimiser, "optimizer"):
        optimiser = optimiser.optimizer
    return optimiser


def check_optimiser(trainer: PackedTrainer, recipe: Training) -> dict[str, Any]:
    """What the optimiser really works with: its class, betas, epsilon and the weight decays of its groups of weights.

    Raises RuntimeError where that is not the recipe, or where a weight that is trained or any of the optimiser's state
    is not fp32: libraries have settings of their own, which must not win in silence.
    """
    optimiser = live_optimiser(trainer)
    groups = optimiser.param_groups
    tensors = [weight for group in groups for weight in group["params"]]
    tensors += [value for state in optimiser.state.values() for value in state.values() if torch.is_tensor(value)]
    if wrong := {str(tensor.dtype) for tensor in tensors} - {"torch.float32"}:
        raise RuntimeError(f"weights or optimiser state are {', '.join(sorted(wrong))}, not fp32")
    found = {
        "class": type(optimiser).__name__,
        "betas": sorted({beta for group in groups for beta in group["betas"]}),
        "epsilon": sorted({group["eps"] for group in groups}),
        "weight_decay": sorted({group["weight_decay"] for group in groups}),
    }
    decays = {recipe.weight_decay, 0.0}  # vectors (norms, biases) do not decay
    if (
        found["betas"] != sorted(set(recipe.betas))
        or found["epsilon"] != [recipe.epsilon]
        or not set(found["weight_decay"]) <= decays
    ):
        raise RuntimeError(f"the optimiser works with {found}, which is not the recipe")
    return found


class Keeper(TrainerCallback):
    """After each step: history, progress, the epoch's weights, and a state when one is due."""

    def __init__(self, training):
        self.training, self.ranks = training, training.ranks
        self.saved = self.spoken = time.monotonic()
        self.save_seconds = 0.0
        """What writing the last state took."""
        self.checked = False

    def on_step_begin(self, args, state, control, **kwargs):
        self.began = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        training, now = self.training, time.monotonic()
        if not self.checked:
            training.note("optimiser", check_optimiser(training.trainer, training.recipe))
            self.checked = True
        step = {**training.last, "seconds": now - self.began, "memory": peak_memory()}
        if self.ranks.leads:
            training.history.add(step)
        done, per_epoch = state.global_step, training.steps.per_epoch
        epoch, within = divmod(done, per_epoch)
        if within == 0 and epoch in training.wanted:
            training.save_epoch(epoch)
        last = done >= training.last_step
        since = now - self.saved
        late = since > 60 * training.recipe.save_minutes
        cheap = since >= self.save_seconds or self.save_seconds < COSTLY_SECONDS
        stopping, late, cheap = self.ranks.any(training.state.stop_requested, late, cheap)
        training.stopping = stopping
        control.should_save = ((within == 0 and cheap) or late or stopping) and not last
        control.should_training_stop = last or stopping
        shown = training.progress(step)
        training.trainer.callback_handler.on_log(args, state, control, shown)
        if now - self.spoken > SPEAK_SECONDS or last or done == 1:
            self.spoken = now
            training.report(in_words(training.run_, done, training.last_step, per_epoch, shown))

    def on_save(self, args, state, control, **kwargs):
        self.ranks.wait()  # for every rank's part of the state
        self.ranks.first(lambda: self._complete(state.global_step))
        self.saved = time.monotonic()
        self.save_seconds = self.saved - self.training.trainer.began_saving

    def _complete(self, step: int) -> None:
        self.training.history.flush()
        put_in_place(self.training.state.folder, step)
