//! Importance matrices: both formats as others write them, damaged files, scores, statistics.

use tomo_map::{CellId, Column, Status};
use tomo_metrics::{
    Imatrix, ImatrixEntry, ImatrixFormat, ImatrixObserver, Options, Progress, Request, ScanError, imatrix_names,
    scan_imatrix, select,
};

use crate::taps::{PARTS, Part, Played, fixtures, name};

struct Quiet;

impl Progress for Quiet {
    fn start(&self, _: usize, _: u64) {}
    fn cell_done(&self, _: CellId, _: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(fixtures().join("imatrix").join(file)).unwrap()
}

fn written(imatrix: &Imatrix, format: ImatrixFormat) -> Vec<u8> {
    let mut out = Vec::new();
    imatrix.write(format, &mut out).unwrap();
    out
}

fn scored(played: &Played, imatrix: &Imatrix, spec: &str) -> Result<Vec<Column>, ScanError> {
    // M = 2 as in the golden file.
    let options = Options { outlier_factor: 2.0, ..Options::default() };
    let request = Request { metrics: select(spec).unwrap(), options, threads: Some(2), ..Request::default() };
    scan_imatrix(&played.model, imatrix, &request, &Quiet)
}

#[test]
fn what_is_collected_is_what_the_reference_wrote() {
    for case in ["llama", "mixtral"] {
        let expected = Imatrix::read(&fixtures().join(format!("imatrix/{case}.gguf"))).unwrap();
        for parts in [&PARTS[..], &[(0, 0, 11), (1, 0, 5)][..]] {
            let played = Played::new(case, parts);
            let observer = ImatrixObserver::new(&played.model, &played.lengths, false, true);
            assert_eq!(observer.unnamed(), 0);
            assert!(observer.memory_bytes() > 0);
            played.play(&observer);
            let ours = observer.finish(vec!["fixtures/parity".to_owned()], 8);
            assert_eq!((ours.chunk_count, ours.chunk_size), (expected.chunk_count, expected.chunk_size));
            assert_eq!(ours.datasets, expected.datasets);
            assert!(ours.entries.keys().eq(expected.entries.keys()));
            for (name, entry) in &ours.entries {
                let other = &expected.entries[name];
                assert_eq!(entry.counts, other.counts, "{name}");
                assert_eq!(entry.in_sum2.len(), other.in_sum2.len(), "{name}");
                for (a, b) in entry.in_sum2.iter().zip(&other.in_sum2) {
                    assert!((a - b).abs() <= 1e-6 * b.abs(), "{name}: {a} {b}");
                }
                let signed = entry.in_sum.as_ref().unwrap();
                // Cauchy and Schwarz: (sum x)^2 <= T sum x^2.
                let tokens = entry.counts.iter().max().copied().unwrap() as f64;
                assert!(signed.iter().zip(&entry.in_sum2).all(|(x, x2)| x * x <= tokens * x2 * (1.0 + 1e-9)), "{name}");
                assert!(signed.iter().any(|x| *x < 0.0) && signed.iter().any(|x| *x > 0.0), "{name}");
            }
        }
    }
}

#[test]
fn no_bit_depends_on_the_order_of_the_taps() {
    let mut played = Played::new("mixtral", &PARTS);
    let collect = |played: &Played| {
        let observer = ImatrixObserver::new(&played.model, &played.lengths, false, false);
        played.play(&observer);
        observer.finish(Vec::new(), 8)
    };
    let expected = collect(&played);
    played.events.reverse();
    assert_eq!(collect(&played), expected);
    // Without weights the sums are added up at the end.
    let observer = ImatrixObserver::new(&played.model, &played.lengths, false, false);
    played.events.iter().for_each(|event| event.show(&observer));
    assert_eq!(observer.finish(Vec::new(), 8), expected);
}

/// The legacy file has means and calls; GGUF has sums and counts. Both say the same of every tensor.
#[test]
fn both_formats_of_the_reference_are_read() {
    for case in ["llama", "mixtral"] {
        let (gguf, legacy) = (bytes(&format!("{case}.gguf")), bytes(&format!("{case}.dat")));
        let (gguf, legacy) = (Imatrix::from_bytes(&gguf).unwrap(), Imatrix::from_bytes(&legacy).unwrap());
        assert_eq!((gguf.chunk_count, gguf.chunk_size), (2, 8));
        assert_eq!((legacy.chunk_count, legacy.chunk_size), (2, 0));
        assert_eq!(gguf.datasets, legacy.datasets);
        assert!(gguf.entries.keys().eq(legacy.entries.keys()));
        for (name, entry) in &gguf.entries {
            let (matrices, cols) = (entry.counts.len(), entry.in_sum2.len() / entry.counts.len());
            for matrix in 0..matrices {
                let of = |imatrix: &Imatrix| imatrix.entries[name].mean_squares(name, matrix, matrices, cols).unwrap();
                let ((a, _), (b, _)) = (of(&gguf).unwrap(), of(&legacy).unwrap());
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs()), "{name}[{matrix}]");
            }
        }
        assert_eq!(gguf.statistics().tensors.len(), legacy.statistics().tensors.len());
    }
}

