"""Makes a small English study of real material: items of all ten abilities in DoIT's layout, synthetic items, and a
real base model small enough for a CPU. Everything is read from the publishers' files in the data folder (see its
README.md); nothing of them is kept in this project.

By hand: `python tests/real/prepare.py FOLDER` writes `FOLDER/curated`, `FOLDER/synthetic` and `FOLDER/stories260k`.

The base model has 512 tokens, about two characters each, and a context of 512 tokens: every item is shorter than
`LONGEST` characters in all its messages. No random numbers: what is taken, and in which order, follows from hashes of
the texts, so two runs give the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import struct
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def data_folder() -> Path:
    """The folder of public data: GROWTHPACE_REAL_DATA, or `../shared/data` beside the project."""
    given = os.environ.get("GROWTHPACE_REAL_DATA")
    return Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"


# --- the base model ------------------------------------------------------------------------------------------------


def convert_stories260k(folder: Path, data: Path | None = None) -> None:
    """Writes the llama2.c checkpoint stories260K as a Hugging Face Llama folder with its SentencePiece model.

    Format: github.com/karpathy/llama2.c, `legacy_export` in export.py and `build_transformer` in run.c.
    """
    import numpy as np
    from safetensors.numpy import save_file

    source = (data or data_folder()) / "model_stories260k"
    raw = (source / "stories260K.bin").read_bytes()
    dim, hidden, layers, heads, key_value_heads, vocabulary, context = struct.unpack_from("<7i", raw)
    tied = vocabulary > 0
    vocabulary = abs(vocabulary)
    head = dim // heads
    numbers = np.frombuffer(raw, dtype="<f4", offset=28)
    taken = 0

    def take(*shape: int) -> np.ndarray:
        nonlocal taken
        size = int(np.prod(shape))
        taken += size
        return numbers[taken - size : taken].reshape(shape).copy()

    def half_split(weights: np.ndarray, count: int) -> np.ndarray:
        # llama2.c turns neighbouring pairs of a head's dimensions, Hugging Face its two halves against each other
        return np.ascontiguousarray(weights.reshape(count, head // 2, 2, dim).swapaxes(1, 2).reshape(count * head, dim))

    tensors = {"model.embed_tokens.weight": take(vocabulary, dim)}
    parts = {
        "input_layernorm": take(layers, dim),
        "self_attn.q_proj": take(layers, heads * head, dim),
        "self_attn.k_proj": take(layers, key_value_heads * head, dim),
        "self_attn.v_proj": take(layers, key_value_heads * head, dim),
        "self_attn.o_proj": take(layers, dim, heads * head),
        "post_attention_layernorm": take(layers, dim),
        "mlp.gate_proj": take(layers, hidden, dim),
        "mlp.down_proj": take(layers, dim, hidden),
        "mlp.up_proj": take(layers, hidden, dim),
    }
    for layer in range(layers):
        for part, weights in parts.items():
            value = weights[layer]
            if part.endswith(("q_proj", "k_proj")):
                value = half_split(value, heads if part.endswith("q_proj") else key_value_heads)
            tensors[f"model.layers.{layer}.{part}.weight"] = np.ascontiguousarray(value)
    tensors["model.norm.weight"] = take(dim)
    take(2, context, head // 2)  # tables of cosines and sines, recomputed by Hugging Face
    if not tied:
        tensors["lm_head.weight"] = take(vocabulary, dim)
    if taken != len(numbers):
        raise ValueError(f"{source / 'stories260K.bin'}: {len(numbers)} numbers, its header asks for {taken}")

    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": dim,
        "intermediate_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "head_dim": head,
        "max_position_embeddings": context,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_bos_token": False, "add_eos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(names | settings, indent=2) + "\n")
    (folder / "tokenizer.model").write_bytes(_sentencepiece_model((source / "tok512.bin").read_bytes()))


def _sentencepiece_model(exported: bytes) -> bytes:
    """The SentencePiece model (a serialised ModelProto) that llama2.c's tokenizer export was made of."""
    from sentencepiece import sentencepiece_model_pb2 as schema

    model = schema.ModelProto()
    kinds = schema.ModelProto.SentencePiece
    position = 4  # after the length of the longest piece
    while position < len(exported):
        score, length = struct.unpack_from("<fi", exported, position)
        position += 8
        text = exported[position : position + length].decode()
        position += length
        number = len(model.pieces)
        piece = model.pieces.add(score=score)
        if number < 3:  # exported as "\n<s>\n" and "\n</s>\n", to look well when printed
            piece.piece = ("<unk>", "<s>", "</s>")[number]
            piece.type = kinds.UNKNOWN if number == 0 else kinds.CONTROL
        elif number < 259:
            piece.piece, piece.type = f"<0x{number - 3:02X}>", kinds.BYTE
        else:
            piece.piece, piece.type = text.replace(" ", "▁"), kinds.NORMAL
    trainer = model.trainer_spec
    trainer.model_type = schema.TrainerSpec.BPE
    trainer.vocab_size = len(model.pieces)
    trainer.byte_fallback = True
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 0, 1, 2, -1
    trainer.split_digits = True
    trainer.allow_whitespace_only_pieces = True
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = True
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    return model.SerializeToString()


