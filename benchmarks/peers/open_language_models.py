#!/usr/bin/env python3
"""Language models of Hugging Face Transformers in fovea, and back: do both give the same logits?

    open_language_models.py --random 12     random models of random configurations, of each family in turn
    open_language_models.py --fixtures      writes tests/models/huggingface/, small models with their logits

Each model is saved by Transformers, read by fovea (benchmarks/language_outputs.cpp), which computes the logits of whole
texts and of texts taken up in the middle and continued token by token, and written again by fovea, and read again by
Transformers. Exits 1 if logits differ by more than 1e-4, or if Transformers misses a tensor of what fovea wrote.
"""
import argparse, json, pathlib, random, subprocess, sys, tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/release/benchmarks/language_outputs"
WITHIN = 1e-4


def gpt2(rng):
    heads = rng.choice([1, 2, 3, 4])
    return transformers.GPT2Config(
        vocab_size=rng.randint(20, 90), n_positions=64, n_embd=heads * rng.choice([4, 8, 10]), n_layer=rng.randint(1, 3),
        n_head=heads, n_inner=rng.choice([None, 24, 40]), activation_function=rng.choice(["gelu_new", "gelu", "relu"]),
        layer_norm_epsilon=rng.choice([1e-5, 1e-3]), scale_attn_weights=rng.random() < 0.8,
        scale_attn_by_inverse_layer_idx=rng.random() < 0.3, tie_word_embeddings=rng.random() < 0.7,
        bos_token_id=0, eos_token_id=1)


SCALINGS = {
    "none": None,
    "linear": {"rope_type": "linear", "factor": 2.5},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 24},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
}


def llama_shape(rng):
    keys = rng.choice([1, 2, 3])
    heads, head = keys * rng.choice([1, 2, 4]), rng.choice([4, 8, 16])
    return dict(
        vocab_size=rng.randint(20, 90), max_position_embeddings=64, hidden_size=heads * head, num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=heads, num_key_value_heads=keys, intermediate_size=rng.choice([20, 40]),
        hidden_act=rng.choice(["silu", "gelu"]), rms_norm_eps=rng.choice([1e-6, 1e-3]), tie_word_embeddings=rng.random() < 0.5,
        bos_token_id=0, eos_token_id=rng.choice([1, [1, 2]]), pad_token_id=None)


def with_rope(config, scaling, theta):
    """What every version of Transformers takes: the new key where it is known, else the old ones."""
    if hasattr(config, "rope_parameters"):
        config.rope_parameters = {"rope_theta": theta, **(scaling or {"rope_type": "default"})}
    else:
        config.rope_theta, config.rope_scaling = theta, scaling
    return config


def llama(rng):
    shape = llama_shape(rng)
    if rng.random() < 0.3:
        shape["head_dim"] = rng.choice([4, 8, 12])
    scaling = rng.choice(list(SCALINGS))
    if scaling == "dynamic":
        shape["max_position_embeddings"] = 24
    config = transformers.LlamaConfig(attention_bias=rng.random() < 0.3, mlp_bias=rng.random() < 0.3, **shape)
    return with_rope(config, SCALINGS[scaling], rng.choice([10000.0, 500.0]))


def mistral(rng):
    return with_rope(transformers.MistralConfig(sliding_window=rng.choice([None, 5, 9]), **llama_shape(rng)), None, 10000.0)


def qwen2(rng):
    config = transformers.Qwen2Config(use_sliding_window=rng.random() < 0.5, sliding_window=6, max_window_layers=1, **llama_shape(rng))
    return with_rope(config, None, 1000.0)


FAMILIES = {"gpt2": gpt2, "llama": llama, "mistral": mistral, "qwen2": qwen2}


def random_model(family, seed):
    rng = random.Random(f"{family} {seed}")
    config = FAMILIES[family](rng)
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            parameter.normal_(1.0 if "norm" in name or "ln_" in name and "weight" in name else 0.0, 0.3)
    texts = [[rng.randrange(config.vocab_size) for _ in range(rng.choice([1, 2, 7, 16, 40]))] for _ in range(4)]
    if is_dynamic(config):  # what Transformers has read before changes what it says of a text
        texts = texts[:1]
    return model, texts


def is_dynamic(config):
    """Whether a step turns a token otherwise than a pass over the longer text would."""
    return (getattr(config, "rope_parameters", None) or {}).get("rope_type") == "dynamic"


def logits_of(model, texts):
    with torch.no_grad():
        return torch.cat([model(torch.tensor([text])).logits[0] for text in texts]).float()


def save(model, folder):
    model.save_pretrained(folder, safe_serialization=True)
    for other in pathlib.Path(folder).glob("generation_config.json"):
        other.unlink()


def compare(family, seed, folder):
    model, texts = random_model(family, seed)
    theirs, copy = folder / "theirs", folder / "copy"
    copy.mkdir()
    save(model, theirs)
    (folder / "request.json").write_text(json.dumps({"texts": texts}))
    subprocess.run([PROGRAM, theirs, folder / "request.json", folder / "logits.safetensors", copy], check=True)
    ours, expected = load_file(folder / "logits.safetensors"), logits_of(model, texts)
    largest = expected.abs().max().item()
    faults = []
    kinds = ("whole",) if is_dynamic(model.config) else ("whole", "stepped")
    for kind in kinds:
        difference = (ours[kind] - expected).abs().max().item()
        if not difference <= WITHIN * max(1.0, largest):
            faults.append(f"{kind} logits differ by {difference:.2g} of {largest:.2g}")
    again, loading = type(model).from_pretrained(copy, output_loading_info=True, attn_implementation="eager")
    if loading["missing_keys"] or loading["unexpected_keys"] or loading["mismatched_keys"]:
        faults.append(f"Transformers loads the copy otherwise: {loading}")
    difference = (logits_of(again.eval(), texts) - expected).abs().max().item()
    if not difference <= WITHIN * max(1.0, largest):
        faults.append(f"logits of the copy differ by {difference:.2g}")
    worst = max((ours[kind] - expected).abs().max().item() for kind in kinds)
    print(f"{family} {seed}: {'; '.join(faults) if faults else 'agrees'}, within {worst:.1g} of logits up to {largest:.2g}")
    return not faults


def write_fixtures():
    target = ROOT / "tests/models/huggingface"
    for family in FAMILIES:
        folder = target / family
        model, texts = random_model(family, 0)
        save(model, folder)
        start = torch.tensor([0] + [len(text) for text in texts]).cumsum(0).float()
        tokens = torch.tensor([token for text in texts for token in text]).float()
        save_file({"tokens": tokens, "start": start, "logits": logits_of(model, texts).contiguous()}, folder / "expected.safetensors",
                  metadata={"transformers": transformers.__version__})
        print(folder, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, metavar="N", help="models of each family")
    parser.add_argument("--fixtures", action="store_true")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    if arguments.fixtures:
        write_fixtures()
    good = True
    for seed in range(arguments.random or 0):
        for family in FAMILIES:
            with tempfile.TemporaryDirectory() as folder:
                good = compare(family, seed, pathlib.Path(folder)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
