//! One file per type; what types of one block length share is in `block32.rs` and `block256.rs`.

mod block256;
mod block32;

use crate::block_type::BlockType;

/// The type called `id`, in small or capital letters.
pub fn find(id: &str) -> Option<&'static BlockType> {
    TYPES.iter().copied().find(|t| t.id.eq_ignore_ascii_case(id))
}

/// Declares the files, their types and the ordered registry at once: a new type is its file and one line here.
macro_rules! registry {
    ($($module:ident: $name:ident, $id:literal, $codec:ident, $smaller:expr;)*) => {
        $(mod $module;)*

        $(
            #[doc = concat!("The type `", $id, "`.")]
            pub static $name: BlockType = BlockType::new::<$module::$codec>(
                $id,
                stringify!($name),
                include_str!(concat!(stringify!($module), ".rs")),
                $smaller,
            );
        )*

        /// Every type, in the order of ggml's numbers.
        pub static TYPES: &[&BlockType] = &[$(&$name,)*];
    };
}

// Module, title, id, codec, and the type that rows get which do not fill blocks of 256.
registry! {
    f32: F32, "f32", F32, None;
    f16: F16, "f16", F16, None;
    q4_0: Q4_0, "q4_0", Q4_0, None;
    q4_1: Q4_1, "q4_1", Q4_1, None;
    q5_0: Q5_0, "q5_0", Q5_0, None;
    q5_1: Q5_1, "q5_1", Q5_1, None;
    q8_0: Q8_0, "q8_0", Q8_0, None;
    q2_k: Q2_K, "q2_k", Q2K, Some(&Q4_0);
    q3_k: Q3_K, "q3_k", Q3K, Some(&Q4_0);
    q4_k: Q4_K, "q4_k", Q4K, Some(&Q5_0);
    q5_k: Q5_K, "q5_k", Q5K, Some(&Q5_1);
    q6_k: Q6_K, "q6_k", Q6K, Some(&Q8_0);
    iq4_nl: IQ4_NL, "iq4_nl", Iq4Nl, None;
    iq4_xs: IQ4_XS, "iq4_xs", Iq4Xs, Some(&IQ4_NL);
    bf16: BF16, "bf16", Bf16, None;
    mxfp4: MXFP4, "mxfp4", MxFp4, None;
}
