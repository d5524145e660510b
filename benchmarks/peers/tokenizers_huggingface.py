#!/usr/bin/env python3
"""Tokenizers: fovea beside Hugging Face's `tokenizers`, which defines tokenizer.json, and Transformers.

    tokenizers_huggingface.py --data DIR                 every kind below, on data in every language there
    tokenizers_huggingface.py --data DIR --only bert     kinds whose name holds this; "legacy": files from before tokenizer.json
    tokenizers_huggingface.py --data DIR --speed         seconds, side by side
    tokenizers_huggingface.py --file tokenizer.json      a tokenizer of your own

Then directories from before tokenizer.json (vocab.txt; vocab.json with merges.txt; SentencePiece models), as Transformers reads
them: the ids and types.

Trains a fresh tokenizer of each kind (those of BERT, GPT-2, RoBERTa, Llama 2 and 3, Qwen 2, T5, XLM-R, CLIP, and more) and
compares with fovea (benchmarks/tokenizing.cpp), over lines of the data and awkward texts (all scripts, emoji, combining
marks, control characters, lines of 100 kB): ids, ranges, types, word numbers, masks, of texts and pairs, and the text that
the ids decode to with and without special tokens. Characters that Unicode has had only since version 15 are left out: the
libraries on either side know different versions. Exits 1 if anything differs.
"""
import argparse, gzip, json, os, pathlib, random, subprocess, sys, tempfile, time, unicodedata

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = [f"<0x{b:02X}>" for b in range(256)]
PIECES = 5000  # of a fresh vocabulary


# ---- data -------------------------------------------------------------------------------------------------------------


def read_lines(path):
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        return [line.rstrip("\n") for line in lines]


