//! Every type against values that the `gguf` and `torch` packages computed (fixtures/decode, tools/reference/decode.py).

use safetensors::SafeTensors;
use tomo_checkpoint::write::Gguf;
use tomo_checkpoint::{DType, ErrorKind, Format, from_bytes};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/decode/blocks.safetensors");

const GGUF_TYPES: &[DType] = &[
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q8_0,
    DType::Q2_K,
    DType::Q3_K,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
    DType::IQ4_NL,
    DType::IQ4_XS,
    DType::MXFP4,
];

/// Types that only safetensors has, with that crate's name for them.
const SAFETENSORS_TYPES: &[(DType, safetensors::Dtype)] = &[
    (DType::F64, safetensors::Dtype::F64),
    (DType::F32, safetensors::Dtype::F32),
    (DType::F16, safetensors::Dtype::F16),
    (DType::BF16, safetensors::Dtype::BF16),
    (DType::F8_E4M3, safetensors::Dtype::F8_E4M3),
    (DType::F8_E5M2, safetensors::Dtype::F8_E5M2),
];

/// Stored bytes and expected values of `dtype`.
fn expected(dtype: DType) -> (Vec<u8>, Vec<f32>) {
    let file = std::fs::read(FIXTURE).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let blocks = tensors.tensor(&format!("{dtype}.blocks")).unwrap().data().to_vec();
    let values = tensors.tensor(&format!("{dtype}.values")).unwrap();
    let values = values.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    (blocks, values)
}

fn gguf(dtype: DType, blocks: Vec<u8>, elements: usize) -> Vec<u8> {
    let mut file = Gguf::new();
    file.tensor("w", dtype, &[1, elements as u64], blocks).unwrap();
    file.to_bytes().unwrap()
}

fn one_safetensors(dtype: safetensors::Dtype, shape: Vec<usize>, data: &[u8]) -> Vec<u8> {
    let view = safetensors::tensor::TensorView::new(dtype, shape, data).unwrap();
    safetensors::serialize([("w", view)], None).unwrap()
}

fn assert_same_bits(dtype: DType, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        let same = x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
        assert!(same, "{dtype}: element {i} is {x:e}, expected {y:e}");
    }
}

#[test]
fn gguf_types_equal_the_gguf_package() {
    for &dtype in GGUF_TYPES {
        let (blocks, expected) = expected(dtype);
        let source = from_bytes(gguf(dtype, blocks, expected.len()), Format::Gguf).unwrap();
        let mut found = vec![0.0; expected.len()];
        source.decode("w", 0..expected.len() as u64, &mut found).unwrap();
        assert_same_bits(dtype, &found, &expected);
    }
}

#[test]
fn safetensors_types_equal_torch_and_numpy() {
    for &(dtype, theirs) in SAFETENSORS_TYPES {
        let (blocks, expected) = expected(dtype);
        let source = from_bytes(one_safetensors(theirs, vec![expected.len()], &blocks), Format::Safetensors).unwrap();
        assert_eq!(source.tensors()[0].dtype, dtype);
        let mut found = vec![0.0; expected.len()];
        source.decode("w", 0..expected.len() as u64, &mut found).unwrap();
        assert_same_bits(dtype, &found, &expected);
    }
}

/// Pieces at every block boundary, not aligned to anything else, give what the whole gives.
#[test]
fn a_range_is_the_same_part_of_the_whole() {
    for &dtype in GGUF_TYPES {
        let (blocks, expected) = expected(dtype);
        let source = from_bytes(gguf(dtype, blocks, expected.len()), Format::Gguf).unwrap();
        let step = dtype.block_elements() * 3;
        for start in (0..expected.len()).step_by(step) {
            let end = (start + step).min(expected.len());
            let mut found = vec![0.0; end - start];
            source.decode("w", start as u64..end as u64, &mut found).unwrap();
            assert_same_bits(dtype, &found, &expected[start..end]);
        }
    }
}

