//! `tomograph quantize`: what llama-quantize makes of the same model, types and imatrix, to the byte.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tomo_checkpoint::write::{GgufLayout, GgufValue};
use tomo_checkpoint::{DType, GgufEntry, Source, open};
use tomo_plan::Plan;
use tomograph::cli::Exit;
use tomograph::quantize::{Quantization, WriteProgress};
use tomograph::scan;

use crate::harness::{Outcome, run};
use crate::plan_files::{plan_of, write_plan};
use crate::running::parity;

/// Files that tools/reference/quantize_peer.py had llama-quantize write.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/quantize").join(name)
}

/// The types that it was asked for.
fn asked(tensor: &str) -> Option<&'static str> {
    Some(match tensor {
        "token_embd.weight" => "q8_0",
        "output.weight" => "q6_k",
        "blk.0.attn_q.weight" => "q4_k",
        "blk.0.attn_k.weight" => "q5_k",
        "blk.0.attn_v.weight" => "iq4_xs",
        "blk.0.attn_output.weight" => "q5_1",
        "blk.0.ffn_down_exps.weight" => "q4_0",
        "blk.0.ffn_up_exps.weight" | "blk.0.ffn_gate_exps.weight" => "q3_k",
        _ => return None,
    })
}

struct Case {
    folder: tempfile::TempDir,
    plan: Plan,
}

impl Case {
    fn new(model: &Path, stored: impl Fn(&str) -> Option<&'static str>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), plan: plan_of(model, stored) }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out.gguf")
    }

    fn run(&self, model: &Path, more: &[&str]) -> Outcome {
        let plan = write_plan(&self.plan, self.folder.path());
        let paths = [model, &plan, &self.out()].map(|path| path.to_str().unwrap().to_owned());
        let [model, plan, out] = paths.each_ref().map(String::as_str);
        run(["quantize", model, plan, "-o", out].into_iter().chain(more.iter().copied()))
    }

    /// Bytes of the file that is written.
    fn written(&self, model: &Path, more: &[&str]) -> Vec<u8> {
        self.run(model, more).ended(Exit::Success);
        std::fs::read(self.out()).unwrap()
    }
}

fn stored(source: &dyn Source, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let numel = source.tensor(name).unwrap().numel();
    assert!(source.read(name, 0..numel, &mut bytes).unwrap());
    bytes
}

#[test]
fn the_file_is_that_of_llama_quantize_to_the_byte() {
    let model = fixture("model.gguf");
    let case = Case::new(&model, asked);
    let expected = std::fs::read(fixture("plain.gguf")).unwrap();
    for threads in ["1", "3"] {
        let found = case.written(&model, &["--threads", threads]);
        assert!(found == expected, "{} and {} bytes", found.len(), expected.len());
    }
}

#[test]
fn with_an_imatrix_only_its_path_differs() {
    let model = fixture("model.gguf");
    let case = Case::new(&model, asked);
    let imatrix = fixture("imatrix.gguf");
    case.run(&model, &["--imatrix", imatrix.to_str().unwrap()]).ended(Exit::Success);
    let [found, expected] = [case.out(), fixture("weighted.gguf")].map(|path| open(&path).unwrap());
    assert_eq!(found.tensors(), expected.tensors());
    let mut differ_from_plain = 0;
    let plain = open(&fixture("plain.gguf")).unwrap();
    for tensor in expected.tensors() {
        let bytes = stored(expected.as_ref(), &tensor.name);
        assert!(stored(found.as_ref(), &tensor.name) == bytes, "{}", tensor.name);
        differ_from_plain += u32::from(stored(plain.as_ref(), &tensor.name) != bytes);
    }
    // All cells but that which is stored in blocks that have no use for importances.
    assert!(differ_from_plain >= 6, "{differ_from_plain}");
    let [found, expected] = [found, expected].map(|source| source.gguf_metadata().unwrap().unwrap());
    assert_eq!(found.entries.len(), expected.entries.len());
    for (found, expected) in found.entries.iter().zip(&expected.entries) {
        let is_path = found.key() == "quantize.imatrix.file";
        assert!(found == expected || is_path, "{} {}", found.key(), expected.key());
    }
}

