//! From a checkpoint and a plan to the GGUF file that the plan describes.

mod encode;
mod entries;
mod targets;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use tomo_checkpoint::write::GgufLayout;
use tomo_checkpoint::{DType, Format, GgufEntry, GgufMetadata, Source};
use tomo_metrics::Imatrix;
use tomo_plan::Plan;

pub use encode::WriteProgress;
pub(crate) use entries::header;
use targets::Target;

/// An imatrix and the file it was read from.
pub struct Importances {
    /// As the user named it.
    pub path: PathBuf,
    /// What is in it.
    pub imatrix: Imatrix,
}

/// A plan that is about to be carried out: every tensor's type is settled, and the size of the file is known to the byte.
pub struct Quantization {
    source: Arc<dyn Source>,
    targets: Vec<Target>,
    layout: GgufLayout,
    importances: Option<Importances>,
    /// Number of the kind of file, as llama.cpp counts them (`general.file_type`).
    pub file_type: u32,
    /// Bytes that the plan says.
    pub planned_bytes: Option<u64>,
    /// Bytes that the file would have without its entries about an imatrix, which no plan counts.
    pub plain_bytes: u64,
    /// What a reader has to know; whole sentences without the full stop.
    pub notes: Vec<String>,
}

/// What has become of the tensors of one type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TypeTotal {
    /// How many.
    pub tensors: u64,
    /// How many of them were that before.
    pub copied: u64,
    /// Weights.
    pub weights: u64,
    /// Bytes, without padding.
    pub bytes: u64,
}

/// A file that was read back and is as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Bytes of the file.
    pub bytes: u64,
    /// Its digest, as maps and plans name checkpoints.
    pub digest: String,
}

impl Quantization {
    /// Settles what becomes of every tensor of `source`. A plan of another checkpoint is taken only when `force` is set, and only
    /// where names and shapes agree.
    ///
    /// # Errors
    /// A checkpoint that is no GGUF file, a plan that is not for such a file or for another model, an imatrix that is for another
    /// model, a type that cannot be decoded.
    pub fn new(
        source: Arc<dyn Source>,
        plan: &Plan,
        importances: Option<Importances>,
        force: bool,
    ) -> anyhow::Result<Self> {
        let metadata = metadata_of(source.as_ref())?;
        let targets = targets::targets(source.as_ref(), plan)?;
        let mut notes = Vec::new();
        if let Some(note) = check_digest(source.as_ref(), plan, force)? {
            notes.push(note);
        }
        let imatrix = importances.as_ref().map(|importances| &importances.imatrix);
        notes.extend(notes_on(&targets, imatrix)?);
        let file_type = entries::file_type(mostly(&targets));
        let about_imatrix = importances.as_ref().map(|i| entries::of_imatrix(&i.path, &i.imatrix)).unwrap_or_default();
        let plain = layout_of(&targets, entries::of_quantized(&metadata, file_type, Vec::new()))?;
        let layout = layout_of(&targets, entries::of_quantized(&metadata, file_type, about_imatrix))?;
        let (planned_bytes, plain_bytes) = (plan.totals.file, plain.file_bytes());
        Ok(Self { source, targets, layout, importances, file_type, planned_bytes, plain_bytes, notes })
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.layout.file_bytes()
    }

    /// Tensors of the file.
    pub fn tensors(&self) -> usize {
        self.targets.len()
    }

    /// What the tensors are stored as, by the name of the type.
    pub fn totals(&self) -> BTreeMap<&'static str, TypeTotal> {
        let mut totals = BTreeMap::<_, TypeTotal>::new();
        for (target, info) in self.targets.iter().zip(self.layout.tensors()) {
            let total = totals.entry(target.dtype.name()).or_default();
            total.tensors += 1;
            total.copied += u64::from(target.is_copied());
            total.weights = total.weights.saturating_add(info.numel());
            total.bytes = total.bytes.saturating_add(info.bytes);
        }
        totals
    }

    /// Writes the file to `out`, tensor by tensor, with so many threads (one per core where `None`); `false` when it was
    /// cancelled. The bytes do not depend on the threads.
    ///
    /// # Errors
    /// When a tensor cannot be read, or holds weights that its type cannot (NaN, infinities, beyond its range); when `out` fails.
    pub fn write(
        &self,
        out: impl Write + Send,
        threads: Option<usize>,
        progress: &dyn WriteProgress,
    ) -> anyhow::Result<bool> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build()?;
        let imatrix = self.importances.as_ref().map(|importances| &importances.imatrix);
        let mut writer = self.layout.begin(out)?;
        let whole = pool.install(|| {
            encode::all(self.source.as_ref(), &self.targets, imatrix, progress, |bytes| Ok(writer.data(bytes)?))
        })?;
        if whole {
            writer.finish()?;
        }
        Ok(whole)
    }

    /// Opens the file at `path` and holds it against what it should be: size, metadata, every tensor's type and shape.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, path: &Path) -> anyhow::Result<Checked> {
        let found = tomo_checkpoint::open(path).context("the file that was written cannot be read back")?;
        let bytes = std::fs::metadata(path)?.len();
        ensure!(bytes == self.bytes(), "the file has {bytes} bytes, expected {}", self.bytes());
        let metadata = metadata_of(found.as_ref())?;
        let wrong = metadata.entries.iter().zip(self.layout.metadata()).find(|(a, b)| a != b);
        if let Some((entry, _)) = wrong {
            bail!("the file has other metadata than it was given\n  key: {}", entry.key());
        }
        let counts = [metadata.entries.len(), found.tensors().len()];
        let expected = [self.layout.metadata().len(), self.layout.tensors().len()];
        ensure!(counts == expected, "the file has {counts:?} metadata entries and tensors, expected {expected:?}");
        for info in self.layout.tensors() {
            ensure!(
                found.tensor(&info.name) == Some(info),
                "a tensor is not what was planned\n  tensor: {}\n  expected: {} {:?}\n  found: {:?}",
                info.name,
                info.dtype,
                info.shape,
                found.tensor(&info.name)
            );
        }
        Ok(Checked { bytes, digest: found.digest()? })
    }
}

