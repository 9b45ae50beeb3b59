use std::path::Path;

use tomo_checkpoint::write::Gguf;
use tomo_checkpoint::{Config, DType, Format, Source};

use crate::server::Bucket;
use crate::{Client, counting, decode_counting, fixture, folder};

/// Everything that two sources say is the same, to the bit.
fn assert_same(remote: &dyn Source, local: &dyn Source) {
    assert_eq!(remote.tensors(), local.tensors());
    assert_eq!((remote.config(), remote.format()), (local.config(), local.format()));
    assert_eq!(remote.digest().unwrap(), local.digest().unwrap());
    assert_eq!(remote.files().len(), local.files().len());
    assert_eq!(remote.gguf_metadata().unwrap(), local.gguf_metadata().unwrap());
    for tensor in local.tensors() {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        assert!(remote.read(&tensor.name, 0..tensor.numel(), &mut ours).unwrap());
        assert!(local.read(&tensor.name, 0..tensor.numel(), &mut theirs).unwrap());
        assert_eq!(ours, theirs, "{}", tensor.name);
        let mut decoded = [vec![0.0f32; tensor.numel() as usize], vec![0.0; tensor.numel() as usize]];
        let sources = [remote, local];
        let results: Vec<bool> = sources
            .iter()
            .zip(&mut decoded)
            .map(|(s, out)| s.decode(&tensor.name, 0..tensor.numel(), out).is_ok())
            .collect();
        assert_eq!(results[0], results[1], "{}", tensor.name);
        let bits = |values: &Vec<f32>| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&decoded[0]), bits(&decoded[1]), "{}", tensor.name);
    }
}

#[test]
fn a_folder_reads_as_on_disk() {
    let path = fixture("parity/llama");
    let mut objects = folder(&path, "models/llama");
    // What a web server has not to be asked about, and a bucket lists: neither may be taken for the model.
    objects.retain(|name, _| !name.contains("forward") && !name.contains("backward"));
    let bucket = Bucket::new(objects);
    let client = Client::new(&bucket);
    let local = tomo_checkpoint::open(&path).unwrap();
    for address in ["s3://bucket/models/llama", "s3://bucket/models/llama/", &bucket.web("models/llama")] {
        let remote = client.open(address).unwrap();
        assert_same(remote.as_ref(), local.as_ref());
        assert_eq!(remote.path(), Path::new(address.trim_end_matches('/')));
        assert!(matches!(remote.config(), Config::HuggingFace(_)), "{address}");
    }
    let name = "models/llama/model.safetensors";
    for address in [format!("s3://bucket/{name}"), bucket.web(name), format!("{}?signed=yes", bucket.web(name))] {
        let remote = client.open(&address).unwrap();
        assert_same(remote.as_ref(), local.as_ref());
        assert!(!remote.path().to_str().unwrap().contains("signed"), "the query may be a secret");
    }
}

#[test]
fn shards_and_parts_of_gguf_read_as_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let index = br#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}}"#;
    let part = |number: u16, name: &str| {
        let mut file = Gguf::new();
        file.meta("split.no", number).meta("split.count", 2u16);
        // A header that is longer than what is fetched at first.
        file.meta("general.description", "x".repeat(90_000));
        let stored: Vec<u8> = (0..18 * 40).map(|i| (i % 100) as u8).collect();
        file.tensor(name, DType::Q4_0, &[20, 64], stored).unwrap();
        file.to_bytes().unwrap()
    };
    let files = [
        ("model.safetensors.index.json", index.to_vec()),
        ("one.safetensors", counting(&[("a", 700)])),
        ("two.safetensors", counting(&[("b", 3), ("c", 1)])),
        ("m-00001-of-00002.gguf", part(0, "blk.0.attn_q.weight")),
        ("m-00002-of-00002.gguf", part(1, "blk.1.attn_q.weight")),
        ("sample.gguf", std::fs::read(fixture("decode/sample.gguf")).unwrap()),
        ("sample.safetensors", std::fs::read(fixture("decode/sample.safetensors")).unwrap()),
    ];
    for (name, bytes) in &files {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    let bucket = Bucket::of(&files.map(|(name, bytes)| (name, bytes)));
    let client = Client::new(&bucket);
    for (name, format) in [
        ("model.safetensors.index.json", Format::ShardedSafetensors),
        ("m-00001-of-00002.gguf", Format::Gguf),
        ("m-00002-of-00002.gguf", Format::Gguf),
        ("sample.gguf", Format::Gguf),
        ("sample.safetensors", Format::Safetensors),
    ] {
        let local = tomo_checkpoint::open(&directory.path().join(name)).unwrap();
        assert_eq!(local.format(), format);
        for address in [format!("s3://bucket/{name}"), bucket.web(name)] {
            assert_same(client.open(&address).unwrap().as_ref(), local.as_ref());
        }
    }
    // The root of a bucket is a folder too; of a web server, an index is found by its name.
    for address in ["s3://bucket".to_owned(), bucket.web("")] {
        let remote = client.open(&address).unwrap();
        assert_eq!(remote.files().len(), 2);
        decode_counting(remote.as_ref(), "a");
        decode_counting(remote.as_ref(), "c");
    }
}

#[test]
fn parts_of_tensors_are_what_they_are_on_disk() {
    let bucket = Bucket::of(&[("m.safetensors", counting(&[("a", 3000), ("b", 1000)]))]);
    // 4 KiB are 32 rows.
    let client = Client::new(&bucket).with(|o| o.piece_bytes = 4096);
    let source = client.open("s3://bucket/m.safetensors").unwrap();
    let mut out = [0.0; 640];
    // Backwards and overlapping, so that pieces of earlier requests lie across later ones.
    for row in (0..2990).rev().step_by(7).chain([0, 1500, 2990]) {
        source.decode("a", row * 64..(row + 10) * 64, &mut out).unwrap();
        let first = row as usize * 64;
        assert!(out.iter().enumerate().all(|(i, x)| *x == ((first + i) % 251) as f32), "row {row}");
    }
    decode_counting(source.as_ref(), "a");
    decode_counting(source.as_ref(), "b");
    let message = source.decode("a", 0..3001 * 64, &mut vec![0.0; 3001 * 64]).unwrap_err().to_string();
    assert!(message.contains("not in the tensor") && message.contains("s3://bucket/m.safetensors"), "{message}");
}
