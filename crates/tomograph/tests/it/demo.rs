use tomograph::cli::Exit;

use crate::harness::run;

#[test]
fn the_demo_recovers_every_planted_fact_and_writes_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let outcome = run(["demo".into(), "--out".into(), out.clone().into_os_string()]).ended(Exit::Success);
    assert!(!outcome.out.contains("MISSED"), "{}", outcome.out);
    let found = outcome.out.lines().filter(|l| l.trim_start().starts_with("found")).count();
    assert_eq!(found, tomo_phantom::facts().len(), "{}", outcome.out);
    for name in ["map.json", "map.csv", "report.html", "report.md", "rms.png"] {
        assert!(out.join(name).metadata().is_ok_and(|m| m.len() > 0), "{name} was not written");
    }
}
