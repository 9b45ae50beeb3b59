use super::{Case, file};

/// Header length, header, `data` zeros.
pub(crate) fn file_bytes(header: &[u8], data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn lying(length: u64, rest: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes(), rest].concat()
}

fn st(name: &'static str, header: &str, data: usize, says: &'static str) -> Case {
    file(name, "model.safetensors", file_bytes(header.as_bytes(), data), says)
}

fn raw(name: &'static str, bytes: Vec<u8>, says: &'static str) -> Case {
    file(name, "model.safetensors", bytes, says)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = lengths();
    all.extend(json());
    all.extend(shapes());
    all.extend(offsets());
    all.extend(names());
    all.extend(other_files());
    all
}

fn lengths() -> Vec<Case> {
    vec![
        raw("empty file", vec![], "the file is empty"),
        raw("one byte", vec![2], "too short"),
        raw("seven bytes", vec![0; 7], "too short"),
        raw("empty header", vec![0; 8], "not as it should be"),
        raw("header length 2^64 - 1", lying(u64::MAX, b"{}"), "header is too long"),
        raw("header length above the cap", lying(40 << 20, &vec![b' '; 41 << 20]), "header is too long"),
        raw("header length past the file by one", lying(3, b"{}"), "runs past the end"),
        raw("header length past the file by 2^24", lying(1 << 24, b"{}"), "runs past the end"),
    ]
}

