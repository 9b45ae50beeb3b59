//! What others or this crate have written comes back as it was.

use std::path::Path;

use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tomo_checkpoint::write::{Gguf, GgufValue};
use tomo_checkpoint::{Config, DType, Format, MetaValue, Source, from_bytes, open};

/// A tensor to be written: values are whole numbers, exact in every type used.
#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    fn bytes(&self) -> Vec<u8> {
        let of = |x: f32| match self.dtype {
            DType::F64 => f64::from(x).to_le_bytes().to_vec(),
            DType::F32 => x.to_le_bytes().to_vec(),
            DType::F16 => half::f16::from_f32(x).to_le_bytes().to_vec(),
            DType::BF16 => half::bf16::from_f32(x).to_le_bytes().to_vec(),
            other => panic!("{other} is not written here"),
        };
        self.values.iter().flat_map(|&x| of(x)).collect()
    }

    fn view<'a>(&self, bytes: &'a [u8]) -> TensorView<'a> {
        let dtype = match self.dtype {
            DType::F64 => Dtype::F64,
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            _ => Dtype::BF16,
        };
        TensorView::new(dtype, self.shape.clone(), bytes).unwrap()
    }
}

prop_compose! {
    fn any_tensor()(shape in prop::collection::vec(0usize..5, 0..4))(
        values in prop::collection::vec((-128i16..128).prop_map(f32::from), shape.iter().product::<usize>()),
        shape in Just(shape),
        dtype in prop::sample::select(vec![DType::F64, DType::F32, DType::F16, DType::BF16]),
        name in "[a-z]{1,8}(\\.[0-9]{1,3})?(\\.weight)?",
    ) -> Tensor {
        Tensor { name, dtype, shape, values }
    }
}

fn any_tensors() -> impl Strategy<Value = Vec<Tensor>> {
    prop::collection::vec(any_tensor(), 1..8).prop_map(|mut tensors| {
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors.dedup_by(|a, b| a.name == b.name);
        tensors
    })
}

fn safetensors_bytes(tensors: &[Tensor]) -> Vec<u8> {
    let bytes: Vec<_> = tensors.iter().map(Tensor::bytes).collect();
    safetensors::serialize(tensors.iter().zip(&bytes).map(|(t, b)| (&t.name, t.view(b))), None).unwrap()
}

fn gguf_bytes(tensors: &[Tensor]) -> Vec<u8> {
    let mut file = Gguf::new();
    for tensor in tensors {
        let shape: Vec<u64> = tensor.shape.iter().map(|&n| n as u64).collect();
        file.tensor(&tensor.name, tensor.dtype, &shape, tensor.bytes()).unwrap();
    }
    file.to_bytes().unwrap()
}

