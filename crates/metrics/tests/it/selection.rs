//! From words to metrics.

use tomo_metrics::{Facts, METRICS, Selected, select};

use crate::support::{Weights, score_of};

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
    let names = |is_one: fn(&str) -> bool| {
        METRICS.iter().filter(|m| is_one(&m.info.family)).map(|m| m.info.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids("all"), names(|family| ["weights", "spectrum", "error"].contains(&family)), "the weights alone");
    assert_eq!(ids("activations"), names(|family| family == "activations"));
    assert_eq!(ids("gradients"), names(|family| family == "gradients"));
}

#[test]
fn what_reads_gradients_is_neither_weights_nor_activations() {
    let gradients = select("gradients").unwrap();
    assert_eq!(gradients.len(), 10 + 2 * 8);
    assert!(gradients.iter().all(|s| s.reads_gradients() && s.reads_text() && !s.reads_activations()));
    assert!(select("all,activations,error@x").unwrap().iter().all(|s| !s.reads_gradients()));
    assert!(select("fisher@null").is_err() && select("quant-taylor-int4@x").is_err());
    for format in ["int4", "int3", "int2", "nf4", "q4_0", "nvfp4", "mxfp4", "fp8"] {
        assert_eq!(ids(&format!("predicted-kl-{format}")).len(), 1);
    }
}

/// Curvature is not fragility: whoever reads the manual has to meet that.
#[test]
fn the_manual_of_fisher_says_what_it_does_not_predict() {
    let fisher = select("fisher").unwrap()[0].metric;
    assert!(fisher.info.caveat.contains("does not predict"));
    let manual: String = fisher.source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    assert!(manual.contains("not fragility") && manual.contains("inverse order"), "{manual}");
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

/// Formats without a file of their own are asked for by id, and come after all others.
#[test]
fn every_number_format_has_its_four_metrics() {
    for format in tomo_quant::FORMATS {
        for prefix in ["err-", "quant-taylor-", "predicted-kl-", "quant-kl-"] {
            let id = format!("{prefix}{}", format.id);
            let found = select(&id).unwrap();
            let [found] = found.as_slice() else { panic!("{id} stands for {} metrics", found.len()) };
            let info = found.info();
            // The catalogue says FP8 where the format says which kind of it.
            let name = format.title.split(' ').next().unwrap();
            assert!(found.id() == id && info.title.contains(name) && info.summary.contains(name), "{info:?}");
            let (error, causal) = (prefix == "err-", prefix == "quant-kl-");
            assert_eq!((found.is_causal(), found.reads_text()), (causal, !error), "{id}");
        }
    }
    let other = |id: &String| id.contains("q6_k");
    assert!(!ids("all,error@x,gradients,causal").iter().any(other), "families are the usual formats");
    assert_eq!(ids("quant-kl-q6_k,err-q6_k@x,patch-kl,rms"), ["rms", "patch-kl", "err-q6_k@x", "quant-kl-q6_k"]);
    assert_eq!(select("quant-kl-q6k").unwrap_err().near[0], "quant-kl-q6_k");
}

/// The codec's own bytes, decoded: what the metric says of a matrix whose rows are whole blocks, and that it says nothing of others.
#[test]
fn the_error_of_a_stored_type_is_that_of_its_bytes() {
    let block = tomo_quant::find("q6_k").unwrap().stored().unwrap();
    let error = select("err-q6_k").unwrap()[0].metric;
    let weights = Weights::gaussian(3, 512, 0.02, 7);
    let (mut bytes, mut again) = (vec![0; block.row_bytes(512).unwrap()], vec![0.0; 512]);
    let (mut lost, mut whole) = (0.0, 0.0);
    for row in weights.values.chunks_exact(512) {
        block.encode_row(row, None, &mut bytes).unwrap();
        block.decode_row(&bytes, &mut again).unwrap();
        lost += row.iter().zip(&again).map(|(w, q)| f64::from(w - q).powi(2)).sum::<f64>();
        whole += row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>();
    }
    let score = score_of(error, &Facts::new(weights.matrix())).value().unwrap();
    assert!(score > 0.0 && ((score / (lost / whole).sqrt()) - 1.0).abs() < 1e-6, "{score}");
    let narrow = Weights::gaussian(3, 576, 0.02, 7);
    let reason = format!("{:?}", score_of(error, &Facts::new(narrow.matrix())));
    assert!(reason.contains("q8_0"), "{reason}");
}
