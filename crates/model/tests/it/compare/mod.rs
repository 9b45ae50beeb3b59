//! Variants beside the original: every kind of change on every cell of every parity fixture, against a checkpoint that holds
//! the change, run by itself.

mod branches;
mod identities;
mod rounds;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tomo_model::engine::{
    CellWeights, Change, DamageSink, Engine, EngineError, EngineOptions, OutputChange, Rewrite, Round, TokenDamage,
    Unwatched, Variant,
};
use tomo_model::{CellSource, Model};

use crate::parity::{Reference, cases};
use crate::source::{Tensors, TestSource, read_safetensors};

/// Everything that was told: negative log likelihoods by sequence, damages by variant and sequence.
#[derive(Default, PartialEq, Debug)]
struct Found {
    originals: BTreeMap<usize, Vec<f64>>,
    damages: BTreeMap<(usize, usize), Vec<TokenDamage>>,
}

#[derive(Default)]
struct Sink(Mutex<Found>);

impl DamageSink for Sink {
    fn original(&self, sequence: usize, nll: &[f64]) {
        let mut found = self.0.lock().unwrap();
        let old = found.originals.insert(sequence, nll.to_vec());
        assert!(old.is_none_or(|old| old == nll), "the original of sequence {sequence} came twice and differs");
    }

    fn see(&self, variant: usize, sequence: usize, tokens: &[TokenDamage]) {
        let old = self.0.lock().unwrap().damages.insert((variant, sequence), tokens.to_vec());
        assert!(old.is_none(), "variant {variant} on sequence {sequence} came twice");
    }
}

/// Entries multiplied by `factor`, and moved by a wave that no two cells share.
struct Wave {
    factor: f32,
    height: f32,
}

impl Rewrite for Wave {
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        for (at, (out, w)) in out.iter_mut().zip(weights.values).enumerate() {
            *out = self.factor * w + self.height * ((at + 7 * weights.cell) as f32 * 0.7).sin();
        }
        Ok(())
    }
}

fn weights(factor: f32, height: f32) -> Change {
    Change::Weights(Arc::new(Wave { factor, height }))
}

fn zero() -> Change {
    Change::Output(OutputChange::Zero)
}

fn resample() -> Change {
    Change::Output(OutputChange::Resample)
}

fn variant(changes: impl IntoIterator<Item = (usize, Change)>) -> Variant {
    Variant { changes: changes.into_iter().collect(), ..Variant::default() }
}

fn options() -> EngineOptions {
    EngineOptions { threads: Some(2), memory_bytes: Some(1 << 30), ..EngineOptions::default() }
}

fn run(engine: &Engine, sequences: &[Vec<u32>], variants: &[Variant]) -> Found {
    let plan = engine.plan_compare(&lengths(sequences), variants).unwrap();
    run_rounds(engine, sequences, variants, &plan.rounds)
}

fn run_rounds(engine: &Engine, sequences: &[Vec<u32>], variants: &[Variant], rounds: &[Round]) -> Found {
    let plan = engine.plan_compare(&lengths(sequences), variants).unwrap();
    let sink = Sink::default();
    for round in rounds {
        assert!(engine.compare(sequences, variants, round, &plan, &sink, None, &Unwatched).unwrap());
    }
    sink.0.into_inner().unwrap()
}

fn lengths(sequences: &[Vec<u32>]) -> Vec<usize> {
    sequences.iter().map(Vec::len).collect()
}

/// A fixture as tensors that can be changed.
struct Case {
    name: String,
    tensors: Tensors,
    config: serde_json::Value,
    sequences: Vec<Vec<u32>>,
}

impl Case {
    fn read(folder: &Path) -> Self {
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            tensors: read_safetensors(&folder.join("model.safetensors")),
            config: serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap(),
            sequences: Reference::read(folder).sequences,
        }
    }

    fn engine(&self, change: impl FnOnce(&mut Tensors)) -> Engine {
        let mut tensors = self.tensors.clone();
        change(&mut tensors);
        self.engine_of(tensors, options())
    }

    fn engine_with(&self, options: EngineOptions) -> Engine {
        self.engine_of(self.tensors.clone(), options)
    }

    fn engine_of(&self, tensors: Tensors, options: EngineOptions) -> Engine {
        let config = tomo_checkpoint::Config::HuggingFace(self.config.clone());
        let model = TestSource::new(tensors, config).open().unwrap();
        let architecture = model.architecture().unwrap();
        Engine::new(Arc::new(model), architecture, options).unwrap()
    }
}

