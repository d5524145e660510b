#!/usr/bin/env python3
"""LoRA adapters of PEFT in fovea, and back: do both give the same logits?

    open_adapters.py --random 6      random adapters of PEFT beside random models of each family
    open_adapters.py --trained       adapters trained by fovea, opened by PEFT
    open_adapters.py --fixtures      writes tests/models/huggingface/*-lora, small adapters with their logits

Each random model and its adapter are saved by Transformers and PEFT; fovea opens the adapter's folder, and `fovea export
--merge` makes a model of it that Transformers opens. Exits 1 if logits differ by more than 1e-4, or if Transformers or
PEFT miss a tensor of what fovea wrote.
"""
import argparse, json, os, pathlib, random, subprocess, sys, tempfile, warnings

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

import open_encoder_decoders as pairs_side
import open_encoders as encoder_side
import open_language_models as language_side

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOVEA = ROOT / "build/release/fovea"
WITHIN = 1e-4

# Modules that may be adapted, by family.
MODULES = {
    "gpt2": ["c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"],
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "bert": ["query", "key", "value", "attention.output.dense", "intermediate.dense"],
    "distilbert": ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
    "t5": ["q", "k", "v", "o", "wi_1", "wo"],
    "bart": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
}
MODULES.update(mistral=MODULES["llama"], qwen2=MODULES["llama"], roberta=MODULES["bert"])
MODULES["xlm-roberta"] = MODULES["bert"]


class Language:
    families, task, program, auto = language_side.FAMILIES, "CAUSAL_LM", "language_outputs", transformers.AutoModelForCausalLM

    def make(self, family, seed):
        model, self.texts = language_side.random_model(family, seed)
        return model

    def request(self):
        return {"texts": self.texts}

    def logits(self, model):
        return language_side.logits_of(model, self.texts)

    def ours(self, found):
        return found["whole"]


class Encoder:
    families, task, program = encoder_side.FAMILIES, "SEQ_CLS", "encoder_outputs"
    auto = transformers.AutoModelForSequenceClassification

    def make(self, family, seed):
        model, self.texts, self.types = encoder_side.random_model(family, "text", seed)
        return model

    def request(self):
        return {"texts": self.texts, "types": self.types}

    def logits(self, model):
        return encoder_side.outputs_of(model, self.texts, self.types)["logits"]

    def ours(self, found):
        return found["logits"]


class Pairs:
    families = {family: pairs_side.FAMILIES[family] for family in ("t5", "bart")}
    task, program, auto = "SEQ_2_SEQ_LM", "encoder_decoder_outputs", transformers.AutoModelForSeq2SeqLM

    def make(self, family, seed):
        model, self.pairs = pairs_side.random_model(family, seed)
        return model

    def request(self):
        return {"pairs": self.pairs, "max_length": 8, "forced_first": -1}

    def logits(self, model):
        return pairs_side.logits_of(model, self.pairs)

    def ours(self, found):
        return found["whole"]


SIDES = [Language, Encoder, Pairs]


