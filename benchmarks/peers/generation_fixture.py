#!/usr/bin/env python3
"""What Hugging Face's generate() makes of the small language models of tests/models/huggingface, for the tests.

    generation_fixture.py          writes tests/decoding/huggingface_generation.json

Greedy search and beams under every option that both have (but repetition_penalty with a beam, which works on
log-probabilities there, on logits here); contrastive search, which Transformers no longer has, from the
formula of Su et al. 2022 over Transformers' models; and of each way to draw, the probabilities that are left of the first
token. Cases are left out where beams ended at the greatest length (fovea prefers what ended), or where the best two of
anything that decides are so near that rounding may choose.
"""
import json, pathlib, random

import torch
import transformers
from transformers.generation import logits_process as warp

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/models/huggingface"
TARGET = ROOT / "tests/decoding/huggingface_generation.json"
LONGEST = 16

SEARCHES = [
    {"num_beams": 1},
    {"num_beams": 1, "repetition_penalty": 1.4},
    {"num_beams": 1, "repetition_penalty": 0.8},
    {"num_beams": 1, "no_repeat_ngram_size": 2},
    {"num_beams": 1, "min_new_tokens": 12},
    {"num_beams": 1, "suppress_tokens": [3, 5, 8]},
    {"num_beams": 1, "begin_suppress_tokens": [4, 6, 9, 11]},
    {"num_beams": 1, "bad_words_ids": [[2, 3], [7]]},
    {"num_beams": 4},
    {"num_beams": 4, "num_return_sequences": 3, "length_penalty": 0.0},
    {"num_beams": 3, "early_stopping": True, "length_penalty": 2.0},
    {"num_beams": 3, "early_stopping": "never", "length_penalty": 0.5, "suppress_tokens": [4, 9]},
    {"num_beams": 5, "no_repeat_ngram_size": 2, "min_new_tokens": 3},
]
DRAWS = [
    {"temperature": 1.0},
    {"temperature": 0.6},
    {"temperature": 2.0, "top_k": 7},
    {"top_p": 0.7},
    {"temperature": 1.3, "top_p": 0.9, "top_k": 12},
    {"min_p": 0.15},
    {"typical_p": 0.4},
    {"temperature": 1.5, "top_k": 15, "typical_p": 0.8},
]


def search(model, prompt, options):
    """Ids of what follows, best first, and their scores; None for a case that cannot be compared."""
    # Without renormalize_logits beams there rank by what constraints leave of probabilities, which do not add up to 1.
    out = model.generate(torch.tensor([prompt]), renormalize_logits=options["num_beams"] > 1, attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
                         max_new_tokens=LONGEST, pad_token_id=0, return_dict_in_generate=True, output_scores=True, **options)
    ends = model.config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    found = []
    for sequence in out.sequences.tolist():
        tokens = sequence[len(prompt):]
        stop = next((i for i, token in enumerate(tokens) if token in ends), None)
        if stop is None and options["num_beams"] > 1:
            return None
        found.append({"tokens": tokens[:stop], "ended": stop is not None})
    if options["num_beams"] > 1:
        scores = out.sequences_scores.tolist()
        if any(abs(a - b) < 1e-4 for a, b in zip(scores, scores[1:])):
            return None
        for one, score in zip(found, scores):
            one["score"] = score
    return found


def contrast(model, prompt, alpha, k):
    ends = model.config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    tokens = list(prompt)
    while len(tokens) < len(prompt) + LONGEST:
        with torch.no_grad():
            probabilities, candidates = torch.softmax(model(torch.tensor([tokens])).logits[0, -1], -1).topk(k)
            read = torch.tensor([tokens + [candidate] for candidate in candidates.tolist()])
            states = torch.nn.functional.normalize(model(read, output_hidden_states=True).hidden_states[-1], dim=-1)
        like = (states[:, :-1] @ states[:, -1:].transpose(1, 2)).amax((1, 2))
        scores = (1 - alpha) * probabilities - alpha * like
        best = scores.topk(2).values if k > 1 else torch.tensor([1.0, 0.0])
        if best[0] - best[1] < 1e-4:
            return None
        token = candidates[scores.argmax()].item()
        if token in ends:
            return {"tokens": tokens[len(prompt):], "ended": True}
        tokens.append(token)
    return {"tokens": tokens[len(prompt):], "ended": False}


def drawn(model, prompt, options):
    """Probabilities of the first token, as generate() draws it."""
    with torch.no_grad():
        scores = model(torch.tensor([prompt])).logits[:, -1]
    ids = torch.tensor([prompt])
    warpers = [warp.TemperatureLogitsWarper(options.get("temperature", 1.0))]
    if "top_k" in options:
        warpers.append(warp.TopKLogitsWarper(options["top_k"]))
    if "top_p" in options:
        warpers.append(warp.TopPLogitsWarper(options["top_p"]))
    if "min_p" in options:
        warpers.append(warp.MinPLogitsWarper(options["min_p"]))
    if "typical_p" in options:
        warpers.append(warp.TypicalLogitsWarper(options["typical_p"]))
    for one in warpers:
        scores = one(ids, scores)
    return [round(p, 6) for p in torch.softmax(scores[0], -1).tolist()]


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    everything = {"transformers": transformers.__version__, "longest": LONGEST, "models": {}}
    left_out = 0
    for folder in sorted(path for path in MODELS.iterdir() if path.is_dir()):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
        rng = random.Random(folder.name)
        prompts = [[rng.randrange(3, model.config.vocab_size) for _ in range(n)] for n in (1, 2, 5, 13, 30)]
        cases = {"searches": [], "contrastive": [], "draws": []}
        for prompt in prompts:
            for options in SEARCHES:
                found = search(model, prompt, options)
                left_out += found is None
                if found:
                    cases["searches"].append({"prompt": prompt, "options": options, "found": found})
            for alpha, k in ((0.6, 4), (0.3, 6), (0.0, 3)):
                found = contrast(model, prompt, alpha, k)
                left_out += found is None
                if found:
                    cases["contrastive"].append({"prompt": prompt, "alpha": alpha, "k": k, **found})
        for options in DRAWS:
            cases["draws"].append({"prompt": prompts[2], "options": options, "probabilities": drawn(model, prompts[2], options)})
        everything["models"][folder.name] = cases
        print(folder.name, *(f"{len(value)} {name}" for name, value in cases.items()))
    text = json.dumps(everything, separators=(",", ":")).replace('{"prompt"', '\n{"prompt"').replace('"models"', '\n"models"')
    TARGET.write_text(text + "\n")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes, {left_out} cases left out")


if __name__ == "__main__":
    main()
