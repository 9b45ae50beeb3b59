//! Importance matrices as llama.cpp keeps them: how large the inputs of each tensor were on somebody's text.
//!
//! Both of its formats are read and written: GGUF (since 2025), and the older `.dat`. [`ImatrixObserver`] collects one
//! over a pass, [`scan_imatrix`] scores a model by one without running it.

mod collect;
mod gguf;
mod legacy;
mod names;
mod scan;
mod statistics;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use tomo_checkpoint::{Error, ErrorKind};

pub use collect::ImatrixObserver;
pub use names::{ImatrixName, imatrix_names};
pub use scan::scan_imatrix;
pub use statistics::{ImatrixStatistics, LayerStatistics, TensorStatistics};

/// Longest name of a tensor in llama.cpp, without the end mark; of the entry's tensors, so the suffix counts.
const LONGEST_NAME: usize = 63;

/// The sums of one tensor's inputs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ImatrixEntry {
    /// Sum of x_j^2 over tokens, input column by input column, matrix by matrix: `[n_mat, n]`. Not negative, finite.
    pub in_sum2: Vec<f64>,
    /// Tokens of each matrix, `[n_mat]`; a single one stands for all matrices. Of a legacy file: calls, by which the sums are
    /// scaled.
    pub counts: Vec<u64>,
    /// Sum of x_j, likewise, where it was collected.
    pub in_sum: Option<Vec<f64>>,
}

impl ImatrixEntry {
    /// Mean square of each input column of matrix number `matrix` of `matrices`, `[cols]`, and the tokens behind it; `None`
    /// when no token came to it.
    ///
    /// # Errors
    /// When the entry is of another size; `name` is for the message.
    pub fn mean_squares(
        &self,
        name: &str,
        matrix: usize,
        matrices: usize,
        cols: usize,
    ) -> Result<Option<(Vec<f64>, u64)>, Error> {
        if !self.fits(matrices, cols) || matrix >= matrices {
            return Err(self.misfit(name, matrices, cols));
        }
        let count = self.count(matrix);
        let sums = &self.in_sum2[matrix * cols..][..cols];
        Ok((count > 0).then(|| (sums.iter().map(|sum| sum / count as f64).collect(), count)))
    }

    /// What llama-quantize weighs errors by, `[matrices, cols]`: sums divided by counts in f32, as it does; 1 for a matrix that
    /// no token came to.
    ///
    /// # Errors
    /// When the entry is of another size; `name` is for the message.
    pub fn importances(&self, name: &str, matrices: usize, cols: usize) -> Result<Vec<f32>, Error> {
        if !self.fits(matrices, cols) {
            return Err(self.misfit(name, matrices, cols));
        }
        let divided = |(at, sum): (usize, &f64)| match self.count(at / cols.max(1)) {
            0 => 1.0,
            count => *sum as f32 / count as f32,
        };
        Ok(self.in_sum2.iter().enumerate().map(divided).collect())
    }

    fn fits(&self, matrices: usize, cols: usize) -> bool {
        let counts = self.counts.len();
        matrices.checked_mul(cols) == Some(self.in_sum2.len()) && (counts == 1 || counts == matrices)
    }

    fn count(&self, matrix: usize) -> u64 {
        if self.counts.len() == 1 { self.counts[0] } else { self.counts.get(matrix).copied().unwrap_or(0) }
    }

    fn misfit(&self, name: &str, matrices: usize, cols: usize) -> Error {
        Error::new(ErrorKind::Malformed, "imatrix entry does not fit the model's tensor")
            .in_tensor(name)
            .expected(format!("{matrices} x {cols} sums, with 1 or {matrices} counts"))
            .found(format!("{} sums, {} counts", self.in_sum2.len(), self.counts.len()))
            .hint("an imatrix belongs to one model; was this one made for another?")
    }
}

