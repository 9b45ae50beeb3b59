//! What `tomograph quantize` does not do, and that it leaves nothing behind then.

use std::path::{Path, PathBuf};

use tomo_checkpoint::write::Gguf;
use tomo_checkpoint::{DType, open};
use tomo_plan::{Choice, Kind, Plan};
use tomograph::cli::Exit;

use crate::harness::run;
use crate::plan_files::{plan_of, write_plan};
use crate::running::parity;

fn llama() -> PathBuf {
    parity("llama_llama3").join("model.gguf")
}

fn f16(tensor: &str) -> Option<&'static str> {
    tensor.contains("attn_q").then_some("f16")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the run says that fails; nothing but the plan is in the folder afterwards.
#[track_caller]
fn refused(model: &Path, plan: &Plan, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let plan = write_plan(plan, folder.path());
    let out = folder.path().join("out.gguf");
    let args = ["quantize", text(model), text(&plan), "-o", text(&out)];
    let outcome = run(args.into_iter().chain(more.iter().copied())).ended(Exit::Failure);
    assert_eq!(outcome.out, "");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["plan.json"]);
    outcome.err
}

#[track_caller]
fn says(err: &str, phrases: &[&str]) {
    for phrase in phrases {
        assert!(err.contains(phrase), "no {phrase:?} in\n{err}");
    }
}

/// The model with some bytes of its data changed.
fn changed(folder: &Path, tensor: &str, bytes: &[u8]) -> PathBuf {
    let source = open(&llama()).unwrap();
    let mut found = Vec::new();
    source.read(tensor, 0..source.tensor(tensor).unwrap().numel(), &mut found).unwrap();
    let mut file = std::fs::read(llama()).unwrap();
    let at = file.windows(found.len()).position(|window| window == found).unwrap();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let path = folder.join("changed.gguf");
    std::fs::write(&path, file).unwrap();
    path
}

#[test]
fn a_plan_of_another_checkpoint_needs_force_and_names_and_shapes() {
    let plan = plan_of(&llama(), f16);
    let folder = tempfile::tempdir().unwrap();
    let other = changed(folder.path(), "blk.1.attn_v.weight", &[0x80, 0x3f]);
    let err = refused(&other, &plan, &[]);
    says(&err, &["the plan was made from another checkpoint", &plan.about.model_digest, "hint: --force"]);
    let plan_file = write_plan(&plan, folder.path());
    let out = folder.path().join("out.gguf");
    let args = ["quantize", text(&other), text(&plan_file), "-o", text(&out), "--force"];
    let said = run(args).ended(Exit::Success);
    says(&said.err, &["note: the plan was made from another checkpoint"]);
    assert_eq!(open(&out).unwrap().tensor("blk.0.attn_q.weight").unwrap().dtype, DType::F16);

    let another = parity("mistral_plain").join("model.gguf");
    says(&refused(&another, &plan, &["--force"]), &["the plan is for", "hint"]);
}

#[test]
fn a_plan_of_safetensors_fits_what_they_are_converted_to() {
    let plan = plan_of(&parity("llama_llama3"), f16);
    assert_eq!(plan.about.format, "safetensors");
    says(&refused(&llama(), &plan, &[]), &["the plan was made from another checkpoint", "--force"]);
    let folder = tempfile::tempdir().unwrap();
    let plan_file = write_plan(&plan, folder.path());
    let out = folder.path().join("out.gguf");
    run(["quantize", text(&llama()), text(&plan_file), "-o", text(&out), "--force"]).ended(Exit::Success);
    let [before, after] = [&llama(), &out].map(|path| open(path).unwrap());
    assert_eq!(after.tensors().len(), before.tensors().len());
    for (before, after) in before.tensors().iter().zip(after.tensors()) {
        // Norms are F32 in GGUF whatever they were in safetensors, and `rope_freqs.weight` is only there.
        let expected = if before.name.contains("attn_q") { DType::F16 } else { before.dtype };
        assert_eq!((&after.name, after.dtype), (&before.name, expected));
    }
}