#[test]
fn what_is_written_is_read_again() {
    let read = Imatrix::from_bytes(&bytes("mixtral.gguf")).unwrap();
    assert_eq!(Imatrix::from_bytes(&written(&read, ImatrixFormat::Gguf)).unwrap(), read);
    // As the reference's own bytes: same names, same order, same numbers.
    let ours = written(&read, ImatrixFormat::Legacy);
    assert_eq!(ours.len(), bytes("mixtral.dat").len());
    let (ours, legacy) = (Imatrix::from_bytes(&ours).unwrap(), Imatrix::from_bytes(&bytes("mixtral.dat")).unwrap());
    assert_eq!((&ours.datasets, ours.chunk_count), (&legacy.datasets, legacy.chunk_count));
    for (name, entry) in &legacy.entries {
        // Calls, so that whoever adds files up weighs them alike.
        assert_eq!(ours.entries[name].counts, entry.counts, "{name}");
        let pairs = ours.entries[name].in_sum2.iter().zip(&entry.in_sum2);
        pairs.for_each(|(a, b)| assert!((a - b).abs() <= 1e-6 * b, "{name}: {a} {b}"));
    }
    assert_eq!(Imatrix::from_bytes(&written(&legacy, ImatrixFormat::Legacy)).unwrap().entries, legacy.entries);
    let mut signed = read;
    signed.entries.values_mut().for_each(|e| e.in_sum = Some(e.in_sum2.iter().map(|x| -x).collect()));
    assert_eq!(Imatrix::from_bytes(&written(&signed, ImatrixFormat::Gguf)).unwrap(), signed);
}

#[test]
fn idle_experts_are_written_as_llama_cpp_does() {
    let entry = ImatrixEntry { in_sum2: vec![4.0, 8.0, 0.0, 0.0], counts: vec![4, 0], in_sum: None };
    let idle = ImatrixEntry { in_sum2: vec![0.0, 0.0], counts: vec![0], in_sum: None };
    let entries = [("blk.0.ffn_up_exps.weight".to_owned(), entry), ("blk.1.ffn_up_exps.weight".to_owned(), idle)];
    let imatrix = Imatrix { entries: entries.into(), datasets: Vec::new(), chunk_count: 1, chunk_size: 2 };
    let read = Imatrix::from_bytes(&written(&imatrix, ImatrixFormat::Legacy)).unwrap();
    assert_eq!(read.entries.len(), 1, "nothing is known of the second");
    let entry = &read.entries["blk.0.ffn_up_exps.weight"];
    // Two calls of two tokens; means 1, 2 and 1 in place of the unknown.
    assert_eq!((entry.counts.as_slice(), entry.in_sum2.as_slice()), (&[2][..], &[2.0, 4.0, 2.0, 2.0][..]));
    let mean = entry.mean_squares("", 1, 2, 2).unwrap();
    assert_eq!(mean, Some((vec![1.0, 1.0], 2)));
    let read = Imatrix::from_bytes(&written(&imatrix, ImatrixFormat::Gguf)).unwrap();
    assert_eq!(read, imatrix);
    assert_eq!(read.entries["blk.0.ffn_up_exps.weight"].mean_squares("", 1, 2, 2).unwrap(), None);
}

