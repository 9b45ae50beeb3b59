//! Ids equal to those of transformers, sentencepiece and llama.cpp; which of them, the fixture says.

use std::fs;

use tomo_checkpoint::MetaValue;
use tomo_text::Tokenizer;

use crate::fixture::{assert_ids, metadata, path};

/// A vocabulary whose tokens cross every boundary that a kind draws, so that another split gives other ids.
#[test]
fn every_pre_tokenizer_kind_splits_as_its_reference_does() {
    let base = metadata(&path("byte_level/tokenizer.gguf"));
    let mut kinds = 0;
    for file in fs::read_dir(path("byte_level/expected")).unwrap() {
        let name = file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let mut metadata = base.clone();
        metadata.insert("tokenizer.ggml.pre".into(), MetaValue::Text(name.clone()));
        let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
        assert_eq!(tokenizer.kind(), format!("GGUF gpt2/{name}"));
        assert_ids(&tokenizer, &format!("byte_level/expected/{name}.json"));
        kinds += 1;
    }
    assert_eq!(kinds, 22);
}

/// The same through tokenizer.json: the expressions are run by another engine than in Python.
#[test]
fn tokenizer_json_gives_the_ids_that_transformers_gives() {
    for name in ["gpt-2", "llama-bpe", "qwen2", "falcon"] {
        let tokenizer = Tokenizer::from_file(&path(&format!("byte_level/{name}.json"))).unwrap();
        assert_eq!(tokenizer.kind(), "tokenizer.json (BPE)");
        assert_ids(&tokenizer, &format!("byte_level/expected/{name}.json"));
    }
    assert_ids(
        &Tokenizer::from_file(&path("sentencepiece/tokenizer.json")).unwrap(),
        "sentencepiece/expected/prefix.json",
    );
}

#[test]
fn sentencepiece_bpe_from_scores_with_and_without_a_prefix() {
    let mut base = metadata(&path("sentencepiece/prefix.gguf"));
    assert_ids(&Tokenizer::from_gguf(&base).unwrap(), "sentencepiece/expected/prefix.json");
    base.insert("tokenizer.ggml.add_space_prefix".into(), MetaValue::Bool(false));
    assert_ids(&Tokenizer::from_gguf(&base).unwrap(), "sentencepiece/expected/no-prefix.json");
}

#[test]
fn gemma_merges_in_the_order_of_its_vocabulary() {
    let tokenizer = Tokenizer::from_gguf(&metadata(&path("gemma/tokenizer.gguf"))).unwrap();
    assert_ids(&tokenizer, "gemma/expected.json");
}

#[test]
fn unigram() {
    let tokenizer = Tokenizer::from_gguf(&metadata(&path("unigram/tokenizer.gguf"))).unwrap();
    assert_ids(&tokenizer, "unigram/expected.json");
    let tokenizer = Tokenizer::from_file(&path("unigram/tokenizer.json")).unwrap();
    assert_eq!(tokenizer.kind(), "tokenizer.json (unigram)");
    assert_ids(&tokenizer, "unigram/expected.json");
}