/// Cuts the tensors into `count` shards with an index.
fn write_shards(folder: &Path, tensors: &[Tensor], count: usize) {
    std::fs::create_dir(folder).unwrap();
    let mut map = serde_json::Map::new();
    for shard in 0..count {
        let own: Vec<Tensor> = tensors.iter().skip(shard).step_by(count).cloned().collect();
        let name = format!("model-{:05}-of-{count:05}.safetensors", shard + 1);
        map.extend(own.iter().map(|t| (t.name.clone(), name.clone().into())));
        std::fs::write(folder.join(name), safetensors_bytes(&own)).unwrap();
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

fn assert_holds(source: &dyn Source, tensors: &[Tensor]) {
    let names: Vec<_> = source.tensors().iter().map(|t| &t.name).collect();
    assert_eq!(names, tensors.iter().map(|t| &t.name).collect::<Vec<_>>());
    for (found, tensor) in source.tensors().iter().zip(tensors) {
        assert_eq!(found.dtype, tensor.dtype);
        assert_eq!(found.shape, tensor.shape.iter().map(|&n| n as u64).collect::<Vec<_>>());
        let mut values = vec![f32::NAN; tensor.values.len()];
        source.decode(&tensor.name, 0..values.len() as u64, &mut values).unwrap();
        assert_eq!(values, tensor.values);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_file_shards_and_gguf(tensors in any_tensors(), shards in 1usize..4) {
        let single = from_bytes(safetensors_bytes(&tensors), Format::Safetensors).unwrap();
        assert_holds(&*single, &tensors);
        let gguf = from_bytes(gguf_bytes(&tensors), Format::Gguf).unwrap();
        assert_holds(&*gguf, &tensors);
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sharded");
        write_shards(&folder, &tensors, shards.min(tensors.len()));
        let sharded = open(&folder).unwrap();
        assert_holds(&*sharded, &tensors);
        prop_assert_eq!(single.digest().unwrap(), sharded.digest().unwrap());
        prop_assert_eq!(single.digest().unwrap(), gguf.digest().unwrap());
    }

    #[test]
    fn any_alignment(power in 0u32..10, lengths in prop::collection::vec(0u64..40, 1..6)) {
        let mut file = Gguf::new();
        file.meta("general.alignment", 1u32 << power);
        for (i, &n) in lengths.iter().enumerate() {
            file.tensor(i.to_string(), DType::F16, &[n], vec![0x3c; 2 * n as usize]).unwrap();
        }
        let source = from_bytes(file.to_bytes().unwrap(), Format::Gguf).unwrap();
        for (i, &n) in lengths.iter().enumerate() {
            let mut out = vec![0.0; n as usize];
            source.decode(&i.to_string(), 0..n, &mut out).unwrap();
            // 0x3c3c as a half.
            prop_assert!(out.iter().all(|&x| x == 1.058_593_8));
        }
    }
}

#[test]
fn every_kind_of_metadata() {
    let cases: Vec<(GgufValue, MetaValue)> = vec![
        (250u8.into(), MetaValue::Unsigned(250)),
        ((-5i8).into(), MetaValue::Signed(-5)),
        (65_000u16.into(), MetaValue::Unsigned(65_000)),
        ((-30_000i16).into(), MetaValue::Signed(-30_000)),
        (4_000_000_000u32.into(), MetaValue::Unsigned(4_000_000_000)),
        ((-2_000_000_000i32).into(), MetaValue::Signed(-2_000_000_000)),
        (u64::MAX.into(), MetaValue::Unsigned(u64::MAX)),
        (i64::MIN.into(), MetaValue::Signed(i64::MIN)),
        (0.1f32.into(), MetaValue::Float(f64::from(0.1f32))),
        (0.1f64.into(), MetaValue::Float(0.1)),
        (true.into(), MetaValue::Bool(true)),
        ("höher".into(), MetaValue::Text("höher".into())),
        (
            vec!["a".to_string(), String::new()].into(),
            MetaValue::Array(vec![MetaValue::Text("a".into()), MetaValue::Text(String::new())]),
        ),
        (vec![-1i32].into(), MetaValue::Array(vec![MetaValue::Signed(-1)])),
        (vec![1u32].into(), MetaValue::Array(vec![MetaValue::Unsigned(1)])),
        (vec![0.5f32].into(), MetaValue::Array(vec![MetaValue::Float(0.5)])),
        (vec![false].into(), MetaValue::Array(vec![MetaValue::Bool(false)])),
    ];
    let mut file = Gguf::new();
    for (i, (written, _)) in cases.iter().enumerate() {
        file.meta(format!("key.{i}"), written.clone());
    }
    let source = from_bytes(file.to_bytes().unwrap(), Format::Gguf).unwrap();
    let Config::Gguf(meta) = source.config() else { panic!("no metadata") };
    for (i, (_, expected)) in cases.iter().enumerate() {
        assert_eq!(meta[&format!("key.{i}")], *expected);
    }
}

#[test]
fn a_split_gguf_opens_by_any_part_and_by_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    for (no, tensor) in ["a", "b"].into_iter().enumerate() {
        let mut file = Gguf::new();
        if no == 0 {
            file.meta("general.architecture", "llama");
        }
        file.meta("split.no", no as u16).meta("split.count", 2u16);
        file.tensor(tensor, DType::F16, &[2], vec![0, 0x3c, 0, 0x40]).unwrap();
        std::fs::write(dir.path().join(format!("m-0000{}-of-00002.gguf", no + 1)), file.to_bytes().unwrap()).unwrap();
    }
    for path in ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", ""] {
        let source = open(&dir.path().join(path)).unwrap();
        assert_eq!(source.tensors().len(), 2, "{path}");
        let Config::Gguf(meta) = source.config() else { panic!("no metadata") };
        assert_eq!(meta["general.architecture"], MetaValue::Text("llama".into()), "{path}");
        let mut out = [0.0; 2];
        source.decode("b", 0..2, &mut out).unwrap();
        assert_eq!(out, [1.0, 2.0]);
    }
}
