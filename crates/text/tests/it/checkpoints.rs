//! Which tokenizer a checkpoint has, and which tokens begin and end a sequence.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tomo_checkpoint::{MetaValue, Source, open};
use tomo_text::{TextError, TextErrorKind, Tokenizer};

use crate::fixture::{self, metadata, path};

/// A folder with what a test needs of a model.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn weights(self) -> Self {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/llama");
        for name in ["config.json", "model.safetensors"] {
            fs::copy(model.join(name), self.path(name)).unwrap();
        }
        self
    }

    fn copy(self, fixture: &str, name: &str) -> Self {
        fs::copy(path(fixture), self.path(name)).unwrap();
        self
    }

    fn json(self, name: &str, value: &Value) -> Self {
        fs::write(self.path(name), serde_json::to_vec(value).unwrap()).unwrap();
        self
    }

    fn open(&self, name: &str) -> std::sync::Arc<dyn Source> {
        open(&self.path(name)).unwrap()
    }

    fn tokenizer(&self, name: &str) -> Result<Tokenizer, TextError> {
        Tokenizer::for_checkpoint(self.open(name).as_ref())
    }
}

#[test]
fn safetensors_take_the_tokenizer_json_of_their_folder() {
    let folder = Folder::new().weights().copy("byte_level/gpt-2.json", "tokenizer.json");
    for opened in ["", "model.safetensors"] {
        let tokenizer = folder.tokenizer(opened).unwrap();
        assert_eq!((tokenizer.kind(), tokenizer.vocab_size()), ("tokenizer.json (BPE)", 1006));
    }
    let error = Folder::new().weights().tokenizer("").unwrap_err();
    assert_eq!(error.kind(), TextErrorKind::Missing);
    assert!(error.to_string().contains("save_pretrained"), "{error}");
}

#[test]
fn gguf_takes_its_own_tokenizer_unless_the_file_beside_it_is_the_same() {
    let gguf = Folder::new().copy("byte_level/tokenizer.gguf", "model.gguf");
    assert_eq!(gguf.tokenizer("model.gguf").unwrap().kind(), "GGUF gpt2/gpt-2");
    let gguf = gguf.copy("byte_level/gpt-2.json", "tokenizer.json");
    assert_eq!(gguf.tokenizer("model.gguf").unwrap().kind(), "tokenizer.json (BPE)");
    let gguf = gguf.copy("sentencepiece/tokenizer.json", "tokenizer.json");
    assert_eq!(gguf.tokenizer("model.gguf").unwrap().kind(), "GGUF gpt2/gpt-2");
    let gguf = gguf.json("tokenizer.json", &json!({"damaged": true}));
    assert_eq!(gguf.tokenizer("model.gguf").unwrap().kind(), "GGUF gpt2/gpt-2");
}

#[test]
fn special_tokens_of_gguf() {
    let base = metadata(&path("byte_level/tokenizer.gguf"));
    let with = |key: &str, value: MetaValue| {
        let mut metadata = base.clone();
        metadata.insert(format!("tokenizer.ggml.{key}"), value);
        Tokenizer::from_gguf(&metadata).unwrap()
    };
    let adds = |pre: &str| with("pre", MetaValue::Text(pre.into())).adds_bos();
    assert_eq!([adds("gpt-2"), adds("llama-bpe"), adds("tekken"), adds("qwen2")], [false, true, true, false]);
    assert!(with("add_bos_token", MetaValue::Bool(true)).adds_bos());
    assert_eq!(with("bos_token_id", MetaValue::Unsigned(1)).bos(), Some(1));
    assert_eq!(with("eos_token_id", MetaValue::Unsigned(1)).eos(), Some(1));
    let mut sentencepiece = metadata(&path("sentencepiece/prefix.gguf"));
    assert!(Tokenizer::from_gguf(&sentencepiece).unwrap().adds_bos());
    sentencepiece.remove("tokenizer.ggml.add_bos_token");
    sentencepiece.remove("tokenizer.ggml.bos_token_id");
    let tokenizer = Tokenizer::from_gguf(&sentencepiece).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.adds_bos()), (Some(1), true), "as llama.cpp takes it for SentencePiece");
    sentencepiece.insert("tokenizer.ggml.add_bos_token".into(), MetaValue::Bool(false));
    assert!(!Tokenizer::from_gguf(&sentencepiece).unwrap().adds_bos());
}

