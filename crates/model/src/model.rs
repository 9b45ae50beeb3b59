use std::fmt;
use std::sync::Arc;

use tomo_checkpoint::{Source, TensorInfo};
use tomo_map::Grid;

use crate::architecture::Architecture;
use crate::cell::CellSource;
use crate::dims::Dims;
use crate::error::{ModelError, quoted};
use crate::family::{Family, NormPlace, Role};
use crate::load::{load, load_bias, to_usize};
use crate::overrides::CellOverride;

/// How to open a model.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenOptions {
    /// Cells the user places, on top of a known family or instead of one.
    pub cell_overrides: Vec<CellOverride>,
    /// Whether cells may be missing: the grid is then what is there, instead of an error. At least one must be.
    pub partial: bool,
}

/// A recognised tensor that holds no cell.
#[derive(Clone, PartialEq, Debug)]
pub struct OtherTensor {
    /// The tensor.
    pub tensor: TensorInfo,
    /// What it is for.
    pub role: Role,
    /// Which gains it holds, if it is the weight of a norm.
    pub norm: Option<NormTensor>,
}

/// The gains of a norm.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NormTensor {
    /// Which norm.
    pub place: NormPlace,
    /// The layer it belongs to; none for the last norm.
    pub layer: Option<u32>,
    /// The head it belongs to, where heads have norms of their own.
    pub head: Option<u32>,
    /// Added to what the file holds: the norm multiplies by `offset + w`.
    pub offset: f32,
}

