//! llama.cpp's own rule: which type llama-quantize gives each tensor when asked for a mix such as `Q4_K_M`.
//!
//! A mix has a base type; values of attention, outputs of attention and down projections get others, some of them only in the first
//! and last eighth of the layers and in every third between. Written from what llama-quantize does (mainline 0c1e57098,
//! `src/llama-quant.cpp`), and held against what it prints for a real model. Rows that are no whole blocks fall back afterwards.
//!
//! A head of its own, or an embedding that serves as one, gets `q6_k` (`q8_0` where its rows are no whole blocks of the base type);
//! an embedding beside a head gets the base type.

use tomo_map::{CellId, Component, Map, OtherTensor};

use crate::{PlanError, Stored};

/// A mix of llama-quantize.
#[derive(Debug)]
pub struct Mix {
    /// As it is asked for, in small letters: `q4_k_m`.
    pub id: &'static str,
    /// What most tensors get.
    pub base: &'static str,
    value: Raise,
    output: Raise,
    down: Raise,
}

/// Where a mix deviates from its base type.
#[derive(Clone, Copy, Debug)]
enum Raise {
    Never,
    /// Everywhere.
    Always(&'static str),
    /// In the first and last eighth of the layers, and every third between.
    MoreBits(&'static str),
    /// In the first so many layers the first type, elsewhere the second.
    Below(u32, &'static str, &'static str),
    /// As `Below`, for the first so-manieth part of the layers.
    FirstPart(u32, &'static str, &'static str),
    /// Where at least four query heads share a value head; elsewhere the second type.
    Grouped(&'static str, &'static str),
}

use Raise::{Always, Below, FirstPart, Grouped, MoreBits, Never};

const fn mix(id: &'static str, base: &'static str, value: Raise, output: Raise, down: Raise) -> Mix {
    Mix { id, base, value, output, down }
}

/// Every mix, from the fewest bits.
pub static MIXES: &[Mix] = &[
    mix("q2_k", "q2_k", Grouped("q4_k", "q3_k"), Always("q3_k"), Always("q3_k")),
    mix("q3_k_s", "q3_k", Never, Never, Never),
    mix("q3_k_m", "q3_k", Below(2, "q5_k", "q4_k"), Always("q4_k"), FirstPart(16, "q5_k", "q4_k")),
    mix("q3_k_l", "q3_k", Always("q5_k"), Always("q5_k"), Always("q5_k")),
    mix("iq4_xs", "iq4_xs", Grouped("q5_k", "iq4_xs"), Never, FirstPart(8, "q5_k", "iq4_xs")),
    mix("iq4_nl", "iq4_nl", Grouped("q5_k", "iq4_nl"), Never, FirstPart(8, "q5_k", "iq4_nl")),
    mix("q4_0", "q4_0", Never, Never, Never),
    mix("q4_k_s", "q4_k", Below(4, "q5_k", "q4_k"), Never, FirstPart(8, "q5_k", "q4_k")),
    mix("q4_k_m", "q4_k", MoreBits("q6_k"), Never, MoreBits("q6_k")),
    mix("q4_1", "q4_1", Never, Never, Never),
    mix("q5_0", "q5_0", Never, Never, Never),
    mix("q5_k_s", "q5_k", Never, Never, Never),
    mix("q5_k_m", "q5_k", MoreBits("q6_k"), Never, MoreBits("q6_k")),
    mix("q5_1", "q5_1", Never, Never, Never),
    mix("q6_k", "q6_k", Never, Never, Never),
    mix("q8_0", "q8_0", Never, Never, Never),
];

/// The mix called `id`, in small or capital letters.
///
/// # Errors
/// [`PlanError::Rule`].
pub fn find(id: &str) -> Result<&'static Mix, PlanError> {
    MIXES.iter().find(|mix| mix.id.eq_ignore_ascii_case(id)).ok_or_else(|| PlanError::Rule {
        reason: format!("no mix is called {id:?}"),
        known: MIXES.iter().map(|mix| mix.id).collect::<Vec<_>>().join(", "),
    })
}

/// What a mix stores each cell of a map as, fallbacks applied. `imatrix`: whether importances are handed to llama-quantize, which changes
/// three of its rules.
pub fn cells(map: &Map, mix: &'static Mix, imatrix: bool) -> Vec<Stored> {
    let model = Model::of(map, imatrix);
    let cells = map.grid.cells.iter().enumerate();
    cells.map(|(at, cell)| stored(mix.of(&model, model.kind(map, at), cell.id, at)).on(cell.in_features)).collect()
}

/// What a mix stores a tensor that is no cell as; `None` where it is left as it is. `others`: all of them.
pub fn other(map: &Map, mix: &'static Mix, tensor: &OtherTensor, others: &[OtherTensor]) -> Option<Stored> {
    let falcon = map.provenance.family == "falcon";
    let columns = *tensor.shape.last()?;
    let base = stored(mix.base);
    let head = match tensor.role.as_str() {
        "head" => true,
        "embedding" => !others.iter().any(|other| other.role == "head"),
        _ => return None,
    };
    let own = match mix.base {
        _ if !head => base,
        _ if falcon || base.on(columns) != base => stored("q8_0"),
        "q8_0" => base,
        _ => stored("q6_k"),
    };
    Some(own.on(columns))
}

/// A type of the tables above, each of which exists.
fn stored(id: &'static str) -> Stored {
    tomo_blocks::find(id).map_or(Stored::Original { bits: 16 }, Stored::Block)
}

/// What llama-quantize tells tensors apart by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    /// Also query, key and value in one tensor.
    Value,
    Key,
    Output,
    Down,
    Rest,
}

