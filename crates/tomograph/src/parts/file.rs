//! The file of a part: a line that says what it is, what it is of as JSON, what it knows as bytes.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tomo_map::{GgufHeader, Provenance};
use tomo_metrics::Options;
use tomo_model::{Model, OpenOptions};

use super::shares::Shares;
use super::skeleton::Skeleton;

/// First line of the file.
const MAGIC: &[u8] = b"tomograph.part/1\n";

/// Name of the file in the folder of a part.
pub const PART_FILE: &str = "part.tomograph";

/// Which scan a part is of, and what its share was. All but the last group is the same in all parts of a scan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    /// Of the program.
    pub(crate) version: String,
    /// Ids, in the registry's order.
    pub(crate) metrics: Vec<String>,
    /// With nothing left open.
    pub(crate) options: Options,
    /// `--cell`, as typed.
    pub(crate) overrides: Vec<String>,
    pub(crate) partial: bool,
    pub(crate) ignored_config_keys: Vec<String>,
    /// Tokens of each sequence of the whole text.
    pub(crate) lengths: Vec<usize>,
    /// Of each the tokens that the loss is of, where it is not of all.
    pub(crate) positions: Option<Vec<Vec<usize>>>,
    /// The imatrix that the inputs were taken from, in words.
    pub(crate) imatrix: bool,
    pub(crate) gguf: Option<GgufHeader>,
    pub(crate) model: Skeleton,
    /// What cells are taken from.
    pub(crate) base: Option<Skeleton>,
    /// Of the scan, were it made by this part alone.
    pub(crate) provenance: Provenance,

    /// The part in the user's words: `3/16`, `L0-13`.
    pub(crate) cut: String,
    pub(crate) shares: Shares,
    /// Worker threads.
    pub(crate) threads: usize,
}

impl About {
    /// How the model was opened.
    ///
    /// # Errors
    /// A `--cell` that is none.
    pub(crate) fn open_options(&self) -> anyhow::Result<OpenOptions> {
        let overrides: Result<Vec<_>, _> = self.overrides.iter().map(|text| text.parse()).collect();
        Ok(OpenOptions { cell_overrides: overrides?, partial: self.partial })
    }
}

/// What a part knows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct States {
    /// Columns of metrics of the weights and of a comparison, as JSON.
    pub(crate) columns: Vec<u8>,
    /// Tables of what is no cell, as JSON.
    pub(crate) beside: Vec<u8>,
    pub(crate) activations: Option<Vec<u8>>,
    pub(crate) gradients: Option<Vec<u8>>,
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) causal: Option<Vec<u8>>,
}

/// A part of a scan.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    pub(crate) about: About,
    pub(crate) states: States,
    /// What errors call it: its file, say.
    pub(crate) name: String,
}

impl Part {
    /// As the bytes of a file.
    ///
    /// # Errors
    /// What it knows cannot be written.
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let about = serde_json::to_vec(&self.about)?;
        let states = postcard::to_stdvec(&self.states)?;
        let mut bytes = MAGIC.to_vec();
        for length in [about.len(), states.len()] {
            bytes.extend((length as u64).to_le_bytes());
        }
        bytes.extend(about);
        bytes.extend(states);
        Ok(bytes)
    }

    /// From the bytes of a file; `name` is what errors call it.
    ///
    /// # Errors
    /// They are those of something else, damaged, or cut short.
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> anyhow::Result<Self> {
        let name = name.into();
        let read = || -> anyhow::Result<(About, States)> {
            let rest = bytes.strip_prefix(MAGIC).context("expected a file that begins with tomograph.part/1")?;
            let (about, rest) = rest.split_first_chunk().context("it is cut short")?;
            let (states, rest) = rest.split_first_chunk().context("it is cut short")?;
            let [about, states] =
                [about, states].map(|length| usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX));
            let (about, rest) = rest.split_at_checked(about).context("it is cut short")?;
            ensure!(rest.len() == states, "it is cut short: expected {states} bytes of states, found {}", rest.len());
            let about: About = serde_json::from_slice(about).context("what it says of itself is not understood")?;
            let states = postcard::from_bytes(rest).context("what it knows is not understood")?;
            Ok((about, states))
        };
        let (about, states) = read().with_context(|| format!("{name} is not a whole part of a scan"))?;
        Ok(Self { about, states, name })
    }

    /// Reads a part from its file, or from the folder that holds it.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file: PathBuf = if path.is_dir() { path.join(PART_FILE) } else { path.to_owned() };
        if path.is_dir() && !file.exists() {
            bail!(
                "there is no part of a scan in {}\n  expected: {PART_FILE}\n  hint: map writes it with --shard, --layers or --cells; a \
                 scan that was interrupted leaves none",
                path.display()
            );
        }
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::from_bytes(&bytes, path.display().to_string())
    }

    /// The part in the user's words: `3/16`, `L0-13`.
    pub fn cut(&self) -> &str {
        &self.about.cut
    }

    /// What it works on.
    pub fn shares(&self) -> &Shares {
        &self.about.shares
    }

    /// The model that the scan is of, recognised without its weights.
    ///
    /// # Errors
    /// It is not recognised.
    pub(crate) fn model(&self, skeleton: &Skeleton) -> anyhow::Result<Model> {
        Ok(Model::open(skeleton.clone().source(), &self.about.open_options()?)?)
    }
}