/// An imatrix of the same tokens gives the same scores as the pass did.
#[test]
fn scores_are_those_of_numpy() {
    let golden = std::fs::read_to_string(fixtures().join("golden/activations.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let mut compared = 0;
    for case in ["llama", "mixtral"] {
        let played = Played::new(case, &[]);
        for file in ["gguf", "dat"] {
            let imatrix = Imatrix::from_bytes(&bytes(&format!("{case}.{file}"))).unwrap();
            for column in scored(&played, &imatrix, "all,activations,error@x").unwrap() {
                for (cell, score) in column.scores.iter().enumerate() {
                    let at = name(&played.model, cell);
                    let expected = &golden["cases"][case][&at][column.info.id.as_ref()]["value"];
                    match column.info.id.as_ref() {
                        "input-energy" | "wanda" | "owl-outliers" | "input-outliers" => {}
                        id if id.ends_with("@x") => {}
                        _ => {
                            let unknown = [Status::NotMeasured, Status::NotApplicable].contains(&score.status());
                            assert!(unknown && score.reason().is_some(), "{case} {at} {}: {score:?}", column.info.id);
                            continue;
                        }
                    }
                    let (value, expected) = (score.value().unwrap(), expected.as_f64().unwrap());
                    assert!(
                        (value - expected).abs() <= 1e-6 * expected,
                        "{case} {at} {}: {value} {expected}",
                        column.info.id
                    );
                    assert_eq!(score.interval(), None);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn entries_that_do_not_fit_are_named() {
    let played = Played::new("llama", &[]);
    let mut imatrix = Imatrix::from_bytes(&bytes("llama.gguf")).unwrap();
    let taken = imatrix.entries.remove("blk.1.attn_q.weight").unwrap();
    let columns = scored(&played, &imatrix, "input-energy,wanda").unwrap();
    for column in &columns {
        for (cell, score) in column.scores.iter().enumerate() {
            if name(&played.model, cell) == "L1.attn.q" {
                assert_eq!(score.status(), Status::NotMeasured);
                assert!(score.reason().unwrap().contains("blk.1.attn_q.weight"), "{score:?}");
            } else {
                assert!(score.value().is_some());
            }
        }
    }
    let short = ImatrixEntry { in_sum2: taken.in_sum2[1..].to_vec(), ..taken };
    imatrix.entries.insert("blk.1.attn_q.weight".to_owned(), short);
    let error = scored(&played, &imatrix, "input-energy").unwrap_err().to_string();
    assert!(error.contains("blk.1.attn_q.weight") && error.contains("1 x 36") && error.contains("35"), "{error}");
}

/// Names for a Hugging Face checkpoint are those the gguf package gives.
#[test]
fn every_family_has_names() {
    let mut compared = 0;
    for case in std::fs::read_dir(fixtures().join("names")).unwrap() {
        let path = case.unwrap().path();
        let case = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let names: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let model = match tomo_checkpoint::open(&fixtures().join("parity").join(&case)) {
            Ok(source) => tomo_model::Model::open(source, &tomo_model::OpenOptions::default()).unwrap(),
            Err(_) => continue,
        };
        for (cell, found) in model.cells().iter().zip(imatrix_names(&model)) {
            let known = &names["gguf_names"][&cell.tensor];
            let Some(first) = found.first().map(|found| &found.tensor) else {
                // llama.cpp has no dense layers there.
                assert!(case == "qwen3_moe" && cell.id.expert.is_none(), "{case}: {} has no name", cell.id);
                continue;
            };
            assert!(first.starts_with(&format!("blk.{}.", cell.id.layer)), "{case} {}: {first}", cell.id);
            // The package knows neither single experts nor base models and towers' prefixes.
            if let Some(known) = known.as_str() {
                assert!(found.iter().any(|f| f.tensor == known), "{case} {}: {known} {found:?}", cell.id);
                compared += 1;
            }
        }
    }
    assert!(compared > 250, "{compared}");
}

/// The lines that llama-imatrix prints, to the digits it prints.
#[test]
fn statistics_are_llama_imatrixs() {
    for case in ["llama", "mixtral"] {
        let statistics = Imatrix::from_bytes(&bytes(&format!("{case}.gguf"))).unwrap().statistics();
        let expected = String::from_utf8(bytes(&format!("{case}.statistics.txt"))).unwrap();
        let rows: Vec<Vec<&str>> = expected.lines().map(|l| l.split('\t').map(str::trim).collect()).collect();
        let (tensors, layers): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.len() > 4);
        assert_eq!((statistics.tensors.len(), statistics.layers.len()), (tensors.len(), layers.len()));
        for (ours, theirs) in statistics.tensors.iter().zip(&tensors) {
            assert_eq!(ours.kind, theirs[1]);
            if ours.layer.unwrap().to_string() != theirs[0] {
                // Equal sums (q, k and v of a layer) are in no fixed order there.
                continue;
            }
            let numbers = [
                ours.total,
                ours.min,
                ours.max,
                ours.mean,
                ours.sd,
                100.0 * ours.active,
                ours.elements as f64,
                ours.entropy,
                100.0 * ours.entropy_relative,
                100.0 * ours.far,
                ours.cosine,
            ];
            for (ours, theirs) in numbers.iter().zip(&theirs[2..]) {
                close(*ours, theirs);
            }
        }
        for (ours, theirs) in statistics.layers.iter().zip(&layers) {
            assert_eq!(ours.layer.to_string(), theirs[0]);
            close(ours.total, theirs[1]);
            close(100.0 * ours.far, theirs[2]);
            close(ours.cosine, theirs[3]);
        }
    }
}

/// Equal to the last printed digit but one, which f32 may move.
#[track_caller]
fn close(ours: f64, printed: &str) {
    let printed = printed.trim_end_matches('%');
    let digits = printed.split_once('.').map_or(0, |(_, after)| after.len());
    let theirs: f64 = printed.parse().unwrap();
    assert!((ours - theirs).abs() <= 0.6 * 10f64.powi(-(digits as i32)) + 2e-6 * theirs.abs(), "{ours} {printed}");
}

#[test]
fn damaged_files_give_errors() {
    for file in ["llama.gguf", "mixtral.dat"] {
        let whole = bytes(file);
        let trailer = if file.ends_with("dat") { 4 + 4 + "fixtures/parity".len() } else { 0 };
        for length in 0..whole.len() {
            let read = Imatrix::from_bytes(&whole[..length]);
            // A legacy file may end without its trailer, or after the chunk count; GGUF without the last padding.
            let complete = match file.ends_with("dat") {
                true => length == whole.len() - trailer || length == whole.len() - trailer + 4,
                false => length >= whole.len() - 28,
            };
            assert_eq!(read.is_ok(), complete, "{file} cut at {length}");
        }
    }
    // Counts that claim more than the file holds, negative ones, and text.
    for (at, value) in [(0, i32::MAX), (0, -1), (0, 0), (4, i32::MAX), (4, -7)] {
        let mut broken = bytes("llama.dat");
        broken[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(Imatrix::from_bytes(&broken).is_err(), "{at} {value}");
    }
    let error = Imatrix::from_bytes(b"Once upon a time there was a matrix").unwrap_err().to_string();
    assert!(error.contains("no imatrix"), "{error}");
    let model = std::fs::read(fixtures().join("decode/sample.gguf")).unwrap();
    let error = Imatrix::from_bytes(&model).unwrap_err().to_string();
    assert!(error.contains("model"), "{error}");
}

#[test]
fn every_flipped_byte_is_an_error_or_an_imatrix() {
    for file in ["llama.gguf", "llama.dat"] {
        let whole = bytes(file);
        for at in (0..whole.len()).step_by(3) {
            for flip in [0x01, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[at] ^= flip;
                if let Ok(imatrix) = Imatrix::from_bytes(&broken) {
                    let sound = |x: &f64| x.is_finite() && *x >= 0.0;
                    assert!(imatrix.entries.values().all(|e| e.in_sum2.iter().all(sound)), "{file} {at}");
                    let _ = imatrix.statistics();
                }
            }
        }
    }
}

#[test]
fn sums_that_are_none_are_refused() {
    let entry = |in_sum2: Vec<f64>, counts: Vec<u64>| Imatrix {
        entries: [("blk.0.attn_q.weight".to_owned(), ImatrixEntry { in_sum2, counts, in_sum: None })].into(),
        ..Imatrix::default()
    };
    let cases = [
        entry(vec![f64::NAN], vec![1]),
        entry(vec![-1.0], vec![1]),
        entry(vec![f64::INFINITY], vec![1]),
        entry(vec![1.0, 2.0, 3.0], vec![1, 1]),
        entry(Vec::new(), vec![1]),
        entry(vec![1.0], Vec::new()),
        Imatrix::default(),
    ];
    for case in cases {
        for format in [ImatrixFormat::Gguf, ImatrixFormat::Legacy] {
            assert!(case.write(format, &mut Vec::new()).is_err(), "{case:?}");
        }
    }
    let mut long = entry(vec![1.0], vec![1]);
    let sums = long.entries.remove("blk.0.attn_q.weight").unwrap();
    long.entries.insert(format!("blk.0.{}.weight", "x".repeat(60)), sums);
    let error = long.write(ImatrixFormat::Gguf, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("too long"), "{error}");
    assert!(long.write(ImatrixFormat::Legacy, &mut Vec::new()).is_ok());
}

#[test]
fn the_output_head_is_collected_when_asked_for() {
    let parts: [Part; 2] = [(0, 0, 11), (1, 0, 5)];
    let played = Played::new("llama", &parts);
    let observer = ImatrixObserver::new(&played.model, &played.lengths, true, false);
    let rows = [1.0_f32, -2.0].repeat(18);
    played.play(&observer);
    let seen = |sequence| tomo_model::engine::Seen {
        tap: tomo_model::engine::Tap::FinalHidden,
        layer: played.model.grid().layers,
        expert: None,
        sequence,
        rows: tomo_model::engine::Rows::dense(&rows, 36),
        against: None,
        bias: None,
    };
    use tomo_model::engine::Observer;
    observer.see(&seen(1));
    observer.see(&seen(0));
    let entry = &observer.finish(Vec::new(), 512).entries["output.weight"];
    assert_eq!((entry.counts.as_slice(), &entry.in_sum2[..2]), (&[2][..], &[2.0, 8.0][..]));
}

#[test]
fn importances_are_sums_by_count_in_single_precision() {
    let entry = |in_sum2: &[f64], counts: &[u64]| ImatrixEntry {
        in_sum2: in_sum2.to_vec(),
        counts: counts.to_vec(),
        in_sum: None,
    };
    // 1 / 3 in f32 is 11184811 / 2^25; no token came to the second matrix.
    let two = entry(&[1.0, 6.0, 5.0, 7.0, 1.0, 2.0], &[3, 0, 2]);
    assert_eq!(two.importances("a", 3, 2).unwrap(), [11_184_811.0 / 33_554_432.0, 2.0, 1.0, 1.0, 0.5, 1.0]);
    // One count stands for all matrices.
    assert_eq!(entry(&[2.0, 4.0], &[2]).importances("a", 2, 1).unwrap(), [1.0, 2.0]);
    for (matrices, cols) in [(2, 2), (6, 1), (1, 6), (3, 3)] {
        let error = two.importances("blk.0.attn_q.weight", matrices, cols).unwrap_err().to_string();
        assert!(error.contains("does not fit") && error.contains("blk.0.attn_q.weight"), "{error}");
    }
}
