"""The engine against plain loops: one candidate at a time, one token at a time, whatever stands in the batch."""

from __future__ import annotations

import itertools
import random
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

import tiny
from growthpace.analysis.scores import NEAR_TIE
from growthpace.errors import InputError
from growthpace.evaluation import engine as engine_module
from growthpace.evaluation import forest, generating, memory
from growthpace.evaluation.engine import Engine, NotFiniteError, Question

SHAPE = {
    "vocab_size": 46, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": tiny.CONTEXT, "initializer_range": 0.3, "eos_token_id": 2, "pad_token_id": 1,
    "bos_token_id": None,
}  # fmt: skip
ARCHITECTURES = {
    "llama, grouped queries": lambda: tiny.make_config(46, num_key_value_heads=1),
    "llama, tied": lambda: tiny.make_config(46, num_key_value_heads=4, tie_word_embeddings=True),
    "llama, eager": lambda: tiny.make_config(46, attn_implementation="eager"),
    "qwen2": lambda: transformers.Qwen2Config(**SHAPE, num_key_value_heads=2),
    "gpt2, learned positions": lambda: transformers.GPT2Config(
        vocab_size=46, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3, eos_token_id=2
    ),
    "cohere, scaled logits": lambda: transformers.CohereConfig(**SHAPE, num_key_value_heads=2, logit_scale=0.25),
    "granite, scaled logits": lambda: transformers.GraniteConfig(**SHAPE, num_key_value_heads=2, logits_scaling=4.0),
    "gemma2, capped logits": lambda: transformers.Gemma2Config(
        **SHAPE, num_key_value_heads=2, head_dim=8, final_logit_softcapping=2.0, sliding_window=64
    ),
}


def save(folder, config, spoil=lambda model: None, dtype=torch.float32):
    """A checkpoint of a random model of the config, with the tokenizer of `tiny`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        spoil(model)
    model.save_pretrained(folder)
    tiny.make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request, tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"), ARCHITECTURES[request.param]())


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save(tmp_path_factory.mktemp("llama"), tiny.make_config(46))


def questions() -> list[Question]:
    """Prompts of 1 to 30 tokens, 1 to 5 candidates of 1 to 6 tokens; some prompts and candidates occur twice."""
    chance = random.Random(1)

    def words(longest):
        return [chance.randrange(46) for _ in range(chance.randint(1, longest))]

    found = [Question(words(30), tuple(words(6) for _ in range(1 + index % 5))) for index in range(25)]
    same = words(4)
    return [*found, Question(found[0].prompt, (same, same)), Question([7], ([8],))]


@torch.inference_mode()
def naive(model, question: Question) -> list[float]:
    """Each candidate by a forward pass of its own."""
    scores = []
    for candidate in question.candidates:
        ids = [*question.prompt, *candidate]
        logs = torch.log_softmax(model(torch.tensor([ids], device=model.device)).logits[0].float(), dim=-1)
        start = len(question.prompt)
        scores.append(sum(float(logs[start + place - 1, token]) for place, token in enumerate(candidate)))
    return scores


def assert_close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_scores_equal_a_plain_loop(folder):
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    asked = questions()
    expected = [tuple(naive(model, question)) for question in asked]
    assert len({round(score, 3) for scores in expected for score in scores}) > 50, "the model tells answers apart"
    engine = Engine(folder, "paper", threads=1)
    found = engine.score(asked)
    assert_close(found, expected)
    assert found[25][0] == pytest.approx(found[25][1], abs=1e-5), "equal candidates beside each other score equally"


@pytest.mark.parametrize("batch_tokens", [1, 60, 10**6])
def test_scores_do_not_depend_on_the_batch(llama, batch_tokens):
    asked = questions()
    expected = Engine(llama, "paper", threads=1).score(asked)
    engine = Engine(llama, "paper", threads=1, batch_tokens=batch_tokens)
    assert_close(engine.score(asked), expected)
    assert_close(engine.score(asked[::-1])[::-1], expected)
    progress = []
    engine.score(asked[:9], progress.append)
    assert progress == sorted(progress)
    assert progress[-1] == 9
    assert engine.score([]) == []


@pytest.mark.parametrize("kind", ["llama", "granite, scaled logits"])
def test_scores_in_bf16(tmp_path, kind):
    """The checkpoint's own precision up to the last hidden state; logits and log-softmax are fp32."""
    config = {"llama": tiny.make_config(46, initializer_range=0.15)}.get(kind) or ARCHITECTURES[kind]()
    save(tmp_path, config, dtype=torch.bfloat16)
    engine = Engine(tmp_path, "paper", threads=1)
    assert engine.model.dtype == torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    model.lm_head.float().register_forward_pre_hook(lambda head, arguments: (arguments[0].float(),))
    close = 0
    for ours, question in zip(engine.score(questions()), questions(), strict=True):
        theirs = naive(model, question)
        assert ours == pytest.approx(theirs, abs=0.3)
        close += ours == pytest.approx(theirs, abs=1e-3)
    assert close > 5, "some to the last bit of bf16 that sums in another order leave"


