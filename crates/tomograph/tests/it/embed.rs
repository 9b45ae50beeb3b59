//! Commands inside another program: watched, cancelled, with errors as values.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tomograph::cli::{Exit, Streams, Watch};
use tomograph::embed::{self, Failure, Kept};
use tomograph::map::Status;
use tomograph::render::Terminal;

use crate::harness::phantom;
use crate::running::{parity, text_of};

/// Ends what it watches when it has been told so often.
struct Until {
    calls: AtomicUsize,
    most: usize,
}

impl Watch for Until {
    fn reached(&self, done: u64, total: u64, what: &str) {
        assert!(done <= total && !what.is_empty(), "{done} of {total}: {what:?}");
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.most
    }
}

fn until(most: usize) -> Arc<Until> {
    Arc::new(Until { calls: AtomicUsize::new(0), most })
}

fn streams(watch: Arc<Until>) -> Streams {
    Streams {
        input: Box::new(std::io::empty()),
        out: Box::new(std::io::sink()),
        err: Box::new(std::io::sink()),
        terminal: Terminal::default(),
        out_is_terminal: false,
        draw_progress: false,
        watch: Some(watch),
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    std::iter::once("tomograph").chain(words.iter().copied()).map(OsString::from).collect()
}

fn scan(args: &[&str], watch: &Arc<Until>) -> anyhow::Result<Kept> {
    embed::scan(words(args), Vec::new(), &mut streams(Arc::clone(watch)))
}

fn failure(args: &[&str]) -> Failure {
    Failure::of(&embed::try_run_from(words(args), &mut streams(until(usize::MAX))).unwrap_err())
}

#[test]
fn who_watches_is_told_of_every_cell_and_may_end_it() {
    let model = text_of(phantom());
    let all = until(usize::MAX);
    let whole = scan(&["map", &model, "--metric", "rms"], &all).unwrap();
    let cells = whole.map.grid.cells.len();
    // Once at the start, once for each cell.
    assert_eq!(all.calls.load(Ordering::SeqCst), cells + 1);
    assert!(!whole.ended_early);
    let some = scan(&["map", &model, "--metric", "rms", "--threads", "1"], &until(5)).unwrap();
    assert!(some.ended_early);
    let scores = &some.map.columns[0].scores;
    assert_eq!(scores.iter().filter(|s| s.status() == Status::Ok).count(), 4, "the fifth report is of the fourth cell");
    let at = scores.iter().position(|s| s.value().is_some()).unwrap();
    assert_eq!(scores[at], whole.map.columns[0].scores[at]);
}

#[test]
fn a_command_that_is_cancelled_says_so() {
    let model = text_of(&parity("llama"));
    let ids = tempfile::tempdir().unwrap();
    let tokens = crate::running::tokens("llama", ids.path());
    let args = ["perplexity", &model, "--token-ids", &tokens];
    let run = |watch| embed::try_run_from(words(&args), &mut streams(watch)).unwrap();
    assert_eq!(run(until(usize::MAX)), Exit::Success);
    assert_eq!(run(until(1)), Exit::Interrupted);
}

#[test]
fn errors_say_their_kind_and_their_place() {
    let missing = failure(&["map", "nowhere.gguf"]);
    assert_eq!((missing.kind, missing.site.as_deref()), ("io", Some("file nowhere.gguf")));
    assert!(missing.hint.is_some() && missing.expected.is_some() && missing.message.starts_with("cannot read"));
    assert_eq!(failure(&["map"]).kind, "usage");
    assert!(failure(&["map", "x", "--group", "0"]).message.contains("--group"));
    assert_eq!(failure(&["map", &text_of(phantom()), "--metric", "rmss"]).kind, "metric");
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.json");
    std::fs::write(&map, "{").unwrap();
    assert_eq!(failure(&["show", &text_of(&map)]).kind, "map");
    assert_eq!(failure(&["plan", &text_of(&map), "--for", "nobody", "--target", "4bpw"]).kind, "plan");
    assert_eq!(Failure::of_panic(&"oh").message, "this is a bug: oh");
    for kind in [missing.kind, "internal", "own"] {
        assert!(Failure::KINDS.iter().any(|(known, _)| *known == kind));
    }
}

#[test]
fn every_command_and_option_is_in_the_tree() {
    let tree = embed::options();
    let commands = tree.as_array().unwrap();
    let of = |name: &str| commands.iter().find(|c| c["command"] == name).unwrap();
    let option = |command: &str, long: &str| -> Value {
        of(command)["arguments"].as_array().unwrap().iter().find(|a| a["long"] == long).unwrap().clone()
    };
    assert!(commands.len() >= 16, "{}", commands.len());
    assert_eq!(of("map")["arguments"][0]["value_names"][0], "MODEL");
    assert_eq!(option("map", "exact")["takes_value"], false);
    assert_eq!(option("map", "noise-levels")["default"][0], "0.05");
    assert_eq!(option("map", "resume")["optional_value"], true);
    assert_eq!(option("map", "text")["many_values"], true);
    assert_eq!(option("verify", "beside")["repeated"], true);
    assert_eq!(option("map", "loss")["possible"], serde_json::json!(["text", "answer"]));
}

#[test]
fn nothing_is_left_on_disk_unless_a_folder_is_named() {
    let model = text_of(&parity("llama"));
    let folder = tempfile::tempdir().unwrap();
    let tokens = crate::running::tokens("llama", folder.path());
    let out = text_of(&folder.path().join("out"));
    let args = ["map", &model, "--metric", "ablate-zero", "--token-ids", &tokens];
    let kept = scan(&args, &until(usize::MAX)).unwrap();
    assert!(!Path::new("tomograph-llama").exists());
    assert_eq!(kept.beside.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["measured.json", "measured.csv"]);
    let named = scan(&[&args[..], &["--out", &out]].concat(), &until(usize::MAX)).unwrap();
    assert_eq!(named.map.columns, kept.map.columns);
    let loaded = Kept::load(Path::new(&out)).unwrap();
    assert_eq!((&loaded.map.columns, &loaded.beside), (&kept.map.columns, &kept.beside));
    assert!(!Path::new(&out).join("resume").exists());
}
