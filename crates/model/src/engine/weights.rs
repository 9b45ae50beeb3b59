//! The weights of one block, decoded.

use std::ops::Range;

use tomo_map::{CellId, Component};

use super::error::EngineError;
use super::ops::NormWeights;
use super::tap::CellWeights;
use crate::architecture::{Experts, HeadNorm, Layer, Norm, Span};
use crate::error::quoted;
use crate::model::Model;

/// One or more cells that read the same input, row after row in one matrix.
pub(crate) struct Joined {
    /// `[m, n]`, row-major.
    pub(crate) values: Vec<f32>,
    /// `[m]`; cells without a bias have zeros where another has one.
    pub(crate) bias: Option<Vec<f32>>,
    /// n.
    pub(crate) inputs: usize,
    /// m.
    pub(crate) outputs: usize,
    /// The cells, in the order of their rows.
    pub(crate) parts: Vec<JoinedPart>,
}

/// One cell of a joined matrix.
pub(crate) struct JoinedPart {
    /// Index in the grid.
    pub(crate) cell: usize,
    pub(crate) component: Component,
    pub(crate) rows: Range<usize>,
    /// Whether the cell itself has a bias.
    pub(crate) has_bias: bool,
}

/// An MLP, or one expert.
pub(crate) struct MlpWeights {
    /// up, then gate where there is one.
    pub(crate) up_gate: Joined,
    pub(crate) down: Joined,
}

/// A mixture.
pub(crate) struct MixtureWeights {
    /// `[E, D]`.
    pub(crate) router: Vec<f32>,
    pub(crate) experts: Vec<MlpWeights>,
}

/// Dense or mixed.
pub(crate) enum FeedForward {
    Dense(MlpWeights),
    Mixture(MixtureWeights),
}

/// Everything that one block multiplies with.
pub(crate) struct BlockWeights {
    pub(crate) attention_in: Option<NormWeights>,
    pub(crate) attention_out: Option<NormWeights>,
    pub(crate) mlp_in: Option<NormWeights>,
    pub(crate) mlp_out: Option<NormWeights>,
    pub(crate) query_norm: Option<NormWeights>,
    pub(crate) key_norm: Option<NormWeights>,
    /// q, k, v.
    pub(crate) qkv: Joined,
    pub(crate) o: Joined,
    pub(crate) mlp: FeedForward,
}

impl BlockWeights {
    /// Decodes block `layer`, gives its pages back, and looks for what is not finite.
    pub(crate) fn load(model: &Model, hidden: usize, layer: u32, spec: &Layer) -> Result<Self, EngineError> {
        use Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};
        let attention = &spec.attention;
        let (query, shared) = (attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim);
        let norm = |norm: &Option<Norm>| norm.as_ref().map(|n| load_norm(model, n, hidden, hidden)).transpose();
        let head_norm = |norm: &Option<HeadNorm>, all: usize| {
            let one = |n: &HeadNorm| match n.span {
                Span::Head => load_norm(model, &n.norm, attention.head_dim, all),
                Span::All => load_norm(model, &n.norm, all, all),
            };
            norm.as_ref().map(one).transpose()
        };
        let cells = |components: &[Component], expert| Joined::load(model, layer, components, expert);
        let up_gate: &[Component] = if spec.mlp.gated { &[MlpUp, MlpGate] } else { &[MlpUp] };
        let mlp = |expert| -> Result<MlpWeights, EngineError> {
            Ok(MlpWeights { up_gate: cells(up_gate, expert)?, down: cells(&[MlpDown], expert)? })
        };
        let block = Self {
            attention_in: norm(&spec.attention_in)?,
            attention_out: norm(&spec.attention_out)?,
            mlp_in: norm(&spec.mlp_in)?,
            mlp_out: norm(&spec.mlp_out)?,
            query_norm: head_norm(&attention.query_norm, query)?,
            key_norm: head_norm(&attention.key_norm, shared)?,
            qkv: cells(&[AttnQ, AttnK, AttnV], None)?,
            o: cells(&[AttnO], None)?,
            mlp: match &spec.mlp.experts {
                None => FeedForward::Dense(mlp(None)?),
                Some(experts) => FeedForward::Mixture(load_mixture(model, hidden, experts, mlp)?),
            },
        };
        block.check(hidden, query, shared)?;
        Ok(block)
    }

    /// Cells fit the config one by one since the model was opened; here they must fit each other.
    fn check(&self, hidden: usize, query: usize, shared: usize) -> Result<(), EngineError> {
        let expect = |joined: &Joined, inputs: usize, outputs: Option<usize>| {
            let fits = joined.inputs == inputs && outputs.is_none_or(|m| m == joined.outputs);
            if fits { Ok(()) } else { Err(joined.misfit(inputs, outputs)) }
        };
        expect(&self.qkv, hidden, Some(query + 2 * shared))?;
        expect(&self.o, query, Some(hidden))?;
        for mlp in self.mlps() {
            expect(&mlp.up_gate, hidden, Some(mlp.up_gate.parts.len() * mlp.down.inputs))?;
            expect(&mlp.down, mlp.down.inputs, Some(hidden))?;
        }
        Ok(())
    }

    fn mlps(&self) -> &[MlpWeights] {
        match &self.mlp {
            FeedForward::Dense(mlp) => std::slice::from_ref(mlp),
            FeedForward::Mixture(mixture) => &mixture.experts,
        }
    }

    /// Every cell of the block with its weights.
    pub(crate) fn cells(&self) -> impl Iterator<Item = CellWeights<'_>> {
        let joined = [&self.qkv, &self.o].into_iter();
        joined.chain(self.mlps().iter().flat_map(|m| [&m.up_gate, &m.down])).flat_map(Joined::cells)
    }
}

