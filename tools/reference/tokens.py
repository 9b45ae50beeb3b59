"""Writes fixtures/tokenizers/: small tokenizers of every kind, and what other people's programs make of a hard corpus.

    python tools/reference/tokens.py --llama-tokenize BIN --handbook DIR [--smollm2 MODEL.gguf]

(from the repository's root). Needs tokenizers, transformers, sentencepiece, gguf; BIN is llama.cpp's llama-tokenize, DIR the
HTML of Debian's package debian-handbook (/usr/share/doc/debian-handbook/html), from which vocabularies are trained; nothing of
its text is kept but the pieces. Each `expected/*.json` names the program whose ids are the reference, and under `differs` the
cases in which another program gives other ids.

- byte_level/: one vocabulary for all pre-tokenizer kinds, trained on unsplit lines so that its tokens cross every boundary that a kind
  draws: another split gives other ids. The tests change `tokenizer.ggml.pre`.
- sentencepiece/, gemma/: BPE trained by sentencepiece, scores only. unigram/: trained by sentencepiece, with nmt_nfkc.
- smollm2/: ids of the real vocabulary; the tokenizer is in the model's GGUF file.
"""

import argparse
import html
import json
import random
import re
import subprocess
import tempfile
import unicodedata
from importlib.metadata import version
from pathlib import Path

import gguf
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
from transformers.models.cohere.tokenization_cohere import CohereTokenizer
from transformers.models.gpt2.tokenization_gpt2 import GPT2Tokenizer
from transformers.models.gpt_neox.tokenization_gpt_neox import GPTNeoXTokenizer
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer
from transformers.models.qwen3_5.tokenization_qwen3_5 import Qwen3_5Tokenizer
from transformers.models.t5.tokenization_t5 import T5Tokenizer

ROOT = Path(__file__).resolve().parents[2] / "fixtures" / "tokenizers"
LANGUAGES = ["en-US", "ja-JP", "zh-CN", "ko-KR", "ar-MA", "ru-RU", "de-DE", "el-GR", "fa-IR", "vi-VN"]
SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