/// Puts row-major `[m, n]` values where the checkpoint has a cell.
fn put(tensors: &mut Tensors, cell: &CellSource, values: &[f32]) {
    let (shape, stored) = tensors.get_mut(&cell.tensor).unwrap();
    let (inputs, storage) = (cell.in_features as usize, cell.storage);
    assert!(storage.rope_pairs.is_none());
    let wide = *shape.last().unwrap() as usize;
    for (row, values) in values.chunks_exact(inputs).enumerate() {
        let at = place(cell, row);
        for (column, value) in values.iter().enumerate() {
            stored[if storage.transposed { column * wide + at } else { at * inputs + column }] = *value;
        }
    }
}

/// Where a cell's row is in its tensor.
fn place(cell: &CellSource, row: usize) -> usize {
    let length = cell.storage.length as usize;
    cell.storage.start as usize + row / length * cell.storage.stride as usize + row % length
}

/// Puts a row where the checkpoint has the cell's bias; `false` where it has none.
fn put_bias(tensors: &mut Tensors, cell: &CellSource, values: &[f32]) -> bool {
    let name = format!("{}bias", cell.tensor.strip_suffix("weight").unwrap_or("?"));
    let Some((_, stored)) = tensors.get_mut(&name) else { return false };
    values.iter().enumerate().for_each(|(row, value)| stored[place(cell, row)] = *value);
    true
}