/// The metadata of a GGUF file, and for others what to do.
fn metadata_of(source: &dyn Source) -> anyhow::Result<GgufMetadata> {
    let found = match source.format() {
        Format::Gguf => source.gguf_metadata()?,
        Format::Safetensors | Format::ShardedSafetensors => None,
    };
    found.with_context(|| {
        format!(
            "only GGUF files can be quantized to GGUF\n  file: {}\n  expected: a .gguf file\n  found: {}\n  hint: convert it first, with \
             convert_hf_to_gguf.py of llama.cpp (--outtype bf16 or f16): what a GGUF file says of its vocabulary cannot be made up here",
            source.path().display(),
            source.format()
        )
    })
}

/// Refuses a plan of another checkpoint, or says that it is one.
fn check_digest(source: &dyn Source, plan: &Plan, force: bool) -> anyhow::Result<Option<String>> {
    let digest = source.digest().context("cannot digest the checkpoint")?;
    let planned = &plan.about.model_digest;
    if digest == *planned {
        return Ok(None);
    }
    ensure!(
        force,
        "the plan was made from another checkpoint\n  expected: digest {planned:?} ({:?})\n  found: digest {digest}\n  hint: --force \
         applies it all the same, since names and shapes agree (the f16 file of a model whose smaller file was mapped, say)",
        plan.about.model
    );
    Ok(Some(format!("the plan was made from another checkpoint, {:?}, of the same names and shapes", plan.about.model)))
}

/// The file: `targets` in their order behind `entries`. As ggml has it, slowest dimensions of 1 are not written.
fn layout_of(targets: &[Target], entries: Vec<GgufEntry>) -> anyhow::Result<GgufLayout> {
    let mut layout = GgufLayout::new();
    for entry in entries {
        layout.entry(entry);
    }
    for Target { info, dtype, .. } in targets {
        let ones = info.shape.iter().take_while(|dim| **dim == 1).count().min(info.shape.len().saturating_sub(1));
        layout.tensor(&info.name, *dtype, &info.shape[ones..])?;
    }
    Ok(layout)
}

/// What a reader has to know of the tensors.
fn notes_on(targets: &[Target], imatrix: Option<&Imatrix>) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    let requantized = targets.iter().filter(|target| target.is_requantized()).count();
    if requantized > 0 {
        notes.push(format!(
            "{requantized} tensors are quantized already and are rounded a second time: the f16, bf16 or f32 file of the model gives a \
             better one"
        ));
    }
    let mut fallbacks = BTreeMap::new();
    for target in targets {
        if let Some(asked) = target.instead_of {
            *fallbacks.entry((asked, target.dtype.name())).or_insert(0) += 1;
        }
    }
    for ((asked, found), tensors) in fallbacks {
        notes.push(format!("{tensors} tensors have rows that are no whole blocks of {asked}: {found} instead"));
    }
    if imatrix.is_some() {
        let mut without = 0;
        for target in targets.iter().filter(|target| !target.is_copied()) {
            let has_none = encode::importances(target, imatrix)?.is_none();
            without += u32::from(has_none && target.is_cell);
        }
        if without > 0 {
            notes.push(format!("{without} tensors have no entry in the imatrix and are encoded without importances"));
        }
    }
    Ok(notes)
}

/// The type that most weights of cells are stored as.
fn mostly(targets: &[Target]) -> DType {
    let mut weights: Vec<(DType, u64)> = Vec::new();
    for target in targets.iter().filter(|target| target.is_cell) {
        match weights.iter_mut().find(|(dtype, _)| *dtype == target.dtype) {
            Some((_, sum)) => *sum = sum.saturating_add(target.info.numel()),
            None => weights.push((target.dtype, target.info.numel())),
        }
    }
    // Of two that are as common, the first by name.
    weights.sort_by_key(|(dtype, sum)| (std::cmp::Reverse(*sum), dtype.name()));
    weights.first().map_or(DType::F32, |(dtype, _)| *dtype)
}
