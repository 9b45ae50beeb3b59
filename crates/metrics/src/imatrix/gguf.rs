//! The GGUF format: `<name>.in_sum2` `[n_mat, n]` and `<name>.counts` `[n_mat, 1]`, both F32, and three keys.

use std::collections::BTreeMap;

use tomo_checkpoint::write::{Gguf, GgufValue};
use tomo_checkpoint::{Config, DType, Error, ErrorKind, MetaValue, Source, TensorInfo};

use super::{Imatrix, ImatrixEntry, LONGEST_NAME};

const DATASETS: &str = "imatrix.datasets";
const CHUNK_COUNT: &str = "imatrix.chunk_count";
const CHUNK_SIZE: &str = "imatrix.chunk_size";
const SUM2: &str = ".in_sum2";
const COUNTS: &str = ".counts";
const SUM: &str = ".in_sum";

/// The file, ready to be written.
pub(super) fn build(imatrix: &Imatrix) -> Result<Gguf<'static>, Error> {
    let mut file = Gguf::new();
    file.meta("general.type", "imatrix");
    file.meta(DATASETS, GgufValue::Texts(imatrix.datasets.clone()));
    file.meta(CHUNK_COUNT, imatrix.chunk_count);
    file.meta(CHUNK_SIZE, imatrix.chunk_size);
    for (name, entry) in &imatrix.entries {
        if name.len() + SUM2.len() > LONGEST_NAME {
            return Err(Error::new(ErrorKind::Unsupported, "tensor name too long for llama.cpp")
                .in_tensor(name)
                .expected(format!("at most {} bytes", LONGEST_NAME - SUM2.len()))
                .found(format!("{} bytes", name.len())));
        }
        let matrices = entry.counts.len();
        let shape = [matrices as u64, (entry.in_sum2.len() / matrices.max(1)) as u64];
        let counts = entry.counts.iter().map(|count| *count as f64);
        file.tensor(format!("{name}{SUM2}"), DType::F32, &shape, bytes(entry.in_sum2.iter().copied()))?;
        file.tensor(format!("{name}{COUNTS}"), DType::F32, &[matrices as u64, 1], bytes(counts))?;
        if let Some(sum) = &entry.in_sum {
            file.tensor(format!("{name}{SUM}"), DType::F32, &shape, bytes(sum.iter().copied()))?;
        }
    }
    Ok(file)
}

fn bytes(values: impl Iterator<Item = f64>) -> Vec<u8> {
    values.flat_map(|value| (value as f32).to_le_bytes()).collect()
}

/// The tensors of one entry, as far as they are there.
#[derive(Default)]
struct Parts<'a> {
    sum2: Option<&'a TensorInfo>,
    counts: Option<&'a TensorInfo>,
    sum: Option<&'a TensorInfo>,
}

/// What an opened file holds. Tensors with other suffixes are passed over, as llama.cpp does.
pub(super) fn read(source: &dyn Source) -> Result<Imatrix, Error> {
    let mut imatrix = Imatrix::default();
    if let Config::Gguf(keys) = source.config() {
        read_keys(keys, &mut imatrix)?;
    }
    let mut parts: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
    for tensor in source.tensors() {
        if let Some(name) = tensor.name.strip_suffix(SUM2) {
            parts.entry(name).or_default().sum2 = Some(tensor);
        } else if let Some(name) = tensor.name.strip_suffix(COUNTS) {
            parts.entry(name).or_default().counts = Some(tensor);
        } else if let Some(name) = tensor.name.strip_suffix(SUM) {
            parts.entry(name).or_default().sum = Some(tensor);
        }
    }
    if parts.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, "no imatrix")
            .expected(format!("tensors called <name>{SUM2} and <name>{COUNTS}"))
            .found(format!("{} other tensors", source.tensors().len()))
            .hint("was a model given in place of its imatrix?"));
    }
    for (name, parts) in parts {
        imatrix.entries.insert(name.to_owned(), read_entry(source, name, &parts)?);
    }
    imatrix.check()?;
    Ok(imatrix)
}

fn read_keys(keys: &BTreeMap<String, MetaValue>, imatrix: &mut Imatrix) -> Result<(), Error> {
    let number = |key: &str| match keys.get(key) {
        None => Ok(0),
        Some(MetaValue::Unsigned(n)) if u32::try_from(*n).is_ok() => Ok(u32::try_from(*n).unwrap_or_default()),
        Some(other) => Err(Error::new(ErrorKind::Malformed, format!("{key} is no count"))
            .expected("a 32-bit unsigned integer")
            .found(format!("{other:?}"))),
    };
    imatrix.chunk_count = number(CHUNK_COUNT)?;
    imatrix.chunk_size = number(CHUNK_SIZE)?;
    if let Some(MetaValue::Array(datasets)) = keys.get(DATASETS) {
        let text = |value: &MetaValue| if let MetaValue::Text(text) = value { Some(text.clone()) } else { None };
        imatrix.datasets = datasets.iter().filter_map(text).collect();
    }
    Ok(())
}

fn read_entry(source: &dyn Source, name: &str, parts: &Parts<'_>) -> Result<ImatrixEntry, Error> {
    let (Some(sum2), Some(counts)) = (parts.sum2, parts.counts) else {
        return Err(Error::new(ErrorKind::Malformed, "imatrix entry without its other half")
            .in_tensor(name)
            .expected(format!("both {SUM2} and {COUNTS}"))
            .found("one of them"));
    };
    let in_sum2 = numbers(source, sum2)?;
    let counts = numbers(source, counts)?.into_iter().map(|count| count_from(name, count)).collect::<Result<_, _>>()?;
    let in_sum = parts.sum.map(|tensor| numbers(source, tensor)).transpose()?;
    Ok(ImatrixEntry { in_sum2, counts, in_sum })
}

/// A count is stored as a float; llama.cpp rounds it.
fn count_from(name: &str, count: f64) -> Result<u64, Error> {
    if count.is_finite() && (0.0..1e18).contains(&count) {
        return Ok(count.round() as u64);
    }
    Err(Error::new(ErrorKind::Malformed, "count that is none")
        .in_tensor(name)
        .expected("a number of tokens")
        .found(count.to_string()))
}

fn numbers(source: &dyn Source, tensor: &TensorInfo) -> Result<Vec<f64>, Error> {
    if tensor.dtype != DType::F32 {
        return Err(Error::new(ErrorKind::Malformed, "imatrix tensor of another type")
            .in_tensor(&tensor.name)
            .expected("F32")
            .found(tensor.dtype.name()));
    }
    // As many as the file has bytes for: checked when it was opened.
    let mut values = vec![0.0; usize::try_from(tensor.numel()).unwrap_or(0)];
    source.decode(&tensor.name, 0..tensor.numel(), &mut values)?;
    Ok(values.into_iter().map(f64::from).collect())
}
