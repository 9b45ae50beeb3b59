//! The numbers that GGUF files use for tensor types (`enum ggml_type`).

use crate::DType;

/// Type number and type. Missing numbers were withdrawn (4, 5, 31-33, 36-38) or exist in memory only (9 and 15).
const TYPES: &[(u32, DType)] = &[
    (0, DType::F32),
    (1, DType::F16),
    (2, DType::Q4_0),
    (3, DType::Q4_1),
    (6, DType::Q5_0),
    (7, DType::Q5_1),
    (8, DType::Q8_0),
    (10, DType::Q2_K),
    (11, DType::Q3_K),
    (12, DType::Q4_K),
    (13, DType::Q5_K),
    (14, DType::Q6_K),
    (16, DType::IQ2_XXS),
    (17, DType::IQ2_XS),
    (18, DType::IQ3_XXS),
    (19, DType::IQ1_S),
    (20, DType::IQ4_NL),
    (21, DType::IQ3_S),
    (22, DType::IQ2_S),
    (23, DType::IQ4_XS),
    (24, DType::I8),
    (25, DType::I16),
    (26, DType::I32),
    (27, DType::I64),
    (28, DType::F64),
    (29, DType::IQ1_M),
    (30, DType::BF16),
    (34, DType::TQ1_0),
    (35, DType::TQ2_0),
    (39, DType::MXFP4),
    (40, DType::NVFP4),
    (41, DType::Q1_0),
];

/// The type with number `id`.
pub(crate) fn dtype(id: u32) -> Option<DType> {
    TYPES.iter().find(|(n, _)| *n == id).map(|&(_, dtype)| dtype)
}

/// The number of `dtype`, if GGUF has it.
pub(crate) fn id(dtype: DType) -> Option<u32> {
    TYPES.iter().find(|&&(_, d)| d == dtype).map(|(n, _)| *n)
}