def test_in_bf16_a_batch_turns_near_ties_alone(tmp_path):
    """Grades in other batches are the same for all items but those whose best option leads by less than NEAR_TIE."""
    save(tmp_path, tiny.make_config(46, initializer_range=0.15), dtype=torch.bfloat16)
    chance, options = random.Random(7), [[number] for number in (5, 6, 7, 8)]
    asked = [Question([chance.randrange(3, 43) for _ in range(chance.randint(1, 40))], options) for _ in range(300)]
    ways = [Engine(tmp_path, "paper", threads=1, batch_tokens=size).score(asked) for size in (1, 97, None)]
    turned = near = 0
    for scores in zip(*ways, strict=True):
        margins = [sorted(score)[-1] - sorted(score)[-2] for score in scores]
        same = len({max(range(4), key=score.__getitem__) for score in scores}) == 1
        assert same or min(margins) < NEAR_TIE
        turned, near = turned + (not same), near + (min(margins) < NEAR_TIE)
    assert ways[0] != ways[1], "the last bits do depend on the batch"
    assert turned <= near < 150, "a report, not an excuse"


def test_questions_that_cannot_be_scored(llama):
    engine = Engine(llama, "paper", threads=1)
    assert engine.context == 64
    assert len(engine.score([Question([3] * 60, ([4] * 5,))])) == 1, "exactly the context"
    with pytest.raises(ValueError, match="longer than the model's context"):
        engine.score([Question([3] * 60, ([4], [4] * 6))])
    with pytest.raises(ValueError, match="an empty candidate"):
        engine.score([Question([3], ([4], []))])


def test_many_candidates_may_be_longer_than_the_context_together(llama):
    question = Question([3] * 40, tuple([5 + index] * 20 for index in range(5)))
    model = AutoModelForCausalLM.from_pretrained(llama).eval()
    assert_close(Engine(llama, "paper", threads=1).score([question]), [tuple(naive(model, question))])


def test_a_window_shorter_than_the_question_is_refused(tmp_path):
    """transformers gives our mask to sliding layers as it is, so they would see all of a longer prompt."""
    config = transformers.MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=12)
    engine = Engine(save(tmp_path, config), "paper", threads=1)
    model = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    short = Question([3, 4, 5, 6], ([7, 8], [9]))
    assert_close(engine.score([short]), [tuple(naive(model, short))])
    with pytest.raises(
        InputError, match="13 tokens with its candidates, but MistralForCausalLM attends to windows of 12"
    ):
        engine.score([Question([3] * 13, ([7],))])


# --- generation ---


@torch.inference_mode()
def greedy(model, prompt, max_new_tokens: int, end: int):
    """One token at a time, each by a forward pass over all that is there."""
    ids, tokens = list(prompt), []
    while len(tokens) < max_new_tokens:
        token = int(model(torch.tensor([ids], device=model.device)).logits[0, -1].argmax())
        if token == end:
            return tokens, True
        tokens.append(token)
        ids.append(token)
    return tokens, False


def likes_to_end(model):
    """Makes `<eot>` (45) a likelier answer, so that some answers end by themselves."""
    model.get_output_embeddings().weight[45] *= 2.5


