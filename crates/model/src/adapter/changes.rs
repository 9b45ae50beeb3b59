//! An adapter on a grid: what becomes of every cell.

use std::collections::BTreeMap;
use std::sync::Arc;

use tomo_checkpoint::TensorInfo;
use tomo_map::{CellId, Grid};

use super::factors::FactorSource;
use super::ground::{Ground, widths_of};
use super::names::Role;
use super::place::{Naming, Site, twice};
use super::{Adapter, Factors, Module};
use crate::cell::CellSource;
use crate::dims::Dims;
use crate::error::{ModelError, quoted};
use crate::model::Model;

/// What a tensor is called that is known to no rule of the family.
pub(super) const NOT_UNDERSTOOD: &str = "not understood";

/// What an adapter does to one cell.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// Nothing.
    None,
    /// A product of factors is added.
    LowRank(Box<FactorSource>),
    /// It is replaced by a matrix that the adapter holds whole: the number of its cell in [`Changes::whole`].
    Whole(usize),
}

/// Something in an adapter that the grid does not show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffGrid {
    /// The tensor.
    pub tensor: TensorInfo,
    /// What it is.
    pub what: &'static str,
}

/// What an adapter does to the cells of a grid.
#[derive(Debug)]
pub struct Changes {
    pub(super) adapter: Arc<Adapter>,
    pub(super) family: String,
    pub(super) dims: Dims,
    pub(super) grid: Grid,
    pub(super) cells: Vec<Change>,
    pub(super) whole: Option<Model>,
    pub(super) off_grid: Vec<OffGrid>,
}

impl Changes {
    /// The adapter.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Family of the base: its own, or what the names of the adapter's modules say.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// Dimensions of the base, or what of them the adapter tells.
    pub fn dims(&self) -> &Dims {
        &self.dims
    }

    /// The cells: all of the base, or those that the adapter changes where there is none.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// What becomes of each cell, in the grid's order.
    pub fn cells(&self) -> &[Change] {
        &self.cells
    }

    /// Cells that the adapter holds whole, as a model of their own.
    pub fn whole(&self) -> Option<&Model> {
        self.whole.as_ref()
    }

    /// What the adapter changes beside the grid: embeddings, biases, norms, the head, modules that are no cells.
    pub fn off_grid(&self) -> &[OffGrid] {
        &self.off_grid
    }

    /// Decodes the factors of cell number `index`; `None` for a cell that the adapter holds whole. Of a cell that it does not
    /// change, factors of rank 0.
    ///
    /// # Errors
    /// When a tensor cannot be decoded.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn factors(&self, index: usize) -> Result<Option<Factors>, ModelError> {
        let cell = &self.grid.cells[index];
        match &self.cells[index] {
            Change::LowRank(place) => place.load(self.adapter.source.as_ref()).map(Some),
            Change::Whole(_) => Ok(None),
            Change::None => {
                let [rows, cols] =
                    [cell.out_features, cell.in_features].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
                Ok(Some(Factors::none(rows, cols)))
            }
        }
    }

    /// Bytes of the adapter that say what becomes of cell number `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn bytes(&self, index: usize) -> u64 {
        match (&self.cells[index], &self.whole) {
            (Change::LowRank(place), _) => place.bytes(),
            (Change::Whole(at), Some(whole)) => whole.cell_bytes(*at),
            _ => 0,
        }
    }
}

impl Adapter {
    /// What the adapter does to the cells of `base`. Every shape is compared with the base's, every rank with the
    /// configuration's.
    ///
    /// # Errors
    /// An adapter none of whose modules is a cell of the base, or that was trained on a base of other shapes; ranks that
    /// contradict the configuration.
    pub fn against(self: &Arc<Self>, base: &Model) -> Result<Changes, ModelError> {
        let naming = base.entry().and_then(|family| Naming::best(&family.hugging_face, &self.tensor_names()));
        let ground = Ground { naming, widths: widths_of(base), base: Some(base) };
        let placed = self.place(&ground)?;
        if placed.sites.is_empty() && placed.whole.is_empty() {
            return Err(self.fits_nothing(base));
        }
        let grid = base.grid().clone();
        self.changes(base.family().to_owned(), *base.dims(), grid, placed)
    }