impl Joined {
    fn load(model: &Model, layer: u32, components: &[Component], expert: Option<u32>) -> Result<Self, EngineError> {
        let (mut parts, mut inputs, mut rows) = (Vec::new(), 0, 0);
        for &component in components {
            let id = CellId { layer, component, expert };
            let cell =
                model.cells().binary_search_by_key(&id, |c| c.id).map_err(|_| EngineError::MissingCell { cell: id })?;
            let (m, n) = model.cell_shape(cell)?;
            if parts.is_empty() {
                inputs = n;
            }
            parts.push(JoinedPart { cell, component, rows: rows..rows + m, has_bias: false });
            rows += m;
        }
        let mut joined = Self { values: vec![0.0; rows * inputs], bias: None, inputs, outputs: rows, parts };
        for at in 0..joined.parts.len() {
            joined.load_part(model, at)?;
        }
        Ok(joined)
    }

    fn load_part(&mut self, model: &Model, at: usize) -> Result<(), EngineError> {
        let Self { values, bias, inputs, outputs, parts } = self;
        let part = &mut parts[at];
        let cell = &model.cells()[part.cell];
        if model.cell_shape(part.cell)?.1 != *inputs {
            return Err(EngineError::Size {
                what: cell.id.to_string(),
                tensor: quoted(&cell.tensor),
                expected: format!("{inputs} columns, as the cells that read the same input"),
                found: cell.in_features.to_string(),
            });
        }
        let own = &mut values[part.rows.start * *inputs..part.rows.end * *inputs];
        model.load_into(part.cell, own)?;
        model.release(part.cell);
        check_finite(own, &cell.tensor, |at| format!("row {}, column {} of {}", at / *inputs, at % *inputs, cell.id))?;
        if let Some(own) = model.load_bias(part.cell)? {
            check_finite(&own, &cell.tensor, |at| format!("entry {at} of the bias of {}", cell.id))?;
            part.has_bias = true;
            bias.get_or_insert_with(|| vec![0.0; *outputs])[part.rows.clone()].copy_from_slice(&own);
        }
        Ok(())
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = CellWeights<'_>> {
        self.parts.iter().map(|part| CellWeights {
            cell: part.cell,
            values: &self.values[part.rows.start * self.inputs..part.rows.end * self.inputs],
            cols: self.inputs,
        })
    }

    fn misfit(&self, inputs: usize, outputs: Option<usize>) -> EngineError {
        let names: Vec<&str> = self.parts.iter().map(|p| p.component.id()).collect();
        EngineError::Size {
            what: names.join(", "),
            tensor: format!("of the {} rows that read the same input", self.outputs),
            expected: format!("{} x {inputs}", outputs.map_or("any".to_owned(), |m| m.to_string())),
            found: format!("{} x {}", self.outputs, self.inputs),
        }
    }
}

fn load_mixture(
    model: &Model,
    hidden: usize,
    spec: &Experts,
    mlp: impl Fn(Option<u32>) -> Result<MlpWeights, EngineError>,
) -> Result<MixtureWeights, EngineError> {
    let router = load_vector(model, &spec.router, "the router", &[spec.count * hidden])?;
    let experts = (0..spec.count).map(|e| mlp(u32::try_from(e).ok())).collect::<Result<_, _>>()?;
    Ok(MixtureWeights { router, experts })
}

/// Loads a norm whose weight has `width` entries, or `all` (one set per head).
pub(crate) fn load_norm(model: &Model, norm: &Norm, width: usize, all: usize) -> Result<NormWeights, EngineError> {
    let joined = |names: &[String]| -> Result<Vec<f32>, EngineError> {
        let one = |name: &String| load_vector(model, name, "a norm", &[width, all]);
        match names {
            [name] => one(name),
            _ => names.iter().map(one).collect::<Result<Vec<_>, _>>().map(|parts| parts.concat()),
        }
    };
    let mut weight = joined(&norm.weight)?;
    if weight.len() != width && weight.len() != all {
        return Err(EngineError::Size {
            what: "a norm".to_owned(),
            tensor: norm.weight.first().map(|n| quoted(n)).unwrap_or_default(),
            expected: format!("{width} or {all} entries"),
            found: weight.len().to_string(),
        });
    }
    weight.iter_mut().for_each(|w| *w += norm.weight_offset);
    let bias = if norm.bias.is_empty() { None } else { Some(joined(&norm.bias)?) };
    Ok(NormWeights { kind: norm.kind, epsilon: norm.epsilon, weight, bias })
}

/// Decodes a whole tensor of one of the `expected` numbers of entries.
pub(crate) fn load_vector(model: &Model, name: &str, what: &str, expected: &[usize]) -> Result<Vec<f32>, EngineError> {
    let source = model.source();
    let entries = source.tensor(name).map_or(0, |t| t.numel());
    if !expected.iter().any(|n| *n as u64 == entries) {
        let sizes: Vec<String> = expected.iter().map(ToString::to_string).collect();
        return Err(EngineError::Size {
            what: what.to_owned(),
            tensor: quoted(name),
            expected: format!("{} entries", sizes.join(" or ")),
            found: entries.to_string(),
        });
    }
    let mut values = vec![0.0; usize::try_from(entries).unwrap_or(0)];
    source.decode(name, 0..entries, &mut values)?;
    check_finite(&values, name, |at| format!("entry {at}"))?;
    Ok(values)
}

/// Names the first entry that is NaN or infinite.
pub(crate) fn check_finite(values: &[f32], tensor: &str, place: impl Fn(usize) -> String) -> Result<(), EngineError> {
    match crate::load::first_not_finite(values) {
        None => Ok(()),
        Some(at) => Err(EngineError::NotFinite { tensor: quoted(tensor), place: place(at), value: values[at] }),
    }
}