#[test]
fn the_map_knows_how_long_the_metadata_will_be() {
    let request = scan::Request::new(fixture("model.gguf")).metrics("rms").unwrap();
    let header = scan::scan(&request, &scan::Silent).unwrap().inventory.unwrap().gguf.unwrap();
    let expected = open(&fixture("plain.gguf")).unwrap().gguf_metadata().unwrap().unwrap();
    assert_eq!(header.metadata_bytes, expected.entries.iter().map(GgufEntry::bytes).sum::<u64>());
    assert_eq!(header.alignment, 32);
}

/// Writes the model again in two parts, as llama-gguf-split would cut it, with data at multiples of `alignment`.
fn write_parts(source: &dyn Source, folder: &Path, alignment: Option<u32>) -> PathBuf {
    let metadata = source.gguf_metadata().unwrap().unwrap();
    let names: Vec<&str> = source.tensors().iter().map(|t| t.name.as_str()).collect();
    for (no, names) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let mut layout = GgufLayout::new();
        if no == 0 {
            for entry in &metadata.entries {
                layout.entry(entry.clone());
            }
        }
        if let Some(alignment) = alignment {
            layout.entry(GgufEntry::new("general.alignment", alignment));
        }
        let split: [(&str, GgufValue); 3] = [
            ("split.no", (no as u16).into()),
            ("split.count", 2u16.into()),
            ("split.tensors.count", (source.tensors().len() as i32).into()),
        ];
        for (key, value) in split {
            layout.entry(GgufEntry::new(key, value));
        }
        for name in names {
            let info = source.tensor(name).unwrap();
            layout.tensor(*name, info.dtype, &info.shape).unwrap();
        }
        let mut writer = layout.begin(Vec::new()).unwrap();
        names.iter().for_each(|name| writer.data(&stored(source, name)).unwrap());
        std::fs::write(folder.join(format!("m-0000{}-of-00002.gguf", no + 1)), writer.finish().unwrap()).unwrap();
    }
    folder.join("m-00001-of-00002.gguf")
}

#[test]
fn a_split_model_becomes_the_same_file() {
    let model = fixture("model.gguf");
    let case = Case::new(&model, asked);
    let parts = tempfile::tempdir().unwrap();
    let first = write_parts(open(&model).unwrap().as_ref(), parts.path(), None);
    assert!(case.written(&first, &[]) == std::fs::read(fixture("plain.gguf")).unwrap());
    // No part may be overwritten.
    let second = parts.path().join("m-00002-of-00002.gguf");
    let plan = write_plan(&case.plan, case.folder.path());
    let args = [&["quantize"][..], &[first.to_str().unwrap(), plan.to_str().unwrap(), "-o", second.to_str().unwrap()]];
    let err = run(args.concat()).ended(Exit::Failure).err;
    assert!(err.contains("the output is the model itself"), "{err}");
}

#[test]
fn an_alignment_of_the_models_own_is_kept() {
    let model = fixture("model.gguf");
    let parts = tempfile::tempdir().unwrap();
    let wide = write_parts(open(&model).unwrap().as_ref(), parts.path(), Some(4096));
    let case = Case::new(&wide, asked);
    let bytes = case.written(&wide, &[]);
    let [found, expected] = [case.out(), fixture("plain.gguf")].map(|path| open(&path).unwrap());
    assert_eq!(found.gguf_metadata().unwrap().unwrap().alignment, 4096);
    for tensor in expected.tensors() {
        let stored = [found.as_ref(), expected.as_ref()].map(|source| stored(source, &tensor.name));
        assert!(stored[0] == stored[1], "{}", tensor.name);
    }
    // A header of less than 4096 bytes, and 13 tensors of which the largest are 24576 (attn_output) and 27648 (ffn_down): each
    // takes whole pages.
    let pages: u64 = 1 + expected.tensors().iter().map(|tensor| tensor.bytes.div_ceil(4096)).sum::<u64>();
    assert_eq!(bytes.len() as u64, pages * 4096);
}