    /// Names of the base's tensors that the adapter changes.
    pub(super) fn tensor_names(&self) -> Vec<String> {
        let modules = self.modules.iter().map(|m| format!("{}.weight", m.name));
        modules.chain(self.whole.iter().map(|(name, _)| name.clone())).collect()
    }

    fn fits_nothing(&self, base: &Model) -> ModelError {
        let first = self.tensor_names().into_iter().next().unwrap_or_default();
        let some = base.entry().and_then(|f| f.hugging_face.cells.first());
        let expected = some.map_or_else(|| base.cells().first().map_or("", |c| c.tensor.as_str()), |rule| rule.tensor);
        ModelError::Adapter {
            what: "none of the adapter's modules is a cell of the base".into(),
            tensor: quoted(&first),
            expected: format!("names like {} ({})", quoted(expected), base.family()),
            found: self.config.base.as_ref().map_or("another".to_owned(), |b| format!("an adapter of {}", quoted(b))),
            hint: "give the base it was trained on with --against".into(),
        }
    }

    /// Finds the cells of every module.
    pub(super) fn place(&self, ground: &Ground<'_>) -> Result<Placed, ModelError> {
        let exact = ground.exact();
        let mut placed = Placed::default();
        for (number, module) in self.modules.iter().enumerate() {
            let sites = ground.sites(module, &exact)?;
            if sites.is_empty() {
                placed.keys.push(module.name.clone());
                placed.of_keys.push((number, None));
                let what = ground
                    .what(&format!("{}.weight", module.name))
                    .map_or("factors of a module that is no cell", factors_of);
                let tensors = [Some(&module.a), Some(&module.b), module.magnitude.as_ref()];
                placed.off_grid.extend(tensors.into_iter().flatten().map(|t| OffGrid { tensor: t.clone(), what }));
            }
            for site in sites {
                placed.keys.push(site.key.clone());
                placed.of_keys.push((number, Some(placed.sites.len())));
                placed.sites.push((number, site));
            }
        }
        for (name, tensor) in &self.whole {
            let cells = ground.whole(name, tensor, &exact)?;
            if cells.is_empty() {
                let what = ground
                    .what(name)
                    .map_or_else(|| if name.ends_with(".bias") { "bias" } else { NOT_UNDERSTOOD }, crate::Role::name);
                placed.off_grid.push(OffGrid { tensor: tensor.clone(), what });
            }
            placed.whole.extend(cells);
        }
        placed
            .off_grid
            .extend(self.off_grid.iter().map(|(tensor, role)| OffGrid { tensor: tensor.clone(), what: named(*role) }));
        Ok(placed)
    }

    /// From places to changes, in the order of `grid`.
    pub(super) fn changes(
        self: &Arc<Self>,
        family: String,
        dims: Dims,
        grid: Grid,
        placed: Placed,
    ) -> Result<Changes, ModelError> {
        let ranks = self.ranks(&placed)?;
        let Placed { sites, whole, off_grid, .. } = placed;
        let mut by_cell: BTreeMap<CellId, (&str, Change)> = BTreeMap::new();
        for ((number, site), (rank, alpha)) in sites.iter().zip(ranks) {
            let module = &self.modules[*number];
            let change = Change::LowRank(Box::new(self.factor_source(module, site, rank, alpha)));
            if let Some((first, _)) = by_cell.insert(site.cell.id, (&module.b.name, change)) {
                return Err(twice(site.cell.id, first, &module.b.name));
            }
        }
        let mut whole = whole;
        whole.sort_by_key(|cell| cell.id);
        for (at, cell) in whole.iter().enumerate() {
            if let Some((first, _)) = by_cell.insert(cell.id, (&cell.tensor, Change::Whole(at))) {
                return Err(twice(cell.id, first, &cell.tensor));
            }
        }
        let cells =
            grid.cells.iter().map(|cell| by_cell.remove(&cell.id).map_or(Change::None, |(_, change)| change)).collect();
        if let Some((id, (tensor, _))) = by_cell.into_iter().next() {
            return Err(ModelError::Unsupported {
                tensor: quoted(tensor),
                reason: format!("changes {id}, which the base has not"),
            });
        }
        let whole = (!whole.is_empty()).then(|| self.as_model(&family, &grid, whole));
        Ok(Changes { adapter: Arc::clone(self), family, dims, grid, cells, whole, off_grid })
    }

