//! What a quantized file says of itself: what the original said, and how it was quantized, in the order that llama-quantize
//! leaves.

use std::path::Path;

use tomo_checkpoint::{DType, GgufEntry, GgufMetadata, Source};
use tomo_map::GgufHeader;
use tomo_metrics::Imatrix;

/// Numbers the parts of a split file, which ours is not.
const SPLIT: [&str; 3] = ["split.no", "split.count", "split.tensors.count"];
const QUANTIZATION_VERSION: &str = "general.quantization_version";
const FILE_TYPE: &str = "general.file_type";

/// Version of the layouts of quantized blocks (`GGML_QNT_VERSION`).
const LAYOUTS: u32 = 2;

/// Most bytes of a text that llama-quantize writes of an imatrix.
const LONGEST_TEXT: usize = 127;

/// The entries of the original, and how it was quantized. `imatrix` are those of [`of_imatrix`], where one is used.
pub(super) fn of_quantized(original: &GgufMetadata, file_type: u32, imatrix: Vec<GgufEntry>) -> Vec<GgufEntry> {
    let own = [GgufEntry::new(QUANTIZATION_VERSION, LAYOUTS), GgufEntry::new(FILE_TYPE, file_type)];
    let own: Vec<GgufEntry> = own.into_iter().chain(imatrix).collect();
    let stays = |entry: &&GgufEntry| {
        let key = entry.key();
        !SPLIT.contains(&key) && own.iter().all(|own| own.key() != key)
    };
    original.entries.iter().filter(stays).cloned().chain(own.iter().cloned()).collect()
}

/// What says that importances were used, and of which text.
pub(super) fn of_imatrix(path: &Path, imatrix: &Imatrix) -> Vec<GgufEntry> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let text = |key: &str, text: &str| GgufEntry::new(key, cut(text));
    let mut entries = vec![text("quantize.imatrix.file", &path.to_string_lossy())];
    entries.extend(imatrix.datasets.first().map(|dataset| text("quantize.imatrix.dataset", dataset)));
    entries.push(GgufEntry::new("quantize.imatrix.entries_count", count(imatrix.entries.len())));
    if imatrix.chunk_count > 0 {
        entries.push(GgufEntry::new("quantize.imatrix.chunks_count", imatrix.chunk_count));
    }
    entries
}

/// `text` up to the length that fits, whole characters only.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

/// What a file quantized from this one has beside its tensors; `None` where it is no GGUF file.
///
/// # Errors
/// When the file has changed since it was opened.
pub(crate) fn header(source: &dyn Source) -> anyhow::Result<Option<GgufHeader>> {
    let Some(metadata) = source.gguf_metadata()? else { return Ok(None) };
    let alignment = metadata.alignment;
    let metadata_bytes = of_quantized(&metadata, 0, Vec::new()).iter().map(GgufEntry::bytes).sum();
    Ok(Some(GgufHeader { metadata_bytes, alignment }))
}

/// The number that llama.cpp has for files that are mostly of one type (`enum llama_ftype`), of mixes the one that it takes a
/// file for that does not say.
pub(super) fn file_type(mostly: DType) -> u32 {
    match mostly {
        DType::F16 => 1,
        DType::Q4_0 => 2,
        DType::Q4_1 => 3,
        DType::Q8_0 => 7,
        DType::Q5_0 => 8,
        DType::Q5_1 => 9,
        DType::Q2_K => 10,
        DType::Q3_K => 12,
        DType::Q4_K => 15,
        DType::Q5_K => 17,
        DType::Q6_K => 18,
        DType::IQ2_XXS => 19,
        DType::IQ2_XS => 20,
        DType::IQ3_XXS => 23,
        DType::IQ1_S => 24,
        DType::IQ4_NL => 25,
        DType::IQ3_S => 26,
        DType::IQ2_S => 28,
        DType::IQ4_XS => 30,
        DType::IQ1_M => 31,
        DType::BF16 => 32,
        DType::TQ1_0 => 36,
        DType::TQ2_0 => 37,
        DType::MXFP4 => 38,
        DType::NVFP4 => 39,
        DType::Q1_0 => 40,
        // F32, and what no file consists of.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("wiki.train.raw"), "wiki.train.raw");
        assert_eq!(cut(&"x".repeat(500)).len(), 127);
        // 126 bytes and a character of two.
        let long = format!("{}éé", "x".repeat(126));
        assert_eq!(cut(&long).len(), 126);
    }
}