CORPUS = {
    "words": "The quick brown fox jumps over the lazy dog, doesn't it?",
    "leading space": " one space in front",
    "leading spaces": "   three spaces in front",
    "trailing spaces": "two at the end  ",
    "one space": " ",
    "spaces": "     ",
    "spaces between": "a  b   c    d     e      f       g        h                x",
    "tab": "\t",
    "tabs": "a\tb\t\tc\t \t d \te",
    "newline": "\n",
    "newlines": "a\nb\n\nc\n\n\nd\n\n\n\n\n",
    "crlf": "one\r\ntwo\r\n\r\nthree\rfour\n\rfive\r\n",
    "spaces and newlines": "a \n b  \n  c\n   d\n\n   \n e   \n",
    "other white space": "a\u00a0b\u2003c\u3000d\u200be\u0085f\u2028g\u2029h\u1680i\u202fj\x0bk\x0cl",
    "contractions": "I'm you're he'll we've they'd it's don't I'M YOU'RE HE'LL WE'VE THEY'D IT'S DON'T 'tis 'S'll 's 're",
    "long s": "it'\u017f and 'S \u2019s \u2019re",
    "digits": "0 1 12 123 1234 12345 123456 1234567 12345678 3.14 1,000,000.50 2024-01-02 0x1F 1e-9",
    "digits after letters": "a1b22c333d4444 x86_64 utf8 R2D2 H2O",
    "other digits": "\u0663\u0664\u0665 \u0967\u0968\u0969 \uff11\uff12\uff13 \u2167 \u00bd \u00b2\u00b3 \u2460\u2461",
    "punctuation": "!!! ??? ... --- ___ ### $$$ %%% ^^^ &&& *** ((())) [[[]]] {{{}}} <<<>>> ``` ~~~ ||| /// \\\\\\ @@@ +++ ===",
    "punctuation and words": "(well)! [no], {yes}; \"quoted\" 'single' a-b a_b a/b a.b a:b #tag @name $5 50% <b> x=y; p->q; !a ~b",
    "python": "def f(x, *args):\n    if x <= 0:\n        return [i ** 2 for i in range(10)]  # squares\n\treturn {'a': x}\n",
    "rust": "fn main() -> Result<(), Box<dyn Error>> {\n    let v: Vec<_> = (0..10).map(|i| i << 2).collect();\n}\n",
    "c": "#include <stdio.h>\nint main(void){for(int i=0;i<10;++i)printf(\"%d\\n\",i);return 0;}\n",
    "json": '{"a": [1, 2.5, null, true], "b": {"c": "\\u00e9\\n"}}',
    "html": "<!DOCTYPE html><p class=\"x\">a&nbsp;b &amp; c</p><!-- no -->",
    "latex": "\\begin{align}\n  e^{i\\pi} + 1 &= 0 \\\\\n\\end{align}",
    "url": "https://www.example.org/a/b?c=d&e=%20#f mailto:me@example.org",
    "camel case": "camelCase PascalCase SCREAMING_SNAKE HTMLParser iPhone XMLHttpRequest getHTTPResponseCode2",
    "accents": "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m fa\u00e7ade \u0130stanbul stra\u00dfe \u0141\u00f3d\u017a",
    "combining": "cafe\u0301 nai\u0308ve A\u030angstro\u0308m e\u0301\u0323 a\u0300\u0301\u0302 \u0301 x\u0338",
    "chinese": "\u6211\u4eec\u5728\u8fd9\u91cc\uff0c\u4f60\u597d\u4e16\u754c\u30022024\u5e74\u3002",
    "japanese": "\u79c1\u306f\u30c7\u30d3\u30a2\u30f3\u3092\u4f7f\u3044\u307e\u3059\u3002\u30ab\u30bf\u30ab\u30ca\u3001\u3072\u3089\u304c\u306a\uff01\uff76\uff9e",
    "korean": "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4, \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
    "arabic": "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064e\u062a\u064e\u0628\u064e\u061f \u06f1\u06f2\u06f3\u06d4",
    "hebrew": "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05d1\u05bc\u05b0\u05e8\u05b5\u05d0\u05e9\u05c1\u05b4\u05d9\u05ea",
    "hindi": "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e, \u0939\u093f\u0928\u094d\u0926\u0940 \u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f\u0964",
    "thai": "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e01\u0e47",
    "russian": "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0401\u0436 \u0438 \u0439\u043e\u0433\u0430.",
    "greek": "\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u03ba\u03cc\u03c3\u03bc\u03b5\u00b7 \u1f00\u03c1\u03c7\u1fc6",
    "emoji": "\U0001f600\U0001f680 \u2764\ufe0f \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd x\U0001f600y",
    "emoji joined": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f636\u200d\U0001f32b\ufe0f \U0001f3f3\ufe0f\u200d\U0001f308",
    "mathematics": "\u2200x\u2208\u211d: \u221a(x\u00b2) = |x| \u2264 \u221e \U0001d49c\U0001d7d8 \ufb01 \u2103 \u00b5m",
    "ligatures and widths": "\ufb03 \u2122 \uff21\uff42\uff43 \uff01\uff1f \u01c6 \u2026 \u00ad \u2014\u2013",
    "control": "a\x01b\x02\x7fc\x1b[0md\x08e",
    "private and unassigned": "\ue000 \uf8ff \U000e0041 \ufffd \ufeffx \u0378",
    "special tokens": "<|endoftext|>a <|im_end|> b<|im_end|>\n<think>c</think> <s>d</s> <unk> <bos>e <eos><pad>",
    "special look-alikes": "<|endoftext |> <| im_end|> <|im_en <think <unused1> [INST] <0x0A> <|fim_prefix|> \u2581a\u2581 \u0120b\u010a",
    "case of letters": "ABC abc Abc aBC \u01c5 \u02b0 \u00aa \u00c9t\u00c9 \u0391\u03b1",
    "long word": "Donaudampfschifffahrtsgesellschaftskapitaensmuetze" * 2,
    "repeats": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bababababababababa 0000000000000000 ----------------",
    "mixed scripts": "abc\u0434\u0435\u0444\u4e2d\u6587123\u0661\u0662\u0663\u0e01\u0e02 \u4e2da1 \u30a21\u3042x",
    "markdown": "# Title\n\n- item *one*\n- item **two**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nls -l\n```\n",
}


