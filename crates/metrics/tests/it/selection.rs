//! From words to metrics.

use tomo_metrics::{METRICS, Selected, select};

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
    let (of_text, rest): (Vec<_>, Vec<_>) = METRICS
        .iter()
        .map(|m| (m.info.id.to_string(), m.info.family == "activations"))
        .partition(|(_, of_text)| *of_text);
    let names = |metrics: Vec<(String, bool)>| metrics.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids("all"), names(rest), "what needs no text");
    assert_eq!(ids("activations"), names(of_text));
}

#[test]
fn errors_have_a_form_weighted_by_activations() {
    assert_eq!(ids("err-int4@x,rms,err-int4"), ["rms", "err-int4", "err-int4@x"]);
    let weighted = ids("error@x");
    assert_eq!(weighted.len(), ids("error").len());
    assert!(weighted.iter().all(|id| id.starts_with("err-") && id.ends_with("@x")), "{weighted:?}");
    assert_eq!(ids("all@x"), weighted);
    assert!(select("rms@x").unwrap_err().to_string().contains("no form weighted by activations"));
    assert_eq!(select("err-itn4@x").unwrap_err().near[0], "err-int4@x");
    let forms = select("err-int4,err-int4@x,wanda").unwrap();
    assert_eq!(forms.iter().map(Selected::reads_activations).collect::<Vec<_>>(), [false, true, true]);
    let info = forms[1].info();
    assert_eq!((info.id.as_ref(), info.family.as_ref()), ("err-int4@x", "error"));
    assert!(info.summary.contains("mean square on the text"), "{}", info.summary);
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