    /// Cells that the adapter holds whole, all of them in `grid`.
    fn as_model(&self, family: &str, grid: &Grid, whole: Vec<CellSource>) -> Model {
        let in_grid = |w: &CellSource| grid.cells.binary_search_by_key(&w.id, |c| c.id).ok();
        let cells = whole.iter().filter_map(in_grid).map(|at| grid.cells[at].clone()).collect();
        let held = Grid { layers: grid.layers, cells, missing: Vec::new() };
        Model::from_parts(Arc::clone(&self.source), family.to_owned(), held, whole)
    }

    /// Rank and alpha of every site; checks the ranks of all modules, those beside the grid too.
    fn ranks(&self, placed: &Placed) -> Result<Vec<(u64, f64)>, ModelError> {
        let keys: Vec<&str> = placed.keys.iter().map(String::as_str).collect();
        let found = self.config.ranks_and_alphas(&keys)?;
        let mut of_sites = Vec::with_capacity(placed.sites.len());
        for ((number, site), (rank, alpha)) in placed.of_keys.iter().zip(found) {
            let module = &self.modules[*number];
            let experts = site.and_then(|at| placed.sites[at].1.expert).map_or(1, |(_, experts)| experts);
            if Some(module.inner()) != rank.checked_mul(experts) {
                let of = if experts == 1 { String::new() } else { format!(" for each of {experts} experts") };
                return Err(ModelError::Adapter {
                    what: "the factors have another rank than the configuration says".into(),
                    tensor: quoted(&module.a.name),
                    expected: format!("{rank} rows{of}"),
                    found: format!("{} rows", module.inner()),
                    hint: "adapter_config.json and the weights are of different adapters, or a pattern does not match"
                        .into(),
                });
            }
            if site.is_some() {
                of_sites.push((rank, alpha));
            }
        }
        Ok(of_sites)
    }

    fn factor_source(&self, module: &Module, site: &Site, rank: u64, alpha: f64) -> FactorSource {
        FactorSource {
            a: module.a.clone(),
            b: module.b.clone(),
            magnitude: module.magnitude.clone(),
            storage: site.cell.storage,
            out_features: site.cell.out_features,
            in_features: site.cell.in_features,
            rank,
            alpha,
            scaling: self.config.scaling(rank, alpha),
            expert: site.expert,
        }
    }
}

/// Where everything in an adapter belongs.
#[derive(Default)]
pub(super) struct Placed {
    /// Numbers of modules and their cells.
    pub(super) sites: Vec<(usize, Site)>,
    /// Cells that are held whole.
    pub(super) whole: Vec<CellSource>,
    pub(super) off_grid: Vec<OffGrid>,
    /// What patterns are compared with, and the module and site that each is of.
    keys: Vec<String>,
    of_keys: Vec<(usize, Option<usize>)>,
}

fn factors_of(role: crate::Role) -> &'static str {
    match role {
        crate::Role::Embedding => "factors of the embedding",
        crate::Role::Head => "factors of the head",
        crate::Role::Router => "factors of a router",
        _ => "factors of a module that is no cell",
    }
}

fn named(role: Role) -> &'static str {
    match role {
        Role::OfEmbedding => "factors of the embedding",
        Role::OfTokens => "rows of the embedding",
        _ => "bias",
    }
}