def versions():
    names = ["tokenizers", "transformers", "sentencepiece", "gguf"]
    return {name: version(name) for name in names}


def training_text(folder):
    """Lines of the handbook in ten languages, and noise in which every class of characters meets every other."""
    rng = random.Random(1)
    lines = []
    for language in LANGUAGES:
        for page in sorted((folder / language).glob("*.html"))[:12]:
            text = html.unescape(re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8")))
            lines += [line.strip() for line in text.splitlines() if line.strip()][:150]
    classes = [" ", " ", "  ", "\n", "\t", "1", "23", "456", "a", "the", "S", "'s", "'ll", ".", ",", "(", "!!", "=", "\u00e9", "\u4e2d"]
    noise = ["".join(rng.choice(classes) for _ in range(60)) for _ in range(3000)]
    return lines, noise


def llama_ids(binary, path, text):
    """Ids of the real llama.cpp; special tokens are parsed, none is added."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        command = [binary, "-m", str(path), "-f", file.name, "--ids", "--no-bos", "--no-escape", "--log-disable"]
        out = subprocess.run(command, capture_output=True, check=True).stdout
    return json.loads(out.decode().strip().splitlines()[-1])


def llama(binary, path):
    return {name: llama_ids(binary, path, text) for name, text in CORPUS.items()}


def encode(tokenizer):
    return {name: tokenizer.encode(text, add_special_tokens=False) for name, text in CORPUS.items()}


def fast(backend):
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def from_gguf(path):
    """In a folder of its own: with a tokenizer.json beside it transformers would read that."""
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "model.gguf").symlink_to(path.resolve())
        return encode(AutoTokenizer.from_pretrained(temporary, gguf_file="model.gguf"))


def write(path, reference, ids, others):
    """`ids` of `reference`, and where the others give something else."""
    differs = {
        who: {name: theirs[name] for name in CORPUS if theirs[name] != ids[name]} for who, theirs in others.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        dict(
            __comment__="tools/reference/tokens.py",
            versions=versions(),
            reference=reference,
            ids=ids,
            differs=differs,
        ),
        ensure_ascii=True,
        separators=(",", ":"),
    )
    path.write_text(text.replace('],"', '],\n"') + "\n")
    print(f"{path.relative_to(ROOT)}: {reference};", {who: len(cases) for who, cases in differs.items()})


def config_keys(writer):
    """What transformers wants to see of a model before it looks at the tokenizer."""
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(8)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)


def save(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


SPECIALS = [("<|endoftext|>", CONTROL), ("<|im_end|>", CONTROL), ("<think>", USER_DEFINED), ("<unused1>", UNUSED)]


def train_byte_level(lines, noise):
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<|endoftext|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=7,
        show_progress=False,
    )
    backend.train_from_iterator(lines + noise, trainer)
    model = json.loads(backend.to_str())["model"]
    vocab = dict(model["vocab"])
    vocab["<think>"] = len(vocab)
    vocab["<unused1>"] = len(vocab)
    return vocab, [tuple(merge) for merge in model["merges"]]


def byte_level_gguf(path, vocab, merges, pre):
    tokens = sorted(vocab, key=vocab.get)
    types = dict(SPECIALS)
    writer = gguf.GGUFWriter(path, "llama")
    config_keys(writer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([types.get(token, NORMAL) for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(vocab["<|endoftext|>"])
    writer.add_eos_token_id(vocab["<|endoftext|>"])
    save(writer)


def byte_level_backend(vocab, merges, steps, nfc=False, ignore_merges=False):
    """The layout of such models' own tokenizer.json."""
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
    if nfc:
        backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps)
    backend.decoder = decoders.ByteLevel()
    add_specials(backend)
    return backend


