//! Streams every tensor of a checkpoint through f32 and says how fast, and how much memory stayed resident.
//!
//! ```text
//! cargo run --release -p tomo-checkpoint --example stream -- make 1 bf16.safetensors   # writes 1 GiB of BF16
//! cargo run --release -p tomo-checkpoint --example stream -- read bf16.safetensors
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use tomo_checkpoint::open;

/// Elements decoded at a time: 4 MiB of f32.
const CHUNK: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", gib, path] => make(gib.parse()?, Path::new(path)),
        ["read", path] => read(Path::new(path)),
        _ => Err("usage: stream make GIB PATH | stream read PATH".into()),
    }
}

/// A safetensors file of `gib` tensors of 1 GiB of BF16 each.
fn make(gib: u64, path: &Path) -> Result<(), Box<dyn Error>> {
    const TENSOR_BYTES: u64 = 1 << 30;
    let entries: Vec<String> = (0..gib)
        .map(|i| {
            let (begin, end) = (i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES);
            format!(r#""w{i:03}":{{"dtype":"BF16","shape":[65536,8192],"data_offsets":[{begin},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut state = 1u32;
    let block: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Exponents near that of 1, so that sums stay finite.
        (0x3c00 | (state >> 17) as u16 & 0x83ff).to_le_bytes()
    })
    .take(1 << 19)
    .flatten()
    .collect();
    for _ in 0..gib << 10 {
        out.write_all(&block)?;
    }
    Ok(out.flush()?)
}

fn read(path: &Path) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let source = open(path)?;
    println!("open    {:8.3} s, {} tensors", started.elapsed().as_secs_f64(), source.tensors().len());
    let started = Instant::now();
    let digest = source.digest()?;
    println!("digest  {:8.3} s, {digest}", started.elapsed().as_secs_f64());
    let mut out = vec![0.0; CHUNK as usize];
    let started = Instant::now();
    let (mut stored, mut values) = (0, 0u64);
    for tensor in source.tensors().iter().filter(|t| t.dtype.is_decodable()) {
        let total = tensor.numel();
        for start in (0..total).step_by(CHUNK as usize) {
            let range = start..total.min(start + CHUNK);
            let out = &mut out[..(range.end - range.start) as usize];
            source.decode(&tensor.name, range.clone(), out)?;
            source.release(&tensor.name, range);
        }
        stored += tensor.bytes;
        values += total;
    }
    let seconds = started.elapsed().as_secs_f64();
    let gb = |bytes: u64| bytes as f64 / 1e9 / seconds;
    println!("decode  {seconds:8.3} s, {:.2} GB/s stored, {:.2} GB/s of f32", gb(stored), gb(values * 4));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")).for_each(|l| println!("{l}"));
    Ok(())
}
