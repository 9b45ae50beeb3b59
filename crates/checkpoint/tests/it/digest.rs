//! The digest changes with what it samples, and with nothing else.

use std::sync::Arc;

use tomo_checkpoint::write::Gguf;
use tomo_checkpoint::{Config, DType, Format, Source, config_digest, from_bytes};

/// Larger than what is read whole, so that only pieces of it are.
const LARGE: usize = 1 << 20;

fn one(name: &str, dtype: DType, shape: &[u64], data: &[u8]) -> Arc<dyn Source> {
    let mut file = Gguf::new();
    file.tensor(name, dtype, shape, data).unwrap();
    from_bytes(file.to_bytes().unwrap(), Format::Gguf).unwrap()
}

fn digest(name: &str, dtype: DType, shape: &[u64], data: &[u8]) -> String {
    one(name, dtype, shape, data).digest().unwrap()
}

#[test]
fn name_type_shape_and_bytes_count() {
    let data = [1; 64];
    let reference = digest("a", DType::F32, &[4, 4], &data);
    assert_eq!(reference.len(), 64);
    assert_eq!(reference, digest("a", DType::F32, &[4, 4], &data));
    assert_ne!(reference, digest("b", DType::F32, &[4, 4], &data));
    assert_ne!(reference, digest("a", DType::I32, &[4, 4], &data));
    assert_ne!(reference, digest("a", DType::F32, &[2, 8], &data));
    for at in 0..64 {
        let mut changed = data;
        changed[at] ^= 1;
        assert_ne!(reference, digest("a", DType::F32, &[4, 4], &changed), "byte {at}");
    }
}

#[test]
fn a_large_tensor_is_sampled_at_both_ends_and_between() {
    let mut data = vec![7; LARGE];
    let shape = [LARGE as u64 / 4];
    let reference = digest("a", DType::F32, &shape, &data);
    // First, last, and the start of the fourth of sixteen pieces: (2^20 - 4096) * 3 / 15.
    for at in [0, 4095, LARGE - 1, LARGE - 4096, 208_896] {
        data[at] ^= 1;
        assert_ne!(reference, digest("a", DType::F32, &shape, &data), "byte {at}");
        data[at] ^= 1;
    }
    data[4096] ^= 1;
    assert_eq!(reference, digest("a", DType::F32, &shape, &data), "between the pieces nothing is read");
}

#[test]
fn bytes_cannot_move_between_tensors_unseen() {
    let two = |first: &str, second: &str, split: usize| {
        let mut file = Gguf::new();
        let data = [3u8; 12];
        file.tensor(first, DType::I8, &[split as u64], data[..split].to_vec()).unwrap();
        file.tensor(second, DType::I8, &[(12 - split) as u64], data[split..].to_vec()).unwrap();
        from_bytes(file.to_bytes().unwrap(), Format::Gguf).unwrap().digest().unwrap()
    };
    assert_ne!(two("a", "b", 4), two("a", "b", 8));
    assert_ne!(two("a", "bc", 4), two("ab", "c", 4));
    assert_eq!(two("b", "a", 4), two("a", "b", 8), "the order in the file does not count");
}

#[test]
fn configurations() {
    let json = |text: &str| config_digest(&Config::HuggingFace(serde_json::from_str(text).unwrap())).unwrap();
    assert_eq!(json(r#"{"a": 1, "b": [true, null]}"#), json(r#"{ "b":[true,null], "a":1 }"#));
    assert_ne!(json(r#"{"a": 1}"#), json(r#"{"a": 2}"#));
    assert_ne!(json(r#"{"a": 1}"#), json(r#"{"a": "1"}"#));
    assert_ne!(json(r#"{"a": [1], "b": []}"#), json(r#"{"a": [], "b": [1]}"#));
    assert_eq!(config_digest(&Config::Absent), None);

    let gguf = |n: u32| {
        let mut file = Gguf::new();
        file.meta("n", n);
        config_digest(from_bytes(file.to_bytes().unwrap(), Format::Gguf).unwrap().config()).unwrap()
    };
    assert_eq!(gguf(1), gguf(1));
    assert_ne!(gguf(1), gguf(2));
}