def adapter_of(model, family, task, rng):
    """`model` in PEFT, with an adapter of a random kind whose weights are random."""
    present = {name for name, _ in model.named_modules()}
    modules = [end for end in MODULES[family] if any(name == end or name.endswith("." + end) for name in present)]
    some = rng.sample(modules, rng.randint(1, len(modules)))
    # PEFT has no usual targets for DistilBERT, and cannot adapt all layers of it.
    targets = some if family == "distilbert" else rng.choice(["all-linear", None, some])
    patterns = {}
    if isinstance(targets, list) and len(targets) > 1 and rng.random() < 0.5:
        patterns = {"rank_pattern": {targets[0]: rng.randint(1, 6)}, "alpha_pattern": {targets[1]: rng.randint(1, 20)}}
    config = peft.LoraConfig(
        task_type=task, r=rng.randint(1, 8), lora_alpha=rng.choice([4, 8, 16, 32]), use_rslora=rng.random() < 0.3,
        lora_dropout=rng.choice([0.0, 0.1]), target_modules=targets, bias=rng.choice(["none", "none", "all", "lora_only"]),
        fan_in_fan_out=family == "gpt2", **patterns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                parameter.normal_(0.0, 0.2)
    return adapted, f"r {config.r}, {'rslora, ' if config.use_rslora else ''}bias {config.bias}, {targets}"


def outputs_in_fovea(side, folder, model):
    (folder / "request.json").write_text(json.dumps(side.request()))
    subprocess.run([ROOT / "build/release/benchmarks" / side.program, model, folder / "request.json", folder / "out.safetensors"],
                   check=True, stdout=subprocess.DEVNULL)
    return side.ours(load_file(folder / "out.safetensors"))


def check(name, ours, expected, faults):
    largest = max(1.0, expected.abs().max().item())
    difference = (ours - expected).abs().max().item()
    if not difference <= WITHIN * largest:
        faults.append(f"{name} differ by {difference:.2g} of {largest:.2g}")


def merged_in_transformers(side, adapter, folder, expected, faults):
    subprocess.run([FOVEA, "export", "--model", adapter, "--merge", "--output", folder / "merged"], check=True, stdout=subprocess.DEVNULL)
    again, loading = side.auto.from_pretrained(folder / "merged", output_loading_info=True, attn_implementation="eager")
    if any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        faults.append(f"Transformers loads the merged model otherwise: {loading}")
    check("logits of the merged model", side.logits(again.eval()), expected, faults)


def compare(side, family, seed, folder):
    rng = random.Random(f"{family} {seed} adapter")
    model = side.make(family, seed)
    language_side.save(model, folder / "base")
    model.name_or_path = str(folder / "base")
    adapted, what = adapter_of(model, family, side.task, rng)
    adapted.save_pretrained(folder / "adapter")
    expected, faults = side.logits(adapted), []
    check("logits", outputs_in_fovea(side, folder, folder / "adapter"), expected, faults)
    merged_in_transformers(side, folder / "adapter", folder, expected, faults)
    print(f"{family} {seed} ({what}): {'; '.join(faults) if faults else 'agrees'}")
    return not faults


TRAINED = """task = "{task}"
name = "small"
[data]
{data}
[model]
{model}
[training]
updates = 30
batch_tokens = 256
warmup = 5
rate = 0.01
validate_every = 15
save_every = 15
"""


def train(recipe, folder, output, *settings):
    (folder / "small.toml").write_text(recipe)
    command = [FOVEA, "train", folder / "small.toml", "--data", folder, "--output", output, "--threads", "1"]
    subprocess.run(command + [part for setting in settings for part in ("--set", setting)], check=True, stderr=subprocess.DEVNULL)


def compare_trained(kind, seed, folder):
    """An adapter that fovea trained beside a model that it trained: PEFT's logits, and those of the merged model."""
    rng = random.Random(f"{kind} {seed} trained")
    words = ["the", "cat", "sees", "a", "dog", "and", "nobody", "likes", "it"]
    lines = [" ".join(rng.choice(words) for _ in range(rng.randint(2, 9))) for _ in range(200)]
    sizes = 'preset = "custom"\nlayers = 2\nwidth = 32\nfeed_forward = 48\nheads = 4\nmax_positions = 32'
    if kind == "bert":
        side = Encoder()
        (folder / "text.txt").write_text("".join(f"{line}\t{'xyz'[len(line) % 3]}\n" for line in lines))
        recipe = TRAINED.format(task="classification", data='train_tsv = "text.txt"\nvalid_share = 0.2', model=sizes)
    else:
        side = Language()
        (folder / "text.txt").write_text("\n".join(lines))
        recipe = TRAINED.format(task="language_model", data='train = "text.txt"\nvalid_share = 0.2', model=f'kind = "{kind}"\n{sizes}')
    train(recipe, folder, folder / "base")
    targets = rng.choice(["all-linear", "[]"])
    settings = [f"init={folder / 'base'}", f"lora.rank={rng.randint(1, 8)}", f"lora.targets={targets}", "lora.dropout=0.1",
                f"lora.use_rslora={rng.choice(['true', 'false'])}"]
    drop = ("kind =", "preset", "layers", "width", "feed_forward", "heads")
    if kind == "bert":  # what init decides
        recipe = "\n".join(line for line in recipe.splitlines() if not line.startswith(drop))
    train(recipe, folder, folder / "adapter", *settings)
    base = side.auto.from_pretrained(folder / "base", attn_implementation="eager")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        adapted = peft.PeftModel.from_pretrained(base, folder / "adapter").eval()
    faults = [str(warning.message) for warning in said if "keys" in str(warning.message)]
    faults += [name for name, value in adapted.named_parameters() if "lora_B" in name and not value.abs().sum() > 0]
    texts = [[rng.randrange(1, base.config.vocab_size) for _ in range(rng.choice([1, 5, 20]))] for _ in range(4)]
    side.texts, side.types = texts, [[0] * len(text) for text in texts]
    expected = side.logits(adapted)
    if (side.logits(side.auto.from_pretrained(folder / "base").eval()) - expected).abs().max() < 1e-3:
        faults.append("nothing was learned")
    check("logits", outputs_in_fovea(side, folder, folder / "adapter"), expected, faults)
    merged_in_transformers(side, folder / "adapter", folder, expected, faults)
    print(f"{kind} {seed} trained here ({targets}): {'; '.join(faults) if faults else 'agrees'}")
    return not faults


def write_fixtures():
    """Adapters beside the models that open_language_models.py and open_encoders.py write there."""
    target = ROOT / "tests/models/huggingface"
    for side, family, name in ((Language(), "gpt2", "gpt2"), (Language(), "llama", "llama"), (Encoder(), "bert", "bert-text")):
        folder = target / f"{name}-lora"
        model = side.make(family, 0)
        model.name_or_path = str(target / name)
        adapted, what = adapter_of(model, family, side.task, random.Random(f"{name} fixture"))
        adapted.save_pretrained(folder)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = f"../{name}"
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (folder / "README.md").unlink(missing_ok=True)
        save_file({"logits": side.logits(adapted).contiguous()}, folder / "expected.safetensors", metadata={"peft": peft.__version__})
        print(folder, what, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, metavar="N", help="adapters of each family")
    parser.add_argument("--trained", type=int, nargs="?", const=1, metavar="N", help="runs of each kind")
    parser.add_argument("--fixtures", action="store_true")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if arguments.fixtures:
        write_fixtures()
    good = True
    jobs = [(lambda folder, side=side, family=family, seed=seed: compare(side(), family, seed, folder))
            for seed in range(arguments.random or 0) for side in SIDES for family in side.families]
    jobs += [(lambda folder, kind=kind, seed=seed: compare_trained(kind, seed, folder))
             for seed in range(arguments.trained or 0) for kind in ("gpt2", "llama", "bert")]
    for job in jobs:
        with tempfile.TemporaryDirectory() as folder:
            good = job(pathlib.Path(folder)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
