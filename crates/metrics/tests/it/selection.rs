//! From words to metrics.

use tomo_metrics::{METRICS, select};

fn ids(spec: &str) -> Vec<String> {
    select(spec).unwrap().iter().map(|s| s.id()).collect()
}

#[test]
fn ids_families_and_forms_are_understood_in_registry_order() {
    assert_eq!(ids("pl-alpha,stable-rank"), ["stable-rank", "pl-alpha"]);
    assert_eq!(ids(" stable-rank , stable-rank,"), ["stable-rank"]);
    assert_eq!(ids("pl-alpha@null,pl-alpha"), ["pl-alpha", "pl-alpha@null"]);
    let spectrum = ids("spectrum");
    assert!(spectrum.contains(&"mp-excess".to_owned()) && spectrum.iter().all(|id| !id.contains('@')));
    let nulls = ids("spectrum@null");
    assert!(nulls.contains(&"spectrum-snr@null".to_owned()) && nulls.iter().all(|id| id.ends_with("@null")));
    assert!(!nulls.contains(&"mp-excess@null".to_owned()), "noise scores 0");
    assert_eq!(ids("all"), METRICS.iter().map(|m| m.info.id.to_string()).collect::<Vec<_>>());
}

#[test]
fn unknown_names_say_what_is_near() {
    let error = select("stabel-rank").unwrap_err();
    assert_eq!((error.name.as_str(), error.near[0].as_str()), ("stabel-rank", "stable-rank"));
    assert!(error.to_string().contains("did you mean stable-rank"), "{error}");
    let error = select("stable-rank,effective-rnk@null").unwrap_err();
    assert_eq!(error.near[0], "effective-rank@null");
    assert!(select("mp-excess@null").unwrap_err().to_string().contains("no form relative to random"));
    assert!(select("zzz").unwrap_err().near.is_empty());
    for empty in ["", " , ", "@null"] {
        assert!(select(empty).is_err(), "{empty:?}");
    }
    // Text of the user reaches the terminal escaped.
    assert!(!select("\u{1b}[31m").unwrap_err().to_string().contains('\u{1b}'));
}
