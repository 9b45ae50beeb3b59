use tomograph::cli::Exit;

use crate::harness::run;

#[test]
fn the_demo_recovers_every_planted_fact_and_writes_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let outcome = run(["demo".into(), "--out".into(), out.clone().into_os_string()]).ended(Exit::Success);
    assert!(!outcome.out.contains("MISSED"), "{}", outcome.out);
    let found = outcome.out.lines().filter(|l| l.trim_start().starts_with("found")).count();
    assert_eq!(found, tomo_phantom::facts().len() + tomo_phantom::pair_facts().len(), "{}", outcome.out);
    for name in ["map.json", "map.csv", "report.html", "report.md", "rms.png"] {
        assert!(out.join(name).metadata().is_ok_and(|m| m.len() > 0), "{name} was not written");
    }
    // The pair draws the reference figure, and the report says what drew it.
    assert!(out.join("pair/update-density.png").exists() && out.join("pair/base/model.safetensors").exists());
    let report = std::fs::read_to_string(out.join("pair/report.md")).unwrap();
    for sentence in [
        "By `update-density`: `attn.v` is the highest column throughout layers 0 to 13.",
        "By `update-density`: `attn.v` is the highest column throughout layers 15 to 27.",
        "By `update-density`: `mlp.gate` is the lowest column throughout layers 0 to 15.",
        "`update-density` follows 1 / `base-rms`: rank correlation ",
        "keeps an update only where it is larger than",
    ] {
        assert!(report.contains(sentence), "does not say {sentence:?}:\n{report}");
    }
    // The trained model computes something: changing any of its cells changes what it says, and some far more than others.
    let map = tomo_map::read_json(&std::fs::read(out.join("trained/map.json")).unwrap()).unwrap();
    assert_eq!(map.grid.cells.len(), 28 * 7);
    let predicted: Vec<f64> =
        map.column("predicted-kl-int3").unwrap().scores.iter().map(|s| s.value().unwrap()).collect();
    let (least, most) = predicted.iter().fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), x| (a.min(*x), b.max(*x)));
    assert!(least > 0.0 && most > 10.0 * least, "{least} to {most}");
    assert!(out.join("trained/predicted-kl-int3.png").exists() && out.join("trained/base/config.json").exists());
}
