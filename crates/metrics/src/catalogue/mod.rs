use crate::Metric;

/// Declares the metric files and the ordered registry at once: a new metric is its file and one line here.
macro_rules! registry {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every metric, in the order of help, tables and documents.
        pub static METRICS: &[&Metric] = &[$(&$module::METRIC,)*];
    };
}

registry! {}
