//! Recognising a checkpoint and sorting its tensors.

use std::collections::BTreeSet;
use std::sync::Arc;

use tomo_checkpoint::{Config, Source, TensorInfo};
use tomo_map::{Cell, Component, Grid, MissingColumn};

use crate::arch::FAMILIES;
use crate::cell::CellSource;
use crate::config::{Keys, family_from_config};
use crate::dims::{Dims, dims_from_config, widths_from_dims};
use crate::error::{ModelError, quoted};
use crate::family::{Dialect, Family, OtherRule, Role};
use crate::listing::Listing;
use crate::model::{Model, NormTensor, OpenOptions, OtherTensor};
use crate::names::TOWERS;
use crate::overrides::cells_from_overrides;
use crate::pattern::numbers_from_name;
use crate::place::check_dtype;
use crate::resolve::{CONVERT, Resolver};

/// Everything that was found out about a checkpoint.
struct Findings {
    family: String,
    entry: Option<&'static Family>,
    dims: Dims,
    cells: Vec<CellSource>,
    others: Vec<OtherTensor>,
    unknown: Vec<TensorInfo>,
}

pub(crate) fn open(source: Arc<dyn Source>, options: &OpenOptions) -> Result<Model, ModelError> {
    let placed = Placed {
        cells: cells_from_overrides(source.as_ref(), &options.cell_overrides)?,
        components: options.cell_overrides.iter().map(|o| o.component).collect(),
        partial: options.partial,
    };
    let findings = match (family_from_config(source.config()), source.config()) {
        (Ok(named), _) => from_family(source.as_ref(), named.family, named.dialect, Some(named.keys), &placed)?,
        (Err(_), Config::Absent) => match from_names(source.as_ref(), &placed)? {
            Some(findings) => findings,
            None if !placed.cells.is_empty() => from_overrides(source.as_ref(), &placed),
            None => return Err(unknown_family(source.as_ref(), "there is no config, and no family fits the names")),
        },
        (Err(_), _) if !placed.cells.is_empty() => from_overrides(source.as_ref(), &placed),
        (Err(what), _) => return Err(unknown_family(source.as_ref(), &what)),
    };
    finish(source, &placed, findings)
}

/// What the user placed with `--cell`.
struct Placed {
    cells: Vec<CellSource>,
    components: BTreeSet<Component>,
    /// Whether cells may be missing.
    partial: bool,
}

fn unknown_family(source: &dyn Source, what: &str) -> ModelError {
    ModelError::UnknownFamily {
        what: what.to_owned(),
        expected: FAMILIES.iter().map(|f| f.id).collect::<Vec<_>>().join(" "),
        listing: Box::new(Listing::new(source.tensors())),
    }
}

/// A checkpoint whose family is known, by its config (`keys`) or as a guess (`None`: dims from shapes).
fn from_family(
    source: &dyn Source,
    family: &'static Family,
    dialect: &'static Dialect,
    keys: Option<Keys<'_>>,
    placed: &Placed,
) -> Result<Findings, ModelError> {
    let prefix = dialect.prefixes.first().copied().unwrap_or_default();
    let fallback = Resolver { source, family, dialect, prefix, overridden: &placed.components };
    let resolver = Resolver::new(source, family, dialect, &placed.components)
        .ok_or_else(|| fallback.missing(0, fallback.components().next().unwrap_or(Component::AttnQ), None))?;
    let (mut dims, widths) = match keys {
        Some(keys) => {
            let dims = dims_from_config(dialect, keys)?;
            (dims, widths_from_dims(&dims)?)
        }
        None => {
            let widths = resolver.widths_from_shapes()?;
            (Dims::from(&widths), widths)
        }
    };
    let mut cells = resolver.cells(&widths, placed.partial)?;
    if cells.is_empty() && placed.cells.is_empty() {
        return Err(resolver.missing(0, resolver.components().next().unwrap_or(Component::AttnQ), None));
    }
    cells.extend(placed.cells.iter().cloned());
    cells.sort_by_key(|c| c.id);
    if let Some(beyond) = cells.last().filter(|c| c.id.layer >= dims.layers) {
        return Err(beyond_config(&beyond.tensor, &dims));
    }
    let (others, unknown) = sort_rest(&resolver, &cells, &dims)?;
    check_embedding(&others, &mut dims)?;
    Ok(Findings { family: family.id.to_owned(), entry: Some(family), dims, cells, others, unknown })
}

