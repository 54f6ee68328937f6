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
from growthpace.training.packing import IGNORED, Row
from growthpace.training.ranks import Ranks
from growthpace.training.schedule import learning_rate_at
from growthpace.training.states import mark_complete


def training_arguments(recipe: Training, steps: int, seed: int, folder: str, ranks: Ranks) -> TrainingArguments:
    """The recipe in transformers' words. For zero3 they must be there before the model is loaded, in parts."""
    zero = deepspeed_config(recipe, ranks.world)
    gpu = torch.cuda.is_available()
    if zero:
        import deepspeed

        if not gpu:
            deepspeed.ops.__compatible_ops__ = {}  # or it compiles an operator for gloo's work, for minutes
        if not deepspeed.comm.is_initialized():
            deepspeed.init_distributed("nccl" if gpu else "gloo", auto_mpi_discovery=False)
    return TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=recipe.learning_rate,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        adam_epsilon=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=recipe.precision == "bf16",
        use_cpu=not gpu,  # bf16 on a CPU is refused unless it is asked for by name
        optim="adamw_torch",
        seed=seed,
        save_strategy="no",
        save_total_limit=2,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cache=True,  # what a saved checkpoint says to whoever loads it; training passes its own
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
        deepspeed=zero,
    )


def deepspeed_config(recipe: Training, world: int) -> dict[str, Any] | None:
    """DeepSpeed's settings for the recipe; None where it is not used. torch's optimiser, our schedule."""
    stage = {"ddp": None, "zero2": 2, "zero3": 3}[recipe.distribution]
    if world == 1 or stage is None:
        return None
    return {
        "train_micro_batch_size_per_gpu": 1,  # one row: DeepSpeed sees every row as a step of its own ...
        "gradient_accumulation_steps": 1,  # ... and is told which is the last of an optimiser step
        "train_batch_size": world,
        "gradient_clipping": recipe.max_grad_norm,
        "bf16": {"enabled": recipe.precision == "bf16"},
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": {
            "stage": stage,
            "reduce_bucket_size": "auto",  # transformers derives these from the model's width
            "stage3_prefetch_bucket_size": "auto",
            "stage3_param_persistence_threshold": "auto",
            "stage3_gather_16bit_weights_on_model_save": True,  # fp32 as well, despite its name
        },
    }


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
            rate = learning_rate_at(
                step, num_training_steps, recipe.learning_rate, recipe.learning_rate_floor, recipe.warmup_steps
            )
            return rate / recipe.learning_rate

        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model, inputs, num_items_in_batch=None):
        model.train()
        rows = inputs["rows"]
        answer_tokens = sum(int((row["labels"] != IGNORED).sum()) for row in rows)
        share = self._prepare_input(self.ranks.share(rows))
        total = torch.zeros((), device=self.args.device)
        # Every rank makes equally many backward passes, since they meet in them (ZeRO in each one): a rank without a
        # row left repeats the step's first, and learns nothing from it.
        passes = -(-len(rows) // self.ranks.world)
        idle = [] if len(share) == passes else self._prepare_input(rows[:1])
        for number, row in enumerate([*share, *idle], start=1):
            last = number == passes
            self.accelerator.gradient_state._set_sync_gradients(last)
            with nullcontext() if last or not isinstance(model, DistributedDataParallel) else model.no_sync():
                with self.compute_loss_context_manager():
                    loss = answer_loss(model, row) / answer_tokens
                if number > len(share):
                    loss = loss * 0
                self.accelerator.backward(loss * self.ranks.world)  # gradients are averaged over the ranks
            total += loss.detach()
        mean = self.ranks.total(float(total))
        self.training.last = {
            "loss": mean,
            "tokens": sum(row["input_ids"].numel() for row in rows),
            "answer_tokens": answer_tokens,
            "learning_rate": self.lr_scheduler.get_last_lr()[0],
        }
        if not math.isfinite(mean):
            raise FloatingPointError(
                f"{self.training.run_}: the loss is {mean} at step {self.state.global_step + 1} "
                f"(learning rate {self.training.last['learning_rate']:.3g}); lower training.learning_rate or look at "
                "the data"
            )
        return total

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """Every weight by name, on rank 0; every rank must ask."""
        if self.is_deepspeed_enabled:
            return self.accelerator.get_state_dict(self.deepspeed)
        return self.model.state_dict() if self.ranks.leads else None

    def save_model(self, output_dir=None, _internal_call=False):
        if not self.is_deepspeed_enabled:  # whose own files hold the weights
            super().save_model(output_dir, _internal_call)

    def floating_point_ops(self, inputs):
        return 0  # Trainer's estimate assumes one tensor a batch


def answer_loss(model, row: dict[str, torch.Tensor]) -> torch.Tensor:
    """Summed negative log-likelihood (nats, fp32) of a packed row's learned tokens.

    Only positions that predict a learned token meet the vocabulary matrix: full logits would be most of the memory.
    """
    targets = row["labels"][0, 1:]
    positions = (targets != IGNORED).nonzero().squeeze(1)
    logits = model(
        input_ids=row["input_ids"], position_ids=row["position_ids"], logits_to_keep=positions, use_cache=False
    ).logits[0]
    return torch.nn.functional.cross_entropy(logits.float(), targets[positions], reduction="sum")


def _tensors(batch: list[list[Row]]) -> dict[str, Any]:
    (rows,) = batch
    return {
        "rows": [
            {
                "input_ids": torch.tensor([row.input_ids]),
                "position_ids": torch.tensor([row.position_ids]),
                "labels": torch.tensor([row.labels]),
            }
            for row in rows
        ]
    }


class Keeper(TrainerCallback):
    """After each step: history, progress, the epoch's weights, and a state when one is due."""

    def __init__(self, training):
        self.training, self.ranks = training, training.ranks
        self.saved = self.spoken = time.monotonic()

    def on_step_begin(self, args, state, control, **kwargs):
        self.began = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        training, now = self.training, time.monotonic()
        if self.ranks.leads:
            training.history.add({**training.last, "seconds": now - self.began})
        step, per_epoch = state.global_step, training.steps.per_epoch
        epoch, within = divmod(step, per_epoch)
        if within == 0 and epoch in training.wanted:
            training.save_epoch(epoch)
        last = step >= training.last_step
        late = now - self.saved > 60 * training.recipe.save_minutes
        training.stopping, late = self.ranks.any(training.state.stop_requested, late)
        control.should_save = (within == 0 or late or training.stopping) and not last
        control.should_training_stop = last or training.stopping
        if now - self.spoken > 5 or last or step == 1:
            self.spoken = now
            rate = training.last["tokens"] / max(now - self.began, 1e-9)
            training.report(
                f"train {training.run_}: step {step} of {training.last_step}, epoch {-(-step // per_epoch)}, "
                f"loss {training.last['loss']:.3f}, {rate:,.0f} tokens/s"
            )

    def on_save(self, args, state, control, **kwargs):
        self.ranks.wait()  # for every rank's part of the state
        self.ranks.first(lambda: self._complete(state.global_step))
        self.saved = time.monotonic()

    def _complete(self, step: int) -> None:
        self.training.history.flush()
        mark_complete(self.training.state.folder / f"checkpoint-{step}")