def add_specials(backend):
    for token, kind in SPECIALS:
        if kind == CONTROL:
            backend.add_special_tokens([AddedToken(token, normalized=False, special=True)])
        elif kind == USER_DEFINED:
            backend.add_tokens([AddedToken(token, normalized=False, special=False)])


def byte_level(args, lines, noise):
    vocab, merges = train_byte_level(lines, noise)
    folder = ROOT / "byte_level"
    folder.mkdir(parents=True, exist_ok=True)
    byte_level_gguf(folder / "tokenizer.gguf", vocab, merges, "gpt-2")

    def of(tokenizer_class):
        """The class of transformers, with this vocabulary."""
        tokenizer = tokenizer_class(vocab=vocab, merges=merges, **{f"{name}_token": "<|endoftext|>" for name in ["bos", "eos", "unk", "pad"]})
        add_specials(tokenizer.backend_tokenizer)
        return tokenizer.backend_tokenizer

    def split(regex):
        return pre_tokenizers.Split(Regex(regex), behavior="isolated")

    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    splits = {name: [split(GGUF_PRE_TOKENIZER_SPLITS[name]), plain] for name in ["llama-bpe", "dbrx", "tekken", "gpt-4o", "qwen2"]}
    backends = {
        "gpt-2": of(GPT2Tokenizer),
        "olmo": of(GPTNeoXTokenizer),
        "qwen2": of(Qwen2Tokenizer),
        "qwen35": of(Qwen3_5Tokenizer),
        "command-r": of(CohereTokenizer),
        "smollm": byte_level_backend(vocab, merges, [digits, gpt2]),
        "llama-bpe": byte_level_backend(vocab, merges, splits["llama-bpe"], ignore_merges=True),
        "dbrx": byte_level_backend(vocab, merges, splits["dbrx"]),
        "tekken": byte_level_backend(vocab, merges, splits["tekken"], ignore_merges=True),
        "gpt-4o": byte_level_backend(vocab, merges, splits["gpt-4o"]),
        "stablelm2": byte_level_backend(vocab, merges, splits["qwen2"]),
        "falcon": byte_level_backend(
            vocab, merges, [pre_tokenizers.Punctuation(behavior="contiguous"), gpt2, split("[0-9][0-9][0-9]")]
        ),
    }
    for name in ["gpt-2", "llama-bpe", "qwen2", "falcon"]:
        (folder / f"{name}.json").write_text(json.dumps(json.loads(backends[name].to_str()), ensure_ascii=True, separators=(",", ":")) + "\n")
    only_llama = ["glm4", "deepseek-llm", "deepseek-coder", "deepseek-v3", "default", "bloom", "viking", "bailingmoe", "seed-coder", "jais-2"]
    with tempfile.TemporaryDirectory() as temporary:
        for name in [*backends, *only_llama]:
            path = Path(temporary) / f"{name}.gguf"
            byte_level_gguf(path, vocab, merges, name)
            theirs = llama(args.llama_tokenize, path)
            others = {"transformers from GGUF": from_gguf(path)}
            if name in backends:
                reference, ids = "transformers", encode(fast(backends[name]))
                others["llama-tokenize"] = theirs
            else:
                reference, ids = "llama-tokenize", theirs
            write(folder / "expected" / f"{name}.json", reference, ids, others)


def train_sentencepiece(lines, folder, **options):
    prefix = Path(folder) / "model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(prefix), num_threads=2, minloglevel=2, **options
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(prefix.with_suffix(".model").read_bytes())
    return sentencepiece.SentencePieceProcessor(model_file=str(prefix.with_suffix(".model"))), model


def sentencepiece_gguf(path, model, architecture, tokenizer, respell=lambda token, kind: token, **flags):
    writer = gguf.GGUFWriter(path, architecture)
    config_keys(writer)
    writer.add_tokenizer_model(tokenizer)
    writer.add_tokenizer_pre("default")
    writer.add_token_list([respell(piece.piece, piece.type) for piece in model.pieces])
    writer.add_token_scores([piece.score for piece in model.pieces])
    writer.add_token_types([piece.type for piece in model.pieces])
    writer.add_bos_token_id(model.trainer_spec.bos_id if model.trainer_spec.bos_id >= 0 else 1)
    writer.add_eos_token_id(model.trainer_spec.eos_id)
    writer.add_unk_token_id(model.trainer_spec.unk_id)
    for name, value in flags.items():
        getattr(writer, name)(value)
    save(writer)


