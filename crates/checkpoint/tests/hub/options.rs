use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use tomo_checkpoint::hub::HubOptions;

fn from(variables: &[(&str, &str)], home: Option<&str>) -> HubOptions {
    let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
    HubOptions::from_variables(get, home.map(PathBuf::from)).unwrap()
}

#[test]
fn the_cache_is_where_the_other_clients_have_it() {
    // In the order in which each wins over the next.
    let mut variables = vec![
        ("HF_HUB_CACHE", "/cache"),
        ("HUGGINGFACE_HUB_CACHE", "/old"),
        ("HF_HOME", "/hf"),
        ("XDG_CACHE_HOME", "/xdg"),
    ];
    for expected in ["/cache", "/old", "/hf/hub", "/xdg/huggingface/hub", "/home/me/.cache/huggingface/hub"] {
        assert_eq!(from(&variables, Some("/home/me")).cache_dir, PathBuf::from(expected));
        if !variables.is_empty() {
            variables.remove(0);
        }
    }
    assert_eq!(from(&[("HF_HOME", "~/hf")], Some("/home/me")).cache_dir, PathBuf::from("/home/me/hf/hub"));
    assert_eq!(from(&[("HF_HOME", "")], Some("/home/me")).cache_dir, PathBuf::from("/home/me/.cache/huggingface/hub"));
    let error = HubOptions::from_variables(|_| None, None).unwrap_err();
    assert!(error.to_string().contains("HF_HOME"), "{error}");
}

#[test]
fn offline_mode_has_the_words_of_the_other_clients() {
    for (value, expected) in
        [("1", true), ("true", true), ("ON", true), ("Yes", true), ("0", false), ("", false), ("no", false)]
    {
        assert_eq!(from(&[("HF_HUB_OFFLINE", value)], Some("/")).offline, expected, "{value}");
        assert_eq!(from(&[("TRANSFORMERS_OFFLINE", value)], Some("/")).offline, expected, "{value}");
    }
}

#[test]
fn the_token_comes_from_a_variable_or_a_file() {
    let home = tempfile::tempdir().unwrap();
    let hf_home = home.path().to_str().unwrap();
    assert_eq!(from(&[("HF_HOME", hf_home)], None).token, None);
    fs::write(home.path().join("token"), "hf_stored\n").unwrap();
    let token = |more: &[(&str, &str)]| from(&[&[("HF_HOME", hf_home)], more].concat(), None).token;
    assert_eq!(token(&[]).as_deref(), Some("hf_stored"));
    assert_eq!(token(&[("HF_TOKEN", " hf_set \n")]).as_deref(), Some("hf_set"));
    assert_eq!(token(&[("HUGGING_FACE_HUB_TOKEN", "hf_old")]).as_deref(), Some("hf_old"));
    assert_eq!(token(&[("HF_TOKEN", "")]).as_deref(), Some("hf_stored"));
    assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
    let other = home.path().join("other");
    fs::write(&other, "hf_other").unwrap();
    assert_eq!(token(&[("HF_TOKEN_PATH", other.to_str().unwrap())]).as_deref(), Some("hf_other"));
}

#[test]
fn the_endpoint_can_be_another() {
    assert_eq!(from(&[], Some("/")).endpoint, "https://huggingface.co");
    assert_eq!(from(&[("HF_ENDPOINT", "http://127.0.0.1:1/")], Some("/")).endpoint, "http://127.0.0.1:1");
}
