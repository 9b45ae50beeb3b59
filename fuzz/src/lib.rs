//! What the fuzz targets have in common.

use std::hint::black_box;

use tomo_checkpoint::{Format, config_digest, from_bytes};

/// Elements of a tensor that are worth decoding here.
const MOST_ELEMENTS: u64 = 1 << 16;

/// Opens `bytes` as `format` and does everything a user of the checkpoint could do next.
pub fn open_and_use(bytes: &[u8], format: Format) {
    let source = match from_bytes(bytes.to_vec(), format) {
        Ok(source) => source,
        Err(error) => {
            let text = error.to_string();
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "a control character in an error");
            return;
        }
    };
    for tensor in source.tensors() {
        assert!(source.tensor(&tensor.name).is_some());
        let n = tensor.numel();
        if n <= MOST_ELEMENTS {
            let mut out = vec![0.0; n as usize];
            let _ = black_box(source.decode(&tensor.name, 0..n, &mut out));
        }
        let block = tensor.dtype.block_elements() as u64;
        let mut out = vec![0.0; block as usize];
        let _ = black_box(source.decode(&tensor.name, n.saturating_sub(block)..n, &mut out));
        source.release(&tensor.name, 0..n);
    }
    let _ = black_box((source.digest(), config_digest(source.config())));
}