#[test]
fn names_and_shapes_have_to_agree() {
    let fits = plan_of(&llama(), f16);
    let mut plan = fits.clone();
    plan.cells[0].in_features += 4;
    says(&refused(&llama(), &plan, &[]), &["other shapes", "blk.0.attn_q.weight", "rows of 40", "[48, 36]"]);
    let mut plan = fits.clone();
    plan.cells[0].out_features -= 1;
    says(&refused(&llama(), &plan, &["--force"]), &["other shapes", "1692 weights in its cells", "1728"]);
    let mut plan = fits.clone();
    plan.cells[3].names.gguf = Some("blk.7.attn_output.weight".to_owned());
    says(&refused(&llama(), &plan, &[]), &["no such tensor", "L0.attn.o", "blk.7.attn_output.weight"]);
    let mut plan = fits.clone();
    plan.cells[3].names.gguf = None;
    says(&refused(&llama(), &plan, &[]), &["what a cell is called in GGUF", "L0.attn.o"]);
    let mut plan = fits.clone();
    plan.cells.pop();
    says(&refused(&llama(), &plan, &[]), &["a tensor that the plan does not know", "blk.1.ffn_gate.weight"]);
    let mut plan = fits.clone();
    let norm = plan.others.iter_mut().find(|other| other.role == "norm").unwrap();
    norm.shape = vec![35];
    says(&refused(&llama(), &plan, &[]), &["other shapes", "[35]", "[36]"]);
    let mut plan = fits.clone();
    let first = plan.others[0].clone();
    plan.others.push(first);
    says(&refused(&llama(), &plan, &[]), &["twice on one tensor"]);
    let mut plan = fits;
    plan.others[0].stored = "q9_9".to_owned();
    says(&refused(&llama(), &plan, &[]), &["no such type", "\"q9_9\""]);
}

#[test]
fn cells_of_one_tensor_want_one_type() {
    let model = parity("phi3_plain").join("model.gguf");
    let mut plan = plan_of(&model, |tensor| tensor.contains("attn_qkv").then_some("f16"));
    // The second of q, k and v.
    plan.cells[1].choice = Choice::Stored("bf16".parse().unwrap());
    let err = refused(&model, &plan, &[]);
    says(
        &err,
        &["two types for one tensor", "blk.0.attn_qkv.weight", "F16 for all its cells, as for L0.attn.q", "L0.attn.k"],
    );
}