fn beyond_config(tensor: &str, dims: &Dims) -> ModelError {
    let experts = dims.experts.map_or(String::new(), |e| format!(" and {e} experts"));
    ModelError::Unsupported {
        tensor: quoted(tensor),
        reason: format!("is a second copy of a cell, or beyond the {} layers{experts} of the model", dims.layers),
    }
}

/// Sorts the tensors that hold no cell into recognised and unknown ones.
fn sort_rest(
    resolver: &Resolver<'_>,
    cells: &[CellSource],
    dims: &Dims,
) -> Result<(Vec<OtherTensor>, Vec<TensorInfo>), ModelError> {
    let claimed: BTreeSet<&str> = cells.iter().map(|c| c.tensor.as_str()).collect();
    let (mut others, mut unknown) = (Vec::new(), Vec::new());
    for tensor in resolver.source.tensors().iter().filter(|t| !claimed.contains(t.name.as_str())) {
        match recognised(resolver.dialect, resolver.prefix, &tensor.name) {
            Some((Role::Refused, _)) => {
                return Err(ModelError::Unsupported {
                    tensor: quoted(&tensor.name),
                    reason: "is part of an expert that every token uses; the map has no column for it".to_owned(),
                });
            }
            Some((role, norm)) => others.push(OtherTensor { tensor: tensor.clone(), role, norm }),
            None if resolver.stray_cell(&tensor.name).is_some() => return Err(beyond_config(&tensor.name, dims)),
            None if scales_a_cell(&tensor.name, &claimed) => {
                return Err(ModelError::Unsupported {
                    tensor: quoted(&tensor.name),
                    reason: format!("scales a weight that is stored quantized, which is not supported{CONVERT}"),
                });
            }
            None => unknown.push(tensor.clone()),
        }
    }
    Ok((others, unknown))
}

/// What a tensor is for, and which gains it holds if it is the weight of a norm.
pub(crate) fn recognised(dialect: &Dialect, prefix: &str, name: &str) -> Option<(Role, Option<NormTensor>)> {
    let offset = dialect.arithmetic.norm_offset;
    let find = |rules: &[OtherRule], name: &str| {
        let (rule, numbers) = rules.iter().find_map(|rule| Some((rule, numbers_from_name(rule.tensor, name)?)))?;
        let place = rule.norm.filter(|_| rule.tensor.ends_with("weight"));
        let norm = place.map(|place| NormTensor { place, layer: numbers.layer, head: numbers.other, offset });
        Some((rule.role, norm))
    };
    let below = name.strip_prefix(prefix);
    let below = below.and_then(|name| dialect.others.iter().find_map(|rules| find(rules, name)));
    let tower = || TOWERS.iter().any(|t| name.starts_with(t)).then_some((Role::Tower, None));
    below.or_else(|| find(dialect.root, name)).or_else(tower)
}

/// Quantizers of the Hugging Face world keep the scale of `x.weight` in `x.weight_scale`, `x.weight.absmax` and the
/// like; GGUF in `x.scale`. Reading the weight without it would give a wrong map.
fn scales_a_cell(name: &str, claimed: &BTreeSet<&str>) -> bool {
    let stem = [".weight_scale", ".weight."].iter().find_map(|mark| name.find(mark).map(|at| &name[..at]));
    let stem = stem.or_else(|| name.strip_suffix(".scale"));
    stem.is_some_and(|stem| claimed.contains(format!("{stem}.weight").as_str()))
}

