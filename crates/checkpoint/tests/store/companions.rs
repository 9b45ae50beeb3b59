use crate::server::Bucket;
use crate::{Client, counting};

fn objects() -> [(&'static str, Vec<u8>); 4] {
    [
        ("m/model.safetensors", counting(&[("a", 4)])),
        ("m/tokenizer.json", format!("{{\"x\":\"{}\"}}", "y".repeat(100_000)).into_bytes()),
        ("m/tokenizer_config.json", b"{}".to_vec()),
        ("m/README.md", b"# m".to_vec()),
    ]
}

#[test]
fn a_tokenizer_is_kept_on_disk_and_fetched_once() {
    let bucket = Bucket::of(&objects());
    let client = Client::new(&bucket);
    for address in ["s3://bucket/m".to_owned(), bucket.web("m")] {
        let source = client.open(&address).unwrap();
        let before = source.fetched().unwrap().bytes;
        let folder = source.companions().unwrap();
        assert!(folder.starts_with(client.cache.path()), "{}", folder.display());
        let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["tokenizer.json", "tokenizer_config.json"]);
        assert_eq!(std::fs::read(folder.join("tokenizer.json")).unwrap(), objects()[1].1);
        let first = source.fetched().unwrap().bytes - before;
        assert_eq!(source.companions().unwrap(), folder);

        let again = client.open(&address).unwrap();
        let before = again.fetched().unwrap().bytes;
        assert_eq!(again.companions().unwrap(), folder);
        let second = again.fetched().unwrap().bytes - before;
        assert!(first > 100_000 && second < 70_000, "{address}: {first}, then {second}");
    }
    let beside = client.open(&bucket.web("m/model.safetensors")).unwrap().companions().unwrap();
    assert!(beside.join("tokenizer.json").is_file());
    let folders = std::fs::read_dir(client.cache.path().join("stores")).unwrap().count();
    assert_eq!(folders, 2, "by address; nothing unfinished is left");
}

#[test]
fn another_version_of_a_tokenizer_is_another_folder() {
    let bucket = Bucket::of(&objects());
    let client = Client::new(&bucket);
    let old = client.open("s3://bucket/m").unwrap().companions().unwrap();
    bucket.put("m/tokenizer.json", b"{\"new\":1}".to_vec());
    let new = client.open("s3://bucket/m").unwrap().companions().unwrap();
    assert_ne!(old, new);
    assert_eq!(std::fs::read(new.join("tokenizer.json")).unwrap(), b"{\"new\":1}");
}

#[test]
fn without_a_cache_a_tokenizer_is_an_error_and_weights_are_not() {
    let bucket = Bucket::of(&objects());
    let source = Client::new(&bucket).with(|o| o.cache_dir = None).open("s3://bucket/m").unwrap();
    crate::decode_counting(source.as_ref(), "a");
    let message = source.companions().unwrap_err().to_string();
    assert!(message.contains("XDG_CACHE_HOME"), "{message}");
}