# --- items ---------------------------------------------------------------------------------------------------------

LONGEST = 900
"""Characters of an item, all messages together."""
MOST_TOKENS = 460
"""Of the base model's 512, all messages together: room for role tokens."""
SIZES = {"train": 256, "valid": 30, "test": 40}
"""Items of an ability at most; the smaller publishers have fewer, see `language`."""
LETTERS = "ABCD"


@dataclass(frozen=True)
class Draft:
    """An item before it is filtered, ordered and numbered."""

    messages: tuple[str, ...]
    """User's and assistant's texts in turn."""
    choices: tuple[str, ...] = ()
    answer: str = ""
    group: str = ""


def prepare_items(folder: Path, data: Path | None = None) -> dict[str, dict[str, int]]:
    """Writes `curated/{train,valid,test}/{ability}.json` (DoIT's fields, JSON lines) and `synthetic/gpteacher.json`
    (GPTeacher's own records, a JSON array); gives the number of items by split and ability."""
    data = data or data_folder()
    short = _fits(data)
    counts: dict[str, dict[str, int]] = {}
    for ability, make in ABILITIES.items():
        seen: set[str] = set()
        # The test split chooses first: what it holds is not trained on.
        for split, drafts in sorted(make(data).items(), key=lambda entry: ("test", "valid", "train").index(entry[0])):
            chosen = []
            for draft in sorted(drafts, key=_order):
                prompt = " ".join("\n".join(draft.messages[:-1]).lower().split())
                if short(draft) and prompt not in seen and len(chosen) < SIZES[split]:
                    seen.add(prompt)
                    chosen.append(draft)
            records = [_record(ability, number, draft) for number, draft in enumerate(chosen, start=1)]
            _write(folder / "curated" / split / f"{ability}.json", "".join(json.dumps(r) + "\n" for r in records))
            counts.setdefault(split, {})[ability] = len(records)
    synthetic = [
        record
        for record in _gpteacher(data)
        if short(Draft((record["instruction"] + "\n" + record["input"], record["response"])))
    ]
    _write(folder / "synthetic" / "gpteacher.json", json.dumps(synthetic, indent=1) + "\n")
    counts["synthetic"] = {"general": len(synthetic)}
    return counts