#[test]
fn only_plans_of_bits_for_llama_cpp() {
    let fits = plan_of(&llama(), f16);
    let mut plan = fits.clone();
    plan.client = "mlx".to_owned();
    says(&refused(&llama(), &plan, &[]), &["a plan of bits for llama.cpp", "\"mlx\"", "--for llama.cpp"]);
    let mut plan = fits.clone();
    plan.kind = Kind::Rank;
    plan.cells.iter_mut().for_each(|cell| cell.choice = Choice::Rank { rank: 4, alpha: 8 });
    says(&refused(&llama(), &plan, &[]), &["found: a plan of rank"]);
    let mut plan = fits;
    plan.cells[0].choice = Choice::Stored("int4:g64".parse().unwrap());
    says(&refused(&llama(), &plan, &[]), &["GGUF cannot store", "L0.attn.q", "int4:g64"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    std::fs::write(&file, "{}").unwrap();
    let model = llama();
    let args = ["quantize", text(&model), text(folder.path()), "-o", "never.gguf"];
    says(&run(args).ended(Exit::Failure).err, &["cannot understand", "plan.json", "schema"]);
}

#[test]
fn models_that_cannot_be_quantized() {
    let plan = plan_of(&llama(), f16);
    says(&refused(&parity("llama_llama3"), &plan, &[]), &["only GGUF files", "convert_hf_to_gguf.py", "safetensors"]);
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(llama()).unwrap();
    let cut = folder.path().join("cut.gguf");
    std::fs::write(&cut, &whole[..whole.len() - 100]).unwrap();
    says(&refused(&cut, &plan, &["--force"]), &["runs past the end of the file", "incomplete"]);
    let err = refused(&changed(folder.path(), "blk.0.attn_q.weight", &[0xc0, 0x7f]), &plan, &["--force"]);
    // bf16 7fc0 is not a number.
    says(&err, &["cannot write", "cannot be stored as planned", "blk.0.attn_q.weight", "row: 0", "NaN"]);
    // bf16 7f00 is 1.7e38, beyond f16.
    let err = refused(&changed(folder.path(), "blk.0.attn_q.weight", &[0x00, 0x7f]), &plan, &["--force"]);
    says(&err, &["cannot be stored as planned", "beyond what f16 can hold"]);
}

#[test]
fn types_without_a_decoder_can_be_copied_only() {
    let mut file = Gguf::new();
    let info = |name: &str| (name.to_owned(), DType::IQ2_XXS, [1u64, 256]);
    let (name, dtype, shape) = info("blk.0.attn_q.weight");
    file.tensor(name, dtype, &shape, (0..66).collect::<Vec<u8>>()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("iq2.gguf");
    std::fs::write(&model, file.to_bytes().unwrap()).unwrap();
    let mut plan = plan_of(&llama(), f16);
    plan.cells.truncate(1);
    (plan.cells[0].out_features, plan.cells[0].in_features) = (1, 256);
    plan.others.clear();
    says(&refused(&model, &plan, &["--force"]), &["cannot be decoded", "IQ2_XXS", "f16 or bf16"]);
    plan.cells[0].choice = Choice::Stored("original:2".parse().unwrap());
    let plan = write_plan(&plan, folder.path());
    let out = folder.path().join("out.gguf");
    run(["quantize", text(&model), text(&plan), "-o", text(&out), "--force"]).ended(Exit::Success);
    let (mut bytes, written) = (Vec::new(), open(&out).unwrap());
    written.read("blk.0.attn_q.weight", 0..256, &mut bytes).unwrap();
    assert_eq!(bytes, (0..66).collect::<Vec<u8>>());
    // ggml does not count a slowest dimension of 1.
    assert_eq!(written.tensors()[0].shape, [256]);
}

#[test]
fn an_imatrix_of_another_model() {
    let plan = plan_of(&llama(), f16);
    let imatrix = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/quantize/imatrix.gguf");
    says(
        &refused(&llama(), &plan, &["--imatrix", text(&imatrix)]),
        &["does not fit the model's tensor", "blk.0.attn_q.weight"],
    );
    says(&refused(&llama(), &plan, &["--imatrix", text(&llama())]), &["no imatrix"]);
}

#[test]
fn outputs_that_stand_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.gguf");
    std::fs::copy(llama(), &model).unwrap();
    let before = std::fs::read(&model).unwrap();
    let plan = write_plan(&plan_of(&model, f16), folder.path());
    let to = |out: &Path| run(["quantize", text(&model), text(&plan), "-o", text(out)]);
    says(&to(&model).ended(Exit::Failure).err, &["the output is the model itself"]);
    #[cfg(unix)]
    {
        let link = folder.path().join("link.gguf");
        std::os::unix::fs::symlink(&model, &link).unwrap();
        says(&to(&link).ended(Exit::Failure).err, &["the output is the model itself"]);
    }
    assert!(std::fs::read(&model).unwrap() == before);
    says(&to(folder.path()).ended(Exit::Failure).err, &["the output is a folder"]);
    says(&to(&folder.path().join("no/such/out.gguf")).ended(Exit::Failure).err, &["cannot write", "out.gguf"]);
    // A file that is there is replaced, whole.
    let out = folder.path().join("out.gguf");
    std::fs::write(&out, "something else").unwrap();
    to(&out).ended(Exit::Success);
    assert_eq!(open(&out).unwrap().tensors().len(), 22);
}
