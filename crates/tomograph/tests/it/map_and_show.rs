use std::ffi::OsString;
use std::path::Path;

use tomograph::cli::Exit;
use tomograph::render::Terminal;

use crate::harness::{phantom, run, run_on};

fn map_of_phantom(metrics: &str, out: &Path) {
    let args: [OsString; 6] =
        ["map".into(), phantom().into(), "--metric".into(), metrics.into(), "--out".into(), out.into()];
    run(args).ended(Exit::Success);
}

#[test]
fn a_map_is_shown_again_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    map_of_phantom("rms,stable-rank", folder.path());
    let listed = run(["list", "formats", "--json"]).json();
    for format in listed.as_array().unwrap() {
        let format = format["id"].as_str().unwrap();
        let file = folder.path().join(format!("picture.{format}"));
        let args: [OsString; 8] = [
            "show".into(),
            folder.path().into(),
            "--metric".into(),
            "stable-rank".into(),
            "--format".into(),
            format.into(),
            "-o".into(),
            file.clone().into(),
        ];
        run(args).ended(Exit::Success);
        assert!(file.metadata().unwrap().len() > 100, "{format}");
    }
}

#[test]
fn the_printed_map_fits_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    map_of_phantom("rms", folder.path());
    for width in [40, 80, 200] {
        let terminal = Terminal { width, ..Terminal::default() };
        let out = run_on(terminal, ["show".into(), folder.path().as_os_str().to_owned()]).ended(Exit::Success).out;
        let widest = out.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} columns on a terminal of {width}:\n{out}");
        assert!(out.contains("27") && out.contains('0'), "rows are missing:\n{out}");
    }
}

#[test]
fn the_same_scan_gives_the_same_scores() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    map_of_phantom("all", a.path());
    map_of_phantom("all", b.path());
    let read = |p: &Path| std::fs::read_to_string(p.join("map.csv")).unwrap();
    assert_eq!(read(a.path()), read(b.path()));
}

#[test]
fn a_normalisation_that_does_not_fit_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    map_of_phantom("kurtosis", folder.path());
    let args: [OsString; 4] = ["show".into(), folder.path().into(), "--normalise".into(), "layer-share".into()];
    let err = run(args).ended(Exit::Failure).err;
    assert!(err.contains("negative") || err.contains("signed"), "{err}");
}
