use crate::Metric;

mod delta;
mod spectral;

/// Declares the metric files and the ordered registry at once: a new metric is its file and one line here.
macro_rules! registry {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every metric, in the order of help, tables and documents.
        pub static METRICS: &[&Metric] = &[$(&$module::METRIC,)*];
    };
}

registry! {
    rms,
    mean_abs,
    kurtosis,
    outlier_share,
    spectral_norm,
    stable_rank,
    effective_rank,
    participation_ratio,
    mp_excess,
    spectrum_snr,
    pl_alpha,
    pl_alpha_hill,
    err_int4,
    err_int3,
    err_int2,
    err_nf4,
    err_q4_0,
    err_nvfp4,
    err_mxfp4,
    err_fp8,
    delta_relative,
    delta_scale,
    delta_direction,
    delta_cosine,
    update_density,
    update_density_tol,
    update_density_bf16,
    density_lower_bound,
    base_rms,
    delta_rank,
    delta_stable_rank,
    delta_effective_rank,
    subspace_overlap_left,
    subspace_overlap_right,
    delta_on_principal,
    spectrum_drift,
    sign_flips,
    input_energy,
    wanda,
    owl_outliers,
    nfn,
    output_energy,
    write_ratio,
    write_cosine,
    block_influence,
    input_kurtosis,
    input_outliers,
    experts_load,
    taylor,
    taylor_group,
    snip,
    fisher,
    gradient_norm,
    relative_gradient_norm,
    attribution_zero,
    attribution_mean,
    attribution_resample,
    ig,
    quant_taylor_int4,
    quant_taylor_int3,
    quant_taylor_int2,
    quant_taylor_nf4,
    quant_taylor_q4_0,
    quant_taylor_nvfp4,
    quant_taylor_mxfp4,
    quant_taylor_fp8,
    predicted_kl_int4,
    predicted_kl_int3,
    predicted_kl_int2,
    predicted_kl_nf4,
    predicted_kl_q4_0,
    predicted_kl_nvfp4,
    predicted_kl_mxfp4,
    predicted_kl_fp8,
    quant_kl_int4,
    quant_kl_int3,
    quant_kl_int2,
    quant_kl_nf4,
    quant_kl_q4_0,
    quant_kl_nvfp4,
    quant_kl_mxfp4,
    quant_kl_fp8,
    noise_alpha,
    ablate_zero,
    ablate_mean,
    ablate_resample,
    lowrank_kl,
    patch_kl,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::METRICS;

    /// The manual of every metric has these headings, in this order.
    const HEADINGS: [&str; 7] =
        ["# Measures", "# Formula", "# Unit", "# Direction", "# Cost", "# Misleads when", "# Source"];

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalogue")
    }

    fn is_kebab_case(id: &str) -> bool {
        // The underscore is part of ggml's own names, such as q4_0.
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        id.starts_with(|c: char| c.is_ascii_lowercase()) && id.split('-').all(|w| !w.is_empty() && w.chars().all(word))
    }

    #[test]
    fn ids_are_unique_and_kebab_case() {
        let ids: BTreeSet<&str> = METRICS.iter().map(|metric| metric.info.id.as_ref()).collect();
        assert_eq!(ids.len(), METRICS.len());
        assert!(ids.iter().all(|id| is_kebab_case(id)), "{ids:?}");
    }

    #[test]
    fn every_metric_has_a_file_of_its_name_that_is_its_source() {
        for metric in METRICS {
            let path = folder().join(format!("{}.rs", metric.info.id.replace('-', "_")));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), metric.source, "{}", path.display());
        }
    }

    #[test]
    fn every_metric_file_is_registered() {
        let registered: BTreeSet<String> = METRICS.iter().map(|m| m.info.id.replace('-', "_")).collect();
        for entry in std::fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            let is_metric = std::fs::read_to_string(&path).unwrap().contains("static METRIC: Metric");
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(!is_metric || name == "mod" || registered.contains(&name), "{name}.rs is not in the registry");
        }
    }

    #[test]
    fn manuals_have_their_headings_and_something_below_each() {
        for metric in METRICS {
            let manual: Vec<&str> =
                metric.source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
            let headings: Vec<&str> = manual.iter().copied().filter(|line| line.starts_with("# ")).collect();
            assert_eq!(headings, HEADINGS, "{}", metric.info.id);
            for heading in HEADINGS {
                let below = manual.iter().skip_while(|line| **line != heading).nth(1);
                assert!(below.is_some_and(|line| !line.is_empty()), "{}: {heading} is empty", metric.info.id);
            }
        }
    }

    #[test]
    fn descriptions_are_complete() {
        for metric in METRICS {
            let info = &metric.info;
            for (name, text) in
                [("title", &info.title), ("summary", &info.summary), ("unit", &info.unit), ("caveat", &info.caveat)]
            {
                assert!(!text.trim().is_empty(), "{} has no {name}", info.id);
            }
            let families = ["weights", "spectrum", "error", "delta", "activations", "gradients", "causal"];
            assert!(families.contains(&info.family.as_ref()), "{}", info.id);
        }
    }
}