def bpe_backend(model, prefix, merges):
    """The layout of such models' own tokenizer.json (Llama 2, Mistral 7B, Phi 3; Gemma without the prefix)."""
    vocab = {piece.piece: index for index, piece in enumerate(model.pieces)}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps = [normalizers.Replace(" ", SPACE)]
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), *steps] if prefix else steps)
    for piece in model.pieces:
        if piece.type in (CONTROL, UNKNOWN):
            backend.add_special_tokens([AddedToken(piece.piece, normalized=False, special=True)])
        elif piece.type == USER_DEFINED:
            backend.add_tokens([AddedToken(piece.piece, normalized=False, special=False)])
    return backend


def merges_of(model, rank):
    """Every way to cut a piece in two, best rank first: what converters to tokenizer.json do."""
    vocab = {piece.piece: index for index, piece in enumerate(model.pieces)}
    cuts = []
    for index, piece in enumerate(model.pieces):
        text = piece.piece
        local = [(text[:at], text[at:]) for at in range(1, len(text)) if text[:at] in vocab and text[at:] in vocab]
        local.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        cuts += [(rank(index, piece), len(left), len(right), left, right) for left, right in local]
    cuts.sort(key=lambda cut: cut[:3], reverse=True)
    return [(left, right) for *_, left, right in cuts]


def ids_of(processor):
    return {name: processor.encode(text) for name, text in CORPUS.items()}


def sentencepiece_kinds(args, lines):
    shared = dict(model_type="bpe", byte_fallback=True, vocab_size=900, character_coverage=0.98, normalization_rule_name="identity",
                  remove_extra_whitespaces=False, max_sentencepiece_length=8, split_digits=True, unk_id=0, bos_id=1, eos_id=2)
    with tempfile.TemporaryDirectory() as temporary:
        processor, model = train_sentencepiece(
            lines, temporary, allow_whitespace_only_pieces=True, control_symbols=["<|endoftext|>"], user_defined_symbols=["<think>"], **shared
        )
        folder = ROOT / "sentencepiece"
        folder.mkdir(parents=True, exist_ok=True)
        for name, prefix in [("prefix", True), ("no-prefix", False)]:
            path = folder / f"{name}.gguf" if prefix else Path(temporary) / f"{name}.gguf"
            sentencepiece_gguf(path, model, "llama", "llama", add_add_space_prefix=prefix, add_add_bos_token=True)
            backend = bpe_backend(model, prefix, merges_of(model, lambda index, piece: piece.score))
            if prefix:
                (folder / "tokenizer.json").write_text(json.dumps(json.loads(backend.to_str()), separators=(",", ":")) + "\n")
            others = {"llama-tokenize": llama(args.llama_tokenize, path), "transformers from GGUF": from_gguf(path)}
            if prefix:
                others["sentencepiece"] = ids_of(processor)
            write(folder / "expected" / f"{name}.json", "transformers", encode(fast(backend)), others)

    with tempfile.TemporaryDirectory() as temporary:
        spaces = [SPACE * n for n in range(2, 9)]
        newlines = ["\n" * n for n in range(1, 5)]
        special = dict(shared, unk_id=3, bos_id=2, eos_id=1, pad_id=0, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
                       add_dummy_prefix=False, control_symbols=["<unused1>", "<|im_end|>"], user_defined_symbols=newlines + spaces)
        processor, model = train_sentencepiece(lines, temporary, **special)
        folder = ROOT / "gemma"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "tokenizer.gguf"
        respell = lambda token, kind: token.replace(SPACE, " ") if kind == USER_DEFINED else token
        sentencepiece_gguf(path, model, "gemma2", "llama", respell, add_add_space_prefix=False, add_add_bos_token=True)
        backend = bpe_backend(model, False, merges_of(model, lambda index, piece: -index))
        others = {"llama-tokenize": llama(args.llama_tokenize, path), "transformers from GGUF": from_gguf(path), "sentencepiece": ids_of(processor)}
        write(folder / "expected.json", "transformers", encode(fast(backend)), others)