/// What of a model the rule depends on.
struct Model {
    layers: u32,
    /// Query heads per value head, rounded down.
    shared: u64,
    experts: u64,
    falcon: bool,
    /// As many layers and heads as models of 70 billion weights have.
    is_70b: bool,
    imatrix: bool,
    /// Position among the layers that have one of the kind, parallel to the cells; the value's and the down projection's.
    positions: Vec<u32>,
    /// How many have a value.
    values: u32,
}

impl Model {
    fn of(map: &Map, imatrix: bool) -> Self {
        let dim = |letter: &str| map.provenance.dims.get(letter).copied();
        let grid = &map.grid;
        let rows = |c: Component| grid.cells.iter().find(|cell| cell.id.component == c).map(|cell| cell.out_features);
        let shared = match (dim("H"), dim("K")) {
            (Some(query), Some(value)) if value > 0 => query / value,
            _ => rows(Component::AttnQ).unwrap_or(0) / rows(Component::AttnV).unwrap_or(1).max(1),
        };
        let experts = grid.cells.iter().filter_map(|cell| cell.id.expert).max().map_or(0, |last| u64::from(last) + 1);
        let family = map.provenance.family.as_str();
        let mut model = Self {
            layers: grid.layers,
            shared,
            experts: dim("experts").unwrap_or(experts),
            falcon: family == "falcon",
            is_70b: grid.layers == 80 && (family == "qwen2" || family == "llama" && shared > 1),
            imatrix,
            positions: vec![0; grid.cells.len()],
            values: 0,
        };
        model.count(map);
        model
    }

    /// Layers are counted among those that have a tensor of the kind. (llama-quantize counts down projections against all layers.)
    fn count(&mut self, map: &Map) {
        for category in [Category::Value, Category::Down] {
            let mut layers: Vec<u32> = Vec::new();
            for (at, cell) in map.grid.cells.iter().enumerate() {
                if self.kind(map, at) == category {
                    if layers.last() != Some(&cell.id.layer) {
                        layers.push(cell.id.layer);
                    }
                    self.positions[at] = layers.len() as u32 - 1;
                }
            }
            if category == Category::Value {
                self.values = layers.len() as u32;
            }
        }
    }

