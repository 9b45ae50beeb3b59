//! The same bits whatever runs together, in any rounds and budgets, streamed, and gone on with after it was ended.

use std::sync::Mutex;

use tomo_model::engine::{EngineError, EngineOptions, PassProgress, Resume, Round, Unwatched, Variant};

use super::{Case, Found, Sink, lengths, one_each, options, resample, run, run_rounds, variant, weights, zero};
use crate::parity::cases;

/// A cell of the first layer whose weights are replaced by themselves: the variant joins there, and runs every later layer
/// whole.
fn joins_early(mut late: Variant) -> Variant {
    if late.changes.iter().all(|(cell, _)| *cell != 0) {
        late.changes.push((0, weights(1.0, 0.0)));
    }
    late
}

#[test]
fn sharing_with_the_original_has_the_bits_of_running_whole() {
    for folder in cases() {
        let case = Case::read(&folder);
        let engine = case.engine(|_| ());
        let shared = one_each(engine.model());
        let whole: Vec<Variant> = shared.iter().cloned().map(joins_early).collect();
        let (shared, whole) = (run(&engine, &case.sequences, &shared), run(&engine, &case.sequences, &whole));
        assert!(shared == whole, "{}", case.name);
    }
}

#[test]
fn a_variant_is_the_same_alone_and_among_others_in_any_rounds_streamed_or_not() {
    for folder in cases() {
        let case = Case::read(&folder);
        let engine = case.engine(|_| ());
        let mut variants = one_each(engine.model());
        let cells = engine.model().cells().len();
        // Several cells, in several layers.
        variants.push(variant([(cells - 1, weights(0.8, 0.0)), (1, zero()), (cells / 2, weights(1.1, 0.01))]));
        variants.push(Variant::default());
        let together = run(&engine, &case.sequences, &variants);
        let count = case.sequences.len();
        assert_eq!(together.damages.len(), variants.len() * count);

        let mut alone = Vec::new();
        for sequence in (0..count).rev() {
            for part in 0..3 {
                let variants = (0..variants.len()).filter(|v| v % 3 == part).collect();
                alone.push(Round { sequences: vec![sequence], variants });
            }
        }
        assert!(run_rounds(&engine, &case.sequences, &variants, &alone) == together, "{}", case.name);
        let streamed = case.engine_with(EngineOptions { streamed: true, ..options() });
        assert!(run(&streamed, &case.sequences, &variants) == together, "{}: streamed", case.name);
    }
}

struct StopsAfter(Mutex<usize>);

impl PassProgress for StopsAfter {
    fn start(&self, _steps: usize) {}
    fn step(&self, _layer: u32) {}
    fn is_cancelled(&self) -> bool {
        let mut left = self.0.lock().unwrap();
        *left = left.saturating_sub(1);
        *left == 0
    }
}

#[test]
fn a_comparison_can_be_cancelled_anywhere() {
    let case = Case::read(&cases()[0]);
    let engine = case.engine(|_| ());
    let variants = one_each(engine.model());
    let plan = engine.plan_compare(&lengths(&case.sequences), &variants).unwrap();
    let mut stopped = 0;
    for after in 1.. {
        let sink = Sink::default();
        let progress = StopsAfter(Mutex::new(after));
        if engine.compare(&case.sequences, &variants, &plan.rounds[0], &plan, &sink, None, &progress).unwrap() {
            break;
        }
        assert_eq!(*sink.0.lock().unwrap(), Found::default());
        stopped += 1;
    }
    assert!(stopped > 10, "{stopped}");
}

/// Progress: as many steps as were announced, in the order of the layers.
#[derive(Default)]
struct Counts(Mutex<(usize, Vec<u32>)>);

impl PassProgress for Counts {
    fn start(&self, steps: usize) {
        self.0.lock().unwrap().0 += steps;
    }
    fn step(&self, layer: u32) {
        self.0.lock().unwrap().1.push(layer);
    }
    fn is_cancelled(&self) -> bool {
        false
    }
}

#[test]
fn progress_takes_the_steps_it_announced() {
    for folder in cases() {
        let case = Case::read(&folder);
        let engine = case.engine(|_| ());
        let variants = one_each(engine.model());
        let plan = engine.plan_compare(&lengths(&case.sequences), &variants).unwrap();
        let progress = Counts::default();
        engine.compare(&case.sequences, &variants, &plan.rounds[0], &plan, &Sink::default(), None, &progress).unwrap();
        let (announced, steps) = progress.0.into_inner().unwrap();
        assert_eq!((announced, announced), (steps.len(), plan.steps(&plan.rounds[0])), "{}", case.name);
        assert!(steps.is_sorted(), "{}", case.name);
    }
}

/// Makes a vocabulary larger than a tile of the head.
fn widen(case: &mut Case, vocab: u64) {
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        let (shape, values) = case.tensors.get_mut(name).unwrap();
        shape[0] = vocab;
        let rows = values.clone();
        let grown = (0..vocab * shape[1]).map(|i| rows[i as usize % rows.len()] * (1.0 + (i as f32 * 0.3).sin() * 0.3));
        *values = grown.collect();
    }
    case.config["vocab_size"] = vocab.into();
}