def normalization_rules(path):
    """nmt_nfkc in small, for the characters of the corpus: NFKC, white space to spaces, control characters to nothing."""
    rules = {}
    text = "".join(CORPUS.values())
    for at, character in enumerate(text):
        for source in [character, text[at : at + 2], text[at : at + 3]]:
            target = unicodedata.normalize("NFKC", source)
            if len(source) > 1 and (unicodedata.normalize("NFKC", source[:1]) + unicodedata.normalize("NFKC", source[1:])) == target:
                continue
            if source.isspace() and len(source) == 1:
                target = " "
            elif unicodedata.category(source[0]) in ("Cc", "Cf"):
                target = ""
            if target != source:
                rules[source] = target
    code = lambda s: " ".join(f"{ord(c):X}" for c in s)
    path.write_text("".join(f"{code(source)}\t{code(target)}\n" for source, target in sorted(rules.items())))


def unigram_kind(args, lines):
    with tempfile.TemporaryDirectory() as temporary:
        rules = Path(temporary) / "rules.tsv"
        normalization_rules(rules)
        processor, model = train_sentencepiece(
            lines, temporary, model_type="unigram", vocab_size=900, character_coverage=0.98, max_sentencepiece_length=8, pad_id=0,
            eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", control_symbols=["<|im_end|>"], normalization_rule_tsv=str(rules),
        )
        charsmap = model.normalizer_spec.precompiled_charsmap
        folder = ROOT / "unigram"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "tokenizer.gguf"
        flags = dict(add_add_space_prefix=True, add_remove_extra_whitespaces=True, add_add_bos_token=False, add_add_eos_token=True)
        sentencepiece_gguf(path, model, "llama", "t5", add_precompiled_charsmap=charsmap, **flags)
        vocab = [(piece.piece, piece.score) for piece in model.pieces]
        specials = ["<|im_end|>"]
        tokenizer = T5Tokenizer(vocab=vocab, extra_ids=0, _spm_precompiled_charsmap=charsmap, additional_special_tokens=specials)
        (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.backend_tokenizer.to_str()), separators=(",", ":")) + "\n")
        others = {"llama-tokenize": llama(args.llama_tokenize, path), "sentencepiece": ids_of(processor)}
        write(folder / "expected.json", "transformers", encode(tokenizer), others)


def smollm2(args):
    path = Path(args.smollm2)
    fields = gguf.GGUFReader(path).fields
    read = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    tokens, types = read("tokens"), read("token_type")
    backend = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ")) for m in read("merges")]))
    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    backend.add_special_tokens([AddedToken(t, normalized=False, special=True) for t, k in zip(tokens, types) if k == CONTROL])
    others = {"llama-tokenize": llama(args.llama_tokenize, path), "transformers from GGUF": from_gguf(path)}
    write(ROOT / "smollm2" / "expected.json", "transformers", encode(fast(backend)), others)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--llama-tokenize", required=True)
    parser.add_argument("--handbook", required=True, type=Path)
    parser.add_argument("--smollm2")
    parser.add_argument("--only", help="one of byte_level, sentencepiece, unigram, smollm2")
    args = parser.parse_args()
    ROOT.mkdir(parents=True, exist_ok=True)
    (ROOT / "corpus.json").write_text(json.dumps(CORPUS, ensure_ascii=True, indent=1) + "\n")
    wanted = lambda kind: args.only in (None, kind)
    lines, noise = training_text(args.handbook)
    if wanted("byte_level"):
        byte_level(args, lines, noise)
    if wanted("sentencepiece"):
        sentencepiece_kinds(args, lines)
    if wanted("unigram"):
        unigram_kind(args, lines)
    if args.smollm2 and wanted("smollm2"):
        smollm2(args)


if __name__ == "__main__":
    main()
