//! Metrics of the user's, on taps of transformers' own forward pass and on its weights.

use std::sync::{Arc, Mutex};

use tomo_map::{Additivity, CellId, Column, Direction, Meaning, MetricInfo, Scope, Status};
use tomo_metrics::{OfTaps, OfWeights, Options, OwnFormula, OwnMetric, OwnTaps, Progress, Request, ScanError, scan};

use crate::taps::{PARTS, Played};

fn own(id: &'static str, formula: OwnFormula) -> Arc<OwnMetric> {
    let info = MetricInfo {
        id: id.into(),
        title: id.into(),
        summary: id.into(),
        unit: "ratio".into(),
        family: OwnMetric::FAMILY.into(),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: None,
        proxy: true,
        caveat: "".into(),
    };
    Arc::new(OwnMetric { info, formula })
}

fn of_taps(id: &'static str, formula: Box<OfTaps>) -> Arc<OwnMetric> {
    own(id, OwnFormula::Taps(formula))
}

fn of_weights(id: &'static str, formula: Box<OfWeights>) -> Arc<OwnMetric> {
    own(id, OwnFormula::Weights(formula))
}

struct Quiet;

impl Progress for Quiet {
    fn start(&self, _cells: usize, _bytes: u64) {}
    fn cell_done(&self, _cell: CellId, _bytes: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn observer(played: &Played, metrics: &[Arc<OwnMetric>]) -> OwnTaps {
    OwnTaps::new(&played.model, metrics, &Options::default(), &played.lengths).unwrap()
}

fn finished(played: &Played, metrics: &[Arc<OwnMetric>]) -> Result<Vec<Column>, ScanError> {
    let observer = observer(played, metrics);
    played.play(&observer);
    observer.finish(true)
}

/// Tokens times a number of its own: sums over all tokens tell that every sequence came once, with its weight.
fn first_entries() -> Arc<OwnMetric> {
    of_taps("first", Box::new(|_, x, y| Ok(Some(f64::from(x.row(0)[0]) + f64::from(y.row(0)[0])))))
}

#[test]
fn every_cell_gets_its_inputs_with_its_outputs_whichever_comes_first() {
    for case in ["llama", "mixtral"] {
        let mut played = Played::new(case, &PARTS);
        let sizes = of_taps(
            "sizes",
            Box::new(|cell, x, y| {
                assert_eq!((x.len(), x.cols() as u64, y.cols() as u64), (y.len(), cell.in_features, cell.out_features));
                Ok(Some(1.0))
            }),
        );
        let forwards = finished(&played, &[first_entries(), Arc::clone(&sizes)]).unwrap();
        assert!(forwards[1].scores.iter().all(|s| s.value() == Some(1.0) || s.status() == Status::Undefined), "{case}");
        assert!(forwards[1].scores.iter().any(|s| s.value().is_some()));
        played.events.reverse();
        assert_eq!(finished(&played, &[first_entries(), sizes]).unwrap(), forwards, "{case}");
    }
}

#[test]
fn the_score_is_the_mean_over_tokens_and_the_interval_that_of_whole_sequences() {
    let played = Played::new("llama", &[(0, 0, 4), (0, 4, 5)]);
    let by_length = of_taps("length", Box::new(|_, x, _| Ok(Some(x.len() as f64))));
    let column = &finished(&played, &[by_length]).unwrap()[0];
    // Sequences of 4 and 1 tokens, which say 4 and 1: (4 * 4 + 1 * 1) / 5. Resamples are (4, 4), (1, 1) and the two.
    for score in &column.scores {
        assert_eq!((score.value(), score.interval()), (Some(17.0 / 5.0), Some((1.0, 4.0))));
    }
    let left_out = of_taps("short", Box::new(|_, x, _| Ok((x.len() > 1).then_some(7.0))));
    let nothing = of_taps("nothing", Box::new(|_, _, _| Ok(None)));
    let infinite = of_taps("infinite", Box::new(|_, _, _| Ok(Some(f64::NAN))));
    let columns = finished(&played, &[left_out, nothing, infinite]).unwrap();
    assert_eq!(columns[0].scores[0].value(), Some(7.0));
    assert_eq!(columns[1].scores[0].reason(), Some("the metric gave no value"));
    assert_eq!(columns[2].scores[0].status(), Status::Undefined);
    assert!(columns[2].scores[0].reason().unwrap().starts_with("not finite (NaN) on sequence 0"));
}

#[test]
fn a_pass_that_was_cancelled_leaves_cells_unmeasured() {
    let mut played = Played::new("llama", &PARTS);
    played.events.retain(|event| event.layer == 0 || event.sequence == 0);
    let observer = observer(&played, &[first_entries()]);
    played.play(&observer);
    let column = &observer.finish(false).unwrap()[0];
    for (cell, score) in played.model.grid().cells.iter().zip(&column.scores) {
        let expected = if cell.id.layer == 0 { Status::Ok } else { Status::NotMeasured };
        assert_eq!(score.status(), expected, "{}", cell.id);
    }
}

#[test]
fn what_a_metric_says_of_its_failure_comes_through() {
    let played = Played::new("llama", &PARTS);
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let fails = of_taps(
        "fails",
        Box::new(move |_, _, _| {
            *counted.lock().unwrap() += 1;
            Err("no such thing".into())
        }),
    );
    let observer = observer(&played, &[fails]);
    assert!(!observer.has_failed());
    played.play(&observer);
    assert!(observer.has_failed() && *calls.lock().unwrap() == 1, "it is not asked again");
    let error = observer.finish(true).unwrap_err();
    assert!(error.to_string().starts_with("the metric \"fails\" failed on L0."), "{error}");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no such thing");
}

#[test]
fn weights_are_those_of_the_checkpoint_and_columns_stand_last() {
    let played = Played::new("llama", &PARTS);
    let sum = of_weights("sum", Box::new(|_, w| Ok(Some(w.values.iter().map(|v| f64::from(*v)).sum()))));
    let shape =
        of_weights("shape", Box::new(|cell, w| Ok((w.cols as u64 == cell.in_features).then_some(w.rows as f64))));
    let request = Request {
        metrics: tomo_metrics::select("rms").unwrap(),
        own: vec![sum, first_entries(), shape],
        ..Request::default()
    };
    let columns = scan(&played.model, &request, &Quiet).unwrap();
    let ids: Vec<&str> = columns.iter().map(|c| c.info.id.as_ref()).collect();
    assert_eq!(ids, ["rms", "sum", "shape"], "taps are not for a scan of weights");
    for (at, cell) in played.model.grid().cells.iter().enumerate() {
        let expected: f64 = played.weights[at].iter().map(|v| f64::from(*v)).sum();
        assert_eq!(columns[1].scores[at].value(), Some(expected));
        assert_eq!(columns[2].scores[at].value(), Some(cell.out_features as f64));
    }
    let fails = of_weights("fails", Box::new(|cell, _| if cell.id.layer == 1 { Err("odd".into()) } else { Ok(None) }));
    let request = Request { own: vec![fails], ..Request::default() };
    let error = scan(&played.model, &request, &Quiet).unwrap_err();
    assert!(matches!(error, ScanError::Own { cell, .. } if cell.layer == 1), "{error}");
}
