//! Real vocabularies. Ignored unless asked for:
//! `TOMOGRAPH_SMOLLM2=<path>.gguf cargo test -p tomo-text smollm2 -- --ignored`, and
//! `TOMOGRAPH_LLAMA_CPP=<checkout of llama.cpp> cargo test -p tomo-text llama_cpp -- --ignored`.

use std::fs;
use std::path::PathBuf;

use tomo_checkpoint::open;
use tomo_text::{Text, Tokenizer, WindowOptions, Windows};

use crate::fixture::{assert_ids, metadata};

/// A test that was asked for and cannot run has failed.
fn path_in(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} must be set")))
}

#[test]
#[ignore = "reads SmolLM2-135M-Instruct: set TOMOGRAPH_SMOLLM2 and run with --ignored"]
fn smollm2_has_the_ids_of_transformers() {
    let source = open(&path_in("TOMOGRAPH_SMOLLM2")).unwrap();
    let tokenizer = Tokenizer::for_checkpoint(source.as_ref()).unwrap();
    assert_ids(&tokenizer, "smollm2/expected.json");
    assert_eq!(tokenizer.kind(), "GGUF gpt2/smollm");
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.adds_bos()), (Some(1), Some(2), false));
    assert_eq!(tokenizer.vocab_size(), 49152);
}

#[test]
#[ignore = "reads SmolLM2-135M-Instruct: set TOMOGRAPH_SMOLLM2 and run with --ignored"]
fn smollm2_reads_sixteen_windows_of_the_bundled_sample() {
    let source = open(&path_in("TOMOGRAPH_SMOLLM2")).unwrap();
    let tokenizer = Tokenizer::for_checkpoint(source.as_ref()).unwrap();
    let windows = Windows::choose(&tokenizer, &Text::bundled(), &WindowOptions::default()).unwrap();
    assert_eq!(windows.tokens(), 8192);
    assert!(windows.sequences.iter().all(|s| s.len() == 512));
    assert!(windows.notes.is_empty(), "{:?}", windows.notes);
}

/// llama.cpp keeps vocabularies of well-known models, and beside them texts and the ids that the models' own tokenizers give
/// (`convert_hf_to_gguf_update.py` writes them with transformers).
#[test]
#[ignore = "reads llama.cpp's models/ggml-vocab-*.gguf: set TOMOGRAPH_LLAMA_CPP and run with --ignored"]
fn llama_cpp_vocabularies_give_the_ids_beside_them() {
    // Of a model whose own tokenizer composes characters; its ids were written by llama.cpp, which does not.
    let composed = |name: &str, text: &str| name.contains("qwen35") && text.contains(['\u{300}', '\u{301}']);
    let mut read = 0;
    for file in fs::read_dir(path_in("TOMOGRAPH_LLAMA_CPP").join("models")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (texts, ids) = (path.with_extension("gguf.inp"), path.with_extension("gguf.out"));
        if !name.ends_with(".gguf") || !ids.is_file() || name.contains("bert") {
            continue;
        }
        let tokenizer = Tokenizer::from_gguf(&metadata(&path)).unwrap();
        let (texts, ids) = (fs::read_to_string(texts).unwrap(), fs::read_to_string(ids).unwrap());
        let texts = texts.split("\n__ggml_vocab_test__\n");
        for (text, ids) in texts.zip(ids.lines()) {
            let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
            let found = tokenizer.encode(text).unwrap();
            assert!(found == ids || composed(&name, text), "{name}: {text:?}\n  {ids:?}\n  {found:?}");
        }
        read += 1;
    }
    assert!(read >= 14, "{read}");
}