/// Ended at every look at the progress in turn, and gone on with from what was left.
#[test]
fn a_comparison_that_was_ended_goes_on_to_the_same_bits() {
    for (name, wider) in [("llama", true), ("gpt2", false), ("mixtral_one", false), ("gemma2", false)] {
        let mut case = Case::read(&cases().into_iter().find(|c| c.ends_with(name)).unwrap());
        if wider {
            widen(&mut case, 9000);
        }
        let engine = case.engine_with(EngineOptions { save_every: Some(0), ..options() });
        let mut variants = one_each(engine.model());
        let cells = engine.model().cells().len();
        variants.push(variant([(cells - 1, zero()), (2, resample())]));
        let plan = engine.plan_compare(&lengths(&case.sequences), &variants).unwrap();
        let round = &plan.rounds[0];
        let whole = run(&engine, &case.sequences, &variants);
        let looks = {
            let progress = StopsAfter(Mutex::new(usize::MAX));
            engine.compare(&case.sequences, &variants, round, &plan, &Sink::default(), None, &progress).unwrap();
            usize::MAX - progress.0.into_inner().unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let resume = Resume { folder: folder.path().join("pass"), key: "these".to_owned() };
        let (mut went_on, mut steps) = (0, Vec::new());
        for after in (1..looks).filter(|after| after % (looks / 20) == 0 || after + 4 > looks) {
            let progress = StopsAfter(Mutex::new(after));
            let ended =
                engine.compare(&case.sequences, &variants, round, &plan, &Sink::default(), Some(&resume), &progress);
            assert!(!ended.unwrap(), "{name}");
            let (sink, progress) = (Sink::default(), StopsAfter(Mutex::new(usize::MAX)));
            assert!(engine.compare(&case.sequences, &variants, round, &plan, &sink, Some(&resume), &progress).unwrap());
            assert!(sink.0.into_inner().unwrap() == whole, "{name}, ended at look {after} of {looks}");
            let looked = usize::MAX - progress.0.into_inner().unwrap();
            went_on += usize::from(looked < looks);
            steps.push(looked);
            // What another key left is not used, nor that of another round.
            let other = Resume { key: "others".to_owned(), ..resume.clone() };
            let progress = StopsAfter(Mutex::new(usize::MAX));
            engine
                .compare(&case.sequences, &variants, round, &plan, &Sink::default(), Some(&other), &progress)
                .unwrap();
            assert_eq!(usize::MAX - progress.0.into_inner().unwrap(), looks);
            std::fs::remove_dir_all(&resume.folder).unwrap();
        }
        // One that was ended in the first block begins anew, and so does the head of a vocabulary of one tile.
        let heads = steps.iter().filter(|looked| **looked <= 2).count();
        assert!(!wider || heads > 0, "{name}: {steps:?}");
        assert!(went_on > 10 && steps.is_sorted_by(|a, b| a >= b), "{name}: {steps:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let case = Case::read(&cases()[0]);
    let engine = case.engine_with(EngineOptions { save_every: Some(0), ..options() });
    let plan = engine.plan_compare(&lengths(&case.sequences), &[Variant::default()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let resume = Resume { folder: file.path().join("below"), key: String::new() };
    let round = &plan.rounds[0];
    let ended = engine.compare(
        &case.sequences,
        &[Variant::default()],
        round,
        &plan,
        &Sink::default(),
        Some(&resume),
        &Unwatched,
    );
    let error = ended.unwrap_err();
    assert!(matches!(error, EngineError::Folder { .. }) && error.to_string().contains("below"), "{error}");
}

/// From one round to one per variant and sequence, and then an error that says what would work.
#[test]
fn any_budget_gives_the_same_bits_or_says_what_it_needs() {
    let case = Case::read(&cases().into_iter().find(|c| c.ends_with("llama")).unwrap());
    let engine_with = |bytes: u64| case.engine_with(EngineOptions { memory_bytes: Some(bytes), ..options() });
    let plenty = engine_with(1 << 40);
    let variants = one_each(plenty.model());
    let sequences: Vec<Vec<u32>> = (0..40).map(|i| case.sequences[i % case.sequences.len()].clone()).collect();
    let plan = plenty.plan_compare(&lengths(&sequences), &variants).unwrap();
    assert!(plan.resident && plan.rounds.len() == 1, "{plan:?}");
    let whole = run(&plenty, &sequences, &variants);
    let (mut bytes, mut seen) = (plan.bytes, Vec::new());
    loop {
        match plenty.plan_compare(&lengths(&sequences), &variants).and_then(|_| {
            let engine = engine_with(bytes);
            engine.plan_compare(&lengths(&sequences), &variants).map(|plan| (engine, plan))
        }) {
            Ok((engine, plan)) => {
                assert!(plan.bytes <= bytes);
                let pairs: usize = plan.rounds.iter().map(|r| r.sequences.len() * r.variants.len()).sum();
                assert_eq!(pairs, sequences.len() * variants.len());
                let readings = if plan.resident { 1 } else { plan.rounds.len() as u64 };
                assert_eq!(plan.read_bytes % readings, 0);
                if seen.last() != Some(&(plan.resident, plan.rounds.len())) {
                    seen.push((plan.resident, plan.rounds.len()));
                    assert!(run(&engine, &sequences, &variants) == whole, "{seen:?}");
                }
                bytes -= (bytes / 500).max(1);
            }
            Err(EngineError::Memory { needed, budget, hint }) => {
                assert!(needed > budget && hint.contains("--memory"), "{hint}");
                assert!(engine_with(needed).plan_compare(&lengths(&sequences), &variants).is_ok());
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let of = |resident: bool| seen.iter().filter(|(r, _)| *r == resident).count();
    assert!(of(true) > 1 && of(false) > 2, "{seen:?}");
    assert!(seen.last().unwrap().1 > sequences.len(), "{seen:?}");
}