    fn kind(&self, map: &Map, at: usize) -> Category {
        let name = map.inventory.as_deref().and_then(|it| it.cells.get(at)?.gguf.as_deref()).unwrap_or_default();
        if name.contains("attn_qkv.weight") {
            return Category::Value;
        }
        match map.grid.cells[at].id.component {
            Component::AttnV => Category::Value,
            Component::AttnK => Category::Key,
            Component::AttnO => Category::Output,
            Component::MlpDown => Category::Down,
            Component::AttnQ | Component::MlpUp | Component::MlpGate => Category::Rest,
        }
    }
}

/// The first and last eighth of the layers, and every third between.
fn gets_more_bits(layer: u32, layers: u32) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

impl Raise {
    fn of(self, base: &'static str, layer: u32, layers: u32, shared: u64) -> &'static str {
        match self {
            Never => base,
            Always(raised) => raised,
            MoreBits(raised) => {
                if gets_more_bits(layer, layers) {
                    raised
                } else {
                    base
                }
            }
            Below(first, raised, rest) => {
                if layer < first {
                    raised
                } else {
                    rest
                }
            }
            FirstPart(part, raised, rest) => {
                if layer < layers / part {
                    raised
                } else {
                    rest
                }
            }
            Grouped(raised, rest) => {
                if shared >= 4 {
                    raised
                } else {
                    rest
                }
            }
        }
    }
}

impl Mix {
    fn of(&self, model: &Model, category: Category, id: CellId, at: usize) -> &'static str {
        let eight = model.experts == 8;
        match category {
            Category::Rest => self.base,
            Category::Key => {
                if eight {
                    "q8_0"
                } else {
                    self.base
                }
            }
            Category::Value => self.value(model, model.positions[at]),
            Category::Output => self.output(model),
            Category::Down => {
                // Of mixtures the layer is read from the tensor's name.
                let layer = if model.experts > 1 { id.layer } else { model.positions[at] };
                self.down(model, layer)
            }
        }
    }

    fn value(&self, model: &Model, layer: u32) -> &'static str {
        let raised = self.value.of(self.base, layer, model.values, model.shared);
        match raised {
            _ if model.experts == 8 => "q8_0",
            "q3_k" | "q4_k" if model.is_70b => "q5_k",
            raised => raised,
        }
    }

    fn output(&self, model: &Model) -> &'static str {
        const OF_EIGHT: [&str; 7] = ["q2_k", "q3_k_s", "q3_k_m", "iq4_nl", "q4_k_s", "q4_k_m", "iq4_xs"];
        match (model.falcon, model.experts == 8) {
            (true, _) => {
                if self.id == "q3_k_l" {
                    "q4_k"
                } else {
                    self.base
                }
            }
            (false, true) => {
                if OF_EIGHT.contains(&self.id) {
                    "q5_k"
                } else {
                    self.base
                }
            }
            (false, false) => self.output.of(self.base, 0, model.layers, model.shared),
        }
    }

    fn down(&self, model: &Model, layer: u32) -> &'static str {
        let layers = model.layers;
        let in_first_eighth = layer < layers / 8;
        match self.id {
            "q3_k_m" if model.falcon && layer >= layers / 16 && !gets_more_bits(layer, layers) => "q3_k",
            "q3_k_l" if model.falcon => "q4_k",
            "q4_k_m" if model.falcon && layer >= layers / 16 => {
                if gets_more_bits(layer, layers) {
                    "q5_k"
                } else {
                    "q4_k"
                }
            }
            "q4_k_s" if model.falcon => self.base,
            "iq4_nl" | "iq4_xs" if model.imatrix => self.base,
            "q4_0" if model.imatrix && in_first_eighth => "q4_1",
            "q5_0" if model.imatrix && in_first_eighth => "q5_1",
            _ => self.down.of(self.base, layer, layers, model.shared),
        }
    }
}
