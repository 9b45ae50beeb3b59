use crate::Metric;

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
}