fn json() -> Vec<Case> {
    let deep = "[".repeat(100_000);
    let twice =
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    let twice_escaped = twice.replacen("\"a\"", "\"\\u0061\"", 1);
    let mut crowd = String::from("{");
    for i in 0..=1 << 18 {
        crowd += &format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},"#);
    }
    crowd.pop();
    crowd.push('}');
    let long_text = format!(r#"{{"__metadata__":{{"a":"{}"}}"#, "\\n".repeat(15 << 20));
    let many_dims = format!(r#"{{"a":{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}}}"#, "1,".repeat(1 << 20));
    vec![
        st("not JSON", "hello", 0, "not as it should be"),
        st("cut JSON", r#"{"a":{"dtype":"U8","#, 0, "tensor: a"),
        st("a list for a header", "[1,2]", 0, "a map from tensor names"),
        st("text after the header", "{} x", 0, "trailing characters"),
        raw("header not UTF-8", file_bytes(b"\xff\xfe{}", 0), "not as it should be"),
        raw("name not UTF-8", file_bytes(b"{\"\xff\":{\"dtype\":\"U8\"}}", 0), "not as it should be"),
        st("lone surrogate in a name", r#"{"\ud800":{"dtype":"U8"}}"#, 0, "not as it should be"),
        st("deep JSON", &deep, 0, "not as it should be"),
        st("deep JSON in a tensor", &format!(r#"{{"a":{deep}"#), 0, "tensor: a"),
        st("deep JSON in an unknown key", &format!(r#"{{"a":{{"x":{deep}"#), 0, "tensor: a"),
        st("deep JSON in the metadata", &format!(r#"{{"__metadata__":{deep}"#), 0, "__metadata__"),
        st("metadata of numbers", r#"{"__metadata__":{"a":1}}"#, 0, "expected a string"),
        st("metadata twice", r#"{"__metadata__":{},"__metadata__":{}}"#, 0, "occurs twice"),
        st("metadata as a tensor", r#"{"__metadata__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1, "string"),
        st("a number for a tensor", r#"{"a":7}"#, 0, "tensor: a"),
        st("one name twice", twice, 2, "two tensors have the same name"),
        st("one name twice, once escaped", &twice_escaped, 2, "two tensors have the same name"),
        st("a field twice", r#"{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}"#, 1, "duplicate"),
        st("no dtype", r#"{"a":{"shape":[1],"data_offsets":[0,1]}}"#, 1, "dtype"),
        st("no shape", r#"{"a":{"dtype":"U8","data_offsets":[0,1]}}"#, 1, "shape"),
        st("no offsets", r#"{"a":{"dtype":"U8","shape":[1]}}"#, 1, "data_offsets"),
        st("three offsets", r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}"#, 1, "tensor: a"),
        st("one offset", r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}"#, 1, "tensor: a"),
        st("a crowd of tensors", &crowd, 0, "more than 262144 tensors"),
        st("a long text", &long_text, 0, "not as it should be"),
        st("a million dimensions", &many_dims, 1, "at most 8 dimensions"),
    ]
}

fn shape(name: &'static str, dtype: &str, shape: &str, end: u64, says: &'static str) -> Case {
    let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
    st(name, &header, 64, says)
}

fn shapes() -> Vec<Case> {
    vec![
        shape("negative dimension", "U8", "[-1]", 1, "expected u64"),
        shape("fractional dimension", "U8", "[1.5]", 1, "expected u64"),
        shape("dimension of 2^64", "U8", "[18446744073709551616]", 1, "expected u64"),
        shape("text for a dimension", "U8", "[\"1\"]", 1, "expected u64"),
        shape("elements overflow", "U8", "[4294967296,4294967296,2]", 0, "does not fit its type"),
        shape("elements overflow to nothing", "U8", "[4294967296,4294967296]", 0, "does not fit its type"),
        shape("bytes overflow", "F64", "[1099511627776,4194304]", 0, "does not fit its type"),
        shape("2^60 elements", "F32", "[1073741824,1073741824]", 1 << 62, "runs past the end"),
        shape("2^60 elements in 64 bytes", "F32", "[1073741824,1073741824]", 64, "disagree"),
        shape("2^60 rows of nothing", "F32", "[1152921504606846976,0]", 0, "out of bounds"),
        shape("nine dimensions", "U8", "[1,1,1,1,1,1,1,1,1]", 1, "at most 8 dimensions"),
        shape("half a byte", "F4", "[3]", 1, "does not fit its type"),
        shape("shape smaller than the data", "F32", "[8]", 64, "disagree"),
        shape("shape larger than the data", "F32", "[32]", 64, "disagree"),
        shape("unknown type", "F128", "[4]", 64, "unknown tensor type"),
        shape("a GGUF type in safetensors", "Q4_0", "[32]", 18, "unknown tensor type"),
        shape("control characters in a type", "\\u001b[2J", "[4]", 64, "unknown tensor type"),
    ]
}

fn two(name: &'static str, a: [u64; 2], b: [u64; 2], data: usize, says: &'static str) -> Case {
    let entry = |[begin, end]: [u64; 2]| {
        let length = end.wrapping_sub(begin);
        format!(r#"{{"dtype":"U8","shape":[{length}],"data_offsets":[{begin},{end}]}}"#)
    };
    st(name, &format!(r#"{{"a":{},"b":{}}}"#, entry(a), entry(b)), data, says)
}

fn offsets() -> Vec<Case> {
    vec![
        two("overlap by one byte", [0, 8], [7, 15], 15, "overlap"),
        two("one inside the other", [0, 16], [4, 8], 16, "overlap"),
        two("same bytes twice", [0, 8], [0, 8], 8, "overlap"),
        two("gap at the start", [4, 8], [8, 12], 12, "belong to no tensor"),
        two("gap between", [0, 4], [8, 12], 12, "belong to no tensor"),
        two("bytes after the last", [0, 4], [4, 8], 12, "goes on after"),
        two("an empty tensor out of place", [0, 8], [4, 4], 8, "overlap"),
        two("last tensor past the file", [0, 4], [4, 9], 8, "runs past the end"),
        two("offset past the file", [0, 4], [1 << 39, (1 << 39) + 4], 8, "runs past the end"),
        two("reversed offsets", [0, 4], [8, 4], 8, "out of bounds"),
        st("reversed offsets of nothing", r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[8,4]}}"#, 8, "disagree"),
        st(
            "offsets at the end of u64",
            r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}}"#,
            8,
            "offset is out of bounds",
        ),
        st("negative offset", r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}"#, 8, "expected u64"),
    ]
}

fn named(name: &'static str, tensor: &str, says: &'static str) -> Case {
    st(name, &format!(r#"{{"{tensor}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#), 1, says)
}

fn names() -> Vec<Case> {
    vec![
        named("escape sequence in a name", "\\u001b]0;title\\u0007", "characters that tensor names do not have"),
        named("line feed in a name", "a\\nerror: all is well", "characters that tensor names do not have"),
        named("script in a name", "<script>alert(1)</script>", "characters that tensor names do not have"),
        named("reordered text in a name", "a\\u202egnp.b", "characters that tensor names do not have"),
        named("null in a name", "a\\u0000b", "characters that tensor names do not have"),
        named("empty name", "", "tensor name is empty"),
        named("long name", &"a".repeat(10_000), "name is too long"),
        named("very long name", &"a".repeat(30 << 20), "name is too long"),
    ]
}

fn other_files() -> Vec<Case> {
    let pickle = b"\x80\x02}q\x00.".to_vec();
    let zip = b"PK\x03\x04archive/data.pkl".to_vec();
    vec![
        file("pickle by name", "pytorch_model.bin", pickle.clone(), "which can run any code"),
        file("pickle .pt", "model.pt", zip.clone(), "safe_serialization=True"),
        file("pickle .pth", "model.PTH", zip.clone(), "which can run any code"),
        file("pickle .ckpt", "model.ckpt", zip, "which can run any code"),
        file("pickle by contents", "weights", pickle, "which can run any code"),
        file(
            "Git LFS pointer",
            "model.safetensors",
            b"version https://git-lfs.github.com/spec/v1\n".into(),
            "git lfs pull",
        ),
        file("web page", "model.safetensors", b"<!DOCTYPE html><html>404".into(), "a web page"),
        file("text", "notes.txt", b"hello, this is a text".into(), "not a checkpoint"),
    ]
}