def prompts() -> list[list[int]]:
    chance = random.Random(2)
    return [[chance.randrange(3, 43) for _ in range(chance.randint(1, 25))] for _ in range(24)]


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    """A checkpoint with generation settings of its own, as published chat models have."""
    folder = save(tmp_path_factory.mktemp("talker"), tiny.make_config(46), likes_to_end)
    settings = transformers.GenerationConfig(
        repetition_penalty=1.8, no_repeat_ngram_size=2, temperature=0.6, top_p=0.9, do_sample=True, eos_token_id=[2, 5],
        suppress_tokens=[3], max_length=20,
    )  # fmt: skip
    settings.save_pretrained(folder)
    return folder


def test_generation_equals_a_plain_loop(talker):
    engine = Engine(talker, "paper", threads=1)
    end = engine.encoder.end_of_turn
    assert end == 45
    model = AutoModelForCausalLM.from_pretrained(talker).eval()
    expected = [greedy(model, prompt, 8, end) for prompt in prompts()]
    ended = [done for _, done in expected]
    assert any(ended)
    assert not all(ended)
    assert ([], True) in expected or any(0 < len(tokens) < 8 for tokens, done in expected if done)
    assert engine.generate(prompts(), 8) == expected
    plain = transformers.GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=end, max_new_tokens=8)
    model.generation_config = transformers.GenerationConfig()
    for prompt, (tokens, done) in zip(prompts(), expected, strict=True):
        alone = model.generate(torch.tensor([prompt]), generation_config=plain)[0, len(prompt) :].tolist()
        assert alone == tokens + [end] * done


@pytest.mark.parametrize("batch_tokens", [1, 100, 10**6])
def test_generation_does_not_depend_on_the_batch(talker, batch_tokens):
    expected = Engine(talker, "paper", threads=1).generate(prompts(), 8)
    engine = Engine(talker, "paper", threads=1, batch_tokens=batch_tokens)
    assert engine.generate(prompts(), 8) == expected
    assert engine.generate(prompts()[::-1], 8)[::-1] == expected
    assert [tokens for tokens, _ in engine.generate(prompts(), 3)] == [tokens[:3] for tokens, _ in expected]
    assert engine.generate([], 8) == []


def test_nan_is_no_answer(tmp_path):
    """The greedy choice among NaNs is a token like any other, so it must not become an answer."""

    def spoil(model):
        model.get_input_embeddings().weight[7] = float("nan")

    engine = Engine(save(tmp_path, tiny.make_config(46), spoil), "paper", threads=1)
    assert len(engine.generate([[3, 4], [5]], 1)) == 2
    with pytest.raises(NotFiniteError, match="the logits of prompt 1 are NaN") as caught:
        engine.generate([[3, 4], [5, 7, 6], [5], [7]], 1)
    assert caught.value.index == 1
    assert [all(score == score for score in scores) for scores in engine.score(
        [Question([3], ([4], [5])), Question([3, 7], ([4], [5]))]
    )] == [True, False]  # fmt: skip


# --- what is shared, memory, copies ---


def alike() -> list[Question]:
    """Questions whose prompts begin alike: worked examples of three subjects, of one token to 40, some twice."""
    chance = random.Random(5)
    beginnings = [[chance.randrange(3, 43) for _ in range(length)] for length in (1, 17, 30)]
    rests = [[chance.randrange(3, 43) for _ in range(chance.randint(1, 9))] for _ in range(8)]
    prompts = [[*beginning, *rest] for rest in rests for beginning in beginnings]
    prompts += [prompts[2], prompts[2], beginnings[2]]
    return [
        Question(prompt, tuple([chance.randrange(43) for _ in range(chance.randint(1, 4))] for _ in range(1 + n % 3)))
        for n, prompt in enumerate(prompts)
    ]


@pytest.mark.parametrize("batch_tokens", [1, 90, None])
def test_shared_beginnings_change_no_score(folder, batch_tokens):
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    engine = Engine(folder, "paper", threads=1, batch_tokens=batch_tokens)
    assert_close(engine.score(alike()), [tuple(naive(model, question)) for question in alike()])