#[test]
fn what_is_of_its_type_already_is_copied() {
    let plain = fixture("plain.gguf");
    let same = Case::new(&plain, |_| None);
    let found = same.run(&plain, &["--json"]).ended(Exit::Success).json();
    assert!(std::fs::read(same.out()).unwrap() == std::fs::read(&plain).unwrap());
    assert_eq!(found["types"]["q3_k"]["copied"], 2);
    assert_eq!(found["notes"].as_array().unwrap().len(), 0);
    // Rounded a second time: what tomo-blocks makes of what it makes of the bytes.
    let again = Case::new(&plain, |tensor| (tensor == "blk.0.attn_q.weight").then_some("q5_0"));
    let err = again.run(&plain, &[]).ended(Exit::Success).err;
    assert!(err.contains("note: 1 tensors are quantized already"), "{err}");
    let [from, to] = [&plain, &again.out()].map(|path| open(path).unwrap());
    for tensor in to.tensors() {
        if tensor.name != "blk.0.attn_q.weight" {
            assert!(stored(from.as_ref(), &tensor.name) == stored(to.as_ref(), &tensor.name), "{}", tensor.name);
        }
    }
    let mut weights = vec![0.0; 128 * 256];
    tomo_blocks::Q4_K.decode_blocks(&stored(from.as_ref(), "blk.0.attn_q.weight"), &mut weights);
    let mut rows = vec![0; 128 * 256 / 32 * 22];
    for (row, out) in weights.chunks(256).zip(rows.chunks_mut(256 / 32 * 22)) {
        tomo_blocks::Q5_0.encode_row(row, None, out).unwrap();
    }
    assert!(stored(to.as_ref(), "blk.0.attn_q.weight") == rows);
}

#[test]
fn fused_tensors_are_stored_whole() {
    let model = parity("phi3_plain").join("model.gguf");
    let case = Case::new(&model, |tensor| tensor.contains("attn_qkv").then_some("f16"));
    case.run(&model, &[]).ended(Exit::Success);
    let [from, to] = [&model, &case.out()].map(|path| open(path).unwrap());
    let name = "blk.1.attn_qkv.weight";
    let info = to.tensor(name).unwrap();
    assert_eq!((info.dtype, info.shape.as_slice()), (DType::F16, &[80, 48][..]));
    // Rows stay where they are in the file, which is not where a model's matrices have them.
    let rounded: Vec<u8> = stored(from.as_ref(), name)
        .as_chunks::<2>()
        .0
        .iter()
        .flat_map(|b| half::f16::from_f32(half::bf16::from_le_bytes(*b).to_f32()).to_le_bytes())
        .collect();
    assert!(stored(to.as_ref(), name) == rounded);
    assert!(stored(to.as_ref(), "blk.0.ffn_up.weight") == stored(from.as_ref(), "blk.0.ffn_up.weight"));
}

#[test]
fn rows_that_are_no_whole_blocks_get_what_llama_quantize_gives_them() {
    // Rows of 36 and 52: not even blocks of 32.
    let model = parity("llama_llama3").join("model.gguf");
    let case = Case::new(&model, |tensor| tensor.contains("ffn_down").then_some("q4_k"));
    let err = case.run(&model, &[]).ended(Exit::Success).err;
    assert!(err.contains("note: 2 tensors have rows that are no whole blocks of q4_k: F16 instead"), "{err}");
    let info = open(&case.out()).unwrap().tensor("blk.0.ffn_down.weight").unwrap().clone();
    assert_eq!((info.dtype, info.bytes), (DType::F16, 36 * 52 * 2));
}

#[test]
fn the_size_is_held_against_the_plan() {
    let model = fixture("model.gguf");
    let mut case = Case::new(&model, asked);
    // Bytes of llama-quantize's own file.
    case.plan.totals.file = Some(160_032);
    let said = case.run(&model, &[]).ended(Exit::Success);
    assert!(said.out.contains("160,032 bytes, as the plan says"), "{}", said.out);
    assert!(said.out.contains("read back: 13 tensors"), "{}", said.out);
    assert!(said.err.contains("writes: 13 tensors"), "{}", said.err);
    let imatrix = fixture("imatrix.gguf");
    let imatrix = ["--imatrix", imatrix.to_str().unwrap()];
    let said = case.run(&model, &imatrix).ended(Exit::Success);
    assert!(said.out.contains("160,032 as the plan says, and entries about the imatrix"), "{}", said.out);
    case.plan.totals.file = Some(160_000);
    let said = case.run(&model, &[]).ended(Exit::Success);
    assert!(said.out.contains("160,032 bytes, where the plan says 160,000"), "{}", said.out);
    let json = case.run(&model, &["--json"]).ended(Exit::Success).json();
    assert_eq!((&json["bytes"], &json["planned_bytes"]), (&160_032.into(), &160_000.into()));
    assert_eq!((&json["file_type"], &json["tensors"]), (&12.into(), &13.into()));
    assert_eq!(json["digest"], open(&case.out()).unwrap().digest().unwrap());
    // 256 x 96 weights of two experts in two tensors, at 110 bytes for 256.
    assert_eq!(json["types"]["q3_k"]["bytes"], 4 * 96 * 110);
}