/// A post-processor as transformers writes it for Llama 3.
fn template() -> Value {
    json!({"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
        {"type": "TemplateProcessing",
         "single": [{"SpecialToken": {"id": "<|im_end|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {"<|im_end|>": {"id": "<|im_end|>", "ids": [1], "tokens": ["<|im_end|>"]}}}
    ]})
}

#[test]
fn special_tokens_of_tokenizer_json() {
    let plain = || Folder::new().weights().copy("byte_level/llama-bpe.json", "tokenizer.json");
    let special = |folder: &Folder| {
        let tokenizer = folder.tokenizer("").unwrap();
        (tokenizer.bos(), tokenizer.eos(), tokenizer.adds_bos())
    };
    // config.json of the model names 1 and 2.
    let config: Value = serde_json::from_slice(&fs::read(plain().path("config.json")).unwrap()).unwrap();
    let id = |key: &str| config[key].as_u64().map(|id| id as u32);
    assert_eq!(special(&plain()), (id("bos_token_id"), id("eos_token_id"), false));
    let names = json!({"bos_token": "<|im_end|>", "eos_token": {"content": "<|endoftext|>", "lstrip": false}});
    assert_eq!(special(&plain().json("tokenizer_config.json", &names)), (Some(1), Some(0), false));
    assert_eq!(special(&plain().json("special_tokens_map.json", &names)), (Some(1), Some(0), false));
    let adds = |adds: bool| json!({"bos_token": "<|im_end|>", "eos_token": "<|endoftext|>", "add_bos_token": adds});
    assert_eq!(special(&plain().json("tokenizer_config.json", &adds(true))), (Some(1), Some(0), true));

    let mut file = fixture::json("byte_level/llama-bpe.json");
    file["post_processor"] = template();
    let templated = || Folder::new().weights().json("tokenizer.json", &file);
    let (bos, _, adds_bos) = special(&templated());
    assert_eq!((bos, adds_bos), (Some(1), true));
    // The library itself, asked for special tokens, agrees.
    let library = tokenizers::Tokenizer::from_file(templated().path("tokenizer.json")).unwrap();
    assert_eq!(library.encode("a", true).unwrap().get_ids()[0], 1);
    assert_eq!(templated().tokenizer("").unwrap().encode("a").unwrap(), library.encode("a", false).unwrap().get_ids());
    assert!(!special(&templated().json("tokenizer_config.json", &adds(false))).2);
    // A name that is no token is passed over.
    let unknown = json!({"bos_token": "<nonesuch>", "eos_token": null, "add_bos_token": true});
    assert!(!special(&plain().json("tokenizer_config.json", &unknown)).2);
}

#[test]
fn text_that_spells_a_special_token_is_one_unless_the_configuration_splits_it() {
    let plain = || Folder::new().weights().copy("byte_level/gpt-2.json", "tokenizer.json");
    assert_eq!(plain().tokenizer("").unwrap().encode("<|im_end|>").unwrap(), [1]);
    let split = plain().json("tokenizer_config.json", &json!({"split_special_tokens": true}));
    assert!(split.tokenizer("").unwrap().encode("<|im_end|>").unwrap().len() > 3);
}

#[test]
fn tokens_that_only_the_configuration_lists_are_added() {
    let added = json!({"added_tokens_decoder": {
        "1007": {"content": "<b>", "special": true}, "1006": {"content": "<a>", "special": false, "normalized": false},
        "0": {"content": "<|endoftext|>", "special": true}
    }});
    let folder = Folder::new().weights().copy("byte_level/gpt-2.json", "tokenizer.json");
    let folder = folder.json("tokenizer_config.json", &added);
    let tokenizer = folder.tokenizer("").unwrap();
    assert_eq!(tokenizer.encode("<b><a>").unwrap(), [1007, 1006]);
    assert_eq!(tokenizer.vocab_size(), 1008);
}

/// Settings of a tokenizer.json that are for training or for batches do not reach a score.
#[test]
fn truncation_padding_and_dropout_are_left_out() {
    let mut file = fixture::json("byte_level/gpt-2.json");
    let plain = Folder::new().json("tokenizer.json", &file);
    file["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                             "pad_type_id": 0, "pad_token": "<|endoftext|>"});
    file["model"]["dropout"] = json!(0.9);
    let set = Folder::new().json("tokenizer.json", &file);
    let encode = |folder: &Folder| {
        Tokenizer::from_file(&folder.path("tokenizer.json")).unwrap().encode("the quick brown fox jumps").unwrap()
    };
    assert_eq!(encode(&set), encode(&plain));
    assert!(encode(&plain).len() > 5);
}

#[test]
fn the_digest_is_of_what_decides_about_tokens() {
    let base = metadata(&path("byte_level/tokenizer.gguf"));
    let of = |key: &str, value: MetaValue| {
        let mut metadata = base.clone();
        metadata.insert(key.to_owned(), value);
        Tokenizer::from_gguf(&metadata).unwrap().digest().to_owned()
    };
    let plain = Tokenizer::from_gguf(&base).unwrap().digest().to_owned();
    assert_eq!(of("tokenizer.chat_template", MetaValue::Text("x".into())), plain);
    assert_eq!(of("general.name", MetaValue::Text("x".into())), plain);
    assert_ne!(of("tokenizer.ggml.pre", MetaValue::Text("smollm".into())), plain);
    assert_ne!(of("tokenizer.ggml.add_bos_token", MetaValue::Bool(true)), plain);
    let [one, other] = ["gpt-2", "qwen2"]
        .map(|name| Tokenizer::from_file(&path(&format!("byte_level/{name}.json"))).unwrap().digest().to_owned());
    assert_ne!(one, other);
}