#[test]
fn ranges_that_are_not_in_the_tensor_are_refused() {
    let (blocks, values) = expected(DType::Q4_0);
    let n = values.len() as u64;
    let source = from_bytes(gguf(DType::Q4_0, blocks, values.len()), Format::Gguf).unwrap();
    let mut out = vec![0.0; values.len()];
    #[allow(clippy::reversed_empty_ranges, reason = "a caller can pass one")]
    let ranges = [0..n + 32, 16..48, 0..33, 64..32, n..n + 32, u64::MAX - 31..u64::MAX, 0..u64::MAX];
    for range in ranges {
        let length = range.end.saturating_sub(range.start).min(n) as usize;
        let error = source.decode("w", range.clone(), &mut out[..length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing, "{range:?}: {error}");
        source.release("w", range);
    }
    assert!(source.decode("w", 0..32, &mut out[..31]).is_err(), "output too short");
    assert!(source.decode("w", 0..32, &mut out[..33]).is_err(), "output too long");
    assert_eq!(source.decode("v", 0..32, &mut out[..32]).unwrap_err().kind(), ErrorKind::Missing);
    source.decode("w", 0..0, &mut []).unwrap();
}

#[test]
fn integers_and_undecodable_types_are_listed_and_refused() {
    let bytes = one_safetensors(safetensors::Dtype::I32, vec![2, 3], &[0; 24]);
    let source = from_bytes(bytes, Format::Safetensors).unwrap();
    assert_eq!((source.tensors()[0].dtype, source.tensors()[0].bytes), (DType::I32, 24));
    let error = source.decode("w", 0..6, &mut [0.0; 6]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("integers are not weights"), "{error}");

    for &dtype in DType::ALL {
        let elements = dtype.block_elements() * 2;
        let mut file = Gguf::new();
        if file.tensor("w", dtype, &[2, elements as u64 / 2], vec![0; dtype.block_bytes() * 2]).is_err() {
            continue;
        }
        let source = from_bytes(file.to_bytes().unwrap(), Format::Gguf).unwrap();
        assert_eq!(source.tensors()[0].dtype, dtype);
        let decoded = source.decode("w", 0..elements as u64, &mut vec![1.0; elements]);
        let expected = GGUF_TYPES.contains(&dtype) || dtype == DType::F64;
        assert_eq!(decoded.is_ok(), expected, "{dtype}");
        assert_eq!(dtype.is_decodable(), expected, "{dtype}");
        assert!(decoded.is_ok() || decoded.unwrap_err().kind() == ErrorKind::Unsupported);
    }
}

/// Block sizes as `gguf.constants.GGML_QUANT_SIZES` (gguf 0.19.0) has them.
#[test]
fn block_sizes_equal_the_gguf_package() {
    let sizes = [
        ("F32", 1, 4),
        ("F16", 1, 2),
        ("Q4_0", 32, 18),
        ("Q4_1", 32, 20),
        ("Q5_0", 32, 22),
        ("Q5_1", 32, 24),
        ("Q8_0", 32, 34),
        ("Q2_K", 256, 84),
        ("Q3_K", 256, 110),
        ("Q4_K", 256, 144),
        ("Q5_K", 256, 176),
        ("Q6_K", 256, 210),
        ("IQ2_XXS", 256, 66),
        ("IQ2_XS", 256, 74),
        ("IQ3_XXS", 256, 98),
        ("IQ1_S", 256, 50),
        ("IQ4_NL", 32, 18),
        ("IQ3_S", 256, 110),
        ("IQ2_S", 256, 82),
        ("IQ4_XS", 256, 136),
        ("I8", 1, 1),
        ("I16", 1, 2),
        ("I32", 1, 4),
        ("I64", 1, 8),
        ("F64", 1, 8),
        ("IQ1_M", 256, 56),
        ("BF16", 1, 2),
        ("TQ1_0", 256, 54),
        ("TQ2_0", 256, 66),
        ("MXFP4", 32, 17),
        ("NVFP4", 64, 36),
        ("Q1_0", 128, 18),
    ];
    for (name, elements, bytes) in sizes {
        let dtype = DType::from_name(name).unwrap();
        assert_eq!((dtype.block_elements(), dtype.block_bytes()), (elements, bytes), "{name}");
    }
}
