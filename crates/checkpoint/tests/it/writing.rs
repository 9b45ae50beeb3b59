//! GGUF files that are written while their data comes.

use std::io::{self, Write};

use proptest::prelude::*;
use tomo_checkpoint::write::{Gguf, GgufLayout};
use tomo_checkpoint::{DType, Format, GgufEntry, from_bytes};

fn layout(alignment: u32, rows: &[u64]) -> GgufLayout {
    let mut layout = GgufLayout::new();
    layout.entry(GgufEntry::new("general.alignment", alignment));
    for (i, &n) in rows.iter().enumerate() {
        layout.tensor(i.to_string(), DType::F16, &[n, 3]).unwrap();
    }
    layout
}

/// Six bytes a row, different in every tensor.
fn data(i: usize, rows: u64) -> Vec<u8> {
    (0..6 * rows).map(|at| (at * 7 + i as u64 * 31) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_length_make_the_file(
        power in 0u32..10,
        rows in prop::collection::vec(0u64..40, 0..6),
        piece in 1usize..50,
    ) {
        let layout = layout(1 << power, &rows);
        let mut whole = Gguf::new();
        whole.meta("general.alignment", 1u32 << power);
        let mut writer = layout.begin(Vec::new()).unwrap();
        for (i, &n) in rows.iter().enumerate() {
            let data = data(i, n);
            for piece in data.chunks(piece) {
                writer.data(piece).unwrap();
            }
            whole.tensor(i.to_string(), DType::F16, &[n, 3], data).unwrap();
        }
        let file = writer.finish().unwrap();
        prop_assert_eq!(file.len() as u64, layout.file_bytes());
        prop_assert!(file == whole.to_bytes().unwrap());
        let source = from_bytes(file, Format::Gguf).unwrap();
        for (i, &n) in rows.iter().enumerate() {
            let mut bytes = Vec::new();
            prop_assert!(source.read(&i.to_string(), 0..3 * n, &mut bytes).unwrap());
            prop_assert!(bytes == data(i, n));
        }
    }
}

#[test]
fn data_that_does_not_go_with_the_tensors_is_refused() {
    let layout = layout(32, &[2, 0, 1]);
    let mut writer = layout.begin(Vec::new()).unwrap();
    writer.data(&[0; 7]).unwrap();
    let error = writer.data(&[0; 6]).unwrap_err().to_string();
    assert!(error.contains("more data than the tensor has") && error.contains("tensor: 0"), "{error}");
    writer.data(&[0; 5]).unwrap();
    writer.data(&[0; 5]).unwrap();
    // One byte of the last tensor is missing; the one in the middle has none.
    let error = writer.finish().unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains("tensor: 2"), "{error}");
    let mut writer = layout.begin(Vec::new()).unwrap();
    writer.data(&[0; 12]).unwrap();
    writer.data(&[0; 6]).unwrap();
    let error = writer.data(&[0]).unwrap_err().to_string();
    assert!(error.contains("after the last tensor"), "{error}");
}

#[test]
fn an_alignment_that_is_no_power_of_two_is_refused() {
    for alignment in [0u32, 24, u32::MAX] {
        let error = layout(alignment, &[1]).begin(Vec::new()).unwrap_err().to_string();
        assert!(error.contains("general.alignment"), "{error}");
    }
}

/// Has room for so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_wherever_it_comes() {
    let layout = layout(32, &[4, 2]);
    let whole = usize::try_from(layout.file_bytes()).unwrap();
    let write = |room: usize| -> Result<(), tomo_checkpoint::Error> {
        let mut writer = layout.begin(Full(room))?;
        writer.data(&data(0, 4))?;
        writer.data(&data(1, 2))?;
        writer.finish().map(drop)
    };
    write(whole).unwrap();
    for room in 0..whole {
        let error = write(room).unwrap_err().to_string();
        assert!(error.contains("cannot write GGUF"), "{room}: {error}");
    }
}