/// An importance matrix.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Imatrix {
    /// By the GGUF name of the tensor, `blk.0.attn_q.weight`.
    pub entries: BTreeMap<String, ImatrixEntry>,
    /// The texts it was made on, as whoever made it named them.
    pub datasets: Vec<String>,
    /// Chunks of text.
    pub chunk_count: u32,
    /// Tokens per chunk; 0 where the file does not say (legacy).
    pub chunk_size: u32,
}

/// How an imatrix is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImatrixFormat {
    /// GGUF, what llama.cpp writes today.
    Gguf,
    /// The `.dat` of older versions, which some programs still ask for.
    Legacy,
}

impl Imatrix {
    /// Reads either format.
    ///
    /// # Errors
    /// A file that is not there, is no imatrix, is damaged, or holds sums that are negative or not finite.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let io = |e| Error::io(path, e);
        let mut magic = [0; 4];
        let mut file = File::open(path).map_err(io)?;
        let is_gguf = file.read_exact(&mut magic).is_ok() && &magic == b"GGUF";
        if is_gguf {
            return gguf::read(tomo_checkpoint::open(path)?.as_ref()).map_err(|e| e.in_file(path));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        legacy::parse(&bytes).map_err(|e| e.in_file(path))
    }

    /// Reads either format from memory.
    ///
    /// # Errors
    /// As [`Imatrix::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.starts_with(b"GGUF") {
            return gguf::read(tomo_checkpoint::from_bytes(bytes.to_vec(), tomo_checkpoint::Format::Gguf)?.as_ref());
        }
        legacy::parse(bytes)
    }

    /// Writes it. The same imatrix gives the same bytes; sums are stored in f32.
    ///
    /// The legacy format has no place for tokens per chunk and for counts by expert: it keeps means, so that experts which
    /// saw no token are written as 1 everywhere (llama.cpp does the same), and of several datasets only the last.
    ///
    /// # Errors
    /// When `output` fails, there is no entry, an entry's counts do not go with its sums, or a name is too long.
    pub fn write(&self, format: ImatrixFormat, output: &mut impl Write) -> Result<(), Error> {
        self.check()?;
        match format {
            ImatrixFormat::Gguf => gguf::build(self)?.write_to(output),
            ImatrixFormat::Legacy => {
                let bytes = legacy::bytes(self)?;
                let failed = |e: std::io::Error| Error::new(ErrorKind::Io, "cannot write imatrix").found(e.to_string());
                output.write_all(&bytes).and_then(|()| output.flush()).map_err(failed)
            }
        }
    }

    /// What every imatrix keeps, whoever wrote it.
    fn check(&self) -> Result<(), Error> {
        if self.entries.is_empty() {
            return Err(Error::new(ErrorKind::Malformed, "imatrix without entries")
                .expected("sums for at least one tensor")
                .found("none"));
        }
        for (name, entry) in &self.entries {
            let wrong = |what: &str, expected: &str, found: String| {
                Err(Error::new(ErrorKind::Malformed, what).in_tensor(name).expected(expected).found(found))
            };
            let (sums, counts) = (entry.in_sum2.len(), entry.counts.len());
            if sums == 0 || counts == 0 || !sums.is_multiple_of(counts) {
                let found = format!("{sums} sums, {counts} counts");
                return wrong("imatrix entry of odd size", "sums that are a multiple of the counts", found);
            }
            if let Some(bad) = entry.in_sum2.iter().find(|sum| !(sum.is_finite() && **sum >= 0.0)) {
                return wrong("imatrix entry that is no sum of squares", "finite numbers, 0 or more", bad.to_string());
            }
            let signed = entry.in_sum.as_ref();
            if signed.is_some_and(|sum| sum.len() != sums || sum.iter().any(|x| !x.is_finite())) {
                return wrong("imatrix entry with odd signed sums", "as many as squares, finite", "other".to_owned());
            }
            if name.is_empty() || name.contains('\0') {
                return wrong("imatrix entry without a usable name", "the name of a tensor", name.clone());
            }
        }
        Ok(())
    }
}