def _record(ability: str, number: int, draft: Draft) -> dict[str, Any]:
    roles = ("user", "assistant")
    record: dict[str, Any] = {
        "messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(draft.messages)],
        "idx": number,
        "type": ability,
        "question_format": 1 if draft.choices else 0,
    }
    if draft.choices:
        record["choices"] = list(draft.choices)
    if draft.answer:
        record["answer"] = draft.answer
    if draft.group:
        record["group"] = draft.group
    return record


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _hash(*parts: object) -> int:
    """A number that follows from texts alone: an order, or a choice, that looks random and never changes."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")


def _order(draft: Draft) -> int:
    return _hash("order", *draft.messages)


def _fits(data: Path):
    """Whether a draft is short enough for the base model."""
    from sentencepiece import SentencePieceProcessor

    exported = (data / "model_stories260k" / "tok512.bin").read_bytes()
    model = SentencePieceProcessor(model_proto=_sentencepiece_model(exported))

    def fits(draft: Draft) -> bool:
        longest = max((draft.messages[-1], *draft.choices), key=len)
        texts = (*draft.messages[:-1], longest)
        if not all(text.strip() for text in texts) or sum(map(len, texts)) > LONGEST:
            return False
        answers = (draft.messages[-1], *draft.choices)
        prompt = sum(len(model.encode(text)) + 2 for text in draft.messages[:-1])
        return prompt + 2 + max(len(model.encode(text)) for text in answers) <= MOST_TOKENS

    return fits


def _asked(question: str, choices: Sequence[str]) -> str:
    return "\n".join([question, *(f"{letter}. {text}" for letter, text in zip(LETTERS, choices, strict=False))])


def _tidy(text: str) -> str:
    """Text that was split into words for parsers, as people write it; spaces and line breaks become one space."""
    text = " ".join(text.replace("``", '"').replace("''", '"').split())
    text = re.sub(r"\s+([.,!?;:%)])", r"\1", text)
    text = re.sub(r"\s+(n't|'s|'m|'re|'ve|'ll|'d)\b", r"\1", text)
    return re.sub(r"\b(gon|wan|got) (na|ta)\b", r"\1\2", text).replace("( ", "(")


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _split_by(keyed: Iterable[tuple[str, Draft]], one_in: int) -> dict[str, list[Draft]]:
    """train and valid, split by key (a story, a dialogue), so that neither has seen the other's."""
    parts: dict[str, list[Draft]] = {"train": [], "valid": []}
    for key, draft in keyed:
        parts["valid" if _hash("valid", key) % one_in == 0 else "train"].append(draft)
    return parts


def _mmlu(data: Path, subjects: Sequence[str]) -> dict[str, list[Draft]]:
    """All of the subjects' questions; MMLU has too few outside its test split to train on, so they are split anew."""
    drafts = []
    for subject in subjects:
        for split in ("dev", "val", "test"):
            path = data / "mmlu" / "data" / split / f"{subject}_{split}.csv"
            with open(path, encoding="utf-8", newline="") as handle:
                for question, *choices, letter in csv.reader(handle):
                    drafts.append(Draft((_asked(question.strip(), [c.strip() for c in choices]), letter)))
    parts: dict[str, list[Draft]] = {"train": [], "valid": [], "test": []}
    for draft in drafts:
        place = _hash("split", draft.messages[0].lower()) % 10
        parts["test" if place < 2 else "valid" if place == 2 else "train"].append(draft)
    return parts


def _biology(data: Path) -> dict[str, list[Draft]]:
    return _mmlu(data, ["college_biology", "high_school_biology"])


def _history(data: Path) -> dict[str, list[Draft]]:
    papers = ["high_school_european_history", "high_school_us_history", "high_school_world_history"]
    return _mmlu(data, ["prehistory", *papers])


def _code(data: Path) -> dict[str, list[Draft]]:
    """MBPP in its official split. The wrong programs are those of the most and of the least similar task of it."""
    tasks = _json_lines(data / "mbpp" / "mbpp.jsonl")
    ranges = {"test": range(11, 511), "valid": range(511, 601), "train": range(601, 975)}
    parts = {}
    for split, numbers in ranges.items():
        chosen = [
            (" ".join(t["text"].split()), t["code"].replace("\r\n", "\n").strip(), set(t["text"].lower().split()))
            for t in tasks
            if t["task_id"] in numbers
        ]
        parts[split] = []
        for text, code, words in chosen:
            others = [(o, len(words & w) / len(words | w)) for t, o, w in chosen if o != code and t != text]
            near = max(others, key=lambda other: (other[1], _hash(text, other[0])))[0]
            far = min(others, key=lambda other: (other[1], _hash(text, other[0])))[0]
            parts[split].append(Draft((text, code), choices=(code, near, far)))
    return parts