def lines_of(data, each):
    """`each` lines of every text file there is under `data`: all languages of it."""
    out = []
    for path in sorted(data.rglob("*.gz")):
        if not path.name.endswith((".txt.gz", ".tsv.gz", ".jsonl.gz", ".dict.gz", ".en.gz", ".de.gz", ".fr.gz")):
            continue
        lines = read_lines(path)
        step = max(1, len(lines) // each)
        out += [line[:4000] for line in lines[::step][:each] if line]
    return out


BLOCKS = [(0x20, 0x7E), (0x61, 0x7A), (0x00, 0x1F), (0x7F, 0xFF), (0x100, 0x17F), (0x180, 0x24F), (0x300, 0x36F),
          (0x370, 0x3FF), (0x400, 0x4FF), (0x530, 0x58F), (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x8FF), (0x900, 0x97F),
          (0x980, 0xDFF), (0xE01, 0xE5B), (0xE80, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
          (0x1200, 0x137F), (0x13A0, 0x167F), (0x1680, 0x18AF), (0x1AB0, 0x1AFF), (0x1B00, 0x1CFF), (0x1D00, 0x1DFF),
          (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x20CF), (0x20D0, 0x20FF), (0x2100, 0x214F),
          (0x2150, 0x2BFF), (0x2C00, 0x2E7F), (0x2E80, 0x2FFF), (0x3000, 0x30FF), (0x3100, 0x33FF), (0x3400, 0x4DBF),
          (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7A3), (0xD7B0, 0xD7FB), (0xE000, 0xE0FF), (0xF900, 0xFAFF),
          (0xFB00, 0xFDFF), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF), (0xFFF0, 0xFFFD), (0x10000, 0x10FFF), (0x11000, 0x11FFF),
          (0x12000, 0x13FFF), (0x16800, 0x16FFF), (0x1B000, 0x1B2FF), (0x1D100, 0x1D1FF), (0x1D400, 0x1D7FF),
          (0x1E000, 0x1E9FF), (0x1F000, 0x1F2FF), (0x1F300, 0x1FAFF), (0x1F1E6, 0x1F1FF), (0x20000, 0x2A6DF),
          (0x2F800, 0x2FA1D), (0xE0000, 0xE01EF), (0x10FFF0, 0x10FFFD), (0x20, 0x20), (0x2581, 0x2581), (0x200C, 0x200F)]
KNOWN = unicodedata if tuple(map(int, unicodedata.unidata_version.split("."))) < (15, 0, 0) else unicodedata.ucd_3_2_0


def random_character(dice):
    while True:
        c = chr(dice.randint(*dice.choice(BLOCKS)))
        if KNOWN.category(c) not in ("Cn", "Cs"):
            return c


def awkward_text(dice, lines, marks):
    """Random characters of all blocks, mostly of one, repeated; lines of the data with such in them."""
    style, length, out = dice.randrange(8), dice.randrange(60), ""
    c = random_character(dice)
    if style == 6:
        out = dice.choice(lines)
        for _ in range(dice.randrange(6)):
            at = dice.randrange(len(out) + 1)
            out = out[:at] + dice.choice([random_character(dice), dice.choice(marks), "  ", "\u0301", "\n"]) + out[at:]
        return out
    for _ in range(length):
        if style == 0 or (style == 1 and dice.random() < 0.25):
            c = random_character(dice)
        elif style == 2:
            c = dice.choice("ab ren.\u2581'sS\t")
        elif style == 3:
            c = " " if dice.random() < 0.3 else random_character(dice)
        elif style == 4:
            c = dice.choice(["e", "a", "o", " ", "\u0301", "\u0323", "\u0327", "\u0308", "\u1100", "\u1161", "\u11a8", "\uac00"])
        elif style == 5:
            c = dice.choice(marks + [" ", "x", "  ", "\u3000", "1", "-"])
        elif style == 7:
            c = dice.choice(["1", "23", " ", "don't", "IT'S", "we'LL", "\u017f", "\r\n", "\n\n", "\u0660", "\u2160", "!!", "\u00bd", "A", "b"])
        out += c
    return out


FIXED = [
    "", " ", "  two  spaces  ", "\ttab\tand\nnewline\r\n", "a", ".", "...", "\u00a0no-break\u00a0space\u202f!", "\u180e\u200b\u2060",
    "caf\u00e9 and cafe\u0301", "\ufb01ne \u2460 \u33a1 \uff21\uff22\uff23", "\u2581already\u2581marked", "\u2581", "Stra\u00dfe STRASSE \u0130stanbul \u0131",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea\U0001f1eb", "\u4e24\u4e2a\u7537\u4eba\u5728\u9a91\u81ea\u884c\u8f66\u3002", "\u0434\u0432\u0430 \u043c\u0443\u0436\u0447\u0438\u043d\u044b", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "zero\u200bwidth\u200djoiners\ufeff", "\u00ad\u2010\u2011\u2012\u2013\u2014 \u201equotes\u201c \u00abguillemets\u00bb", "x" * 300, "\u0e01" * 120,
    "1,234.56 % & <b>bold</b> &amp; http://example.org/?a=b#c", "\U00020000 \U0010fffd \ue000", "\ufffd", "\0nul\0", "\x01\x02",
    "e" + "\u0301" * 20, "a\u0323\u0301\u0315\u0300", "\u1100\u1161\u11a8 \uac01 \u1100\uac00\u11a8", "<0x41><0xFF>", "C:\\path\\to 'it''s' I'M",
    "do not . ? ! , ' n't 'm 's 've 're", "hello [MASK]  <mask> </s> <|endoftext|>x[MASK]y", "##ing un##ing", "\u01c5\u01c4 \u0345\u0399", "\r\n\r\n  \n\t x",
    "\u0915\u094d\u0937\u093f \u0bb7\u0bc6\u0bb0\u0bc1", "\u05d0\u05b8\u05bc\u0591", "\u202eabc\u202c", "\u2028\u2029\u0085", "12345678901234567890", "\u0661\u0662\u0663\u06f1\u06f2", "\u00bd\u2167\u2460\u3220",
]


def corpus(data, count, seed, marks, long=True):
    dice = random.Random(seed)
    lines = lines_of(data, 40)
    texts = FIXED + lines + [awkward_text(dice, lines, marks) for _ in range(count)]
    if long:
        texts += ["x" * 100_000, "ab" * 50_000, " " * 100_000, "word " * 20_000, "\u4e2d\u6587" * 17_000, "e\u0301" * 33_000, "!?" * 50_000,
                  "".join(random_character(dice) for _ in range(40_000)), "\n".join(lines)[:100_000]]
    return texts


# ---- tokenizers of each kind ------------------------------------------------------------------------------------------


def special(*contents):
    return [AddedToken(c, special=True, normalized=False) for c in contents]


def trained(tokenizer, trainer, lines):
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def edited(tokenizer, **parts):
    """The tokenizer with fields of its model's JSON changed."""
    description = json.loads(tokenizer.to_str())
    description["model"].update(parts)
    return Tokenizer.from_str(json.dumps(description))


def bert(lines, cased=False):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained(t, trainers.WordPieceTrainer(vocab_size=PIECES, special_tokens=names, show_progress=False), lines)
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                     special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece()
    return t


def byte_pairs(lines, **bpe):
    t = Tokenizer(models.BPE(**bpe))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(t, trainers.BpeTrainer(vocab_size=PIECES, initial_alphabet=alphabet, show_progress=False), lines)


def gpt2(lines):
    t = byte_pairs(lines)
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens(special("<|endoftext|>"))
    return t


def roberta(lines):
    t = byte_pairs(lines)
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.add_special_tokens(special("<s>", "</s>", "<unk>", "<pad>"))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    ids = {c: t.token_to_id(c) for c in ("<s>", "</s>")}
    t.post_processor = processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]), trim_offsets=True, add_prefix_space=True)
    return t