/// A checkpoint whose family is known.
pub struct Model {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) family: String,
    pub(crate) entry: Option<&'static Family>,
    pub(crate) dims: Dims,
    pub(crate) grid: Grid,
    pub(crate) cells: Vec<CellSource>,
    pub(crate) others: Vec<OtherTensor>,
    pub(crate) unknown: Vec<TensorInfo>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, dims, cells, unknown, .. } = self;
        f.debug_struct("Model")
            .field("path", &self.source.path())
            .field("family", family)
            .field("dims", dims)
            .field("cells", &cells.len())
            .field("unknown", &unknown.len())
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Recognises the family of a checkpoint and finds its cells, comparing every shape with the config. Decodes
    /// nothing.
    ///
    /// # Errors
    /// An unknown family, a missing cell, a shape that contradicts the config, weights that need a scale stored
    /// elsewhere, or a `--cell` that fits nothing.
    pub fn open(source: Arc<dyn Source>, options: &OpenOptions) -> Result<Self, ModelError> {
        crate::open::open(source, options)
    }

    /// A model from its parts; `cells` must be sorted and parallel to `grid.cells`.
    pub fn from_parts(source: Arc<dyn Source>, family: String, grid: Grid, cells: Vec<CellSource>) -> Self {
        let dims = Dims { layers: grid.layers, ..Dims::default() };
        Self { source, family, entry: None, dims, grid, cells, others: Vec::new(), unknown: Vec::new() }
    }

    /// Family id, e.g. `llama`; `llama-like` when several families fit a checkpoint without config; `custom` when the
    /// cells were named by the user.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The registry's entry of the family; for `-like` the first that fits, `None` for `custom`.
    pub fn entry(&self) -> Option<&'static Family> {
        self.entry
    }

    /// The model's dimensions.
    pub fn dims(&self) -> &Dims {
        &self.dims
    }

    /// The cells as the map describes them.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Where each cell of the grid is stored, in the grid's order.
    pub fn cells(&self) -> &[CellSource] {
        &self.cells
    }

    /// Recognised tensors that hold no cell: embeddings, norms, biases, heads, routers.
    pub fn others(&self) -> &[OtherTensor] {
        &self.others
    }

    /// Tensors that nothing claims.
    pub fn unknown(&self) -> &[TensorInfo] {
        &self.unknown
    }

    /// The checkpoint.
    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    /// How the model computes, every switch of its config settled.
    ///
    /// # Errors
    /// A config that has a key or a value which is not understood, a tensor that is missing or that nothing reads, a
    /// checkpoint without config or without a language head.
    pub fn architecture(&self) -> Result<Architecture, ModelError> {
        self.architecture_ignoring(&[])
    }

    /// [`Model::architecture`], taking the user's word that these config keys change nothing.
    ///
    /// # Errors
    /// As [`Model::architecture`].
    pub fn architecture_ignoring(&self, keys: &[String]) -> Result<Architecture, ModelError> {
        crate::architecture::resolve(self, keys)
    }

    /// Bytes that cell number `index` takes in the checkpoint.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn cell_bytes(&self, index: usize) -> u64 {
        let cell = &self.cells[index];
        let Some(tensor) = self.source.tensor(&cell.tensor) else { return 0 };
        let (block, bytes) = (tensor.dtype.block_elements() as u64, tensor.dtype.block_bytes() as u64);
        (cell.out_features * cell.in_features).div_ceil(block) * bytes
    }

    /// Decodes cell number `index` into `out`, row-major `out_features x in_features`; `out` is resized to fit. Values
    /// are as stored: NaN and infinity are kept.
    ///
    /// # Errors
    /// When the tensor cannot be decoded.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn load(&self, index: usize, out: &mut Vec<f32>) -> Result<(), ModelError> {
        let (rows, columns) = self.cell_shape(index)?;
        out.resize(rows * columns, 0.0);
        self.load_into(index, out)
    }

    /// [`Model::load`] into a slice of exactly `out_features * in_features` values.
    ///
    /// # Errors
    /// When the tensor cannot be decoded, or the slice has another length.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn load_into(&self, index: usize, out: &mut [f32]) -> Result<(), ModelError> {
        let cell = &self.cells[index];
        let tensor = self.source.tensor(&cell.tensor).ok_or_else(|| ModelError::Unsupported {
            tensor: quoted(&cell.tensor),
            reason: format!("{} is not in the checkpoint any more", cell.id),
        })?;
        let (rows, columns) = self.cell_shape(index)?;
        if out.len() != rows * columns {
            return Err(ModelError::Shape {
                what: cell.id.to_string(),
                tensor: quoted(&cell.tensor),
                expected: format!("{rows} x {columns}"),
                found: format!("room for {} values", out.len()),
            });
        }
        load(self.source.as_ref(), cell, tensor, out)
    }

    /// The bias that is added to what cell number `index` puts out, `[m]`; `None` where it has none.
    ///
    /// # Errors
    /// When the tensor cannot be decoded or does not fit the cell.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn load_bias(&self, index: usize) -> Result<Option<Vec<f32>>, ModelError> {
        load_bias(self.source.as_ref(), &self.cells[index])
    }

    /// m and n of cell number `index`.
    ///
    /// # Errors
    /// A matrix that no memory of this machine can hold.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn cell_shape(&self, index: usize) -> Result<(usize, usize), ModelError> {
        let cell = &self.cells[index];
        to_usize(cell, cell.out_features * cell.in_features)?;
        Ok((to_usize(cell, cell.out_features)?, to_usize(cell, cell.in_features)?))
    }

    /// Says that cell number `index` will not be needed soon, so that its pages can leave memory. A hint; other cells
    /// of the same fused tensor may have to be read from disk again.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn release(&self, index: usize) {
        self.source.release(&self.cells[index].tensor, self.stored_range(index));
    }

    /// Says that cell number `index` will be loaded soon, so that what a store has of it can be on its way. A hint.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn prefetch(&self, index: usize) {
        self.source.prefetch(&self.cells[index].tensor, self.stored_range(index));
    }

    /// Elements of its tensor from the first to the last of the cell.
    fn stored_range(&self, index: usize) -> std::ops::Range<u64> {
        let cell = &self.cells[index];
        let storage = cell.storage;
        if storage.transposed {
            0..self.source.tensor(&cell.tensor).map_or(0, TensorInfo::numel)
        } else {
            let end = storage.start + (storage.count - 1) * storage.stride + storage.length;
            storage.start * cell.in_features..end * cell.in_features
        }
    }
}
