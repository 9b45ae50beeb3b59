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
    spectral_norm,
    stable_rank,
    effective_rank,
    participation_ratio,
    mp_excess,
    spectrum_snr,
    pl_alpha,
    pl_alpha_hill,
}
