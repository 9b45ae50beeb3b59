//! The families, one file each. A new one is its file and one line here.

use crate::Family;

/// Declares the family files and the ordered registry at once.
macro_rules! registry {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every family, in the order of help, tables and documents; where names alone cannot tell families apart,
        /// the first gives the name.
        pub static FAMILIES: &[&Family] = &[$(&$module::FAMILY,)*];

        /// File name of each entry.
        #[cfg(test)]
        const MODULES: &[&str] = &[$(stringify!($module),)*];
    };
}

registry! {
    llama,
    qwen2,
    qwen3,
    gemma,
    gemma2,
    gemma3,
    phi3,
    olmo2,
    granite,
    smollm3,
    stablelm,
    starcoder2,
    arcee,
    gpt2,
    gpt_neox,
    mixtral,
    qwen3_moe,
    olmoe,
}

#[cfg(test)]
mod tests;