def split_bytes(lines, pattern, normalizer=None):
    t = byte_pairs(lines)
    t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return t


def llama3(lines):
    t = edited(split_bytes(lines, LLAMA3), ignore_merges=True)
    t.add_special_tokens(special("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"))
    begin = t.token_to_id("<|begin_of_text|>")
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                             special_tokens=[("<|begin_of_text|>", begin)])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), template])
    return t


def qwen2(lines):
    t = split_bytes(lines, QWEN2, normalizer=normalizers.NFC())
    t.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    t.post_processor = processors.ByteLevel(trim_offsets=False, add_prefix_space=False)
    return t


def llama2(lines, normal=True):
    """SentencePiece's BPE as it was converted: characters, bytes for those unknown; old or new way to put the space."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    if normal:
        t.normalizer = replace
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")  # for training only
    else:
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    trained(t, trainers.BpeTrainer(vocab_size=PIECES, limit_alphabet=300, show_progress=False,
                                   special_tokens=["<unk>", "<s>", "</s>"] + BYTES), lines)
    description = json.loads(t.to_str())
    description["added_tokens"] = [a for a in description["added_tokens"] if not a["content"].startswith("<0x")]
    if normal:
        description["pre_tokenizer"] = None
    else:
        description["pre_tokenizer"]["split"] = False
    t = Tokenizer.from_str(json.dumps(description))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t


def field(message, number):
    """The bytes of a field of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        length = {0: lambda: varint() * 0, 1: lambda: 8, 2: varint, 5: lambda: 4}[key & 7]()
        if key == number << 3 | 2:
            return message[at:at + length]
        at += length
    return b""


def charsmap_of(model):
    """normalizer_spec.precompiled_charsmap of a SentencePiece model's bytes."""
    return field(field(model, 3), 2)


