//! Small valid files, cut at every byte and changed at every byte.

use tomo_checkpoint::write::Gguf;
use tomo_checkpoint::{DType, Format, Source, from_bytes};

fn small_gguf() -> Vec<u8> {
    let mut file = Gguf::new();
    file.meta("general.architecture", "llama").meta("n", 7u32).meta("m", -7i64).meta("eps", 1e-5f32);
    file.meta("tokens", vec!["a".to_string(), "bc".into()]).meta("scores", vec![0.5f32, 1.0]).meta("flag", true);
    file.tensor("q", DType::Q4_0, &[2, 32], vec![1; 36]).unwrap();
    file.tensor("f", DType::F32, &[2, 3], vec![2; 24]).unwrap();
    file.to_bytes().unwrap()
}

fn small_safetensors() -> Vec<u8> {
    let view =
        |dtype, shape: &[usize], data| safetensors::tensor::TensorView::new(dtype, shape.to_vec(), data).unwrap();
    let tensors = [
        ("a.weight", view(safetensors::Dtype::BF16, &[2, 3], &[1; 12])),
        ("b.weight", view(safetensors::Dtype::F32, &[2], &[2; 8])),
        ("ids", view(safetensors::Dtype::I64, &[1], &[3; 8])),
    ];
    safetensors::serialize(tensors, Some([("format".into(), "pt".into())].into())).unwrap()
}

/// Everything a user of a source does, on all of it.
fn use_all(source: &dyn Source) {
    for tensor in source.tensors() {
        let n = tensor.numel();
        assert!(n < 1 << 20, "a small file holds no large tensor");
        let mut out = vec![0.0; n as usize];
        let _ = source.decode(&tensor.name, 0..n, &mut out);
        source.release(&tensor.name, 0..n);
    }
    source.digest().unwrap();
    tomo_checkpoint::config_digest(source.config());
}

#[test]
fn cut_at_every_byte() {
    // The padding after the last tensor of a GGUF file may be missing.
    for (format, bytes, padding) in [(Format::Safetensors, small_safetensors(), 0), (Format::Gguf, small_gguf(), 8)] {
        use_all(&*from_bytes(bytes.clone(), format).unwrap());
        for length in 0..bytes.len() {
            let result = from_bytes(bytes[..length].to_vec(), format);
            assert_eq!(result.is_ok(), length >= bytes.len() - padding, "{format}, first {length} of {}", bytes.len());
        }
    }
}

#[test]
fn changed_at_every_byte() {
    for (format, bytes) in [(Format::Safetensors, small_safetensors()), (Format::Gguf, small_gguf())] {
        for at in 0..bytes.len() {
            for change in [0x01, 0x02, 0x20, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= change;
                if let Ok(source) = from_bytes(bytes, format) {
                    use_all(&*source);
                }
            }
        }
    }
}