def _opening(text: str, at_most: int, from_end: bool = False) -> str:
    """The first (or last) whole sentences of a text, at most this many characters, at least one sentence."""
    sentences = re.split(r"(?<=[.!?\"'])\s+(?=[\"'A-Z])", " ".join(text.split()))
    kept: list[str] = []
    for sentence in reversed(sentences) if from_end else sentences:
        if kept and len(" ".join([*kept, sentence])) > at_most:
            break
        kept.append(sentence)
    return " ".join(reversed(kept) if from_end else kept)


def _creative_writing(data: Path) -> dict[str, list[Draft]]:
    """FairytaleQA: the end of a section, and how the next one begins. Wrong beginnings: of another section of the same
    tale, and of another tale."""
    parts = {}
    for split, name in (("train", "train"), ("valid", "val"), ("test", "test")):
        tales = []
        for path in sorted((data / "fairytaleqa/data-by-train-split/section-stories" / name).glob("*.csv")):
            with open(path, encoding="utf-8", newline="") as handle:
                tales.append((path.stem, [row["text"] for row in csv.DictReader(handle)]))
        beginnings = [_opening(sections[-1], 160) for _, sections in tales]
        parts[split] = []
        for title, sections in tales:
            for n in range(len(sections) - 1):
                gold = _opening(sections[n + 1], 160)
                same = [_opening(s, 160) for m, s in enumerate(sections) if m not in (n, n + 1)]
                same = [text for text in same if text != gold]
                other = beginnings[_hash("far", title, n) % len(tales)]
                if not same or other in (gold, *same):
                    continue
                near = same[_hash("near", title, n) % len(same)]
                prompt = "Continue the tale.\n" + _opening(sections[n], 260, from_end=True)
                parts[split].append(Draft((prompt, gold), choices=(gold, near, other), group=title))
    return parts


def _language(data: Path) -> dict[str, list[Draft]]:
    """The English multiple choice of GAOKAO-Bench: 105 questions in all, so 64 train, 20 are valid, 21 test."""
    path = data / "gaokao_bench/Data/Objective_Questions/2010-2013_English_MCQs.json"
    drafts = []
    for example in json.loads(path.read_text(encoding="utf-8"))["example"]:
        text = re.sub(r"^\s*\d+\s*[.．]\s*", "", example["question"])
        stem, *choices = re.split(r"(?<![A-Za-z])[A-D]\s*[.．]", text)
        if len(choices) > 4:  # a speaker or an initial looked like an option: the last four are the options
            stem, choices = text[: text.rindex(choices[-4]) - 2], choices[-4:]
        stem = re.sub(r"_+|[ \u3000]{4,}", " ____ ", stem.strip())  # the papers' blanks became spaces
        stem = "\n".join(" ".join(line.split()) for line in stem.splitlines() if line.strip())
        drafts.append(Draft((_asked(stem, [" ".join(c.split()) for c in choices]), example["answer"][0])))
    drafts.sort(key=_order)
    return {"train": drafts[:64], "valid": drafts[64:84], "test": drafts[84:]}


def _dialogue_understanding(data: Path) -> dict[str, list[Draft]]:
    """FriendsQA: the utterances around the answer, a question, and other answers of the same scene to choose from."""
    by_file = {name: _friends(data / "friendsqa" / f"friendsqa_{name}.json") for name in ("dev", "tst")}
    return {**_split_by(by_file["dev"], 5), "test": [draft for _, draft in by_file["tst"]]}


def _said(utterance: dict[str, Any]) -> str:
    """One line of a scene; stage directions have no speaker."""
    text, speakers = _tidy(utterance["utterance"]), " and ".join(utterance["speakers"])
    return text if speakers == "#NOTE#" else f"{speakers}: {text}"