def charsmap(lines, rule):
    """A SentencePiece model's normaliser, of those the library builds in."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = folder + "/m"
        sentencepiece.SentencePieceTrainer.Train(sentence_iterator=iter(lines[:300]), model_prefix=prefix, vocab_size=400, hard_vocab_limit=False,
                                                 normalization_rule_name=rule, character_coverage=0.98, minloglevel=9)
        return charsmap_of(pathlib.Path(prefix + ".model").read_bytes())


def unigram(lines, byte_fallback=False):
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    extra = BYTES if byte_fallback else []
    trained(t, trainers.UnigramTrainer(vocab_size=PIECES, special_tokens=["<pad>", "</s>", "<unk>"] + extra, unk_token="<unk>",
                                       show_progress=False, max_piece_length=12), lines)
    description = json.loads(t.to_str())
    description["model"]["byte_fallback"] = byte_fallback
    description["added_tokens"] = [a for a in description["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(description))
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return t


def t5(lines):
    t = unigram(lines)
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap(lines, "nmt_nfkc")), normalizers.Replace(Regex(" {2,}"), " ")])
    return t


def xlm_roberta(lines):
    t = unigram(lines)
    t.normalizer = normalizers.Precompiled(charsmap(lines, "nmt_nfkc_cf"))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    return t


def unigram_bytes(lines):
    t = unigram(lines, True)
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Lowercase()])
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return t


def clip(lines):
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>", continuing_subword_prefix=""))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(words), "removed", invert=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained(t, trainers.BpeTrainer(vocab_size=PIECES, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False,
                                   special_tokens=["<|startoftext|>", "<|endoftext|>"]), lines)
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    t.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.BPEDecoder("</w>")])
    return t


def continuing(lines):
    """BPE with a prefix inside words and unknown characters that are not fused."""
    t = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##"))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits(True)])
    trained(t, trainers.BpeTrainer(vocab_size=PIECES, limit_alphabet=200, special_tokens=["[UNK]", "[CLS]", "[SEP]"],
                                   continuing_subword_prefix="##", show_progress=False), lines)
    t.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    t.decoder = decoders.WordPiece(cleanup=False)
    return t


def word_level(lines):
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("merged_with_previous"),
                                               pre_tokenizers.Digits(False), pre_tokenizers.CharDelimiterSplit("-")])
    return trained(t, trainers.WordLevelTrainer(vocab_size=PIECES, special_tokens=["<unk>", "<pad>"], show_progress=False), lines)


def added(lines):
    """Every flag that an added token may have."""
    t = bert(lines, cased=True)
    t.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("x", "ks")])
    t.add_tokens([AddedToken("HELLO", normalized=True), AddedToken("two", single_word=True, normalized=False), AddedToken("xy", normalized=True),
                  AddedToken("left", lstrip=True, normalized=False), AddedToken("right", rstrip=True, normalized=False),
                  AddedToken("both", lstrip=True, rstrip=True, single_word=True), AddedToken("\u4e2d\u6587", normalized=False), AddedToken("a b", normalized=True)])
    t.add_special_tokens([AddedToken("<X>", special=True, normalized=True, rstrip=True)])
    return t


def truncated(lines):
    t = bert(lines)
    t.enable_truncation(12, stride=3, strategy="longest_first")
    t.enable_padding(length=16, pad_id=0, pad_token="[PAD]", direction="left", pad_type_id=1)
    return t


def truncated_left(lines):
    t = roberta(lines)
    t.enable_truncation(10, stride=2, direction="left")
    t.enable_padding(pad_to_multiple_of=8, pad_id=3)
    return t


KINDS = {"bert": bert, "bert-cased": lambda lines: bert(lines, True), "gpt2": gpt2, "roberta": roberta, "llama3": llama3, "qwen2": qwen2,
         "o200k": lambda lines: split_bytes(lines, O200K), "llama2": llama2, "mistral": lambda lines: llama2(lines, False), "t5": t5,
         "xlm-roberta": xlm_roberta, "unigram-bytes": unigram_bytes, "clip": clip, "continuing": continuing, "word-level": word_level,
         "added-tokens": added, "truncated": truncated, "truncated-left": truncated_left}
MARKS = ["[MASK]", "<mask>", "</s>", "<s>", "<|endoftext|>", "<|im_start|>", "HELLO", "hello", "two", "xy", "left", "right", "both", "\u4e2d\u6587",
         "a b", "A B", "<X>", "<x>", "<unk>", "[UNK]", "<|begin_of_text|>", "<0x0A>"]


# ---- both sides -------------------------------------------------------------------------------------------------------


def byte_offsets(text):
    """Byte offset of each character, and of the end."""
    out = [0]
    for c in text:
        out.append(out[-1] + len(c.encode()))
    return out


def theirs(tokenizer, texts, encoding):
    places = [byte_offsets(text) for text in texts]
    ranges = []
    for (begin, end), sequence in zip(encoding.offsets, encoding.sequence_ids):
        place = places[sequence or 0]
        ranges += [place[begin], place[end]] if begin < end else [0, 0]
    return {"ids": encoding.ids, "ranges": ranges, "types": encoding.type_ids, "words": [-1 if w is None else w for w in encoding.word_ids],
            "special": encoding.special_tokens_mask, "attention": encoding.attention_mask,
            "text": tokenizer.decode(encoding.ids, skip_special_tokens=False), "visible": tokenizer.decode(encoding.ids)}


def run_fovea(program, path, request, folder):
    file = folder / "request.json"
    file.write_text(json.dumps(request, ensure_ascii=False), encoding="utf-8")
    done = subprocess.run([program, path, file], capture_output=True)
    if done.returncode != 0:
        sys.exit(f"tokenizing ended with {done.returncode}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def without_empty(ranges):
    return [x for pair in zip(ranges[::2], ranges[1::2]) for x in (pair if pair[0] < pair[1] else (0, 0))]


def compare(name, tokenizer, ours, inputs, encodings):
    faults = {}
    for texts, encoding, found in zip(inputs, encodings, ours):
        expected = theirs(tokenizer, texts, encoding)
        found["ranges"] = without_empty(found["ranges"])
        for part, value in expected.items():
            if value == found[part]:
                continue
            faults.setdefault(part, []).append((texts, value, found[part]))
    for part, cases in faults.items():
        texts, expected, found = min(cases, key=lambda case: len(str(case[0])))
        print(f"  {name}: {part} differ for {len(cases)}, as for {str([ascii(t)[:300] for t in texts])}\n    theirs {ascii(expected)[:400]}\n    ours   {ascii(found)[:400]}")
    return bool(faults)


def check(name, tokenizer, texts, program, folder):
    path = folder / "tokenizer.json"
    path.write_text(tokenizer.to_str(), encoding="utf-8")
    dice = random.Random(5)
    pairs = [[dice.choice(texts[:2000])[:500], dice.choice(texts[:2000])[:500]] for _ in range(300)]
    result = run_fovea(program, path, {"texts": texts, "pairs": pairs}, folder)
    singles = compare(name, tokenizer, result["texts"], [[t] for t in texts], [tokenizer.encode(t) for t in texts])
    doubles = compare(name + " pairs", tokenizer, result["pairs"], pairs, [tokenizer.encode(a, b) for a, b in pairs])
    tokens = sum(len(entry["ids"]) for entry in result["texts"])
    print(f"{name:16} {len(texts)} texts, {len(pairs)} pairs, {tokens} tokens: {'DIFFERENT' if singles or doubles else 'equal'}", flush=True)
    return singles or doubles


# ---- directories from before tokenizer.json ------------------------------------------------------------------------------


def save_words(folder, tokenizer):
    """vocab.txt of a WordPiece tokenizer."""
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("".join(piece + "\n" for piece, _ in vocabulary), encoding="utf-8")


def save_merges(folder, tokenizer):
    """vocab.json and merges.txt of a BPE tokenizer."""
    tokenizer.model.save(str(folder))
    model = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")


def save_pieces(folder, name, lines, **options):
    sentencepiece.SentencePieceTrainer.Train(sentence_iterator=iter(lines), model_prefix=str(folder / "m"), vocab_size=PIECES, hard_vocab_limit=False,
                                             character_coverage=0.999, minloglevel=9, **options)
    (folder / "m.model").rename(folder / name)
    (folder / "m.vocab").unlink()


MASK = {"content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False, "special": True, "__type": "AddedToken"}
FAIRSEQ = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}


def legacy_bert(folder, lines, **config):
    save_words(folder, bert(lines, not config.get("do_lower_case", True)))
    return {"tokenizer_class": "BertTokenizer", **config}


def legacy_bpe(folder, lines, kind, make, **config):
    save_merges(folder, make(lines))
    return {"tokenizer_class": kind, **config}


def legacy_pieces(folder, lines, kind, name, spm, **config):
    save_pieces(folder, name, lines, **spm)
    return {"tokenizer_class": kind, **config}


LEGACY = {
    "vocab.txt": legacy_bert,
    "vocab.txt cased": lambda f, l: legacy_bert(f, l, do_lower_case=False, strip_accents=False, tokenize_chinese_chars=False),
    "vocab.txt accents": lambda f, l: legacy_bert(f, l, strip_accents=True, mask_token=MASK | {"content": "[MASK]"}, model_max_length=512),
    "merges gpt2": lambda f, l: legacy_bpe(f, l, "GPT2Tokenizer", gpt2),
    "merges gpt2 bos": lambda f, l: legacy_bpe(f, l, "GPT2Tokenizer", gpt2, add_bos_token=True, add_prefix_space=True),
    "merges roberta": lambda f, l: legacy_bpe(f, l, "RobertaTokenizer", roberta, mask_token=MASK),
    "merges bart": lambda f, l: legacy_bpe(f, l, "BartTokenizer", roberta, mask_token=MASK, add_prefix_space=True),
    "merges qwen2": lambda f, l: legacy_bpe(f, l, "Qwen2Tokenizer", qwen2, added_tokens_decoder={
        "5000": {"content": "<|endoftext|>", "special": True}, "5001": {"content": "<|im_start|>", "special": True},
        "5002": {"content": "<tool>", "special": False, "normalized": False}}),
    "spiece t5": lambda f, l: legacy_pieces(f, l, "T5Tokenizer", "spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "spiece t5 short": lambda f, l: legacy_pieces(f, l, "T5Tokenizer", "spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, extra_ids=7),
    "spm xlm-roberta": lambda f, l: legacy_pieces(f, l, "XLMRobertaTokenizer", "sentencepiece.bpe.model", FAIRSEQ, mask_token=MASK),
    "spm mbart": lambda f, l: legacy_pieces(f, l, "MBartTokenizer", "sentencepiece.bpe.model", FAIRSEQ | {"normalization_rule_name": "identity"},
                                            src_lang="de_DE", mask_token=MASK),
    "spm llama": lambda f, l: legacy_pieces(f, l, "LlamaTokenizer", "tokenizer.model",
                                            FAIRSEQ | {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity"},
                                            add_bos_token=True, add_eos_token=False),
    "spm llama symbols": lambda f, l: legacy_pieces(f, l, "LlamaTokenizer", "tokenizer.model",
                                                    FAIRSEQ | {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
                                                               "user_defined_symbols": ["<sep>", "hello"]},
                                                    add_bos_token=True, add_eos_token=True, legacy=True),
}


def check_legacy(name, make, lines, texts, program, folder):
    import transformers
    folder = folder / "model"
    folder.mkdir()
    config = make(folder, lines)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    if name == "vocab.txt":
        (folder / "added_tokens.json").write_text(json.dumps({"HELLO": PIECES, "two": PIECES + 1}))
        (folder / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["<X>"]}))
    tokenizer = getattr(transformers, config["tokenizer_class"]).from_pretrained(folder)
    dice = random.Random(5)
    pairs = [[dice.choice(texts[:2000])[:500], dice.choice(texts[:2000])[:500]] for _ in range(200)]
    result = run_fovea(program, folder, {"texts": texts, "pairs": pairs}, folder.parent)
    faults = []
    for inputs, found in zip([[t] for t in texts] + pairs, result["texts"] + result["pairs"]):
        expected = tokenizer(*inputs, verbose=False)
        if expected["input_ids"] != found["ids"] or ("token_type_ids" in expected and expected["token_type_ids"] != found["types"]):
            faults.append((inputs, expected["input_ids"], found["ids"]))
    if faults:
        inputs, expected, found = min(faults, key=lambda case: len(str(case[0])))
        print(f"  {len(faults)} differ, as {ascii(inputs)[:300]}\n    theirs {expected[:40]} {tokenizer.convert_ids_to_tokens(expected[:40])}\n    ours   {found[:40]}")
    print(f"{name:18} {len(texts)} texts, {len(pairs)} pairs: {'DIFFERENT' if faults else 'equal'}", flush=True)
    return bool(faults)


def seconds(run, passes=3):
    best = float("inf")
    for _ in range(passes):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def measure(name, tokenizer, texts, program, folder):
    path = folder / "tokenizer.json"
    path.write_text(tokenizer.to_str(), encoding="utf-8")
    ours = run_fovea(program, path, {"texts": texts, "passes": 3}, folder)
    ids = [tokenizer.encode(t).ids for t in texts]
    rows = [("load", seconds(lambda: Tokenizer.from_file(str(path)), 1), ours["load"]),
            ("ids, ranges", seconds(lambda: tokenizer.encode_batch(texts)), ours["ranges"]),
            ("ids", seconds(lambda: tokenizer.encode_batch_fast(texts)), ours["ids"]),
            ("decode", seconds(lambda: tokenizer.decode_batch(ids)), ours["decode"])]
    size = sum(len(t.encode()) for t in texts) / 1e6
    for what, their_time, our_time in rows:
        rate = "" if what == "load" else f" {size / their_time:8.1f} {size / our_time:8.1f} MB/s"
        print(f"{name:16} {what:12} {their_time * 1e3:9.1f} {our_time * 1e3:9.1f} ms{rate} {their_time / our_time:6.1f} x", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=pathlib.Path, required=True, help="folder with text files, .gz")
    options.add_argument("--only", default="", help="kinds whose name holds this")
    options.add_argument("--file", type=pathlib.Path, help="a tokenizer.json instead of fresh ones")
    options.add_argument("--texts", type=int, default=3000, help="awkward texts")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--speed", action="store_true", help="measure, on one thread, instead of comparing")
    options.add_argument("--program", type=pathlib.Path, default="build/release/benchmarks/tokenizing")
    args = options.parse_args()
    lines = lines_of(args.data, 150)
    texts = lines_of(args.data, 400) if args.speed else corpus(args.data, args.texts, args.seed, MARKS)
    kinds = {args.file.name: lambda _: Tokenizer.from_file(str(args.file))} if args.file else KINDS
    different = False
    with tempfile.TemporaryDirectory() as folder:
        for name, make in kinds.items():
            if args.only in name:
                step = measure if args.speed else check
                different |= bool(step(name, make(lines), texts, args.program.absolute(), pathlib.Path(folder)))
    for name, make in ({} if args.file or args.speed else LEGACY).items():
        if args.only in "legacy " + name:
            with tempfile.TemporaryDirectory() as folder:
                different |= check_legacy(name, make, lines, texts, args.program.absolute(), pathlib.Path(folder))
    sys.exit(different)


if __name__ == "__main__":
    main()