#[test]
fn a_plan_that_the_program_made_becomes_a_file_of_the_size_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("model.gguf");
    let names = ["map", "plan", "out.gguf"].map(|name| folder.path().join(name));
    let [map, plan, out] = names.each_ref().map(|path| path.to_str().unwrap());
    let model = model.to_str().unwrap();
    run(["map", model, "--metric", "err-q4_0,err-q5_0,err-q8_0", "--out", map]).ended(Exit::Success);
    let ask = ["--for", "llama.cpp", "--target", "6.5bpw", "--types", "q4_0,q5_0,q8_0", "--cost", "weights"];
    run(["plan", map, "-o", plan, "--keep", "embedding=q8_0"].into_iter().chain(ask)).ended(Exit::Success);
    let found = run(["quantize", model, plan, "-o", out, "--json"]).ended(Exit::Success).json();
    assert_eq!(found["planned_bytes"], found["bytes"]);
    assert_eq!(found["notes"].as_array().unwrap().len(), 0, "{found}");
    let written = open(&names[2]).unwrap();
    assert_eq!(written.tensor("token_embd.weight").unwrap().dtype, DType::Q8_0);
    let kinds: std::collections::BTreeSet<&str> = written
        .tensors()
        .iter()
        .filter(|tensor| tensor.name.starts_with("blk.0.") && tensor.dtype != DType::F32)
        .map(|tensor| tensor.dtype.name())
        .collect();
    assert!(kinds.len() > 1 && kinds.iter().all(|kind| ["Q4_0", "Q5_0", "Q8_0"].contains(kind)), "{kinds:?}");
}

#[derive(serde::Deserialize)]
struct Real {
    sha256: String,
    bytes: usize,
    types: std::collections::BTreeMap<String, String>,
}

#[test]
#[ignore = "reads SmolLM2-135M-Instruct: set TOMOGRAPH_SMOLLM2 and run with --ignored"]
fn smollm2_in_thirteen_types_is_llama_quantizes_file() {
    let model = crate::real_model::smollm2();
    let real: Real = serde_json::from_slice(&std::fs::read(fixture("smollm2.json")).unwrap()).unwrap();
    // Plans of tests take words that live as long as the program.
    let find = |tensor: &str| real.types.get(tensor).and_then(|id| tomo_blocks::find(id)).map(|block| block.id);
    let found = Case::new(&model, find).written(&model, &[]);
    assert_eq!(found.len(), real.bytes);
    let digest: String = Sha256::digest(&found).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, real.sha256);
}

/// Stops after so many pieces.
struct Patience(AtomicU64);

impl WriteProgress for Patience {
    fn start(&self, _: u64) {}

    fn reached(&self, _: &str, _: u64) {}

    fn is_cancelled(&self) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) == 0
    }
}

#[test]
fn a_file_can_be_given_up_halfway() {
    let model = fixture("model.gguf");
    let plan = plan_of(&model, asked);
    let quantization = Quantization::new(open(&model).unwrap(), &plan, None, false).unwrap();
    let mut out = Vec::new();
    assert!(!quantization.write(&mut out, Some(1), &Patience(AtomicU64::new(0))).unwrap());
    assert!((out.len() as u64) < quantization.bytes());
    out.clear();
    assert!(quantization.write(&mut out, Some(1), &Patience(AtomicU64::new(u64::MAX))).unwrap());
    assert_eq!(out.len() as u64, quantization.bytes());
}