def plainly(query, key, value, pack, scaling):
    """What the GPU's kernel computes, segment by segment; shapes (tokens, heads, width), keys may have fewer heads."""
    found, cuts, seen = [], pack.cuts.tolist(), pack.seen_cuts.tolist()
    assert pack.longest == max(b - a for a, b in itertools.pairwise(cuts))
    assert pack.longest_seen == max(b - a for a, b in itertools.pairwise(seen))
    for (a, b), (c, d) in zip(itertools.pairwise(cuts), itertools.pairwise(seen), strict=True):
        repeated = query.shape[1] // key.shape[1]
        q, k, v = query[a:b], *(x[c:d].repeat_interleave(repeated, dim=1) for x in (key, value))
        scores = torch.einsum("qhw,khw->hqk", q, k) * (scaling or q.shape[2] ** -0.5)
        hidden = torch.ones(b - a, d - c, dtype=torch.bool).triu(d - c - (b - a) + 1)
        found.append(torch.einsum("hqk,khw->qhw", scores.masked_fill(hidden, float("-inf")).softmax(-1), v))
    return torch.cat(found)


@pytest.mark.parametrize("copied", [1, 100, 2**16])
def test_the_kernel_of_gpus_is_given_what_each_segment_sees(folder, monkeypatch, copied):
    engine = Engine(folder, "paper", threads=1, devices=["cpu"])
    asked = [*questions(), *alike()]
    expected = engine.score(asked)
    calls = []
    monkeypatch.setattr(forest, "COPIED", copied)
    monkeypatch.setattr(forest, "in_one_kernel", lambda query: True)
    monkeypatch.setattr(forest, "flash", lambda *given: calls.append(given) or plainly(*given))
    assert_close(engine.score(asked), expected)
    assert bool(calls) == engine.plain


def test_a_shared_beginning_is_computed_once(llama, monkeypatch):
    engine = Engine(llama, "paper", threads=1)
    computed = []
    layer = engine.model.model.layers[0]
    layer.register_forward_pre_hook(
        lambda module, arguments, named: computed.append(arguments[0].shape[1]), with_kwargs=True
    )
    beginning = list(range(3, 43))
    engine.score([Question([*beginning, 3, n], ([4], [5], [6, 7])) for n in range(4, 14)])
    assert computed == [41 + 10 * (1 + 1)], "41 tokens of all, then of each question one of its own and one candidate's"


@pytest.mark.parametrize("batch_tokens", [1, 200, None])
def test_shared_beginnings_change_no_answer(talker, batch_tokens):
    asked = [question.prompt for question in alike()]
    engine = Engine(talker, "paper", threads=1, batch_tokens=batch_tokens)
    expected = [greedy(engine.model, prompt, 8, engine.encoder.end_of_turn) for prompt in asked]
    assert engine.generate(asked, 8) == expected