/// What two models predict of the tokens of a sequence, from whole rows of logits in f64.
fn damage(original: &Engine, changed: &Engine, sequence: &[u32]) -> Vec<TokenDamage> {
    let vocab = original.architecture().vocab;
    let logits = |engine: &Engine| -> Vec<Vec<f64>> {
        let all = engine.logits(sequence).unwrap();
        all.chunks(vocab).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
    };
    let (l, other) = (logits(original), logits(changed));
    let log_softmax = |row: &[f64]| -> Vec<f64> {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = top + row.iter().map(|x| (x - top).exp()).sum::<f64>().ln();
        row.iter().map(|x| x - log_sum).collect()
    };
    let first_largest = |row: &[f64]| (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
    let token = |t: usize| {
        let (p, q) = (log_softmax(&l[t]), log_softmax(&other[t]));
        let kl = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
        let agrees = first_largest(&l[t]) == first_largest(&other[t]);
        TokenDamage { kl, nll: -q[sequence[t + 1] as usize], agrees }
    };
    (0..sequence.len() - 1).map(token).collect()
}

/// Compares with the slow way. Probabilities of the other side come from f32 logits as well, which differ by some ulps where
/// zeros were multiplied instead of left out.
fn assert_same(what: &str, found: &[TokenDamage], expected: &[TokenDamage]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (t, (found, expected)) in found.iter().zip(expected).enumerate() {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(0.1);
        assert!(close(found.kl, expected.kl), "{what}, token {t}: KL {} for {}", found.kl, expected.kl);
        assert!(close(found.nll, expected.nll), "{what}, token {t}: NLL {} for {}", found.nll, expected.nll);
        assert!(found.kl >= 0.0);
    }
    let agree = |tokens: &[TokenDamage]| tokens.iter().map(|t| t.agrees).collect::<Vec<_>>();
    assert_eq!(agree(found), agree(expected), "{what}");
}

/// Variants with the models that are their slow way.
fn slow_ways(case: &Case, model: &Model) -> Vec<(String, Variant, Engine)> {
    let mut all = Vec::new();
    for (at, cell) in model.cells().iter().enumerate() {
        let mut values = Vec::new();
        model.load(at, &mut values).unwrap();
        let mut waved = vec![0.0; values.len()];
        let cols = cell.in_features as usize;
        let wave = Wave { factor: 0.5, height: 0.05 };
        wave.rewrite(&CellWeights { cell: at, values: &values, cols }, &mut waved).unwrap();
        let changed = case.engine(|tensors| put(tensors, cell, &waved));
        all.push((format!("{} {} rewritten", case.name, cell.id), variant([(at, weights(0.5, 0.05))]), changed));

        let nothing = vec![0.0; values.len()];
        let none = vec![0.0; cell.out_features as usize];
        let changed = case.engine(|tensors| {
            put(tensors, cell, &nothing);
            put_bias(tensors, cell, &none);
        });
        all.push((format!("{} {} zero", case.name, cell.id), variant([(at, zero())]), changed));

        let row: Vec<f32> = (0..none.len()).map(|i| 0.3 * (i as f32).cos()).collect();
        let mut has_bias = false;
        let changed = case.engine(|tensors| {
            put(tensors, cell, &nothing);
            has_bias = put_bias(tensors, cell, &row);
        });
        if has_bias {
            let change = Change::Output(OutputChange::Constant(row.into()));
            all.push((format!("{} {} constant", case.name, cell.id), variant([(at, change)]), changed));
        }
    }
    all
}

#[test]
fn every_change_of_every_cell_is_what_a_changed_checkpoint_gives() {
    let (mut compared, mut constants) = (0, 0);
    for folder in cases() {
        let case = Case::read(&folder);
        let original = case.engine(|_| ());
        let ways = slow_ways(&case, original.model());
        let variants: Vec<Variant> = ways.iter().map(|(_, variant, _)| variant.clone()).collect();
        let found = run(&original, &case.sequences, &variants);
        for (number, (what, _, changed)) in ways.iter().enumerate() {
            for (s, sequence) in case.sequences.iter().enumerate() {
                assert_same(what, &found.damages[&(number, s)], &damage(&original, changed, sequence));
                compared += 1;
            }
            constants += usize::from(what.ends_with("constant"));
        }
        for (s, sequence) in case.sequences.iter().enumerate() {
            let expected = damage(&original, &original, sequence);
            let off = |(a, b): (&f64, &TokenDamage)| (a - b.nll).abs() / b.nll.max(1.0);
            let worst = found.originals[&s].iter().zip(&expected).map(off).fold(0.0, f64::max);
            assert!(worst < 1e-6, "{}: {worst:e}", case.name);
        }
    }
    assert!(compared > 5000 && constants > 50, "{compared} {constants}");
}

/// A change of every kind in every cell, alone, as far as the cell takes it.
fn one_each(model: &Model) -> Vec<Variant> {
    let mut all = Vec::new();
    for (at, cell) in model.cells().iter().enumerate() {
        let row: Vec<f32> = (0..cell.out_features).map(|i| 0.2 * (i as f32).sin()).collect();
        all.push(variant([(at, weights(0.9, 0.02))]));
        all.push(variant([(at, zero())]));
        all.push(variant([(at, Change::Output(OutputChange::Constant(row.into())))]));
        if cell.id.expert.is_none() {
            all.push(variant([(at, resample())]));
        }
    }
    all
}

/// No change, a cell replaced by itself, and outputs of a sequence that is the same.
#[test]
fn nothing_changed_is_exactly_nothing() {
    for folder in cases() {
        let case = Case::read(&folder);
        let engine = case.engine(|_| ());
        let cells = engine.model().cells().len();
        let mut variants: Vec<Variant> = (0..cells).map(|cell| variant([(cell, weights(1.0, 0.0))])).collect();
        let dense = (0..cells).filter(|cell| engine.model().cells()[*cell].id.expert.is_none());
        variants.extend(dense.map(|cell| variant([(cell, resample())])));
        variants.push(Variant::default());
        let sequences = vec![case.sequences[0].clone(); 3];
        let found = run(&engine, &sequences, &variants);
        for ((number, sequence), tokens) in &found.damages {
            for (token, nll) in tokens.iter().zip(&found.originals[sequence]) {
                let nothing = TokenDamage { kl: 0.0, nll: *nll, agrees: true };
                assert_eq!(*token, nothing, "{}, variant {number}", case.name);
            }
        }
    }
}

/// On a sequence of one token again and again, what a cell puts out is the same at every position, but for rounding, where
/// positions are in no embedding: outputs of that sequence are a constant.
#[test]
fn outputs_of_another_sequence_are_its_outputs() {
    let mut compared = 0;
    for folder in cases() {
        let case = Case::read(&folder);
        let engine = case.engine(|_| ());
        if engine.architecture().embedding.positions.is_some() {
            continue;
        }
        let own = case.sequences[0].clone();
        // A shorter one is tested below.
        let same = vec![own[1]; own.len() + 1];
        let outputs = crate::recorder::Recorder::default();
        let plan = engine.plan(&[same.len()], &[&outputs], 0, tomo_model::engine::Until::LastBlock).unwrap();
        let until = tomo_model::engine::Until::LastBlock;
        engine.forward(std::slice::from_ref(&same), &[&outputs], &plan, until, &Unwatched).unwrap();
        let outputs = outputs.taps.into_inner().unwrap();
        let sequences = [own, same];
        let mut variants = Vec::new();
        for (at, cell) in engine.model().cells().iter().enumerate().filter(|(_, c)| c.id.expert.is_none()) {
            let (cols, rows) = &outputs[&format!("L{}.{}.out.0", cell.id.layer, cell.id.component)];
            let constant = Change::Output(OutputChange::Constant(rows[..*cols].into()));
            variants.extend([variant([(at, resample())]), variant([(at, constant)])]);
        }
        let found = run(&engine, &sequences, &variants);
        for pair in 0..variants.len() / 2 {
            let what = format!("{}, cell {pair}", case.name);
            assert_same(&what, &found.damages[&(2 * pair, 0)], &found.damages[&(2 * pair + 1, 0)]);
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}

/// Positions that the next sequence does not have are left as they are, and it may be of another round.
#[test]
fn outputs_end_where_the_next_sequence_ends() {
    let folder = cases().into_iter().find(|c| c.ends_with("llama")).unwrap();
    let case = Case::read(&folder);
    let engine = case.engine(|_| ());
    let own = case.sequences[0].clone();
    let prefix = own[..own.len() / 2].to_vec();
    // Of a prefix of the same tokens the outputs are the same.
    let found = run(&engine, &[own.clone(), prefix], &[variant([(3, resample())]), variant([(8, resample())])]);
    for tokens in found.damages.values() {
        assert!(tokens.iter().all(|t| t.kl == 0.0 && t.agrees));
    }
}

#[test]
fn variants_that_cannot_be_run_are_named() {
    let case = Case::read(&cases().into_iter().find(|c| c.ends_with("mixtral")).unwrap());
    let engine = case.engine(|_| ());
    let cells = engine.model().cells();
    let expert = cells.iter().position(|c| c.id.expert.is_some()).unwrap();
    let short = Change::Output(OutputChange::Constant(Arc::new([0.0])));
    let said = |count: usize, changes: Vec<(usize, Change)>| {
        let error = engine.plan_compare(&vec![8; count], &[Variant::default(), variant(changes)]).unwrap_err();
        assert!(matches!(error, EngineError::Variant { variant: 1, .. }), "{error}");
        error.to_string()
    };
    assert!(said(2, vec![(0, short)]).contains("expected a row of"));
    assert!(said(2, vec![(cells.len(), zero())]).contains(&format!("the model has {} cells", cells.len())));
    assert!(said(2, vec![(0, zero()), (0, resample())]).contains("two changes of one cell"));
    assert!(said(2, vec![(expert, resample())]).contains("no partner"));
    assert!(said(1, vec![(0, resample())]).contains("no other sequence"));
    let plan = engine.plan_compare(&[8, 8], &[Variant::default()]).unwrap();
    for (sequences, variants) in
        [(vec![0, 2], vec![0]), (vec![1, 0], vec![0]), (vec![0, 0], vec![0]), (vec![0], vec![1])]
    {
        let round = Round { sequences, variants };
        let sequences = vec![case.sequences[0].clone(); 2];
        let error =
            engine.compare(&sequences, &[Variant::default()], &round, &plan, &Sink::default(), None, &Unwatched);
        assert!(matches!(error.unwrap_err(), EngineError::Round { .. }), "{round:?}");
    }
}

/// Numbers beyond f32 are infinite damage of that variant, never NaN, and nobody else's.
#[test]
fn a_variant_that_overflows_is_infinitely_far() {
    for name in ["llama", "gpt2", "mixtral", "gemma2"] {
        let case = Case::read(&cases().into_iter().find(|c| c.ends_with(name)).unwrap());
        let engine = case.engine(|_| ());
        let cells = engine.model().cells().len();
        let variants: Vec<Variant> = (0..cells)
            .flat_map(|cell| [weights(f32::NAN, 0.0), weights(f32::MAX, 0.0), weights(0.9, 0.0)].map(|c| (cell, c)))
            .map(|change| variant([change]))
            .collect();
        let found = run(&engine, &case.sequences, &variants);
        let mild: Vec<Variant> = (0..cells).map(|cell| variant([(cell, weights(0.9, 0.0))])).collect();
        let mild = run(&engine, &case.sequences, &mild);
        let mut infinite = 0;
        for ((number, sequence), tokens) in &found.damages {
            assert!(tokens.iter().all(|t| !t.kl.is_nan() && !t.nll.is_nan() && t.kl >= 0.0), "{name} {number}");
            infinite += tokens.iter().filter(|t| t.kl.is_infinite() && !t.agrees).count();
            if number % 3 == 2 {
                assert_eq!(*tokens, mild.damages[&(number / 3, *sequence)], "{name} {number}");
            }
        }
        assert!(infinite > 0, "{name}");
    }
}
