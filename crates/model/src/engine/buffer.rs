//! Memory for intermediate values, in large pages where the system has them.
//!
//! What a pass keeps for its way back can be gigabytes, each byte touched first by this process. In pages of 4 KiB the system
//! spends more time on handing them out than it takes to compute their contents again.

use std::ops::Deref;

use memmap2::MmapMut;

/// Bytes from which on a buffer is mapped by itself.
const LARGE: usize = 1 << 20;

/// Values that grow when they must and are not kept when they grow.
#[derive(Default)]
pub(crate) struct Buffer(Memory);

enum Memory {
    Heap(Vec<f32>),
    Mapped(MmapMut),
}

impl Default for Memory {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Buffer {
    /// The first `len` values, which are any where there was no room for so many before.
    pub(crate) fn room(&mut self, len: usize) -> &mut [f32] {
        if self.len() < len {
            // Not both at once.
            self.0 = Memory::default();
            self.0 = mapped(len).unwrap_or_else(|| Memory::Heap(vec![0.0; len]));
        }
        match &mut self.0 {
            Memory::Heap(values) => &mut values[..len],
            Memory::Mapped(map) => &mut bytemuck::cast_slice_mut(map)[..len],
        }
    }

    /// Overwrites the beginning.
    pub(crate) fn copy(&mut self, values: &[f32]) {
        self.room(values.len()).copy_from_slice(values);
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Memory::Heap(values) => values,
            Memory::Mapped(map) => bytemuck::cast_slice(map),
        }
    }
}

fn mapped(len: usize) -> Option<Memory> {
    let bytes = len.checked_mul(size_of::<f32>()).filter(|bytes| *bytes >= LARGE)?;
    let map = MmapMut::map_anon(bytes).ok()?;
    // A wish: without large pages it is as slow as any memory.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Some(Memory::Mapped(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_buffers_hold_what_was_put_there() {
        let mut buffer = Buffer::default();
        assert!(buffer.is_empty());
        for len in [3, LARGE / 4 - 1, LARGE / 4, LARGE] {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            buffer.copy(&values);
            assert!(buffer[..] == values[..], "{len}");
            // Smaller again: the same memory.
            assert_eq!(buffer.room(2), &[0.0, 1.0]);
            assert_eq!(buffer.len(), len);
        }
    }
}
