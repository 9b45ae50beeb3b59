//! Fixtures that `tools/reference/tokens.py` wrote, and ways to change them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use tomo_checkpoint::{Config, MetaValue, open};
use tomo_text::Tokenizer;

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers").join(name)
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// Metadata of a GGUF file.
pub(crate) fn metadata(path: &std::path::Path) -> BTreeMap<String, MetaValue> {
    match open(path).unwrap().config() {
        Config::Gguf(metadata) => metadata.clone(),
        other => panic!("{other:?}"),
    }
}

/// Name and text of every case of the hard corpus.
pub(crate) fn corpus() -> Vec<(String, String)> {
    let Value::Object(cases) = json("corpus.json") else { panic!("an object") };
    let cases: Vec<_> = cases.into_iter().map(|(name, text)| (name, text.as_str().unwrap().to_owned())).collect();
    assert!(cases.len() > 50, "{}", cases.len());
    cases
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

/// Holds a tokenizer against the ids in `expected`; every case is tried.
pub(crate) fn assert_ids(tokenizer: &Tokenizer, expected: &str) {
    let expected_ids = &json(expected)["ids"];
    let mut failures = Vec::new();
    for (name, text) in corpus() {
        let (want, found) = (ids(&expected_ids[&name]), tokenizer.encode(&text).unwrap());
        if want != found {
            failures.push(format!("{name}: {text:?}\n  expected {want:?}\n  found    {found:?}"));
        }
    }
    assert!(failures.is_empty(), "{expected} with {}:\n{}", tokenizer.kind(), failures.join("\n"));
}