/// The token embedding must be `[V, D]`; where the config is silent about V, its rows are V.
fn check_embedding(others: &[OtherTensor], dims: &mut Dims) -> Result<(), ModelError> {
    let tokens = others.iter().find(|o| o.role == Role::Embedding);
    let Some(OtherTensor { tensor, .. }) = tokens else { return Ok(()) };
    let (rows, columns) = match tensor.shape.as_slice() {
        &[rows, columns] => (rows, columns),
        _ => (0, 0),
    };
    let (vocab, hidden) = (dims.vocab.unwrap_or(rows), dims.hidden.unwrap_or(columns));
    if [vocab, hidden] != tensor.shape.as_slice() {
        return Err(ModelError::Shape {
            what: "the token embedding".to_owned(),
            tensor: quoted(&tensor.name),
            expected: format!("[{vocab}, {hidden}]"),
            found: format!("{:?}", tensor.shape),
        });
    }
    dims.vocab = Some(vocab);
    Ok(())
}

/// A checkpoint without config, by its names. Several families may fit; if they agree about every cell, the first lends
/// its name, with `-like` added since nothing in the file says more.
fn from_names(source: &dyn Source, placed: &Placed) -> Result<Option<Findings>, ModelError> {
    let mut fitting = Vec::new();
    let mut refusal = None;
    for family in FAMILIES {
        match from_family(source, family, &family.hugging_face, None, placed) {
            Ok(found) if found.unknown.is_empty() && has_required(&found) => fitting.push(found),
            // A file that is of this family but for one thing deserves that thing's message, not "unknown family".
            Err(error @ ModelError::Unsupported { .. }) => refusal = refusal.or(Some(error)),
            _ => {}
        }
    }
    let alike = fitting.windows(2).all(|pair| pair[0].cells == pair[1].cells);
    let several = fitting.len() > 1;
    match fitting.into_iter().next() {
        Some(mut first) if alike => {
            if several {
                first.family.push_str("-like");
            }
            Ok(Some(first))
        }
        _ => match refusal {
            Some(error) if placed.cells.is_empty() => Err(error),
            _ => Ok(None),
        },
    }
}

/// Whether every tensor that each member of the family has is there, experts included.
fn has_required(found: &Findings) -> bool {
    let Some(family) = found.entry.filter(|f| f.experts == found.dims.experts.is_some()) else { return false };
    let rules = family.hugging_face.others.iter().copied().flatten().filter(|rule| rule.required);
    let below = |name: &str, rule: &OtherRule| {
        family
            .hugging_face
            .prefixes
            .iter()
            .filter_map(|p| name.strip_prefix(p))
            .any(|name| numbers_from_name(rule.tensor, name).is_some())
    };
    rules.into_iter().all(|rule| found.others.iter().any(|o| below(&o.tensor.name, rule)))
}

/// A checkpoint of no known family whose cells the user named.
fn from_overrides(source: &dyn Source, placed: &Placed) -> Findings {
    let cells = placed.cells.clone();
    let claimed: BTreeSet<&str> = cells.iter().map(|c| c.tensor.as_str()).collect();
    let unknown = source.tensors().iter().filter(|t| !claimed.contains(t.name.as_str())).cloned().collect();
    let layers = cells.iter().map(|c| c.id.layer + 1).max().unwrap_or(0);
    let dims = Dims { layers, ..Dims::default() };
    Findings { family: "custom".to_owned(), entry: None, dims, cells, others: Vec::new(), unknown }
}

fn finish(source: Arc<dyn Source>, placed: &Placed, findings: Findings) -> Result<Model, ModelError> {
    let mut grid = Grid { layers: findings.dims.layers, ..Grid::default() };
    for cell in &findings.cells {
        let Some(tensor) = source.tensor(&cell.tensor) else { continue };
        check_dtype(cell.id, tensor)?;
        grid.cells.push(Cell {
            id: cell.id,
            out_features: cell.out_features,
            in_features: cell.in_features,
            tensor: cell.tensor.clone(),
            dtype: tensor.dtype.name().to_owned(),
        });
    }
    for component in Component::ALL.into_iter().filter(|c| !placed.components.contains(c)) {
        let reason = match findings.entry {
            Some(family) => family.missing_reason(component).map(|reason| format!("{}: {reason}", family.id)),
            None => Some("no --cell names it".to_owned()),
        };
        grid.missing.extend(reason.map(|reason| MissingColumn { component, reason }));
    }
    Ok(Model {
        source,
        family: findings.family,
        entry: findings.entry,
        dims: findings.dims,
        grid,
        cells: findings.cells,
        others: findings.others,
        unknown: findings.unknown,
    })
}
