//! Activation metrics on taps of transformers' own forward pass, against numpy.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::Value;
use tomo_map::{Column, Score, Status};
use tomo_metrics::{Activations, Options, activations_cost, select};

use crate::taps::{PARTS, Part, Played, fixtures, name};

const ALL: &str = "activations,error@x";

fn options() -> Options {
    // So that small matrices have outliers.
    Options { outlier_factor: 2.0, ..Options::default() }
}

fn run(played: &Played, spec: &str, options: &Options) -> Vec<Column> {
    let observer = Activations::new(&played.model, &select(spec).unwrap(), options, &played.lengths);
    played.play(&observer);
    observer.finish()
}

fn golden() -> Value {
    let text = std::fs::read_to_string(fixtures().join("golden/activations.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// How far a metric may be off: what f32 taps of outputs lose (a difference of outputs and biases), else rounding.
fn tolerance(metric: &str) -> f64 {
    match metric {
        "nfn" | "output-energy" => 3e-6,
        // One minus a cosine near one, from f32 streams.
        "block-influence" | "write-cosine" | "write-ratio" => 1e-6,
        // Formats round in f32.
        _ if metric.ends_with("@x") => 1e-6,
        _ => 1e-9,
    }
}

fn check(score: &Score, expected: &Value, metric: &str, at: &str) {
    let value = score.value().unwrap_or_else(|| panic!("{at} {metric}: {score:?}"));
    let expected_value = expected["value"].as_f64().unwrap();
    let off = (value - expected_value).abs();
    assert!(off <= tolerance(metric) * expected_value.abs().max(1e-3), "{at} {metric}: {value} and {expected_value}");
    if expected.get("low").is_some() {
        let (low, high) = score.interval().unwrap_or_else(|| panic!("{at} {metric} has no interval"));
        let within = |end: f64, bracket: &Value| {
            let ends = [0, 1].map(|i| bracket[i].as_f64().unwrap());
            // Resamples are in f32, ties of the exact distribution are ends of the bracket.
            let slack = 1e-5 * ends[1].abs().max(1e-3);
            end >= ends[0] - slack && end <= ends[1] + slack
        };
        assert!(
            within(low, &expected["low"]) && within(high, &expected["high"]),
            "{at} {metric}: {low} {high} {expected}"
        );
    }
}

#[test]
fn scores_and_intervals_are_those_of_numpy() {
    let golden = golden();
    let mut compared = 0;
    for (case, cells) in golden["cases"].as_object().unwrap() {
        let played = Played::new(case, &PARTS);
        let columns = run(&played, ALL, &options());
        assert_eq!(columns.len(), 19);
        assert_eq!(cells.as_object().unwrap().len(), played.model.cells().len());
        for column in &columns {
            for (cell, score) in column.scores.iter().enumerate() {
                let at = name(&played.model, cell);
                match cells[&at].get(column.info.id.as_ref()) {
                    Some(expected) => check(score, expected, &column.info.id, &format!("{case} {at}")),
                    None => {
                        let missing = [Status::NotApplicable, Status::Undefined].contains(&score.status());
                        assert!(missing, "{case} {at} {}: {score:?}", column.info.id);
                        continue;
                    }
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 2000, "{compared}");
}

/// Sequences in any order and side by side give the same bits.
#[test]
fn no_bit_depends_on_the_order_of_the_taps() {
    for case in ["llama", "mixtral"] {
        let mut played = Played::new(case, &PARTS);
        let expected = run(&played, ALL, &options());
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..3 {
            played.events.shuffle(&mut rng);
            assert_eq!(run(&played, ALL, &options()), expected);
        }
        let observer = Activations::new(&played.model, &select(ALL).unwrap(), &options(), &played.lengths);
        played.events.par_iter().for_each(|event| event.show(&observer));
        (0..played.model.grid().layers).into_par_iter().for_each(|layer| played.weigh(&observer, layer));
        assert_eq!(observer.finish(), expected);
    }
}

/// see(A) and see(B) give what see(A and B) gives: scores are pooled over tokens, wherever sequences end.
#[test]
fn cutting_sequences_changes_no_score() {
    let whole: [Part; 2] = [(0, 0, 11), (1, 0, 5)];
    for case in ["llama", "mixtral", "gpt2"] {
        let (cut, whole) = (Played::new(case, &PARTS), Played::new(case, &whole));
        for (cut, whole) in run(&cut, ALL, &options()).iter().zip(run(&whole, ALL, &options())) {
            for (cut, whole) in cut.scores.iter().zip(&whole.scores) {
                match (cut.value(), whole.value()) {
                    (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{a} {b}"),
                    (a, b) => assert_eq!((a, b), (None, None)),
                }
            }
        }
    }
}

#[test]
fn metrics_alone_score_as_they_do_together() {
    let played = Played::new("mixtral", &PARTS);
    for column in run(&played, ALL, &options()) {
        let alone = run(&played, &column.info.id, &options());
        assert_eq!(alone, [column]);
    }
}

/// With two sequences the middle 95 % of resamples reach from one sequence alone to the other alone.
#[test]
fn two_sequences_give_the_interval_between_them() {
    let parts: [Part; 2] = [(0, 0, 11), (1, 0, 5)];
    let both = run(&Played::new("llama", &parts), ALL, &options());
    let alone = parts.map(|part| run(&Played::new("llama", &[part]), ALL, &options()));
    for (at, column) in both.iter().enumerate() {
        for (cell, score) in column.scores.iter().enumerate() {
            let Some(value) = score.value() else { continue };
            let ends = [0, 1].map(|i| alone[i][at].scores[cell].value().unwrap());
            assert!(alone.iter().all(|one| one[at].scores[cell].interval().is_none()), "one sequence says nothing");
            let (low, high) = score.interval().unwrap();
            let expected = (ends[0].min(ends[1]).min(value), ends[0].max(ends[1]).max(value));
            for (end, expected) in [(low, expected.0), (high, expected.1)] {
                // The value itself may lie outside of the two (a nonlinear score); each end is then the value's resample.
                assert!(
                    (end - expected).abs() <= 2e-6 * expected.abs().max(1e-3),
                    "{} {end} {expected}",
                    column.info.id
                );
            }
        }
    }
}

#[test]
fn other_seeds_give_other_intervals_and_the_same_scores() {
    let played = Played::new("llama", &PARTS);
    let columns = [0, 0, 1].map(|seed| run(&played, "input-energy,wanda", &Options { seed, ..options() }));
    assert_eq!(columns[0], columns[1]);
    let (a, b) = (&columns[0][1].scores[0], &columns[2][1].scores[0]);
    assert_eq!(a.value(), b.value());
    assert_ne!(a.interval(), b.interval());
    let without = run(&played, "input-energy,wanda", &Options { resamples: 0, ..options() });
    assert!(without.iter().flat_map(|c| &c.scores).all(|s| s.value().is_some() && s.interval().is_none()));
}

#[test]
fn a_pass_that_ends_early_leaves_the_rest_unmeasured() {
    let played = Played::new("mixtral", &PARTS);
    let whole = run(&played, ALL, &options());
    let observer = Activations::new(&played.model, &select(ALL).unwrap(), &options(), &played.lengths);
    // All of layer 0, and four sequences of layer 1.
    for event in played.events.iter().filter(|e| e.layer == 0 || (e.layer == 1 && e.sequence < 4)) {
        event.show(&observer);
    }
    played.weigh(&observer, 0);
    for (column, whole) in observer.finish().iter().zip(&whole) {
        for (cell, (score, whole)) in column.scores.iter().zip(&whole.scores).enumerate() {
            let not_here = whole.status() == Status::NotApplicable || played.model.cells()[cell].id.layer == 0;
            let expected = if not_here { whole.status() } else { Status::NotMeasured };
            assert_eq!(score.status(), expected, "{} {}", column.info.id, name(&played.model, cell));
        }
    }
}

/// Of an expert that gets no token nothing is known, and its load is zero.
#[test]
fn idle_experts_have_reasons() {
    let mut played = Played::new("mixtral", &PARTS);
    // Expert 2 of layer 0 loses its tokens to expert 1, which sees some twice.
    played.events.retain(|e| !(e.layer == 0 && e.expert == Some(2)));
    let lost = Played::new("mixtral", &PARTS);
    for event in lost.events.iter().filter(|e| e.layer == 0 && e.expert == Some(2)) {
        let twin = played
            .events
            .iter_mut()
            .find(|e| (e.layer, e.sequence, e.tap, e.expert) == (0, event.sequence, event.tap, Some(1)));
        match twin {
            Some(twin) => twin.rows.extend(&event.rows),
            None => {
                let mut moved = event.clone();
                moved.expert = Some(1);
                played.events.push(moved);
            }
        }
    }
    for column in run(&played, ALL, &options()) {
        for (cell, score) in column.scores.iter().enumerate() {
            let id = played.model.cells()[cell].id;
            if (id.layer, id.expert) != (0, Some(2)) || score.status() == Status::NotApplicable {
                continue;
            }
            match column.info.id.as_ref() {
                "experts-load" => assert_eq!(score.value(), Some(0.0)),
                "block-influence" | "write-ratio" | "write-cosine" => assert!(score.value().is_some()),
                other => {
                    assert_eq!(score.status(), Status::Undefined, "{other}: {score:?}");
                    assert!(score.reason().is_some_and(|r| r.contains("no token")), "{other}: {score:?}");
                }
            }
        }
    }
}

#[test]
fn estimates_grow_with_the_work() {
    let played = Played::new("llama", &[]);
    let of =
        |spec: &str, lengths: &[usize]| activations_cost(&played.model, &select(spec).unwrap(), &options(), lengths, 1);
    let none = of("rms", &[512; 16]);
    assert_eq!((none.bytes_read, none.seconds), (0, 0.0));
    let mut last = (0.0, 0);
    for (spec, lengths) in [
        ("input-energy", &[512; 4][..]),
        ("input-energy", &[512; 16][..]),
        ("input-energy,wanda", &[512; 16][..]),
        ("activations", &[512; 16][..]),
        ("activations,error@x", &[512; 16][..]),
    ] {
        let cost = of(spec, lengths);
        assert!(cost.seconds > last.0 && cost.peak_bytes > last.1, "{spec}: {cost:?} after {last:?}");
        last = (cost.seconds, cost.peak_bytes);
    }
    let observer = Activations::new(&played.model, &select("activations").unwrap(), &options(), &[512; 16]);
    assert_eq!(observer.memory_bytes(1), of("activations", &[512; 16]).peak_bytes);
    // Columns of 16 sequences for the four inputs of a layer are the least it takes.
    assert!(observer.memory_bytes(1) > 16 * 8 * (36 + 48 + 36 + 52));
}

/// What scans of weights know nothing of is left to the pass, and the other way round.
#[test]
fn a_selection_is_split_between_scan_and_pass() {
    let played = Played::new("llama", &PARTS);
    let columns = run(&played, "all,activations,error@x", &options());
    assert!(columns.iter().all(|c| c.info.family == "activations" || c.info.id.ends_with("@x")));
    assert!(Activations::new(&played.model, &select("all").unwrap(), &options(), &played.lengths).is_empty());
}