def _friends(path: Path) -> list[tuple[str, Draft]]:
    drafts = []
    for scene in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in scene["paragraphs"]:
            spoken = [_said(utterance) for utterance in paragraph["utterances:"]]
            given = [(q, _tidy(q["answers"][0]["answer_text"]).rstrip(".")) for q in paragraph["qas"]]
            used = set()
            for question, gold in given:
                if gold.lower() in used or not 2 < len(gold) <= 60:
                    continue
                used.add(gold.lower())
                kind = question["id"].split("_")[3]
                known = {_tidy(a["answer_text"]).rstrip(".").lower() for a in question["answers"]} | {gold.lower()}
                wrong: list[str] = []
                # Answers to the same kind of question first: who for who. None that may be right too.
                for other, text in sorted(
                    given, key=lambda pair: (kind not in pair[0]["id"], _hash(question["id"], pair[1]))
                ):
                    taken = [*known, *(w.lower() for w in wrong)]
                    overlap = any(text.lower() in k or k in text.lower() for k in taken)
                    if other is not question and not overlap and 2 < len(text) <= 60:
                        wrong.append(text)
                if len(wrong) < 2:
                    continue
                choices = sorted([gold, *wrong[:3]], key=lambda text: _hash("place", question["id"], text))
                place = question["answers"][0]["utterance_id"]
                first = last = place
                while sum(map(len, spoken[max(first - 1, 0) : last + 2])) < 330 and (
                    first > 0 or last < len(spoken) - 1
                ):
                    first, last = max(first - 1, 0), min(last + 1, len(spoken) - 1)
                asked = _asked(_tidy(question["question"]), choices)
                prompt = "\n".join([*spoken[first : last + 1], asked])
                draft = Draft((prompt, LETTERS[choices.index(gold)]), group=scene["title"])
                drafts.append((scene["title"], draft))
    return drafts


def _role_play(data: Path) -> dict[str, list[Draft]]:
    """MultiWOZ: the clerk's second reply in a conversation between people. Wrong replies: another such clerk's in the
    same house at the same turn, and one about something else altogether."""
    by_file = {name: _clerks(data / "multiwoz" / f"{name}.json.zip") for name in ("val", "test")}
    return {**_split_by(by_file["val"], 6), "test": [draft for _, draft in by_file["test"]]}


def _clerks(path: Path) -> list[tuple[str, Draft]]:
    with zipfile.ZipFile(path) as archive:
        dialogues = json.loads(archive.read(path.name.removesuffix(".zip")))
    houses: dict[str, list[tuple[str, list[str]]]] = {"hotel": [], "restaurant": [], "": []}
    for name in sorted(dialogues):
        goal = dialogues[name]["goal"]
        turns = [_tidy(turn["text"]) for turn in dialogues[name]["log"]]
        wanted = [house for house in ("hotel", "restaurant") if goal.get(house)]
        if len(wanted) < 2:
            houses["".join(wanted)].append((name, turns))
    elsewhere = [turns[3] for _, turns in houses[""] if len(turns) > 4]
    drafts = []
    for house in ("hotel", "restaurant"):
        # Not the last reply: good-byes are the same everywhere. Only conversations that begin about the house.
        about = {"hotel": r"hotel|stay|guest|lodg|room", "restaurant": r"restaurant|eat|food|din"}[house]
        told = [(n, t) for n, t in houses[house] if len(t) > 4 and re.search(about, t[0].lower())]
        for place, (name, turns) in enumerate(told):
            gold = turns[3]
            near = told[(place + 1 + _hash("near", name) % (len(told) - 1)) % len(told)][1][3]
            far = elsewhere[_hash("far", name) % len(elsewhere)]
            if len({gold, near, far}) == 3:
                opening = f"You are the clerk of a {house}. Answer the guest.\n{turns[0]}"
                drafts.append((name, Draft((opening, *turns[1:4]), choices=(gold, near, far), group=name)))
    return drafts