def test_memory_that_runs_out_makes_batches_smaller(llama, talker, monkeypatch):
    asked = questions()
    expected = Engine(llama, "paper", threads=1).score(asked)
    engine = Engine(llama, "paper", threads=1)
    assert (engine.score_tokens, engine.generate_tokens) == (memory.MOST_SCORED, memory.MOST_GENERATED)
    real, sizes = engine._score, []

    def small(model, part):
        sizes.append(len(part))
        if len(part) > 5:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory")
        return real(model, part)

    monkeypatch.setattr(engine, "_score", small)
    assert_close(engine.score(asked), expected)
    assert sizes[0] == len(asked)
    assert max(size for size in sizes if size <= 5) > 1, "no smaller than needed"
    assert engine.score_tokens < memory.MOST_SCORED

    def never(model, part):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(engine, "_score", never)
    with pytest.raises(InputError, match="one item alone does not fit in memory beside the model"):
        engine.score(asked)

    def broken(model, part):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(engine, "_score", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        engine.score(asked)


def test_batches_that_were_planned_before_memory_ran_out_are_divided(llama, monkeypatch):
    """Without running out of memory once more each."""
    asked = alike()
    engine = Engine(llama, "paper", threads=1)
    (whole,) = engine.scored_together(asked)
    sizes, real = [], engine._score
    monkeypatch.setattr(engine, "_score", lambda model, part: sizes.append(len(part)) or real(model, part))
    engine.score_tokens = 100
    planned = [asked[index] for index in whole]
    assert_close(engine.score_batch(planned), Engine(llama, "paper", threads=1).score(planned))
    assert len(sizes) > 3
    assert sum(sizes) == len(asked)


def test_which_prompt_was_nan_is_known_after_memory_ran_out(tmp_path, monkeypatch):
    engine = Engine(
        save(tmp_path, tiny.make_config(46), lambda model: model.get_input_embeddings().weight[7].fill_(float("nan"))),
        "paper",
        threads=1,
    )
    real = generating.generate_with_cache

    def small(model, prompts, *rest):
        if len(prompts) > 2:
            raise MemoryError
        return real(model, prompts, *rest)

    monkeypatch.setattr(engine_module, "generate_with_cache", small)
    with pytest.raises(NotFiniteError) as caught:
        engine.generate([[3, 4], [5, 3], [6, 3], [5, 7], [9]], 2)
    assert caught.value.index == 3


def test_copies_of_the_model_share_the_batches(llama, talker):
    asked = questions()
    one = Engine(llama, "paper", threads=1, batch_tokens=60, devices=["cpu"])
    two = Engine(llama, "paper", threads=1, batch_tokens=60, devices=["cpu", "cpu"])
    assert len(two.models) == 2
    progress = []
    assert two.score(asked, progress.append) == one.score(asked), "the same batches, so the same bits"
    assert progress == sorted(progress)
    assert progress[-1] == len(asked)
    copies = Engine(talker, "paper", threads=1, batch_tokens=60, devices=["cpu", "cpu"])
    alone = Engine(talker, "paper", threads=1, batch_tokens=60, devices=["cpu"])
    assert copies.generate(prompts(), 8) == alone.generate(prompts(), 8)


def test_a_batch_alone_makes_the_same_batch(llama):
    engine = Engine(llama, "paper", threads=1, batch_tokens=120)
    asked = [*questions(), *alike()]
    batches = engine.scored_together(asked)
    assert sorted(index for batch in batches for index in batch) == list(range(len(asked)))
    assert len(batches) > 5
    for batch in batches:
        assert len(engine.scored_together([asked[index] for index in batch])) == 1
    asked = [question.prompt for question in asked]
    for batch in engine.generated_together(asked, 8):
        assert len(batch) == 1 or sum(len(asked[index]) + 8 for index in batch) <= 120


class FakeVllm:
    """vLLM as far as growthpace uses it (LLM.generate, SamplingParams, TokensPrompt of vllm 0.33), by transformers."""

    def __init__(self, model, **settings):
        self.model, self.settings = AutoModelForCausalLM.from_pretrained(model).eval(), settings

    def generate(self, prompts, settings, use_tqdm):
        (end,) = settings["stop_token_ids"]
        assert settings["temperature"] == 0
        for prompt in prompts:
            tokens, done = greedy(self.model, prompt["prompt_token_ids"], settings["max_tokens"], end)
            yield SimpleNamespace(outputs=[SimpleNamespace(token_ids=(*tokens, *[end] * done))])


def test_generation_by_vllm(talker, monkeypatch):
    """Against a stand-in: vLLM itself wants a GPU."""
    vllm = ModuleType("vllm")
    vllm.LLM, vllm.SamplingParams, vllm.TokensPrompt = FakeVllm, dict, dict
    vllm.__spec__ = ModuleSpec("vllm", None)
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    expected = Engine(talker, "paper", threads=1).generate(prompts(), 8)
    engine = Engine(talker, "paper", threads=1, generation="vllm")
    asked = questions()[:3]
    assert_close(engine.score(asked), Engine(talker, "paper", threads=1).score(asked))
    assert engine.generate(prompts(), 8) == expected
    assert engine.models == [], "its memory is vLLM's now"


def test_generation_by_vllm_is_refused_without_it(talker):
    with pytest.raises(InputError, match="needs vLLM, in an environment of its own"):
        Engine(talker, "paper", threads=1, generation="vllm").generate([[3]], 2)
