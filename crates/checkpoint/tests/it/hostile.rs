//! Files made to mislead: each gives one clear error, without a panic and without much memory.

mod folders;
mod gguf;
mod safetensors;
mod truncated;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tomo_checkpoint::open;

use crate::allocations::peak_bytes;

/// More than any refusal may allocate, however large the file.
const MOST_BYTES: i64 = 100_000_000;

/// A refusal may allocate this much and [`MOST_TIMES_FILE`] times the bytes of the files: what a file only claims to hold
/// is never allocated.
const LEAST_BYTES: i64 = 1 << 20;
const MOST_TIMES_FILE: i64 = 5;

pub(crate) struct Case {
    name: &'static str,
    /// Makes the files in an empty folder and returns the path to open.
    make: Box<dyn Fn(&Path) -> PathBuf>,
    /// What the error must say.
    says: &'static str,
}

/// A case of one file.
fn file(name: &'static str, file_name: &'static str, bytes: Vec<u8>, says: &'static str) -> Case {
    let make = move |dir: &Path| {
        let path = dir.join(file_name);
        std::fs::write(&path, &bytes).unwrap();
        path
    };
    Case { name, make: Box::new(make), says }
}

/// A case of anything else.
fn place(name: &'static str, make: impl Fn(&Path) -> PathBuf + 'static, says: &'static str) -> Case {
    Case { name, make: Box::new(make), says }
}

/// What a file may cost before it is refused, and which one does.
#[derive(Default, Debug)]
struct Worst {
    seconds: (f64, &'static str),
    bytes: (i64, &'static str),
}

/// All problems of one case, empty if it behaves.
fn problems(case: &Case, worst: &mut Worst) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = (case.make)(dir.path());
    let started = Instant::now();
    let (result, peak) = peak_bytes(|| std::panic::catch_unwind(|| open(&path)));
    let seconds = started.elapsed().as_secs_f64();
    if seconds > worst.seconds.0 {
        worst.seconds = (seconds, case.name);
    }
    if peak > worst.bytes.0 {
        worst.bytes = (peak, case.name);
    }
    let mut found = String::new();
    if peak > MOST_BYTES.min(LEAST_BYTES + MOST_TIMES_FILE * bytes_under(dir.path())) {
        write!(found, " allocated {peak} bytes;").unwrap();
    }
    let error = match result {
        Err(_) => return found + " panicked",
        Ok(Ok(source)) => return found + &format!(" opened, with {} tensors", source.tensors().len()),
        Ok(Err(error)) => error.to_string(),
    };
    if !error.contains(case.says) {
        write!(found, " does not say {:?};", case.says).unwrap();
    }
    if error.matches("\n  hint: ").count() != 1 {
        found += " has not one hint;";
    }
    if error.matches("\n  file: ").count() != 1 {
        found += " does not name the file;";
    }
    if error.chars().any(|c| c != '\n' && c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)) {
        found += " has control characters;";
    }
    if error.len() > 2000 {
        found += " is too long;";
    }
    if found.is_empty() { found } else { format!("{found}\n{error}") }
}

fn bytes_under(dir: &Path) -> i64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            found if found.is_dir() => bytes_under(&entry.path()),
            found => found.len() as i64,
        })
        .sum()
}

fn check(cases: &[Case]) {
    let mut worst = Worst::default();
    let mut report = String::new();
    for case in cases {
        let found = problems(case, &mut worst);
        if !found.is_empty() {
            writeln!(report, "{}:{found}\n", case.name).unwrap();
        }
    }
    note(&format!("{} cases; most seconds and bytes: {worst:?}", cases.len()));
    assert!(report.is_empty(), "\n{report}");
}

#[allow(clippy::print_stderr, reason = "evidence for whoever runs the tests with --nocapture")]
fn note(text: &str) {
    eprintln!("{text}");
}

#[test]
fn safetensors_files() {
    check(&safetensors::cases());
}

#[test]
fn gguf_files() {
    check(&gguf::cases());
}

#[test]
fn folders_and_shards() {
    check(&folders::cases());
}

#[test]
fn there_are_many_and_no_two_have_one_name() {
    let all = [safetensors::cases(), gguf::cases(), folders::cases()];
    let mut names: Vec<_> = all.iter().flatten().map(|c| c.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 60, "{count}");
}