def _logical_reasoning(data: Path) -> dict[str, list[Draft]]:
    """FOLIO: does the conclusion follow? Stories of its validation split are the test's."""

    def drafts(path: Path) -> list[tuple[str, Draft]]:
        made = []
        for row in _json_lines(path):
            premises = " ".join(" ".join(row["premises"]).split())
            conclusion = " ".join(row["conclusion"].split())
            label = {"Unknown": "Uncertain"}.get(row["label"], row["label"])
            labels = ("True", "False", "Uncertain")
            question = _asked(f"{premises}\nIs this true? {conclusion}", labels)
            made.append((premises, Draft((question, LETTERS[labels.index(label)]), group=str(_hash(premises)))))
        return made

    test = drafts(data / "folio" / "folio-validation.jsonl")
    held = {premises for premises, _ in test}
    rest = [(p, draft) for p, draft in drafts(data / "folio" / "folio-train.jsonl") if p not in held]
    return {**_split_by(rest, 6), "test": [draft for _, draft in test]}


def _math(data: Path) -> dict[str, list[Draft]]:
    """GSM8K without the calculator marks of its solutions."""

    def drafts(name: str) -> list[tuple[str, Draft]]:
        made = []
        for row in _json_lines(data / "gsm8k" / f"{name}.jsonl"):
            steps, _, answer = row["answer"].partition("####")
            solution = f"{re.sub(r'<<.*?>>', '', steps).strip()}\nThe answer is {answer.strip()}."
            made.append((row["question"], Draft((row["question"].strip(), solution), answer=answer.strip())))
        return made

    return {**_split_by(drafts("train"), 10), "test": [draft for _, draft in drafts("test")]}


def _ethics(data: Path) -> dict[str, list[Draft]]:
    """ETHICS, justice: four variants of one situation, at least one of them reasonable; the answer is their letters."""

    def drafts(name: str) -> list[tuple[str, Draft]]:
        with open(data / "hendrycks_ethics/justice" / f"justice_{name}.csv", encoding="utf-8", newline="") as handle:
            rows = [(" ".join(row["scenario"].split()), row["label"] == "1") for row in csv.DictReader(handle)]
        situations: dict[str, dict[str, bool]] = {}
        for text, right in rows:
            situations.setdefault(" ".join(text.lower().split()[:4]), {})[text] = right
        made = []
        for beginning, variants in situations.items():
            chosen = sorted(list(variants.items())[:4], key=lambda pair: _hash(*pair))
            letters = "".join(letter for letter, (_, right) in zip(LETTERS, chosen, strict=False) if right)
            if len(chosen) == 4 and letters:
                asked = _asked("Which of these are reasonable?", [text for text, _ in chosen])
                made.append((beginning, Draft((asked, letters))))
        return made

    test = drafts("test")
    held = {beginning for beginning, _ in test}
    rest = [(b, draft) for b, draft in drafts("train") if b not in held]
    return {**_split_by(rest, 8), "test": [draft for _, draft in test]}


def _gpteacher(data: Path) -> list[dict[str, str]]:
    """GPT-4's role-play and code records, without repeats, in an order that mixes the two."""
    records = {}
    for name in ("Codegen/codegen-instruct.json", "Roleplay/roleplay-simple-deduped-roleplay-instruct.json"):
        for record in json.loads((data / "gpteacher" / name).read_text(encoding="utf-8")):
            records.setdefault(_hash(record["instruction"], record["input"]), record)
    mixed = [records[key] for key in sorted(records)]
    return mixed[:SYNTHETIC]


SYNTHETIC = 2_000
"""Records of the synthetic source before the long ones are left out."""

ABILITIES = {
    "biology": _biology,
    "history": _history,
    "code": _code,
    "creative_writing": _creative_writing,
    "language": _language,
    "dialogue_understanding": _dialogue_understanding,
    "role_play": _role_play,
    "logical_reasoning": _logical_reasoning,
    "math": _math,
    "ethics": _ethics,
}
"""The paper's ten abilities, in English, each with the function that gives its drafts by split."""


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for part, numbers in prepare_items(target).items():
        print(part, numbers)
    convert_stories260k(target / "stories260k")
